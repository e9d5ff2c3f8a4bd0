/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_identity.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HASH_SIZE 32
#define NONCE_SIZE 16
#define STAMP_SIZE (8 + NONCE_SIZE)
#define TAG_SIZE 12
#define SUFFIX_SIZE 51
#define EPOCH_MS 300000

struct text {
	unsigned char data[256];
	size_t len;
};

static void add(struct text *t, const void *data, size_t len)
{
	if (len > sizeof(t->data) - t->len)
		abort();
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

static void add_be64(struct text *t, uint64_t v)
{
	unsigned char bytes[8];

	for (int i = 7; i >= 0; i--, v >>= 8)
		bytes[i] = (unsigned char)v;
	add(t, bytes, sizeof(bytes));
}

static void hmac(
	const void *key, size_t key_len, const struct text *t, unsigned char out[HASH_SIZE])
{
	if (!HMAC(EVP_sha256(), key, (int)key_len, t->data, t->len, out, NULL))
		abort();
}

/* HMAC(S_n, use) for the epoch of a time */
static void epoch_key(
	const struct session_key *key, uint64_t ms, const char *use, unsigned char out[HASH_SIZE])
{
	struct text label = { .len = 0 }, name = { .len = 0 };
	unsigned char epoch[HASH_SIZE];
	char words[64];

	snprintf(words, sizeof(words), "tpm-psk session-identity v%d epoch secret", key->version);
	add(&label, words, strlen(words) + 1);
	add_be64(&label, ms / EPOCH_MS);
	hmac(key->secret, key->secret_len, &label, epoch);
	add(&name, use, strlen(use));
	hmac(epoch, sizeof(epoch), &name, out);
}

static void print(const struct session_key *key, const unsigned char stamp[STAMP_SIZE], uint64_t ms,
	char ret[SESSION_IDENTITY_SIZE])
{
	struct text tagged = { .len = 0 };
	unsigned char tag_key[HASH_SIZE], tag[HASH_SIZE], binary[STAMP_SIZE + TAG_SIZE];
	char version = (char)('0' + key->version), base64[64];

	epoch_key(key, ms, "tag", tag_key);
	add(&tagged, &version, 1);
	add(&tagged, stamp, STAMP_SIZE);
	add(&tagged, key->identity, strlen(key->identity));
	hmac(tag_key, sizeof(tag_key), &tagged, tag);
	memcpy(binary, stamp, STAMP_SIZE);
	memcpy(binary + STAMP_SIZE, tag, TAG_SIZE);
	EVP_EncodeBlock((unsigned char *)base64, binary, sizeof(binary));
	for (char *c = base64; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	snprintf(ret, SESSION_IDENTITY_SIZE, "%s~%c.%s", key->identity, version, base64);
}

/* The time and nonce in one; false when it has not the form. */
static bool read_stamp(const struct session_key *key, const char *session_identity,
	unsigned char stamp[STAMP_SIZE], uint64_t *ms)
{
	size_t len = strlen(session_identity), base = strlen(key->identity);
	unsigned char binary[STAMP_SIZE + TAG_SIZE + 3];
	char base64[64];

	if (len != base + SUFFIX_SIZE)
		return false;
	snprintf(base64, sizeof(base64), "%s", session_identity + base + 3);
	for (char *c = base64; *c; c++)
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	if (EVP_DecodeBlock(binary, (unsigned char *)base64, SUFFIX_SIZE - 3) < 0)
		return false;
	memcpy(stamp, binary, STAMP_SIZE);
	*ms = 0;
	for (int i = 0; i < 8; i++)
		*ms = *ms << 8 | stamp[i];
	return true;
}

void session_identity_make(
	const struct session_key *key, long long age_ms, char ret[SESSION_IDENTITY_SIZE])
{
	struct text stamp = { .len = 0 };
	unsigned char nonce[NONCE_SIZE];
	struct timespec now;
	uint64_t ms;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (uint64_t)(now.tv_sec * 1000LL + now.tv_nsec / 1000000 - age_ms);
	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		abort();
	add_be64(&stamp, ms);
	add(&stamp, nonce, sizeof(nonce));
	print(key, stamp.data, ms, ret);
}

bool session_identity_is_of(const struct session_key *key, const char *session_identity)
{
	char expected[SESSION_IDENTITY_SIZE];
	unsigned char stamp[STAMP_SIZE];
	uint64_t ms;

	if (!read_stamp(key, session_identity, stamp, &ms))
		return false;
	print(key, stamp, ms, expected);
	return strcmp(expected, session_identity) == 0;
}

void session_identity_psk(const struct session_key *key, const char *session_identity,
	unsigned char psk[SESSION_PSK_SIZE])
{
	struct text input = { .len = 0 };
	unsigned char stamp[STAMP_SIZE], psk_key[HASH_SIZE];
	uint64_t ms = 0;
	char words[64];

	snprintf(words, sizeof(words), "tpm-psk session-identity v%d psk", key->version);
	add(&input, words, strlen(words) + 1);
	add(&input, session_identity, strlen(session_identity));
	if (key->version == 1) {
		hmac(key->secret, key->secret_len, &input, psk);
		return;
	}
	read_stamp(key, session_identity, stamp, &ms);
	epoch_key(key, ms, "psk", psk_key);
	hmac(psk_key, sizeof(psk_key), &input, psk);
}
