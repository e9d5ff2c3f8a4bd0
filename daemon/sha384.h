/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sha384 - SHA-384 (FIPS 180-4, section 5.3.4), which libsodium does not have: SHA-512 from another
 * beginning, cut. Pure; any thread.
 */
#ifndef TPMPSK_DAEMON_SHA384_H
#define TPMPSK_DAEMON_SHA384_H

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

#define SHA384_SIZE 48

/* For more than one piece: libsodium's SHA-512 from here on, of whose output the first SHA384_SIZE bytes count. */
void sha384_init(crypto_hash_sha512_state *state);

void sha384(const uint8_t *in, size_t in_len, uint8_t digest[SHA384_SIZE]);

#endif
