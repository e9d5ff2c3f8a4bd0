/* SPDX-License-Identifier: BSD-2-Clause */
/* Signing keys in a software TPM, with OpenSSL as the judge. */
#include "tests/daemon/tpm_keys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#define P256 TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256
#define P384 TPMPSK_SCHEME_ECDSA_SECP384R1_SHA384
#define RSA2048 TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256

static struct tpm_bed bed;
static struct keyfile key;

static void set_up(void)
{
	tpm_bed_init(&bed);
	tpm_bed_open(&bed, true);
}

static void tear_down(void)
{
	keyfile_done(&key);
	tpm_bed_done(&bed);
}

TestSuite(tpm_sign, .init = set_up, .fini = tear_down, .timeout = 120);

static uint64_t sent(uint32_t code)
{
	return tcti_test_count(bed.tcti, code);
}

/* Whether a signature is the public key's, as TLS 1.3 wants it. */
static bool verifies(const struct tpm_signer *signer, const uint8_t *digest,
	const uint8_t *signature, size_t len)
{
	const uint8_t *der = signer->spki;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)signer->spki_len);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pkey, NULL);
	size_t size = tpmpsk_scheme_digest_size(signer->scheme);
	bool ok;

	cr_assert(pkey && c && der == signer->spki + signer->spki_len);
	cr_assert_eq(EVP_PKEY_verify_init(c), 1);
	cr_assert_eq(EVP_PKEY_CTX_set_signature_md(c, size == 48 ? EVP_sha384() : EVP_sha256()), 1);
	if (signer->scheme == RSA2048) {
		cr_assert_eq(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING), 1);
		cr_assert_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(c, 32), 1);
	}
	ok = EVP_PKEY_verify(c, signature, len, digest, size) == 1;
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(pkey);
	return ok;
}

static bool right(uint64_t id, enum tpmpsk_scheme scheme)
{
	uint8_t digest[48], signature[TPM_SIGNATURE_MAX];
	struct tpm_signer signer;
	const char *why;
	size_t len = 0;

	memset(digest, (int)id, sizeof(digest));
	if (tpm_sign(bed.tpm, id, &key.objects[0], scheme, digest, signature, &len) < 0)
		return false;
	cr_assert_eq(tpm_signer_read(&key.objects[0], &signer, &why), 0);
	cr_assert_eq(signer.scheme, scheme);
	return verifies(&signer, digest, signature, len);
}

static void make(enum tpmpsk_scheme scheme)
{
	unsigned loaded = tpm_stats(bed.tpm)->loaded;

	keyfile_done(&key);
	cr_assert_eq(tpm_create_signer(bed.tpm, scheme, &key), 0);
	cr_assert_eq(key.n_objects, 1);
	cr_assert_leq(tpm_stats(bed.tpm)->loaded, loaded, "trying it leaves nothing behind");
}

Test(tpm_sign, makes_keys_of_every_kind_that_sign)
{
	static const enum tpmpsk_scheme schemes[] = { P256, P384, RSA2048 };

	for (int encrypt = 0; encrypt < 2; encrypt++) {
		tpm_bed_open(&bed, encrypt);
		for (uint64_t i = 0; i < 3; i++) {
			make(schemes[i]);
			cr_expect(right(1 + i, schemes[i]));
		}
	}
}

/* ECDSA numbers of many lengths: what DER makes of them is always right. */
Test(tpm_sign, encodes_every_signature_right)
{
	make(P256);
	for (uint64_t i = 0; i < 300; i++)
		cr_assert(right(1, P256));
	make(P384);
	for (uint64_t i = 0; i < 100; i++)
		cr_assert(right(2, P384));
}

Test(tpm_sign, sends_one_command_for_a_signature_with_a_loaded_key)
{
	uint64_t before;

	make(P256);
	cr_assert(right(1, P256));
	before = sent(0);
	for (int i = 0; i < 20; i++)
		cr_assert(right(1, P256));
	cr_assert_eq(sent(0) - before, 20);
	cr_assert_eq(sent(TPM2_CC_Sign), 22, "one when it was tried, and 21");
}

Test(tpm_sign, signs_by_no_other_scheme_than_the_keys)
{
	uint8_t digest[48] = { 0 }, signature[TPM_SIGNATURE_MAX];
	size_t len;

	make(P256);
	cr_assert_eq(
		tpm_sign(bed.tpm, 1, &key.objects[0], RSA2048, digest, signature, &len), -EINVAL);
	cr_assert_eq(tpm_sign(bed.tpm, 1, &key.objects[0], P384, digest, signature, &len), -EINVAL);
	cr_assert_eq(sent(TPM2_CC_Sign), 1, "the one when it was tried");
}

Test(tpm_sign, is_not_done_with_HMAC_keys_nor_the_other_way_round)
{
	uint8_t bytes[48] = { 0 }, out[TPM_SIGNATURE_MAX];
	size_t len;

	tpm_bed_key(&bed, "secret", 6, &key);
	cr_assert_eq(tpm_sign(bed.tpm, 1, &key.objects[0], P256, bytes, out, &len), -EINVAL);
	cr_assert_neq(tpm_try_signer(bed.tpm, &key.objects[0]), 0);
	make(P256);
	cr_assert_eq(tpm_hmac(bed.tpm, 2, &key.objects[0], bytes, 1, out, &len), -EINVAL);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EINVAL);
}

Test(tpm_sign, shares_the_slots_with_HMAC_keys)
{
	struct keyfile mac = { 0 };

	make(P256);
	tpm_bed_key(&bed, "secret", 6, &mac);
	for (uint64_t i = 0; i < 12; i++) {
		cr_assert(right(100 + i % 4, P256));
		cr_assert(tpm_bed_right(&bed, 200 + i % 4, &mac, "secret", 6, "input", 5));
	}
	keyfile_done(&mac);
}

Test(tpm_sign, survives_a_reset_of_the_TPM)
{
	make(RSA2048);
	cr_assert(right(1, RSA2048));
	cr_assert_eq(swtpm_reset(&bed.swtpm), 0);
	cr_assert(right(1, RSA2048));
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 1);
}

Test(tpm_sign, makes_a_key_all_the_same_when_the_TPM_is_reset_in_the_middle)
{
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_Sign, 0, 1, TPM2_RC_REFERENCE_H0);
	make(P256);
	cr_assert(right(1, P256));
}

Test(tpm_sign, takes_no_key_of_another_TPM)
{
	make(P256);
	tpm_free(bed.tpm);
	bed.tpm = NULL;
	cr_assert_eq(swtpm_replace(&bed.swtpm), 0);
	tpm_bed_open(&bed, true);
	cr_assert_eq(tpm_try_signer(bed.tpm, &key.objects[0]), -EKEYREJECTED);
	cr_assert_not(right(1, P256));
}

/* The public half belongs to the private one: who changes it in the file has a file that does not load. */
Test(tpm_sign, takes_no_key_with_another_public_half)
{
	make(P256);
	key.objects[0].pub[key.objects[0].pub_len - 1] ^= 1;
	cr_assert_lt(tpm_try_signer(bed.tpm, &key.objects[0]), 0);
	cr_assert_not(right(1, P256));
}

Test(tpm_sign, says_that_a_TPM_has_no_such_algorithm)
{
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_TestParms, 0, 1,
		TPM2_RC_CURVE | TPM2_RC_P | TPM2_RC_1);
	cr_assert_eq(tpm_create_signer(bed.tpm, P384, &key), -EOPNOTSUPP);
	cr_assert_eq(key.n_objects, 0);
	cr_assert_eq(sent(TPM2_CC_Create), 0);
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_Create, 0, 1,
		TPM2_RC_VALUE | TPM2_RC_P | TPM2_RC_2);
	cr_assert_eq(tpm_create_signer(bed.tpm, RSA2048, &key), -EOPNOTSUPP);
	cr_assert_eq(key.n_objects, 0);
}

Test(tpm_sign, takes_no_key_whose_signature_is_wrong)
{
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_VerifySignature, 0, 1,
		TPM2_RC_SIGNATURE | TPM2_RC_P | TPM2_RC_2);
	cr_assert_lt(tpm_create_signer(bed.tpm, P256, &key), 0);
	cr_assert_eq(key.n_objects, 0);
	cr_assert_eq(tpm_stats(bed.tpm)->loaded, 0);
}

/* One byte of r or s is another: still a signature, by its form. Only the session's HMAC tells. */
Test(tpm_sign, gives_no_signature_that_was_damaged_on_the_way)
{
	static const uint32_t places[] = { 25, 51, 60, 85 };
	uint8_t digest[48] = { 1 }, signature[TPM_SIGNATURE_MAX];
	size_t len;

	make(P256);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		cr_assert(right(1, P256));
		tcti_test_inject(bed.tcti, TCTI_TEST_FLIP, TPM2_CC_Sign, 0, 1, places[i]);
		cr_expect_lt(
			tpm_sign(bed.tpm, 1, &key.objects[0], P256, digest, signature, &len), 0);
		tpm_bed_open(&bed, true);
	}
	tcti_test_inject(bed.tcti, TCTI_TEST_GARBAGE, TPM2_CC_Sign, 0, 1, 0);
	cr_expect_lt(tpm_sign(bed.tpm, 1, &key.objects[0], P256, digest, signature, &len), 0);
	tpm_bed_open(&bed, true);
	cr_assert(right(1, P256));
}

Test(tpm_sign, finds_a_session_that_is_out_of_step)
{
	make(P256);
	cr_assert(right(1, P256));
	tcti_test_inject(bed.tcti, TCTI_TEST_REPLACE, TPM2_CC_Sign, 0, 1, TPM2_RC_RETRY);
	cr_assert(right(1, P256));
	cr_assert(right(1, P256));
}

Test(tpm_sign, leaves_the_session_as_it_was)
{
	struct keyfile mac = { 0 };

	make(P256);
	tpm_bed_key(&bed, "secret", 6, &mac);
	for (int i = 0; i < 3; i++) {
		cr_assert(right(1, P256));
		cr_assert(tpm_bed_right(&bed, 2, &mac, "secret", 6, "input", 5));
	}
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
	keyfile_done(&mac);
}

/* What stands in an area, and every way of cutting it: from allocations of exact size. */
Test(tpm_sign, reads_public_halves_that_are_damaged_without_harm)
{
	static const enum tpmpsk_scheme schemes[] = { P256, P384, RSA2048 };
	struct tpm_signer signer;
	const char *why;

	for (size_t k = 0; k < 3; k++) {
		make(schemes[k]);
		for (size_t i = 0; i < key.objects[0].pub_len; i++) {
			const struct keyfile_object *o = &key.objects[0];
			uint8_t *pub = malloc(i);
			struct keyfile_object cut = { .pub = pub,
				.pub_len = (uint16_t)i,
				.priv = o->priv,
				.priv_len = o->priv_len };

			memcpy(pub, o->pub, i);
			why = NULL;
			cr_expect_lt(tpm_signer_read(&cut, &signer, &why), 0);
			cr_expect_not_null(why);
			free(pub);
			o->pub[i] ^= 0xff;
			(void)!tpm_signer_read(o, &signer, &why);
			o->pub[i] ^= 0xff;
		}
	}
}
