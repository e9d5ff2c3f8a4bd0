/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * digest - the hash of a TLS session's key schedule: numbers on the wire, words for people.
 *
 * Numbers are never reused. Pure; any thread.
 */
#ifndef TPMPSK_PROTO_DIGEST_H
#define TPMPSK_PROTO_DIGEST_H

#include <stddef.h>

enum tpmpsk_digest {
	TPMPSK_DIGEST_SHA256 = 1,
	TPMPSK_DIGEST_SHA384 = 2,
	TPMPSK_DIGEST_COUNT /* one above the largest number in use */
};
#define TPMPSK_DIGEST_SIZE_MAX 48

/* Bytes of its output; 0 for a number that is none. */
size_t tpmpsk_digest_size(unsigned digest);

/* "sha256", "sha384", a constant; NULL for a number that is none. */
const char *tpmpsk_digest_name(unsigned digest);
/* The number for a word; 0 when it is none. */
unsigned tpmpsk_digest_by_name(const char *name);

#endif
