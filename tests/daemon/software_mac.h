/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * software_mac - the purposes' mac interface over a secret in memory, for unit tests that want the right answer without a TPM.
 */
#ifndef TPMPSK_TESTS_DAEMON_SOFTWARE_MAC_H
#define TPMPSK_TESTS_DAEMON_SOFTWARE_MAC_H

#include "daemon/purpose.h"

struct software_key {
	uint8_t secret[256];
	size_t secret_len;
	unsigned commands; /* HMACs computed */
};

struct mac software_mac(struct software_key *key);

#endif
