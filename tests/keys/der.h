/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * der - a TPMKey written by hand, field by field, also in ways that no tool would.
 *
 * Knows nothing of the codec under test. Tests only; asserts that its buffer is large enough.
 */
#ifndef TPMPSK_TESTS_KEYS_DER_H
#define TPMPSK_TESTS_KEYS_DER_H

#include <stddef.h>
#include <stdint.h>

#define DER_SIZE 16384

struct der {
	size_t len;
	uint8_t bytes[DER_SIZE];
};

#define DER_BOOLEAN 0x01
#define DER_INTEGER 0x02
#define DER_OCTETS 0x04
#define DER_OID 0x06
#define DER_UTF8 0x0c
#define DER_SEQUENCE 0x30
#define DER_EXPLICIT(n) (0xa0 + (n))

/* One element, its length in as few bytes as can be. */
void der_put(struct der *d, int tag, const void *content, size_t len);
/* All of inner as the content of an element. */
void der_wrap(struct der *d, int tag, const struct der *inner);

/* A whole TPMKey: 2.23.133.10.1.kind, options as they are, parent as INTEGER content, areas. */
struct der_key {
	uint8_t kind;
	const struct der *options;
	const void *parent;
	size_t parent_len;
	const void *pub, *priv;
	size_t pub_len, priv_len;
};
void der_key(struct der *d, const struct der_key *key);

/* The PEM of it, malloc'ed. */
char *der_pem(const struct der *d);

#endif
