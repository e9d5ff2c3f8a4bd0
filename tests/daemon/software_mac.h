/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * software_mac - the purposes' mac interface over a key in memory, for unit tests that want the right answer without a TPM.
 */
#ifndef TPMPSK_TESTS_DAEMON_SOFTWARE_MAC_H
#define TPMPSK_TESTS_DAEMON_SOFTWARE_MAC_H

#include "daemon/key_secrets.h"
#include "daemon/mac.h"

struct software_key {
	size_t n_objects;
	struct key_secret objects[KEYFILE_OBJECTS_MAX];
	unsigned commands; /* HMACs computed */
};

/* What the TPM would hold of a secret that is imported. */
void software_key_init(
	struct software_key *key, uint8_t purpose, const uint8_t *secret, size_t len);

struct mac software_mac(struct software_key *key);

#endif
