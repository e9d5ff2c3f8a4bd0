/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * purpose - what a key is for, and in which role it is used: numbers on the wire, words everywhere
 * else.
 *
 * Numbers are never reused. What a purpose derives, and from which fields, is in PROTOCOL.md. Pure;
 * any thread.
 */
#ifndef TPMPSK_PROTO_PURPOSE_H
#define TPMPSK_PROTO_PURPOSE_H

#include <stdbool.h>
#include <stdint.h>

enum tpmpsk_purpose {
	TPMPSK_PURPOSE_TLS12_SESSION = 1,
	TPMPSK_PURPOSE_SESSION_IDENTITY = 2,
	TPMPSK_PURPOSE_EXPORTER_KDF = 3,
	TPMPSK_PURPOSE_EXPORTER_MAC = 4,
	TPMPSK_PURPOSE_TLS12_MASTER = 5,
	TPMPSK_PURPOSE_TLS13_SCHEDULE = 6,
	TPMPSK_PURPOSE_PSK_IMPORT = 7,
	TPMPSK_PURPOSE_CERTIFICATE_VERIFY = 8,
	TPMPSK_PURPOSE_COUNT /* one above the largest number in use */
};

enum tpmpsk_role {
	TPMPSK_ROLE_NONE = 0,
	TPMPSK_ROLE_CLIENT = 1,
	TPMPSK_ROLE_SERVER = 2,
	TPMPSK_ROLE_COUNT
};

/* The word, a constant; NULL for a number that is none. */
const char *tpmpsk_purpose_name(unsigned purpose);
/* The number for a word; 0 when it is none. */
unsigned tpmpsk_purpose_by_name(const char *name);

/* "none", "client", "server"; NULL for a number that is none. */
const char *tpmpsk_role_name(unsigned role);

#endif
