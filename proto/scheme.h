/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scheme - what a certificate-verify key signs with: numbers on the wire, words everywhere else.
 *
 * The numbers are TLS's own (RFC 8446, section 4.2.3), the words those of `algorithm` in a key's
 * policy. A key has one scheme. Pure; any thread.
 */
#ifndef TPMPSK_PROTO_SCHEME_H
#define TPMPSK_PROTO_SCHEME_H

#include <stddef.h>

enum tpmpsk_scheme {
	TPMPSK_SCHEME_NONE = 0,
	TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256 = 0x0403,
	TPMPSK_SCHEME_ECDSA_SECP384R1_SHA384 = 0x0503,
	TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256 = 0x0804,
};

/* "ecdsa-p256", a constant; NULL for a number that is none of the above. */
const char *tpmpsk_scheme_algorithm(unsigned scheme);
/* The number for an algorithm's word; TPMPSK_SCHEME_NONE when it is none. */
unsigned tpmpsk_scheme_by_algorithm(const char *algorithm);

/* TLS's name of it, "ecdsa_secp256r1_sha256", for people; NULL as above. */
const char *tpmpsk_scheme_name(unsigned scheme);
/* Bytes of the digest that is signed; 0 for a number that is none. */
size_t tpmpsk_scheme_digest_size(unsigned scheme);

#endif
