/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * derive - the body of a derive request: which key, in which role, and the purpose's own typed
 * fields.
 *
 * There is no field for bytes to be authenticated: each purpose names its inputs, and the daemon
 * builds from them what the TPM computes. One codec per purpose, in one table in derive.c. Pure; no
 * allocation.
 */
#ifndef TPMPSK_PROTO_DERIVE_H
#define TPMPSK_PROTO_DERIVE_H

#include "proto/purpose.h"
#include "proto/reader.h"
#include "proto/writer.h"

#include <stddef.h>
#include <stdint.h>

#define TPMPSK_IDENTITY_MAX 128
#define TPMPSK_RANDOM_SIZE 32       /* a TLS random, RFC 5246, section 7.4.1.2 */
#define TPMPSK_RANDOM_SHORT_SIZE 28 /* the same without its four time bytes */
#define TPMPSK_SECRET_MAX 64        /* the longest secret that a derivation gives */

struct tpmpsk_tls12_session {
	uint8_t client_random[TPMPSK_RANDOM_SIZE];
	uint8_t server_random[TPMPSK_RANDOM_SIZE];
	size_t random_len; /* of each: TPMPSK_RANDOM_SIZE or TPMPSK_RANDOM_SHORT_SIZE */
};

struct tpmpsk_derive {
	uint8_t purpose; /* enum tpmpsk_purpose */
	uint8_t role;    /* enum tpmpsk_role; TPMPSK_ROLE_NONE where the purpose has no roles */
	size_t identity_len;
	uint8_t identity[TPMPSK_IDENTITY_MAX];
	union {
		struct tpmpsk_tls12_session tls12_session;
	};
};

/* What comes back: the secret and, where the daemon makes one, its name (a session identity). */
struct tpmpsk_derived {
	size_t secret_len;
	uint8_t secret[TPMPSK_SECRET_MAX];
	size_t name_len;
	uint8_t name[TPMPSK_IDENTITY_MAX];
};

void tpmpsk_write_derive(struct tpmpsk_writer *w, const struct tpmpsk_derive *q);

/*
 * Reads the body. An unknown purpose stops the reading there, with q->purpose as sent and
 * *ret_known false: the caller answers `unsupported`, whatever follows. All else that is not as
 * PROTOCOL.md says fails the reader.
 */
void tpmpsk_read_derive(struct tpmpsk_reader *r, struct tpmpsk_derive *q, bool *ret_known);

void tpmpsk_write_derived(struct tpmpsk_writer *w, const struct tpmpsk_derived *d);
void tpmpsk_read_derived(struct tpmpsk_reader *r, struct tpmpsk_derived *d);

#endif
