/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash - SHA-256, SHA-384 and HMAC in software, for what is computed beside the TPM.
 *
 * For secrets on their way into the TPM and for what goes into its HMACs; never for a key that is in it. Pure; any thread. Nothing of the
 * input stays behind.
 */
#ifndef TPMPSK_DAEMON_HASH_H
#define TPMPSK_DAEMON_HASH_H

#include "proto/digest.h"

#include <stdint.h>

#define HASH_BLOCK_MAX 128

/* Bytes of the block, which is how long an HMAC key may be without being hashed first. */
size_t hash_block_size(enum tpmpsk_digest digest);

/* out gets as many bytes as the digest has. */
void hash_of(enum tpmpsk_digest digest, const uint8_t *in, size_t in_len, uint8_t *out);

/* RFC 2104; a key of any length. */
void hash_hmac(enum tpmpsk_digest digest, const uint8_t *key, size_t key_len, const uint8_t *in,
	size_t in_len, uint8_t *out);

#endif
