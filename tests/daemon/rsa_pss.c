/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether rsa_pss sees what OpenSSL has signed, and how long the salt was. */
#include "daemon/rsa_pss.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

static EVP_PKEY *key;
static uint8_t modulus[RSA_PSS_SIZE], digest[RSA_PSS_DIGEST_SIZE];

static void set_up(void)
{
	BIGNUM *n = NULL;

	key = EVP_RSA_gen(2048);
	cr_assert_not_null(key);
	cr_assert_eq(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	cr_assert_eq(BN_bn2binpad(n, modulus, sizeof(modulus)), RSA_PSS_SIZE);
	BN_free(n);
	memset(digest, 0x5a, sizeof(digest));
}

static void tear_down(void)
{
	EVP_PKEY_free(key);
}

TestSuite(rsa_pss, .init = set_up, .fini = tear_down);

static void sign(int padding, int salt_size, uint8_t signature[RSA_PSS_SIZE])
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	size_t len = RSA_PSS_SIZE;

	cr_assert_eq(EVP_PKEY_sign_init(c), 1);
	cr_assert_eq(EVP_PKEY_CTX_set_rsa_padding(c, padding), 1);
	cr_assert_eq(EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()), 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		cr_assert_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(c, salt_size), 1);
	cr_assert_eq(EVP_PKEY_sign(c, signature, &len, digest, sizeof(digest)), 1);
	EVP_PKEY_CTX_free(c);
}

Test(rsa_pss, finds_the_length_of_the_salt)
{
	static const int sizes[] = { 0, 1, 20, 31, 32, 33, 64, 221, 222 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t signature[RSA_PSS_SIZE];
		size_t salt_size = 999;

		sign(RSA_PKCS1_PSS_PADDING, sizes[i], signature);
		cr_expect_eq(rsa_pss_salt_size(modulus, signature, digest, &salt_size), 0);
		cr_expect_eq(salt_size, (size_t)sizes[i]);
	}
}

Test(rsa_pss, refuses_another_digest)
{
	uint8_t signature[RSA_PSS_SIZE];
	size_t salt_size;

	sign(RSA_PKCS1_PSS_PADDING, 32, signature);
	digest[31] ^= 1;
	cr_assert_eq(rsa_pss_salt_size(modulus, signature, digest, &salt_size), -EBADMSG);
}

Test(rsa_pss, refuses_another_signature)
{
	for (size_t at = 0; at < RSA_PSS_SIZE; at += 15) {
		uint8_t signature[RSA_PSS_SIZE];
		size_t salt_size;

		sign(RSA_PKCS1_PSS_PADDING, 32, signature);
		signature[at] ^= 1;
		cr_expect_eq(rsa_pss_salt_size(modulus, signature, digest, &salt_size), -EBADMSG);
	}
}

Test(rsa_pss, refuses_another_padding)
{
	uint8_t signature[RSA_PSS_SIZE];
	size_t salt_size;

	sign(RSA_PKCS1_PADDING, 0, signature);
	cr_assert_eq(rsa_pss_salt_size(modulus, signature, digest, &salt_size), -EBADMSG);
}

Test(rsa_pss, refuses_numbers_out_of_range)
{
	uint8_t signature[RSA_PSS_SIZE], small[RSA_PSS_SIZE] = { 0 };
	size_t salt_size;

	cr_expect_eq(rsa_pss_salt_size(modulus, small, digest, &salt_size), -EBADMSG);
	cr_expect_eq(rsa_pss_salt_size(modulus, modulus, digest, &salt_size), -EBADMSG);
	memset(signature, 0xff, sizeof(signature));
	cr_expect_eq(rsa_pss_salt_size(modulus, signature, digest, &salt_size), -EBADMSG);
	sign(RSA_PKCS1_PSS_PADDING, 32, signature);
	cr_expect_eq(rsa_pss_salt_size(small, signature, digest, &salt_size), -EBADMSG);
	modulus[0] &= 0x7f;
	cr_expect_eq(rsa_pss_salt_size(modulus, signature, digest, &salt_size), -EBADMSG);
}
