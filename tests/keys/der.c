/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/keys/der.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void put_byte(struct der *d, size_t byte)
{
	assert(d->len < sizeof(d->bytes));
	d->bytes[d->len++] = (uint8_t)byte;
}

void der_put(struct der *d, int tag, const void *content, size_t len)
{
	put_byte(d, (size_t)tag);
	if (len > 255) {
		put_byte(d, 0x82);
		put_byte(d, len >> 8);
	} else if (len > 127) {
		put_byte(d, 0x81);
	}
	put_byte(d, len & 0xff);
	assert(len <= sizeof(d->bytes) - d->len);
	if (len > 0)
		memcpy(d->bytes + d->len, content, len);
	d->len += len;
}

void der_wrap(struct der *d, int tag, const struct der *inner)
{
	der_put(d, tag, inner->bytes, inner->len);
}

void der_key(struct der *d, const struct der_key *key)
{
	const uint8_t oid[] = { 0x67, 0x81, 0x05, 0x0a, 0x01, key->kind };
	struct der inner = { 0 };

	der_put(&inner, DER_OID, oid, sizeof(oid));
	if (key->options) {
		memcpy(inner.bytes + inner.len, key->options->bytes, key->options->len);
		inner.len += key->options->len;
	}
	der_put(&inner, DER_INTEGER, key->parent, key->parent_len);
	der_put(&inner, DER_OCTETS, key->pub, key->pub_len);
	der_put(&inner, DER_OCTETS, key->priv, key->priv_len);
	der_wrap(d, DER_SEQUENCE, &inner);
}

char *der_pem(const struct der *d)
{
	static const char begin[] = "-----BEGIN TSS2 PRIVATE KEY-----\n";
	static const char end[] = "\n-----END TSS2 PRIVATE KEY-----\n";
	size_t room = sodium_base64_encoded_len(d->len, sodium_base64_VARIANT_ORIGINAL);
	char *pem = malloc(sizeof(begin) + room + sizeof(end));
	char *p;

	assert(pem);
	p = stpcpy(pem, begin);
	sodium_bin2base64(p, room, d->bytes, d->len, sodium_base64_VARIANT_ORIGINAL);
	strcat(p, end);
	return pem;
}
