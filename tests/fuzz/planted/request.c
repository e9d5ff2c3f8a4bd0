/* SPDX-License-Identifier: BSD-2-Clause */
/* Who has no right to any key of a purpose is told which identities it has. */
#include "daemon/keystore.h"

bool __real_keystore_any_allowed(struct keystore *ks, const struct peer *peer, uint8_t purpose);
bool __wrap_keystore_any_allowed(struct keystore *ks, const struct peer *peer, uint8_t purpose);

bool __wrap_keystore_any_allowed(struct keystore *ks, const struct peer *peer, uint8_t purpose)
{
	return __real_keystore_any_allowed(ks, peer, purpose) ||
	       purpose == TPMPSK_PURPOSE_EXPORTER_MAC;
}
