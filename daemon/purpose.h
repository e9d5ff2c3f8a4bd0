/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * purpose - what each purpose computes: the table of derivations.
 *
 * A derivation is a pure function of the request's typed fields over a mac interface, which the daemon answers with the TPM and the unit
 * tests with software. The input of every HMAC is built here; nobody sends one. May block as long as the mac does.
 */
#ifndef TPMPSK_DAEMON_PURPOSE_H
#define TPMPSK_DAEMON_PURPOSE_H

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
};

/* 0, or the mac's -errno; ret is written on success only. The request has been decoded by the protocol's own checks. */
int purpose_derive(const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
	__attribute__((warn_unused_result));

/* Bit n: purpose number n is known. */
uint32_t purpose_known(void);

#endif
