/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rsa_pss - verifies an RSA-2048 PSS signature, to learn how long a salt the TPM takes.
 *
 * The TPM's specification lets RSASSA-PSS have a salt as long as the hash or as long as the key
 * allows; TLS 1.3 takes the former only (RFC 8446, section 4.2.3). Public values only, and so not in
 * constant time; some milliseconds, for when a key is made. Pure.
 */
#ifndef TPMPSK_DAEMON_RSA_PSS_H
#define TPMPSK_DAEMON_RSA_PSS_H

#include <stddef.h>
#include <stdint.h>

#define RSA_PSS_SIZE 256 /* bytes of modulus and signature */
#define RSA_PSS_DIGEST_SIZE 32

/*
 * modulus: big-endian, its top bit set. SHA-256 for everything, exponent 65537. 0 and the salt's
 * length in bytes when it is the signature of that digest, else -EBADMSG.
 */
int rsa_pss_salt_size(const uint8_t modulus[RSA_PSS_SIZE], const uint8_t signature[RSA_PSS_SIZE],
	const uint8_t digest[RSA_PSS_DIGEST_SIZE], size_t *ret_salt_size)
	__attribute__((warn_unused_result));

#endif
