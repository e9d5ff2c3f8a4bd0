/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mac - what a key can do, wherever it is: in the TPM when the daemon derives, in memory when one is imported or a test wants the right
 * answer.
 */
#ifndef TPMPSK_DAEMON_MAC_H
#define TPMPSK_DAEMON_MAC_H

#include "proto/digest.h"
#include "proto/scheme.h"

#include <stdint.h>

#define MAC_SIZE_MAX TPMPSK_DIGEST_SIZE_MAX

struct mac {
	/*
	 * HMAC under the key's object number `object` (a key of one object has number 0). mac has room for MAC_SIZE_MAX bytes.
	 * 0 or -errno; -EOPNOTSUPP: the key has no such object.
	 */
	int (*compute)(void *context, unsigned object, const uint8_t *in, size_t in_len,
		uint8_t *mac, size_t *ret_len);
	void *context;
	/*
	 * For the purposes with a signing key: its signature over a digest of the size that the scheme has, as TLS encodes it. signature
	 * has room for TPMPSK_SIGNATURE_MAX bytes. 0 or -errno. NULL: this is no signing key.
	 */
	int (*sign)(void *context, enum tpmpsk_scheme scheme, const uint8_t *digest,
		uint8_t *signature, size_t *ret_len);
};

#endif
