/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/purpose.h"

#include "tests/daemon/software_mac.h"
#include "tests/swtpm/vectors.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static void check_tls12_session(const struct vector *v)
{
	struct software_key key = { 0 };
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_TLS12_SESSION };
	struct tpmpsk_derived got;
	const struct mac mac = software_mac(&key);
	uint8_t want[64];

	key.secret_len = vector_bytes(v, "key", key.secret, sizeof(key.secret));
	q.tls12_session.random_len =
		vector_bytes(v, "client_random", q.tls12_session.client_random, 32);
	vector_bytes(v, "server_random", q.tls12_session.server_random, 32);
	cr_assert_eq(purpose_derive(&q, &mac, &got), 0);
	cr_assert_eq(got.secret_len, vector_bytes(v, "psk", want, sizeof(want)));
	cr_assert_arr_eq(got.secret, want, got.secret_len);
	cr_assert_eq(got.name_len, 0);
	cr_assert_eq(key.commands, 1);
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
	struct software_key key = { 0 };
	struct tpmpsk_derive q = { .purpose = purpose };
	struct tpmpsk_derived got;
	const struct mac mac = software_mac(&key);
	uint8_t want[TPMPSK_SECRET_MAX];

	key.secret_len = vector_bytes(v, "key", key.secret, sizeof(key.secret));
	q.exporter.ekm_len = vector_bytes(v, "ekm", q.exporter.ekm, sizeof(q.exporter.ekm));
	q.exporter.length = (uint8_t)vector_number(v, "length", 32);
	cr_assert_eq(purpose_derive(&q, &mac, &got), 0);
	cr_assert_eq(got.secret_len, vector_bytes(v, "output", want, sizeof(want)));
	cr_assert_arr_eq(got.secret, want, got.secret_len);
	cr_assert_eq(key.commands, (got.secret_len + 31) / 32);
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
	const struct mac mac = { broken, NULL };
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_TLS12_SESSION,
		.tls12_session.random_len = 32 };
	struct tpmpsk_derived got, before;

	memset(&got, 0x5a, sizeof(got));
	before = got;
	cr_assert_eq(purpose_derive(&q, &mac, &got), -EIO);
	cr_assert_arr_eq((uint8_t *)&got, (uint8_t *)&before, sizeof(got));
}

Test(purpose, knows_no_purpose_that_is_not_in_the_table)
{
	struct software_key key = { .secret_len = 1 };
	const struct mac mac = software_mac(&key);
	struct tpmpsk_derived got;

	for (unsigned i = 0; i < 256; i++) {
		struct tpmpsk_derive q = { .purpose = (uint8_t)i,
			.identity_len = 60,
			.exporter = { .ekm_len = 32, .length = 32 } };
		bool known = i < 32 && (purpose_known() >> i & 1);

		cr_assert_eq(purpose_derive(&q, &mac, &got) == 0, known);
		cr_assert_eq(i < TPMPSK_PURPOSE_COUNT && tpmpsk_purpose_name(i), known);
	}
}
