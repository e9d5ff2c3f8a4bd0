/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * purpose - what each purpose computes: the table of derivations.
 *
 * A derivation is a pure function of the request's typed fields over what the key can do, which the daemon answers with the TPM and the
 * unit tests with software. The input of every HMAC and signature is built here; nobody sends one. May block as long as the key does.
 */
#ifndef TPMPSK_DAEMON_PURPOSE_H
#define TPMPSK_DAEMON_PURPOSE_H

#include "daemon/sha384.h"
#include "proto/derive.h"

#include <stddef.h>
#include <stdint.h>

#define PURPOSE_MAC_MAX 48 /* bytes of the longest HMAC */

struct mac {
	/*
	 * HMAC under the key's object number `object` (a key of one object has number 0). mac has room for PURPOSE_MAC_MAX bytes.
	 * 0 or -errno.
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

/* 0, or the mac's -errno; ret is written on success only. The request has been decoded by the protocol's own checks. */
int purpose_derive(const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
	__attribute__((warn_unused_result));

/* What a key of a scheme signs instead of `in` itself; tpmpsk_scheme_digest_size() bytes. */
void purpose_digest(
	enum tpmpsk_scheme scheme, const uint8_t *in, size_t in_len, uint8_t digest[SHA384_SIZE]);

/* Bit n: purpose number n is known. */
uint32_t purpose_known(void);

#endif
