/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/message.h"
#include "proto/purpose.h"
#include "proto/scheme.h"
#include "tests/proto/heap.h"
#include "tests/proto/samples.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define FOR_EACH_SAMPLE(s) for (const struct sample *s = samples; s->name; s++)

static size_t write_sample(const struct sample *s, uint8_t buf[TPMPSK_MESSAGE_MAX])
{
	size_t len = 0;

	cr_assert_eq(s->write(buf, TPMPSK_MESSAGE_MAX, &len), 0, "%s", s->name);
	return len;
}

/* Decodes a packet from an allocation of its size and encodes it again. 0 or -errno. */
static int rewrite(const struct sample *s, const uint8_t *packet, size_t len,
	uint8_t ret_buf[TPMPSK_MESSAGE_MAX], size_t *ret_len)
{
	_cleanup_(heap_freep) uint8_t *copy = heap_copy(packet, len, 0);
	struct tpmpsk_header h;
	struct tpmpsk_reader r;
	int rc;

	tpmpsk_reader_init(&r, copy, len);
	rc = tpmpsk_header_decode(&r, &h);
	return rc < 0 ? rc : s->rewrite(&r, &h, ret_buf, TPMPSK_MESSAGE_MAX, ret_len);
}

static bool accepts(const struct sample *s, const uint8_t *packet, size_t len)
{
	uint8_t again[TPMPSK_MESSAGE_MAX];
	size_t again_len;
	int rc = rewrite(s, packet, len, again, &again_len);

	cr_assert(rc == 0 || rc == -EBADMSG, "%s: %d", s->name, rc);
	return rc == 0;
}

Test(message, has_the_header_that_was_asked_for)
{
	FOR_EACH_SAMPLE(s)
	{
		uint8_t buf[TPMPSK_MESSAGE_MAX];
		struct tpmpsk_header h;
		struct tpmpsk_reader r;

		tpmpsk_reader_init(&r, buf, write_sample(s, buf));
		cr_assert_eq(tpmpsk_header_decode(&r, &h), 0);
		cr_expect_eq(h.version, TPMPSK_PROTOCOL_VERSION, "%s", s->name);
		cr_expect_eq(h.opcode, s->opcode, "%s", s->name);
		cr_expect_eq(h.status, s->status, "%s", s->name);
		cr_expect_eq(h.id, SAMPLE_ID, "%s", s->name);
	}
}

Test(message, comes_out_as_it_went_in)
{
	FOR_EACH_SAMPLE(s)
	{
		uint8_t buf[TPMPSK_MESSAGE_MAX], again[TPMPSK_MESSAGE_MAX];
		size_t len = write_sample(s, buf), again_len = 0;

		cr_assert_eq(rewrite(s, buf, len, again, &again_len), 0, "%s", s->name);
		cr_assert_eq(again_len, len, "%s", s->name);
		cr_expect_eq(memcmp(again, buf, len), 0, "%s", s->name);
	}
}

Test(message, rejects_every_truncation)
{
	FOR_EACH_SAMPLE(s)
	{
		uint8_t buf[TPMPSK_MESSAGE_MAX];
		size_t len = write_sample(s, buf);

		for (size_t n = 0; n < len; n++)
			cr_expect_not(accepts(s, buf, n), "%s: %zu bytes", s->name, n);
	}
}

Test(message, rejects_a_trailing_byte)
{
	FOR_EACH_SAMPLE(s)
	{
		uint8_t buf[TPMPSK_MESSAGE_MAX];
		size_t len = write_sample(s, buf);

		buf[len] = 0;
		cr_expect_not(accepts(s, buf, len + 1), "%s", s->name);
		buf[len] = 1;
		cr_expect_not(accepts(s, buf, len + 1), "%s", s->name);
	}
}

static void expect_length_rejected(const struct sample *s, size_t i, int by)
{
	uint8_t buf[TPMPSK_MESSAGE_MAX];
	size_t len = write_sample(s, buf);
	size_t at = s->lengths[i].at, width = s->lengths[i].width;
	unsigned value = width == 1 ? buf[at] : (unsigned)(buf[at] << 8 | buf[at + 1]);

	value += (unsigned)by;
	buf[at + width - 1] = (uint8_t)value;
	if (width == 2)
		buf[at] = (uint8_t)(value >> 8);
	cr_expect_not(accepts(s, buf, len), "%s: length %zu by %d", s->name, i, by);
}

Test(message, rejects_lengths_that_are_one_off)
{
	FOR_EACH_SAMPLE(s)
	for (size_t i = 0; i < SAMPLE_LENGTHS_MAX && s->lengths[i].at > 0; i++) {
		expect_length_rejected(s, i, 1);
		expect_length_rejected(s, i, -1);
	}
}

/* Whatever is accepted has one encoding: nothing was skipped or guessed. */
Test(message, accepts_a_changed_byte_only_if_it_comes_out_again)
{
	FOR_EACH_SAMPLE(s)
	{
		uint8_t buf[TPMPSK_MESSAGE_MAX], again[TPMPSK_MESSAGE_MAX];
		size_t len = write_sample(s, buf), again_len;

		for (size_t i = 0; i < len; i++)
			for (unsigned flip = 1; flip < 256; flip++) {
				buf[i] ^= (uint8_t)flip;
				/* version, opcode and status are the header's; the body does not
				 * depend on them */
				if (i >= 4 && rewrite(s, buf, len, again, &again_len) == 0)
					cr_assert(again_len == len && memcmp(again, buf, len) == 0,
						"%s: byte %zu ^ %02x", s->name, i, flip);
				else if (i < 4)
					accepts(s, buf, len);
				buf[i] ^= (uint8_t)flip;
			}
	}
}

Test(message, does_not_fit_a_buffer_that_is_one_byte_short)
{
	FOR_EACH_SAMPLE(s)
	{
		uint8_t buf[TPMPSK_MESSAGE_MAX];
		size_t len = write_sample(s, buf), ret_len = 4711;

		for (size_t cap = 0; cap < len; cap++) {
			_cleanup_(heap_freep) uint8_t *small = heap_copy(buf, cap, 0);

			cr_expect_eq(s->write(small, cap, &ret_len), -EMSGSIZE, "%s", s->name);
		}
		cr_expect_eq(ret_len, 4711, "an output was written on failure");
	}
}

static int derive_with(
	uint8_t purpose, uint8_t role, size_t identity_len, size_t client_len, size_t server_len)
{
	uint8_t buf[TPMPSK_MESSAGE_MAX], bytes[256] = { 0 };
	struct tpmpsk_derive q;
	struct tpmpsk_reader r;
	struct tpmpsk_writer w;
	size_t len;

	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_u8(&w, purpose);
	tpmpsk_write_u8(&w, role);
	tpmpsk_write_var8(&w, bytes, identity_len);
	tpmpsk_write_var8(&w, bytes, client_len);
	tpmpsk_write_var8(&w, bytes, server_len);
	cr_assert_eq(tpmpsk_writer_finish(&w, &len), 0);
	tpmpsk_reader_init(&r, buf, len);
	return tpmpsk_derive_decode(&r, &q);
}

Test(derive, takes_randoms_of_32_or_28_bytes_and_nothing_else)
{
	for (size_t n = 0; n <= 40; n++)
		for (size_t m = 0; m <= 40; m++)
			cr_expect_eq(derive_with(1, 0, 1, n, m),
				n == m && (n == 32 || n == 28) ? 0 : -EBADMSG, "%zu and %zu", n, m);
}

Test(derive, takes_identities_of_1_to_128_bytes)
{
	for (size_t n = 0; n <= 255; n++)
		cr_expect_eq(
			derive_with(1, 0, n, 32, 32), n >= 1 && n <= 128 ? 0 : -EBADMSG, "%zu", n);
}

Test(derive, of_a_purpose_that_is_not_known_is_unsupported)
{
	cr_expect_eq(derive_with(0, 0, 1, 32, 32), -EOPNOTSUPP);
	for (unsigned purpose = TPMPSK_PURPOSE_COUNT; purpose < 256; purpose++)
		cr_expect_eq(
			derive_with((uint8_t)purpose, 0, 1, 32, 32), -EOPNOTSUPP, "%u", purpose);
}

Test(derive, of_a_purpose_that_is_not_known_is_unsupported_whatever_follows)
{
	const uint8_t body[] = { TPMPSK_PURPOSE_COUNT, 0xff, 9, 9, 9 };

	for (size_t n = 0; n <= sizeof(body); n++) {
		struct tpmpsk_derive q;
		struct tpmpsk_reader r;

		tpmpsk_reader_init(&r, body, n);
		cr_expect_eq(
			tpmpsk_derive_decode(&r, &q), n == 0 ? -EBADMSG : -EOPNOTSUPP, "%zu", n);
	}
}

Test(derive, for_tls12_session_has_no_role)
{
	for (unsigned role = 1; role < 256; role++)
		cr_expect_eq(derive_with(1, (uint8_t)role, 1, 32, 32), -EBADMSG, "%u", role);
}

/* A derive request up to where the purpose's own fields begin. */
static void start_derive(struct tpmpsk_writer *w, uint8_t *buf, uint8_t purpose, uint8_t role)
{
	tpmpsk_writer_init(w, buf, TPMPSK_MESSAGE_MAX);
	tpmpsk_write_u8(w, purpose);
	tpmpsk_write_u8(w, role);
	tpmpsk_write_var8(w, "I", 1);
}

static int decode_derive(const struct tpmpsk_writer *w)
{
	_cleanup_(heap_freep) uint8_t *copy = NULL;
	struct tpmpsk_derive q;
	struct tpmpsk_reader r;
	size_t len;

	cr_assert_eq(tpmpsk_writer_finish(w, &len), 0);
	copy = heap_copy(w->data, len, 0);
	tpmpsk_reader_init(&r, copy, len);
	return tpmpsk_derive_decode(&r, &q);
}

static int derive_session(uint8_t role, bool has_handshake, size_t handshake_len)
{
	uint8_t buf[TPMPSK_MESSAGE_MAX], bytes[256] = { 0 };
	struct tpmpsk_writer w;

	start_derive(&w, buf, TPMPSK_PURPOSE_SESSION_IDENTITY, role);
	if (has_handshake)
		tpmpsk_write_var8(&w, bytes, handshake_len);
	return decode_derive(&w);
}

Test(derive, for_session_identity_has_a_role)
{
	for (unsigned role = 0; role < 256; role++) {
		cr_expect_eq(derive_session((uint8_t)role, false, 0),
			role == TPMPSK_ROLE_CLIENT ? 0 : -EBADMSG, "%u", role);
		cr_expect_eq(derive_session((uint8_t)role, true, 0),
			role == TPMPSK_ROLE_SERVER ? 0 : -EBADMSG, "%u", role);
	}
}

Test(derive, as_a_server_names_its_handshake_with_at_most_32_bytes)
{
	for (size_t n = 0; n < 256; n++)
		cr_expect_eq(derive_session(TPMPSK_ROLE_SERVER, true, n), n <= 32 ? 0 : -EBADMSG,
			"%zu", n);
}

/* length: negative for none. */
static int derive_exporter(uint8_t purpose, uint8_t role, size_t ekm_len, int length)
{
	uint8_t buf[TPMPSK_MESSAGE_MAX], bytes[256] = { 0 };
	struct tpmpsk_writer w;

	start_derive(&w, buf, purpose, role);
	tpmpsk_write_var8(&w, bytes, ekm_len);
	if (length >= 0)
		tpmpsk_write_u8(&w, (uint8_t)length);
	return decode_derive(&w);
}

Test(derive, takes_16_to_48_bytes_of_an_exporter)
{
	for (size_t n = 0; n < 256; n++) {
		int expected = n >= 16 && n <= 48 ? 0 : -EBADMSG;

		cr_expect_eq(derive_exporter(3, 0, n, 32), expected, "exporter-kdf, %zu", n);
		cr_expect_eq(derive_exporter(4, 0, n, -1), expected, "exporter-mac, %zu", n);
	}
}

Test(derive, for_exporter_kdf_asks_for_16_to_64_bytes)
{
	for (int n = 0; n < 256; n++)
		cr_expect_eq(
			derive_exporter(3, 0, 32, n), n >= 16 && n <= 64 ? 0 : -EBADMSG, "%d", n);
	cr_expect_eq(derive_exporter(3, 0, 32, -1), -EBADMSG);
	cr_expect_eq(derive_exporter(4, 0, 32, 32), -EBADMSG, "exporter-mac has no length");
}

Test(derive, for_an_exporter_has_no_role)
{
	for (unsigned role = 1; role < 256; role++) {
		cr_expect_eq(derive_exporter(3, (uint8_t)role, 32, 32), -EBADMSG, "%u", role);
		cr_expect_eq(derive_exporter(4, (uint8_t)role, 32, -1), -EBADMSG, "%u", role);
	}
}

static int derive_certificate(uint8_t role, uint16_t scheme, size_t transcript_len)
{
	uint8_t buf[TPMPSK_MESSAGE_MAX], bytes[256] = { 0 };
	struct tpmpsk_writer w;

	start_derive(&w, buf, TPMPSK_PURPOSE_CERTIFICATE_VERIFY, role);
	tpmpsk_write_u16(&w, scheme);
	tpmpsk_write_var8(&w, bytes, transcript_len);
	return decode_derive(&w);
}

Test(derive, for_certificate_verify_has_a_role)
{
	for (unsigned role = 0; role < 256; role++)
		cr_expect_eq(derive_certificate((uint8_t)role, 0x0403, 32),
			role == TPMPSK_ROLE_CLIENT || role == TPMPSK_ROLE_SERVER ? 0 : -EBADMSG,
			"%u", role);
}

Test(derive, for_certificate_verify_takes_the_hash_of_a_transcript_and_nothing_else)
{
	for (size_t n = 0; n < 256; n++)
		cr_expect_eq(derive_certificate(TPMPSK_ROLE_SERVER, 0x0503, n),
			n == 32 || n == 48 ? 0 : -EBADMSG, "%zu", n);
}

Test(derive, for_certificate_verify_names_one_of_three_schemes)
{
	for (unsigned scheme = 0; scheme <= UINT16_MAX; scheme++)
		cr_expect_eq(derive_certificate(TPMPSK_ROLE_CLIENT, (uint16_t)scheme, 48),
			scheme == 0x0403 || scheme == 0x0503 || scheme == 0x0804 ? 0 : -EBADMSG,
			"%04x", scheme);
}

Test(derive, is_not_written_from_values_out_of_range)
{
	const struct tpmpsk_derive good = {
		.purpose = 1, .identity_len = 1, .tls12_session.random_len = TPMPSK_RANDOM_SIZE
	};
	struct tpmpsk_derive bad[] = { good, good, good, good, good, good, good };
	uint8_t buf[TPMPSK_MESSAGE_MAX];
	size_t len;

	bad[0].purpose = TPMPSK_PURPOSE_COUNT;
	bad[1].identity_len = 0;
	bad[2].identity_len = TPMPSK_IDENTITY_MAX + 1;
	bad[3].tls12_session.random_len = TPMPSK_RANDOM_SIZE + 1;
	bad[4] = (struct tpmpsk_derive){ .purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_SERVER,
		.identity_len = 1,
		.session_identity.handshake_len = TPMPSK_HANDSHAKE_MAX + 1 };
	bad[5] = (struct tpmpsk_derive){ .purpose = TPMPSK_PURPOSE_EXPORTER_MAC,
		.identity_len = 1,
		.exporter.ekm_len = TPMPSK_EKM_MAX + 1 };
	bad[6] = (struct tpmpsk_derive){ .purpose = TPMPSK_PURPOSE_CERTIFICATE_VERIFY,
		.identity_len = 1,
		.certificate_verify.transcript_len = TPMPSK_TRANSCRIPT_MAX + 1 };
	cr_expect_eq(tpmpsk_derive_encode(1, &good, buf, sizeof(buf), &len), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(tpmpsk_derive_encode(1, &bad[i], buf, sizeof(buf), &len), -EMSGSIZE,
			"%zu", i);
}

Test(derived, has_a_secret_or_a_signature)
{
	const struct tpmpsk_derived empty = { .name_len = 1 };
	uint8_t buf[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_derived d;
	struct tpmpsk_header h;
	struct tpmpsk_reader r;
	size_t len;

	cr_assert_eq(tpmpsk_derived_encode(1, &empty, buf, sizeof(buf), &len), 0);
	tpmpsk_reader_init(&r, buf, len);
	cr_assert_eq(tpmpsk_header_decode(&r, &h), 0);
	cr_expect_eq(tpmpsk_derived_decode(&r, &d), -EBADMSG);
}

Test(derived, has_no_signature_beside_a_secret)
{
	const uint8_t body[] = { 1, 0xaa, 0, 0, 1, 0xbb };
	struct tpmpsk_derived d;
	struct tpmpsk_reader r;

	tpmpsk_reader_init(&r, body, sizeof(body));
	cr_expect_eq(tpmpsk_derived_decode(&r, &d), -EBADMSG);
}

static int decode_bytes(size_t n)
{
	uint8_t buf[TPMPSK_MESSAGE_MAX], bytes[TPMPSK_BLOB_MAX + 1] = { 0 };
	struct tpmpsk_blob_reply m;
	struct tpmpsk_reader r;
	struct tpmpsk_writer w;

	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_var16(&w, bytes, n);
	tpmpsk_reader_init(&r, buf, 2 + n);
	return tpmpsk_blob_reply_decode(&r, &m);
}

Test(bytes_reply, has_1_to_512_bytes)
{
	cr_expect_eq(decode_bytes(0), -EBADMSG);
	cr_expect_eq(decode_bytes(1), 0);
	cr_expect_eq(decode_bytes(512), 0);
	cr_expect_eq(decode_bytes(513), -EBADMSG);
}

Test(public, has_an_identity)
{
	const struct tpmpsk_public none = { 0 }, too_long = { .identity_len = 129 };
	const uint8_t body[] = { 0 };
	uint8_t buf[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_public m;
	struct tpmpsk_reader r;
	size_t len;

	cr_expect_eq(tpmpsk_public_encode(1, &none, buf, sizeof(buf), &len), -EMSGSIZE);
	cr_expect_eq(tpmpsk_public_encode(1, &too_long, buf, sizeof(buf), &len), -EMSGSIZE);
	tpmpsk_reader_init(&r, body, sizeof(body));
	cr_expect_eq(tpmpsk_public_decode(&r, &m), -EBADMSG);
}

Test(scheme, goes_by_number_and_by_word)
{
	static const unsigned schemes[] = { 0x0403, 0x0503, 0x0804 };
	static const size_t sizes[] = { 32, 48, 32 };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		cr_expect_eq(tpmpsk_scheme_by_algorithm(tpmpsk_scheme_algorithm(schemes[i])),
			schemes[i]);
		cr_expect_eq(tpmpsk_scheme_digest_size(schemes[i]), sizes[i]);
	}
	cr_expect_str_eq(tpmpsk_scheme_algorithm(0x0403), "ecdsa-p256");
	cr_expect_str_eq(tpmpsk_scheme_name(0x0804), "rsa_pss_rsae_sha256");
	cr_expect_null(tpmpsk_scheme_name(0));
	cr_expect_null(tpmpsk_scheme_algorithm(0x0401));
	cr_expect_eq(tpmpsk_scheme_digest_size(0), 0);
	cr_expect_eq(tpmpsk_scheme_by_algorithm("rsa"), 0);
}

Test(text_reply, goes_on_or_does_not)
{
	for (unsigned more = 0; more < 256; more++) {
		const uint8_t body[] = { (uint8_t)more, 0, 1, '[' };
		struct tpmpsk_text_reply m;
		struct tpmpsk_reader r;

		tpmpsk_reader_init(&r, body, sizeof(body));
		cr_expect_eq(
			tpmpsk_text_reply_decode(&r, &m), more <= 1 ? 0 : -EBADMSG, "%u", more);
	}
}

static int decode_hello(uint8_t min, uint8_t max)
{
	const uint8_t body[] = { min, max };
	struct tpmpsk_hello m;
	struct tpmpsk_reader r;

	tpmpsk_reader_init(&r, body, sizeof(body));
	return tpmpsk_hello_decode(&r, &m);
}

Test(hello, needs_a_range_of_versions_that_starts_at_one_or_more)
{
	cr_expect_eq(decode_hello(1, 1), 0);
	cr_expect_eq(decode_hello(1, 255), 0);
	cr_expect_eq(decode_hello(255, 255), 0);
	cr_expect_eq(decode_hello(0, 1), -EBADMSG);
	cr_expect_eq(decode_hello(2, 1), -EBADMSG);
}

static int decode_new(uint8_t opcode, size_t name_len, size_t payload_len)
{
	static const char policy[] = "{}";
	uint8_t buf[TPMPSK_MESSAGE_MAX], bytes[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_key_new m;
	struct tpmpsk_reader r;
	struct tpmpsk_writer w;
	size_t len;

	memset(bytes, 'n', sizeof(bytes));
	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_var8(&w, bytes, name_len);
	tpmpsk_write_var16(&w, policy, strlen(policy));
	tpmpsk_write_var16(&w, bytes, payload_len);
	cr_assert_eq(tpmpsk_writer_finish(&w, &len), 0);
	tpmpsk_reader_init(&r, buf, len);
	return tpmpsk_key_new_decode(&r, opcode, &m);
}

Test(key_new, takes_secrets_of_1_to_1024_bytes)
{
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_IMPORT, 3, 0), -EBADMSG);
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_IMPORT, 3, 1), 0);
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_IMPORT, 3, 1024), 0);
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_IMPORT, 3, 1025), -EBADMSG);
}

Test(key_new, takes_longer_pem_text_than_secrets)
{
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_ADOPT, 3, 0), -EBADMSG);
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_ADOPT, 3, TPMPSK_TEXT_MAX), 0);
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_ADOPT, 3, TPMPSK_TEXT_MAX + 1), -EBADMSG);
}

Test(key_new, has_no_payload_when_the_tpm_makes_the_key)
{
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_GENERATE, 3, 0), -EBADMSG);
}

Test(key_new, has_a_name_of_at_most_64_bytes)
{
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_IMPORT, 64, 1), 0);
	cr_expect_eq(decode_new(TPMPSK_OP_KEY_IMPORT, 65, 1), -EBADMSG);
}

Test(error, cuts_a_detail_that_is_too_long)
{
	char detail[TPMPSK_DETAIL_MAX + 100];
	uint8_t buf[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_error_reply m;
	struct tpmpsk_header h;
	struct tpmpsk_reader r;
	size_t len;

	memset(detail, 'd', sizeof(detail));
	cr_assert_eq(
		tpmpsk_error_encode(1, 2, TPMPSK_STATUS_DENIED, 0, detail, buf, sizeof(buf), &len),
		0);
	tpmpsk_reader_init(&r, buf, len);
	cr_assert_eq(tpmpsk_header_decode(&r, &h), 0);
	cr_assert_eq(tpmpsk_error_decode(&r, &m), 0);
	cr_expect_eq(strlen(m.detail), TPMPSK_DETAIL_MAX);
}

Test(status, has_a_word_for_every_number_and_one_for_the_others)
{
	static const char *const words[] = { "ok", "malformed", "unsupported", "denied",
		"unknown-identity", "exists", "busy", "deadline", "expired", "forged", "replayed",
		"tpm-unavailable", "shutting-down", "internal" };

	cr_assert_eq(sizeof(words) / sizeof(words[0]), TPMPSK_STATUS_COUNT);
	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++)
		cr_expect_str_eq(tpmpsk_status_name(i), words[i]);
	cr_expect_str_eq(tpmpsk_status_name(TPMPSK_STATUS_COUNT), "invalid");
	cr_expect_str_eq(tpmpsk_status_name(UINT32_MAX), "invalid");
}

Test(purpose, goes_by_number_and_by_word)
{
	for (unsigned i = 1; i < TPMPSK_PURPOSE_COUNT; i++)
		if (tpmpsk_purpose_name(i))
			cr_expect_eq(tpmpsk_purpose_by_name(tpmpsk_purpose_name(i)), i);
	cr_expect_str_eq(tpmpsk_purpose_name(TPMPSK_PURPOSE_TLS12_SESSION), "tls12-session");
	cr_expect_null(tpmpsk_purpose_name(0));
	cr_expect_null(tpmpsk_purpose_name(TPMPSK_PURPOSE_COUNT));
	cr_expect_eq(tpmpsk_purpose_by_name(""), 0);
	cr_expect_eq(tpmpsk_purpose_by_name("tls12-sessions"), 0);
}

Test(role, has_a_word_for_every_number)
{
	cr_expect_str_eq(tpmpsk_role_name(TPMPSK_ROLE_NONE), "none");
	cr_expect_str_eq(tpmpsk_role_name(TPMPSK_ROLE_CLIENT), "client");
	cr_expect_str_eq(tpmpsk_role_name(TPMPSK_ROLE_SERVER), "server");
	cr_expect_null(tpmpsk_role_name(TPMPSK_ROLE_COUNT));
}
