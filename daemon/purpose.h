/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * purpose - what each purpose computes: the table of derivations.
 *
 * A derivation is a pure function of the request's typed fields over what the key can do, which the daemon answers with the TPM and the
 * unit tests with software. The input of every HMAC and signature is built here; nobody sends one. May block as long as the key does.
 */
#ifndef TPMPSK_DAEMON_PURPOSE_H
#define TPMPSK_DAEMON_PURPOSE_H

#include "proto/digest.h"
#include "daemon/mac.h"
#include "proto/derive.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * 0, or the mac's -errno, or -EINVAL when its object is not what the purpose takes; ret is written on success only. The request has been
 * decoded by the protocol's own checks.
 */
int purpose_derive(const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
	__attribute__((warn_unused_result));

/* What a key of a scheme signs instead of `in` itself; tpmpsk_scheme_digest_size() bytes. */
void purpose_digest(
	enum tpmpsk_scheme scheme, const uint8_t *in, size_t in_len, uint8_t digest[TPMPSK_DIGEST_SIZE_MAX]);

/* The number of the key's object that the derivation needs first, or 0. */
unsigned purpose_object(const struct tpmpsk_derive *q);

/* Whether its keys sign, rather than compute HMACs: such a key is made in the TPM, and has an algorithm. */
bool purpose_signs(uint8_t purpose);

/* Bit n: purpose number n is known. */
uint32_t purpose_known(void);

#endif
