/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a byte string that a program has for a PSK is, and what a hash's name means.
 */
#include "client-lib/openssl/module.h"
#include "proto/reference.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#define PREFIX_SIZE (sizeof(TPMPSK_REFERENCE_PREFIX) - 1)

enum tpmpsk_psk_kind tpmpsk_psk_read(const void *psk, size_t len, struct tpmpsk_token *ret)
{
	const uint8_t *identity;
	size_t identity_len;

	/* Nearly all that comes here is a secret and no reference: no early end for it. */
	if (len < PREFIX_SIZE || CRYPTO_memcmp(psk, TPMPSK_REFERENCE_PREFIX, PREFIX_SIZE) != 0)
		return TPMPSK_PSK_PLAIN;
	if (tpmpsk_reference_identity(psk, len, &identity, &identity_len) < 0)
		return TPMPSK_PSK_BROKEN;
	memset(ret, 0, sizeof(*ret));
	ret->identity_len = identity_len;
	memcpy(ret->identity, identity, identity_len);
	return TPMPSK_PSK_IDENTITY;
}

enum tpmpsk_hash tpmpsk_hash_by_name(const char *name)
{
	static const struct {
		const char *name;
		enum tpmpsk_hash hash;
	} names[] = {
		{ "SHA2-256", TPMPSK_HASH_SHA256 },
		{ "SHA-256", TPMPSK_HASH_SHA256 },
		{ "SHA256", TPMPSK_HASH_SHA256 },
		{ "SHA2-384", TPMPSK_HASH_SHA384 },
		{ "SHA-384", TPMPSK_HASH_SHA384 },
		{ "SHA384", TPMPSK_HASH_SHA384 },
	};

	for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i].name) == 0)
			return names[i].hash;
	return 0;
}
