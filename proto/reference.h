/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reference - what stands in a program's configuration where its PSK would be, when that is in the
 * TPM: text that names the key's identity, for something below the program that knows better than
 * to use it as a PSK.
 *
 *     "tpm-psk-reference:" || 32 hex digits || ":" || identity
 *
 * The digits are random and mean nothing to the reader. They are for the day when what should read
 * the reference is not there: the program then takes the reference itself for its PSK, and nobody
 * may be able to guess that one.
 *
 * Whatever begins with the prefix was meant as a reference and is never to be used as a PSK, also
 * when the rest is broken. Pure; no allocation; any thread.
 */
#ifndef TPMPSK_PROTO_REFERENCE_H
#define TPMPSK_PROTO_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPMPSK_REFERENCE_PREFIX "tpm-psk-reference:"
#define TPMPSK_REFERENCE_RANDOM_SIZE 16 /* bytes that the digits stand for */
/* Bytes that a reference is longer than its identity. */
#define TPMPSK_REFERENCE_EXTRA                                                                     \
	(sizeof(TPMPSK_REFERENCE_PREFIX) - 1 + 2 * TPMPSK_REFERENCE_RANDOM_SIZE + 1)
#define TPMPSK_REFERENCE_SIZE_MAX (TPMPSK_REFERENCE_EXTRA + 128)

/* Whether a PSK is meant as a reference: it begins with the prefix. Not in constant time. */
bool tpmpsk_reference_is(const void *psk, size_t len);

/*
 * The identity in a reference, inside psk. 0, or -EINVAL when psk is none that is whole (an
 * identity has 1 to 128 bytes).
 */
int tpmpsk_reference_identity(const void *psk, size_t len, const uint8_t **ret_identity,
	size_t *ret_identity_len) __attribute__((warn_unused_result));

/*
 * Writes a reference without a NUL; buf has room for TPMPSK_REFERENCE_SIZE_MAX bytes. Returns its
 * length, 0 when the identity is empty or too long.
 */
size_t tpmpsk_reference_write(const uint8_t random[TPMPSK_REFERENCE_RANDOM_SIZE],
	const void *identity, size_t identity_len, uint8_t *buf);

#endif
