/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/purpose.h"

#include "tests/daemon/software_mac.h"
#include "tests/swtpm/vectors.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

static struct software_key key_of(const struct vector *v, uint8_t purpose)
{
	struct software_key key;
	uint8_t secret[256];

	software_key_init(&key, purpose, secret, vector_bytes(v, "key", secret, sizeof(secret)));
	return key;
}

/* The answer is the vector's, and took so many HMACs. */
static void check(
	const struct vector *v, const char *field, const struct tpmpsk_derive *q, unsigned commands)
{
	struct software_key key = key_of(v, q->purpose);
	const struct mac mac = software_mac(&key);
	struct tpmpsk_derived got;
	uint8_t want[TPMPSK_SECRET_MAX];

	cr_assert_eq(purpose_derive(q, &mac, &got), 0);
	cr_assert_eq(got.secret_len, vector_bytes(v, field, want, sizeof(want)));
	cr_assert_arr_eq(got.secret, want, got.secret_len);
	cr_assert_eq(got.name_len, 0);
	cr_assert_eq(key.commands, commands);
}

static void check_tls12_session(const struct vector *v)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_TLS12_SESSION };

	q.tls12_session.random_len =
		vector_bytes(v, "client_random", q.tls12_session.client_random, 32);
	vector_bytes(v, "server_random", q.tls12_session.server_random, 32);
	check(v, "psk", &q, 1);
}

Test(purpose, derives_every_known_answer_of_tls12_session)
{
	struct vectors *v = vectors_load();
	const struct vector *one;
	size_t pos = 0, n = 0;

	for (; (one = vectors_next(v, "tls12-session", &pos)); n++)
		check_tls12_session(one);
	cr_assert_eq(n, 9);
	vectors_free(v);
}

static void check_exporter(const struct vector *v, uint8_t purpose)
{
	struct tpmpsk_derive q = { .purpose = purpose };

	q.exporter.ekm_len = vector_bytes(v, "ekm", q.exporter.ekm, sizeof(q.exporter.ekm));
	q.exporter.length = (uint8_t)vector_number(v, "length", 32);
	check(v, "output", &q, (q.exporter.length + 31u) / 32);
}

Test(purpose, derives_every_known_answer_of_the_exporters)
{
	struct vectors *v = vectors_load();
	const struct vector *one;
	size_t pos = 0, n = 0;

	for (; (one = vectors_next(v, "exporter-kdf", &pos)); n++)
		check_exporter(one, TPMPSK_PURPOSE_EXPORTER_KDF);
	for (pos = 0; (one = vectors_next(v, "exporter-mac", &pos)); n++)
		check_exporter(one, TPMPSK_PURPOSE_EXPORTER_MAC);
	cr_assert_eq(n, 15);
	vectors_free(v);
}

static uint8_t digest_of(const struct vector *v)
{
	return (uint8_t)tpmpsk_digest_by_name(vector_text(v, "hash"));
}

static void check_tls12_master(const struct vector *v)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_TLS12_MASTER };
	struct tpmpsk_tls12_master *in = &q.tls12_master;
	uint8_t seed[64];
	size_t len = vector_bytes(v, "seed", seed, sizeof(seed));

	in->digest = digest_of(v);
	if (strcmp(vector_text(v, "label"), "master secret") == 0) {
		in->label = TPMPSK_TLS12_MASTER;
		cr_assert_eq(len, 64);
		memcpy(in->client_random, seed, 32);
		memcpy(in->server_random, seed + 32, 32);
	} else {
		in->label = TPMPSK_TLS12_EXTENDED_MASTER;
		cr_assert_eq(len, tpmpsk_digest_size(in->digest));
		memcpy(in->session_hash, seed, len);
	}
	check(v, "master_secret", &q, in->digest == TPMPSK_DIGEST_SHA256 ? 4 : 2);
}

static void check_tls13_schedule(const struct vector *v)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_TLS13_SCHEDULE };
	struct tpmpsk_tls13_schedule *in = &q.tls13_schedule;

	in->digest = digest_of(v);
	in->step = TPMPSK_TLS13_BINDER;
	vector_bytes(v, "transcript_hash", in->transcript_hash, sizeof(in->transcript_hash));
	check(v, "binder", &q, 1);
	in->step = TPMPSK_TLS13_HANDSHAKE_SECRET;
	in->shared_len = vector_bytes(v, "shared_secret", in->shared, sizeof(in->shared));
	check(v, "handshake_secret", &q, 1);
}

static void check_psk_import(const struct vector *v)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_PSK_IMPORT };
	struct tpmpsk_psk_import *in = &q.psk_import;

	q.identity_len = vector_bytes(v, "identity", q.identity, sizeof(q.identity));
	in->digest = digest_of(v);
	in->context_len = vector_bytes(v, "context", in->context, sizeof(in->context));
	in->target_protocol = (uint16_t)vector_number(v, "target_protocol", 0);
	in->target_kdf = (uint16_t)vector_number(v, "target_kdf", 0);
	check(v, "ipsk", &q, in->digest == 1 && in->target_kdf == 2 ? 2 : 1);
}

Test(purpose, derives_every_known_answer_of_the_standard_key_schedules)
{
	static const struct {
		const char *purpose;
		void (*check)(const struct vector *v);
		size_t n;
	} all[] = { { "tls12-master", check_tls12_master, 16 },
		{ "tls13-schedule", check_tls13_schedule, 8 },
		{ "psk-import", check_psk_import, 8 } };
	struct vectors *v = vectors_load();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct vector *one;
		size_t pos = 0, n = 0;

		for (; (one = vectors_next(v, all[i].purpose, &pos)); n++)
			all[i].check(one);
		cr_assert_eq(n, all[i].n);
	}
	vectors_free(v);
}

/* A key that signs a digest with itself, and says what it was asked for. */
struct signing_key {
	enum tpmpsk_scheme scheme;
	unsigned commands;
};

static int sign(void *context, enum tpmpsk_scheme scheme, const uint8_t *digest, uint8_t *signature,
	size_t *ret_len)
{
	struct signing_key *key = context;

	key->scheme = scheme;
	key->commands++;
	*ret_len = tpmpsk_scheme_digest_size(scheme);
	memcpy(signature, digest, *ret_len);
	return 0;
}

static void check_certificate_verify(uint8_t role, uint16_t scheme, size_t transcript_len)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_CERTIFICATE_VERIFY,
		.role = role,
		.certificate_verify = {
			.scheme = (uint16_t)scheme, .transcript_len = transcript_len } };
	char content[64 + 34 + 48];
	struct signing_key key = { 0 };
	const struct mac mac = { NULL, &key, sign };
	uint8_t want[64];
	struct tpmpsk_derived got;

	memset(q.certificate_verify.transcript, 1, transcript_len);
	memset(content, 0x20, 64);
	memcpy(content + 64,
		role == TPMPSK_ROLE_CLIENT ? "TLS 1.3, client CertificateVerify"
					   : "TLS 1.3, server CertificateVerify",
		34);
	memset(content + 98, 1, transcript_len);
	cr_assert(EVP_Digest(content, 98 + transcript_len, want, NULL,
			  tpmpsk_scheme_digest_size(scheme) == 48 ? EVP_sha384() : EVP_sha256(),
			  NULL) == 1);
	cr_assert_eq(purpose_derive(&q, &mac, &got), 0);
	cr_assert_eq(key.commands, 1);
	cr_assert_eq(key.scheme, scheme);
	cr_assert_eq(got.signature_len, tpmpsk_scheme_digest_size(scheme));
	cr_assert_arr_eq(got.signature, want, got.signature_len);
	cr_assert_eq(got.secret_len, 0);
	cr_assert_eq(got.name_len, 0);
}

Test(purpose, signs_what_a_certificate_verify_signs)
{
	static const uint16_t schemes[] = { TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256,
		TPMPSK_SCHEME_ECDSA_SECP384R1_SHA384, TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256 };

	for (size_t i = 0; i < 3; i++) {
		for (size_t n = 32; n <= 48; n += 16) {
			check_certificate_verify(TPMPSK_ROLE_CLIENT, schemes[i], n);
			check_certificate_verify(TPMPSK_ROLE_SERVER, schemes[i], n);
		}
	}
}

Test(purpose, signs_with_no_key_that_cannot)
{
	struct software_key key = { 0 };
	const struct mac mac = software_mac(&key);
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_CERTIFICATE_VERIFY,
		.role = TPMPSK_ROLE_SERVER,
		.certificate_verify = { .scheme = 0x0403, .transcript_len = 32 } };
	struct tpmpsk_derived got;

	cr_assert_eq(purpose_derive(&q, &mac, &got), -EINVAL);
}

static int broken(void *context, unsigned object, const uint8_t *in, size_t in_len, uint8_t *mac,
	size_t *ret_len)
{
	(void)context;
	(void)object;
	(void)in;
	(void)in_len;
	(void)mac;
	(void)ret_len;
	return -EIO;
}

Test(purpose, passes_on_a_failure_and_writes_nothing)
{
	const struct mac mac = { broken, NULL, NULL };
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_TLS12_SESSION,
		.tls12_session.random_len = 32 };
	struct tpmpsk_derived got, before;

	memset(&got, 0x5a, sizeof(got));
	before = got;
	cr_assert_eq(purpose_derive(&q, &mac, &got), -EIO);
	cr_assert_arr_eq((uint8_t *)&got, (uint8_t *)&before, sizeof(got));
}

static int sign_nothing(void *context, enum tpmpsk_scheme scheme, const uint8_t *digest,
	uint8_t *signature, size_t *ret_len)
{
	(void)context;
	(void)scheme;
	(void)digest;
	(void)signature;
	*ret_len = 1;
	return 0;
}

Test(purpose, knows_no_purpose_that_is_not_in_the_table)
{
	struct software_key key;
	struct mac mac = software_mac(&key);
	struct tpmpsk_derived got;

	software_key_init(&key, TPMPSK_PURPOSE_TLS12_SESSION, (const uint8_t *)"k", 1);
	mac.sign = sign_nothing;
	for (unsigned i = 0; i < 256; i++) {
		struct tpmpsk_derive q = { .purpose = (uint8_t)i, .identity_len = 60 };
		bool known = i < 32 && (purpose_known() >> i & 1);

		switch (i) {
		case TPMPSK_PURPOSE_EXPORTER_KDF:
		case TPMPSK_PURPOSE_EXPORTER_MAC:
			q.exporter = (struct tpmpsk_exporter){ .ekm_len = 32, .length = 32 };
			break;
		case TPMPSK_PURPOSE_TLS12_MASTER:
			q.tls12_master.digest = TPMPSK_DIGEST_SHA256;
			break;
		case TPMPSK_PURPOSE_TLS13_SCHEDULE:
			q.tls13_schedule.digest = TPMPSK_DIGEST_SHA256;
			q.tls13_schedule.step = TPMPSK_TLS13_BINDER;
			break;
		case TPMPSK_PURPOSE_PSK_IMPORT:
			q.psk_import.digest = TPMPSK_DIGEST_SHA256;
			q.psk_import.target_kdf = 1;
			break;
		}
		cr_assert_eq(purpose_derive(&q, &mac, &got) == 0, known);
		cr_assert_eq(i < TPMPSK_PURPOSE_COUNT && tpmpsk_purpose_name(i), known);
	}
}
