/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpm_keys - what the tests of the TPM module share: a software TPM behind the counting TCTI, keys
 * in it, and the right answers from OpenSSL. Ends the test where something fails that is not what
 * is tested.
 */
#ifndef TPMPSK_TESTS_DAEMON_TPM_KEYS_H
#define TPMPSK_TESTS_DAEMON_TPM_KEYS_H

#include "daemon/tpm.h"
#include "tests/swtpm/swtpm.h"
#include "tests/tcti/tcti_test.h"

struct tpm_bed {
	struct swtpm swtpm;
	struct tcti_test *tcti; /* counters and faults of all connections */
	char name[4096];        /* for tpm_options.tcti */
	struct tpm *tpm;
};

/* swtpm and TCTI; the connection is tpm_bed_open()'s. */
void tpm_bed_init(struct tpm_bed *b);
void tpm_bed_done(struct tpm_bed *b);
/* Closes an open connection first. */
void tpm_bed_open(struct tpm_bed *b, bool encrypt_sessions);

/* A key below the primary key; a secret longer than 64 bytes is hashed, as import does. */
void tpm_bed_key(struct tpm_bed *b, const void *secret, size_t len, struct keyfile *ret);

/* Whether the key behind id gives the HMAC-SHA256 that OpenSSL computes for secret. */
bool tpm_bed_right(struct tpm_bed *b, uint64_t id, const struct keyfile *key, const void *secret,
	size_t secret_len, const void *in, size_t in_len);

#endif
