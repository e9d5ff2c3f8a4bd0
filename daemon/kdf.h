/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kdf - the key derivation functions of TLS over a mac: each block is one HMAC, and so one TPM command where the key is in the TPM.
 *
 * Blocks as long as the mac does. 0 or the mac's -errno, -EINVAL when its object is not one of the digest; outputs are written on success
 * only, and what lies between is wiped.
 */
#ifndef TPMPSK_DAEMON_KDF_H
#define TPMPSK_DAEMON_KDF_H

#include "daemon/mac.h"

#define KDF_LABEL_MAX 22  /* bytes of the longest label, "extended master secret" */
#define KDF_SEED_MAX 64   /* bytes of the longest seed or context, two randoms */
#define KDF_OUTPUT_MAX 48 /* bytes of the longest output */

/* One HMAC, whole: as many bytes as the digest has. */
int kdf_mac(const struct mac *mac, unsigned object, enum tpmpsk_digest digest, const uint8_t *in,
	size_t in_len, uint8_t *out) __attribute__((warn_unused_result));

/* P_hash(K, label || seed), RFC 5246, section 5: two HMACs for each block. */
int kdf_p_hash(const struct mac *mac, unsigned object, enum tpmpsk_digest digest, const char *label,
	const uint8_t *seed, size_t seed_len, uint8_t *out, size_t out_len)
	__attribute__((warn_unused_result));

/* HKDF-Expand-Label(K, label, context, out_len), RFC 8446, section 7.1: one HMAC for each block. */
int kdf_expand_label(const struct mac *mac, unsigned object, enum tpmpsk_digest digest,
	const char *label, const uint8_t *context, size_t context_len, uint8_t *out, size_t out_len)
	__attribute__((warn_unused_result));

#endif
