/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/key_secrets.h"

#include "daemon/hash.h"
#include "daemon/kdf.h"
#include "proto/message.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(KEY_SECRET_MAX >= HASH_BLOCK_MAX, "room for every HMAC key");

/* HMAC defines a key longer than its block to be its hash: RFC 2104, section 2. */
static void put_key(
	struct key_secret *ret, enum tpmpsk_digest digest, const uint8_t *key, size_t len)
{
	ret->digest = (uint8_t)digest;
	if (len <= hash_block_size(digest)) {
		memcpy(ret->bytes, key, len);
		ret->len = len;
	} else {
		hash_of(digest, key, len, ret->bytes);
		ret->len = tpmpsk_digest_size(digest);
	}
}

static void make_plain(
	enum tpmpsk_digest digest, const uint8_t *secret, size_t len, struct key_secret *ret)
{
	put_key(ret, digest, secret, len);
}

/* The premaster secret of a plain PSK, RFC 4279, section 2, which the PRF uses as its HMAC key. */
static void make_premaster(
	enum tpmpsk_digest digest, const uint8_t *secret, size_t len, struct key_secret *ret)
{
	uint8_t zeroes[TPMPSK_KEY_SECRET_MAX] = { 0 };
	uint8_t premaster[2 * (2 + TPMPSK_KEY_SECRET_MAX)];
	struct tpmpsk_writer w;

	tpmpsk_writer_init(&w, premaster, sizeof(premaster));
	tpmpsk_write_var16(&w, zeroes, len);
	tpmpsk_write_var16(&w, secret, len);
	put_key(ret, digest, premaster, w.len);
	sodium_memzero(premaster, sizeof(premaster));
}

/* HKDF-Extract without salt. */
static void extract(enum tpmpsk_digest digest, const uint8_t *ikm, size_t len, uint8_t *out)
{
	static const uint8_t zeroes[TPMPSK_DIGEST_SIZE_MAX];

	hash_hmac(digest, zeroes, tpmpsk_digest_size(digest), ikm, len, out);
}

struct software_key {
	enum tpmpsk_digest digest;
	uint8_t bytes[TPMPSK_DIGEST_SIZE_MAX];
};

static int compute(void *context, unsigned object, const uint8_t *in, size_t in_len, uint8_t *mac,
	size_t *ret_len)
{
	const struct software_key *key = context;

	(void)object;
	*ret_len = tpmpsk_digest_size(key->digest);
	hash_hmac(key->digest, key->bytes, *ret_len, in, in_len, mac);
	return 0;
}

/* HKDF-Expand-Label(key, label, context, Hash.length), with the context as long as a hash or empty. */
static void expand(struct software_key *key, const char *label, const uint8_t *context,
	size_t context_len, uint8_t *out)
{
	const struct mac mac = { .compute = compute, .context = key };
	int r;

	r = kdf_expand_label(&mac, 0, key->digest, label, context, context_len, out,
		tpmpsk_digest_size(key->digest));
	assert(r == 0); /* what computes in memory does not fail */
	(void)r;
}

/* RFC 8446, section 7.1: what the schedule derives from an external PSK alone, down to where the handshake comes in. */
static void make_tls13_schedule(
	enum tpmpsk_digest digest, const uint8_t *secret, size_t len, struct key_secret *ret)
{
	struct software_key early = { .digest = digest }, binder = { .digest = digest };
	uint8_t empty_hash[TPMPSK_DIGEST_SIZE_MAX];
	size_t size = tpmpsk_digest_size(digest);
	struct key_secret *finished = &ret[KEY_OBJECT_TLS13_BINDER];
	struct key_secret *derived = &ret[KEY_OBJECT_TLS13_DERIVED];

	hash_of(digest, NULL, 0, empty_hash);
	extract(digest, secret, len, early.bytes);
	expand(&early, "ext binder", empty_hash, size, binder.bytes);
	expand(&binder, "finished", NULL, 0, finished->bytes);
	expand(&early, "derived", empty_hash, size, derived->bytes);
	finished->digest = derived->digest = (uint8_t)digest;
	finished->len = derived->len = size;
	sodium_memzero(&early, sizeof(early));
	sodium_memzero(&binder, sizeof(binder));
}

/* epskx, RFC 9258, section 5.1. */
static void make_psk_import(
	enum tpmpsk_digest digest, const uint8_t *secret, size_t len, struct key_secret *ret)
{
	ret->digest = (uint8_t)digest;
	ret->len = tpmpsk_digest_size(digest);
	extract(digest, secret, len, ret->bytes);
}

static const struct {
	unsigned per_digest; /* objects for each hash */
	bool every_digest;   /* not SHA-256 alone */
	void (*make)(enum tpmpsk_digest digest, const uint8_t *secret, size_t len,
		struct key_secret *ret);
} purposes[TPMPSK_PURPOSE_COUNT] = {
	[TPMPSK_PURPOSE_TLS12_SESSION] = { 1, false, make_plain },
	[TPMPSK_PURPOSE_SESSION_IDENTITY] = { 1, false, make_plain },
	[TPMPSK_PURPOSE_EXPORTER_KDF] = { 1, false, make_plain },
	[TPMPSK_PURPOSE_EXPORTER_MAC] = { 1, false, make_plain },
	[TPMPSK_PURPOSE_TLS12_MASTER] = { 1, true, make_premaster },
	[TPMPSK_PURPOSE_TLS13_SCHEDULE] = { 2, true, make_tls13_schedule },
	[TPMPSK_PURPOSE_PSK_IMPORT] = { 1, true, make_psk_import },
	[TPMPSK_PURPOSE_CERTIFICATE_VERIFY] = { 1, false,
		NULL }, /* a signing key: none is made of a secret */
};

static_assert(2 * (TPMPSK_DIGEST_COUNT - 1) <= KEYFILE_OBJECTS_MAX, "a key file holds them all");

size_t key_secrets_make(uint8_t purpose, const uint8_t *secret, size_t len,
	struct key_secret ret[KEYFILE_OBJECTS_MAX])
{
	unsigned last =
		purposes[purpose].every_digest ? TPMPSK_DIGEST_COUNT - 1 : TPMPSK_DIGEST_SHA256;
	size_t n = 0;

	assert(len >= 1 && len <= TPMPSK_KEY_SECRET_MAX);
	for (unsigned digest = TPMPSK_DIGEST_SHA256; digest <= last; digest++) {
		purposes[purpose].make(digest, secret, len, &ret[n]);
		n += purposes[purpose].per_digest;
	}
	return n;
}

unsigned key_secrets_object(uint8_t purpose, uint8_t digest, unsigned which)
{
	return (digest - (unsigned)TPMPSK_DIGEST_SHA256) * purposes[purpose].per_digest + which;
}

bool key_secrets_count_ok(uint8_t purpose, size_t n_objects)
{
	size_t n = purposes[purpose].per_digest;

	return n_objects == n || (purposes[purpose].every_digest && n_objects == 2 * n);
}

bool key_secrets_import_only(uint8_t purpose)
{
	return purposes[purpose].make && purposes[purpose].make != make_plain;
}
