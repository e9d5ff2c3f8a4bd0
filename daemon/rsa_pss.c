/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/rsa_pss.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

/*
 * Numbers of 2048 bits, least significant word first.
 */
#define WORDS (RSA_PSS_SIZE / 4)

struct number {
	uint32_t w[WORDS];
};

static struct number from_bytes(const uint8_t bytes[RSA_PSS_SIZE])
{
	struct number n;

	for (size_t i = 0; i < WORDS; i++) {
		const uint8_t *p = bytes + RSA_PSS_SIZE - 4 * (i + 1);

		n.w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	}
	return n;
}

static void to_bytes(const struct number *n, uint8_t bytes[RSA_PSS_SIZE])
{
	for (size_t i = 0; i < RSA_PSS_SIZE; i++)
		bytes[RSA_PSS_SIZE - 1 - i] = (uint8_t)(n->w[i / 4] >> 8 * (i % 4));
}

static bool is_less(const struct number *a, const struct number *b)
{
	for (size_t i = WORDS; i-- > 0;)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i];
	return false;
}

static void subtract(struct number *a, const struct number *b)
{
	uint64_t borrow = 0;

	for (size_t i = 0; i < WORDS; i++) {
		uint64_t d = (uint64_t)a->w[i] - b->w[i] - borrow;

		a->w[i] = (uint32_t)d;
		borrow = d >> 63;
	}
}

/* a + b modulo m; both are less than m. */
static void add_mod(struct number *a, const struct number *b, const struct number *m)
{
	uint64_t carry = 0;

	for (size_t i = 0; i < WORDS; i++) {
		carry += (uint64_t)a->w[i] + b->w[i];
		a->w[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry || !is_less(a, m))
		subtract(a, m);
}

/* By doubling and adding, one bit after the other. */
static struct number multiply_mod(
	const struct number *a, const struct number *b, const struct number *m)
{
	struct number product = { 0 };

	for (size_t bit = 32 * WORDS; bit-- > 0;) {
		const struct number twice = product;

		add_mod(&product, &twice, m);
		if (b->w[bit / 32] >> bit % 32 & 1)
			add_mod(&product, a, m);
	}
	return product;
}

/* base to the power of 65537, which is 2^16 + 1. */
static struct number power_mod(const struct number *base, const struct number *m)
{
	struct number n = *base;

	for (int i = 0; i < 16; i++)
		n = multiply_mod(&n, &n, m);
	return multiply_mod(&n, base, m);
}

/*
 * EMSA-PSS-VERIFY of RFC 8017, section 9.1.2, with the salt's length as what comes out. The encoded
 * message is maskedDB || H || 0xbc, and DB is zeroes, 0x01, the salt.
 */
#define DIGEST RSA_PSS_DIGEST_SIZE
#define DB_SIZE (RSA_PSS_SIZE - DIGEST - 1)

/* MGF1 of RFC 8017, section B.2.1, onto db. */
static void unmask(uint8_t db[DB_SIZE], const uint8_t h[DIGEST])
{
	uint8_t in[DIGEST + 4] = { 0 }, mask[DIGEST];

	memcpy(in, h, DIGEST);
	for (size_t done = 0; done < DB_SIZE; done += DIGEST) {
		in[DIGEST + 3] = (uint8_t)(done / DIGEST);
		crypto_hash_sha256(mask, in, sizeof(in));
		for (size_t i = 0; i < DIGEST && done + i < DB_SIZE; i++)
			db[done + i] ^= mask[i];
	}
}

static bool is_hash_of(const uint8_t h[DIGEST], const uint8_t digest[DIGEST], const uint8_t *salt,
	size_t salt_size)
{
	static const uint8_t zeroes[8] = { 0 };
	crypto_hash_sha256_state state;
	uint8_t want[DIGEST];

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, zeroes, sizeof(zeroes));
	crypto_hash_sha256_update(&state, digest, DIGEST);
	crypto_hash_sha256_update(&state, salt, salt_size);
	crypto_hash_sha256_final(&state, want);
	return memcmp(h, want, DIGEST) == 0;
}

int rsa_pss_salt_size(const uint8_t modulus[RSA_PSS_SIZE], const uint8_t signature[RSA_PSS_SIZE],
	const uint8_t digest[RSA_PSS_DIGEST_SIZE], size_t *ret_salt_size)
{
	const struct number m = from_bytes(modulus), s = from_bytes(signature);
	uint8_t encoded[RSA_PSS_SIZE];
	uint8_t *db = encoded, *h = encoded + DB_SIZE;
	struct number n;
	size_t at = 0;

	if (!(modulus[0] & 0x80) || !is_less(&s, &m))
		return -EBADMSG;
	n = power_mod(&s, &m);
	to_bytes(&n, encoded);
	/* The encoded message has one bit less than the modulus. */
	if (encoded[RSA_PSS_SIZE - 1] != 0xbc || encoded[0] & 0x80)
		return -EBADMSG;
	unmask(db, h);
	db[0] &= 0x7f;
	while (at < DB_SIZE && db[at] == 0)
		at++;
	if (at == DB_SIZE || db[at] != 1)
		return -EBADMSG;
	at++;
	if (!is_hash_of(h, digest, db + at, DB_SIZE - at))
		return -EBADMSG;
	*ret_salt_size = DB_SIZE - at;
	return 0;
}
