/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes may be signed as a certificate request: what OpenSSL makes for the key, nothing else. */
#include "daemon/certificate.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static EVP_PKEY *key;
static struct tpm_signer signer;
static uint8_t info[4096];
static size_t info_len;

static void take_spki(EVP_PKEY *from, struct tpm_signer *ret)
{
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(from, &der);

	cr_assert(len > 0 && (size_t)len <= sizeof(ret->spki));
	memcpy(ret->spki, der, (size_t)len);
	ret->spki_len = (size_t)len;
	OPENSSL_free(der);
}

static void take_info(X509_REQ *request)
{
	uint8_t *der = NULL;
	int len;

	/* Signing marks what is to be signed as changed, which is what makes it be encoded. */
	cr_assert(X509_REQ_sign(request, key, EVP_sha256()) > 0);
	len = i2d_re_X509_REQ_tbs(request, &der);
	cr_assert(len > 0 && (size_t)len <= sizeof(info));
	memcpy(info, der, (size_t)len);
	info_len = (size_t)len;
	OPENSSL_free(der);
}

static X509_REQ *make_request(const char *common_name, const char *alt_name)
{
	X509_REQ *request = X509_REQ_new();
	X509_NAME *name = X509_REQ_get_subject_name(request);

	cr_assert_eq(X509_REQ_set_version(request, 0), 1);
	if (common_name) {
		X509_NAME_add_entry_by_txt(
			name, "C", MBSTRING_ASC, (const unsigned char *)"DE", -1, -1, 0);
		X509_NAME_add_entry_by_txt(
			name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
	}
	cr_assert_eq(X509_REQ_set_pubkey(request, key), 1);
	if (alt_name) {
		STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();

		sk_X509_EXTENSION_push(extensions,
			X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt_name));
		cr_assert_eq(X509_REQ_add_extensions(request, extensions), 1);
		sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	}
	return request;
}

static void set_up(void)
{
	X509_REQ *request;

	key = EVP_EC_gen("P-256");
	take_spki(key, &signer);
	request = make_request("www.example.com",
		"DNS:example.com,IP:192.0.2.1,DNS:a-host-with-a-long-name.example.com,"
		"DNS:another-host-with-a-long-name.example.com");
	take_info(request);
	X509_REQ_free(request);
}

static void tear_down(void)
{
	EVP_PKEY_free(key);
}

TestSuite(certificate_request, .init = set_up, .fini = tear_down);

/* From an allocation of exact size. */
static bool ok(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool result;

	memcpy(copy, bytes, len);
	result = certificate_request_ok(copy, len, &signer);
	free(copy);
	return result;
}

Test(certificate_request, is_what_openssl_makes)
{
	static const struct {
		const char *common_name, *alt_name;
	} table[] = { { "x", NULL }, { NULL, "DNS:a.example" }, { NULL, NULL }, { "x", "DNS:b" } };

	cr_expect(ok(info, info_len));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		X509_REQ *request = make_request(table[i].common_name, table[i].alt_name);

		take_info(request);
		cr_expect(ok(info, info_len), "%zu", i);
		X509_REQ_free(request);
	}
}

Test(certificate_request, is_whole)
{
	for (size_t n = 0; n < info_len; n++)
		cr_expect_not(ok(info, n), "%zu bytes", n);
	info[info_len] = 0;
	cr_expect_not(ok(info, info_len + 1));
}

/* Whatever bit changes, it is still no other kind of structure and no other key: what may change are texts. */
Test(certificate_request, has_exactly_the_public_key)
{
	uint8_t *spki = memmem(info, info_len, signer.spki, signer.spki_len);
	X509_REQ *request;
	EVP_PKEY *own = key;

	cr_assert_not_null(spki);
	for (size_t i = 0; i < 8 * signer.spki_len; i++) {
		spki[i / 8] ^= (uint8_t)(1u << i % 8);
		cr_expect_not(ok(info, info_len), "bit %zu", i);
		spki[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	key = EVP_EC_gen("P-256");
	request = make_request("x", NULL);
	take_info(request);
	cr_expect_not(ok(info, info_len));
	X509_REQ_free(request);
	EVP_PKEY_free(own);
}

/* All tags and lengths of the part before the key. */
Test(certificate_request, has_no_other_structure)
{
	size_t head = (size_t)((uint8_t *)memmem(info, info_len, "www.", 4) - info);

	for (size_t i = 0; i < head; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bool text = memmem(info + i, 2, "DE", 2) || info[i] == 'E';
			bool type = i >= 5 && info[i] != 0x30 && info[i] != 0x31;

			/* Which attribute a name has, and in which kind of string, is nobody's business. */
			info[i] ^= (uint8_t)(1u << bit);
			if (!text && !type)
				cr_expect_not(ok(info, info_len), "byte %zu, bit %u", i, bit);
			info[i] ^= (uint8_t)(1u << bit);
		}
	}
}

Test(certificate_request, has_version_0)
{
	uint8_t *version = memmem(info, info_len, "\x02\x01", 3);

	cr_assert_eq(version - info, 4);
	version[2] = 2;
	cr_expect_not(ok(info, info_len));
}

Test(certificate_request, has_no_length_in_a_longer_form_than_it_needs)
{
	uint8_t longer[4096];

	cr_assert_eq(info[1], 0x82, "this test is for one of 256 bytes and more");
	memcpy(longer, info, info_len);
	memmove(longer + 6, longer + 5, info_len - 5);
	/* The version's length, 1, in two bytes. */
	longer[5] = 0x81;
	longer[6] = 1;
	longer[3]++;
	cr_expect_not(ok(longer, info_len + 1));
}

Test(certificate_request, is_no_certificate)
{
	X509 *crt = X509_new();
	uint8_t *der = NULL;
	int len;

	X509_set_version(crt, 0);
	ASN1_INTEGER_set(X509_get_serialNumber(crt), 0);
	X509_gmtime_adj(X509_getm_notBefore(crt), 0);
	X509_gmtime_adj(X509_getm_notAfter(crt), 3600);
	X509_set_pubkey(crt, key);
	cr_assert(X509_sign(crt, key, EVP_sha256()) > 0);
	len = i2d_re_X509_tbs(crt, &der);
	cr_assert(len > 0);
	cr_expect_not(ok(der, (size_t)len));
	OPENSSL_free(der);
	X509_free(crt);
}

Test(certificate_request, is_nothing_that_a_handshake_signs)
{
	static const char content[64 + 34 + 32 + 1] =
		"                                                                "
		"TLS 1.3, server CertificateVerify\0"
		"abcdefghijklmnopqrstuvwxyz012345";

	cr_expect_not(ok((const uint8_t *)content, sizeof(content) - 1));
	cr_expect_not(ok(signer.spki, signer.spki_len));
}
