/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/daemon/tpm_keys.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

void tpm_bed_init(struct tpm_bed *b)
{
	char file[SWTPM_PATH_SIZE];

	*b = (struct tpm_bed){ 0 };
	cr_assert_eq(swtpm_init(&b->swtpm), 0);
	snprintf(file, sizeof(file), "%s/tcti", b->swtpm.dir.path);
	b->tcti = tcti_test_map(file);
	cr_assert_not_null(b->tcti);
	tcti_test_name(b->name, sizeof(b->name), file, b->swtpm.tcti);
}

void tpm_bed_done(struct tpm_bed *b)
{
	tpm_free(b->tpm);
	tcti_test_unmap(b->tcti);
	swtpm_done(&b->swtpm);
	*b = (struct tpm_bed){ 0 };
}

void tpm_bed_open(struct tpm_bed *b, bool encrypt_sessions)
{
	const struct tpm_options options = { b->name, encrypt_sessions };

	tpm_free(b->tpm);
	b->tpm = NULL;
	cr_assert_eq(tpm_open(&b->tpm, &options), 0);
}

void tpm_bed_key(struct tpm_bed *b, const void *secret, size_t len, struct keyfile *ret)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	*ret = (struct keyfile){ 0 };
	if (len > TPM_HMAC_KEY_MAX) {
		SHA256(secret, len, hash);
		secret = hash;
		len = sizeof(hash);
	}
	cr_assert_eq(tpm_create_hmac(b->tpm, TPMPSK_DIGEST_SHA256, secret, len, ret), 0);
	cr_assert_eq(ret->n_objects, 1);
}

bool tpm_bed_right(struct tpm_bed *b, uint64_t id, const struct keyfile *key, const void *secret,
	size_t secret_len, const void *in, size_t in_len)
{
	uint8_t mac[TPM_MAC_MAX], want[EVP_MAX_MD_SIZE];
	unsigned want_len = 0;
	size_t mac_len = 0;

	if (tpm_hmac(b->tpm, id, &key->objects[0], in, in_len, mac, &mac_len) < 0)
		return false;
	HMAC(EVP_sha256(), secret, (int)secret_len, in, in_len, want, &want_len);
	return mac_len == want_len && memcmp(mac, want, want_len) == 0;
}
