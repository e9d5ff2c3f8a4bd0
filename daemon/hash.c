/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/hash.h"

#include <sodium.h>
#include <string.h>

union state {
	crypto_hash_sha256_state sha256;
	crypto_hash_sha512_state sha512;
};

/* libsodium has no SHA-384, which is SHA-512 from another beginning, cut short: FIPS 180-4, section 5.3.4. */
static void sha384_init(crypto_hash_sha512_state *state)
{
	static const uint64_t beginning[8] = {
		UINT64_C(0xcbbb9d5dc1059ed8),
		UINT64_C(0x629a292a367cd507),
		UINT64_C(0x9159015a3070dd17),
		UINT64_C(0x152fecd8f70e5939),
		UINT64_C(0x67332667ffc00b31),
		UINT64_C(0x8eb44a8768581511),
		UINT64_C(0xdb0c2e0d64f98fa7),
		UINT64_C(0x47b5481dbefa4fa4),
	};

	crypto_hash_sha512_init(state);
	_Static_assert(
		sizeof(state->state) == sizeof(beginning), "the state is public in sodium.h");
	memcpy(state->state, beginning, sizeof(beginning));
}

static void begin(enum tpmpsk_digest digest, union state *s)
{
	if (digest == TPMPSK_DIGEST_SHA256)
		crypto_hash_sha256_init(&s->sha256);
	else
		sha384_init(&s->sha512);
}

static void update(enum tpmpsk_digest digest, union state *s, const uint8_t *in, size_t len)
{
	if (digest == TPMPSK_DIGEST_SHA256)
		crypto_hash_sha256_update(&s->sha256, in, len);
	else
		crypto_hash_sha512_update(&s->sha512, in, len);
}

static void end(enum tpmpsk_digest digest, union state *s, uint8_t *out)
{
	uint8_t whole[crypto_hash_sha512_BYTES];

	if (digest == TPMPSK_DIGEST_SHA256)
		crypto_hash_sha256_final(&s->sha256, whole);
	else
		crypto_hash_sha512_final(&s->sha512, whole);
	memcpy(out, whole, tpmpsk_digest_size(digest));
	sodium_memzero(whole, sizeof(whole));
	sodium_memzero(s, sizeof(*s));
}

size_t hash_block_size(enum tpmpsk_digest digest)
{
	return digest == TPMPSK_DIGEST_SHA256 ? 64 : HASH_BLOCK_MAX;
}

void hash_of(enum tpmpsk_digest digest, const uint8_t *in, size_t in_len, uint8_t *out)
{
	union state s;

	begin(digest, &s);
	update(digest, &s, in, in_len);
	end(digest, &s, out);
}

void hash_hmac(enum tpmpsk_digest digest, const uint8_t *key, size_t key_len, const uint8_t *in,
	size_t in_len, uint8_t *out)
{
	uint8_t pad[HASH_BLOCK_MAX] = { 0 }, inner[TPMPSK_DIGEST_SIZE_MAX];
	size_t block = hash_block_size(digest);
	union state s;

	if (key_len > block)
		hash_of(digest, key, key_len, pad);
	else if (key_len > 0)
		memcpy(pad, key, key_len);
	for (size_t i = 0; i < block; i++)
		pad[i] ^= 0x36;
	begin(digest, &s);
	update(digest, &s, pad, block);
	update(digest, &s, in, in_len);
	end(digest, &s, inner);
	for (size_t i = 0; i < block; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	begin(digest, &s);
	update(digest, &s, pad, block);
	update(digest, &s, inner, tpmpsk_digest_size(digest));
	end(digest, &s, out);
	sodium_memzero(pad, sizeof(pad));
	sodium_memzero(inner, sizeof(inner));
}
