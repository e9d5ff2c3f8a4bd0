/* SPDX-License-Identifier: BSD-2-Clause */
/* What import gives to the TPM, and the hashes it is made with, against OpenSSL. */
#include "daemon/key_secrets.h"

#include "daemon/hash.h"
#include "proto/message.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <string.h>

static uint8_t secret[TPMPSK_KEY_SECRET_MAX];

static void set_up(void)
{
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(7 * i + 1);
}

TestSuite(key_secrets, .init = set_up);
TestSuite(hash, .init = set_up);

static const EVP_MD *md_of(unsigned digest)
{
	return digest == TPMPSK_DIGEST_SHA384 ? EVP_sha384() : EVP_sha256();
}

Test(hash, is_that_of_openssl_for_every_length_around_a_block)
{
	uint8_t got[TPMPSK_DIGEST_SIZE_MAX], want[EVP_MAX_MD_SIZE];

	for (unsigned digest = 1; digest < TPMPSK_DIGEST_COUNT; digest++) {
		for (size_t n = 0; n <= 300; n++) {
			hash_of(digest, secret, n, got);
			cr_assert(EVP_Digest(secret, n, want, NULL, md_of(digest), NULL));
			cr_assert_arr_eq(got, want, tpmpsk_digest_size(digest));
		}
	}
}

Test(hash, and_so_is_the_hmac_for_every_length_of_the_key)
{
	uint8_t got[TPMPSK_DIGEST_SIZE_MAX], want[EVP_MAX_MD_SIZE];

	for (unsigned digest = 1; digest < TPMPSK_DIGEST_COUNT; digest++) {
		for (size_t n = 0; n <= 300; n++) {
			hash_hmac(digest, secret, n, secret + 1, n, got);
			cr_assert(HMAC(md_of(digest), secret, (int)n, secret + 1, n, want, NULL));
			cr_assert_arr_eq(got, want, tpmpsk_digest_size(digest));
		}
	}
}

/* The object for a hash, which `which` of them. */
static const struct key_secret *find(
	uint8_t purpose, const struct key_secret all[], unsigned digest, unsigned which)
{
	const struct key_secret *s = &all[key_secrets_object(purpose, (uint8_t)digest, which)];

	cr_assert_eq(s->digest, digest);
	return s;
}

Test(key_secrets, of_a_purpose_with_one_hash_is_the_secret_or_its_hash)
{
	static const uint8_t purposes[] = { TPMPSK_PURPOSE_TLS12_SESSION,
		TPMPSK_PURPOSE_SESSION_IDENTITY, TPMPSK_PURPOSE_EXPORTER_KDF,
		TPMPSK_PURPOSE_EXPORTER_MAC };
	struct key_secret all[KEYFILE_OBJECTS_MAX];
	uint8_t want[TPMPSK_DIGEST_SIZE_MAX];

	for (size_t i = 0; i < sizeof(purposes); i++) {
		for (size_t n = 1; n <= sizeof(secret); n++) {
			cr_assert_eq(key_secrets_make(purposes[i], secret, n, all), 1);
			cr_assert_eq(all[0].digest, TPMPSK_DIGEST_SHA256);
			cr_assert_eq(all[0].len, n <= 64 ? n : 32);
			hash_of(TPMPSK_DIGEST_SHA256, secret, n, want);
			cr_assert_arr_eq(all[0].bytes, n <= 64 ? secret : want, all[0].len);
		}
		cr_expect(key_secrets_count_ok(purposes[i], 1));
		cr_expect_not(key_secrets_count_ok(purposes[i], 2));
		cr_expect_not(key_secrets_import_only(purposes[i]));
	}
}

/* RFC 4279, section 2, by another writer. */
static size_t premaster_of(size_t n, uint8_t *out)
{
	memset(out, 0, 2 * (n + 2));
	out[0] = out[n + 2] = (uint8_t)(n >> 8);
	out[1] = out[n + 3] = (uint8_t)n;
	memcpy(out + n + 4, secret, n);
	return 2 * (n + 2);
}

Test(key_secrets, of_tls12_master_is_the_premaster_secret_or_its_hash)
{
	struct key_secret all[KEYFILE_OBJECTS_MAX];
	uint8_t premaster[2 * (sizeof(secret) + 2)], hash[EVP_MAX_MD_SIZE];

	for (size_t n = 1; n <= sizeof(secret); n++) {
		size_t len = premaster_of(n, premaster);

		cr_assert_eq(key_secrets_make(TPMPSK_PURPOSE_TLS12_MASTER, secret, n, all), 2);
		for (unsigned digest = 1; digest < TPMPSK_DIGEST_COUNT; digest++) {
			const struct key_secret *s =
				find(TPMPSK_PURPOSE_TLS12_MASTER, all, digest, 0);
			bool whole = len <= (digest == TPMPSK_DIGEST_SHA256 ? 64 : 128);

			EVP_Digest(premaster, len, hash, NULL, md_of(digest), NULL);
			cr_assert_eq(s->len, whole ? len : tpmpsk_digest_size(digest));
			cr_assert_arr_eq(s->bytes, whole ? premaster : hash, s->len);
		}
	}
}

/* HKDF-Extract without salt, by OpenSSL. */
static void extract(unsigned digest, size_t n, uint8_t *out)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t len = tpmpsk_digest_size(digest);

	cr_assert(EVP_PKEY_derive_init(c) > 0);
	cr_assert(EVP_PKEY_CTX_hkdf_mode(c, EVP_PKEY_HKDEF_MODE_EXTRACT_ONLY) > 0);
	cr_assert(EVP_PKEY_CTX_set_hkdf_md(c, md_of(digest)) > 0);
	cr_assert(EVP_PKEY_CTX_set1_hkdf_key(c, secret, (int)n) > 0);
	cr_assert(EVP_PKEY_derive(c, out, &len) > 0);
	EVP_PKEY_CTX_free(c);
}

Test(key_secrets, of_psk_import_is_extracted_from_a_secret_of_any_length)
{
	struct key_secret all[KEYFILE_OBJECTS_MAX];
	uint8_t want[TPMPSK_DIGEST_SIZE_MAX];

	for (size_t n = 1; n <= sizeof(secret); n += n < 140 ? 1 : 17) {
		cr_assert_eq(key_secrets_make(TPMPSK_PURPOSE_PSK_IMPORT, secret, n, all), 2);
		for (unsigned digest = 1; digest < TPMPSK_DIGEST_COUNT; digest++) {
			const struct key_secret *s =
				find(TPMPSK_PURPOSE_PSK_IMPORT, all, digest, 0);

			extract(digest, n, want);
			cr_assert_eq(s->len, tpmpsk_digest_size(digest));
			cr_assert_arr_eq(s->bytes, want, s->len);
		}
	}
}

/* The vectors say what they are; here, that they differ and that none is the PSK or what lies between. */
Test(key_secrets, of_tls13_schedule_are_two_for_each_hash)
{
	struct key_secret all[KEYFILE_OBJECTS_MAX];
	uint8_t early[TPMPSK_DIGEST_SIZE_MAX];

	cr_assert_eq(key_secrets_make(TPMPSK_PURPOSE_TLS13_SCHEDULE, secret, 32, all), 4);
	for (unsigned digest = 1; digest < TPMPSK_DIGEST_COUNT; digest++) {
		const struct key_secret *binder =
			find(TPMPSK_PURPOSE_TLS13_SCHEDULE, all, digest, KEY_OBJECT_TLS13_BINDER);
		const struct key_secret *derived =
			find(TPMPSK_PURPOSE_TLS13_SCHEDULE, all, digest, KEY_OBJECT_TLS13_DERIVED);

		extract(digest, 32, early);
		cr_assert_eq(binder->len, tpmpsk_digest_size(digest));
		cr_assert_eq(derived->len, tpmpsk_digest_size(digest));
		cr_assert_neq(memcmp(binder->bytes, derived->bytes, 32), 0);
		cr_assert_neq(memcmp(binder->bytes, early, 32), 0);
		cr_assert_neq(memcmp(derived->bytes, early, 32), 0);
		cr_assert_neq(memcmp(binder->bytes, secret, 32), 0);
	}
}

Test(key_secrets, of_every_hash_or_of_the_first_fill_a_key_file)
{
	static const struct {
		uint8_t purpose;
		size_t n;
	} all[] = { { TPMPSK_PURPOSE_TLS12_MASTER, 1 }, { TPMPSK_PURPOSE_TLS13_SCHEDULE, 2 },
		{ TPMPSK_PURPOSE_PSK_IMPORT, 1 } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		cr_expect(key_secrets_import_only(all[i].purpose));
		for (size_t n = 0; n <= KEYFILE_OBJECTS_MAX; n++)
			cr_expect_eq(key_secrets_count_ok(all[i].purpose, n),
				n == all[i].n || n == 2 * all[i].n, "%zu", n);
	}
}
