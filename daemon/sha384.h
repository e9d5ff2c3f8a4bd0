/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sha384 - SHA-384 (FIPS 180-4, section 5.3.4), which libsodium does not have: SHA-512 from another
 * beginning, cut. Pure; any thread.
 */
#ifndef TPMPSK_DAEMON_SHA384_H
#define TPMPSK_DAEMON_SHA384_H

#include <stddef.h>
#include <stdint.h>

#define SHA384_SIZE 48

void sha384(const uint8_t *in, size_t in_len, uint8_t digest[SHA384_SIZE]);

#endif
