/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of the purposes that compute a standard key schedule: what is in them, and what is not
 * taken whoever wrote it. The values are the protocol's own, so that a change there is seen here.
 */
#include "proto/message.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SHA256 1
#define SHA384 2

/* A body, field by field. */
struct body {
	uint8_t bytes[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_writer w;
};

static void begin(struct body *b, uint8_t purpose, uint8_t role)
{
	tpmpsk_writer_init(&b->w, b->bytes, sizeof(b->bytes));
	tpmpsk_write_u8(&b->w, purpose);
	tpmpsk_write_u8(&b->w, role);
	tpmpsk_write_var8(&b->w, "Client1", 7);
}

static int decode(const struct body *b)
{
	struct tpmpsk_derive q;
	struct tpmpsk_reader r;

	tpmpsk_reader_init(&r, b->bytes, b->w.len);
	return tpmpsk_derive_decode(&r, &q);
}

static int decode_master(uint8_t role, unsigned hash, size_t client, size_t server)
{
	uint8_t random[256] = { 0 };
	struct body b;

	begin(&b, 5, role);
	tpmpsk_write_u8(&b.w, (uint8_t)hash);
	tpmpsk_write_u8(&b.w, 1);
	tpmpsk_write_var8(&b.w, random, client);
	tpmpsk_write_var8(&b.w, random, server);
	return decode(&b);
}

static int decode_master_of_hash(unsigned hash, unsigned label, size_t n)
{
	uint8_t session_hash[256] = { 0 };
	struct body b;

	begin(&b, 5, 0);
	tpmpsk_write_u8(&b.w, (uint8_t)hash);
	tpmpsk_write_u8(&b.w, (uint8_t)label);
	tpmpsk_write_var8(&b.w, session_hash, n);
	return decode(&b);
}

Test(tls12_master, takes_two_randoms_of_32_bytes)
{
	for (size_t n = 0; n < 256; n++) {
		cr_expect_eq(decode_master(0, SHA256, n, 32), n == 32 ? 0 : -EBADMSG, "%zu", n);
		cr_expect_eq(decode_master(0, SHA384, 32, n), n == 32 ? 0 : -EBADMSG, "%zu", n);
	}
	cr_expect_eq(decode_master(0, SHA256, 28, 28), -EBADMSG);
}

Test(tls12_master, or_a_session_hash_as_long_as_the_hash_is)
{
	for (size_t n = 0; n < 256; n++) {
		cr_expect_eq(decode_master_of_hash(SHA256, 2, n), n == 32 ? 0 : -EBADMSG, "%zu", n);
		cr_expect_eq(decode_master_of_hash(SHA384, 2, n), n == 48 ? 0 : -EBADMSG, "%zu", n);
	}
}

Test(tls12_master, knows_two_hashes_and_two_labels)
{
	for (unsigned i = 0; i < 256; i++) {
		cr_expect_eq(decode_master(0, i, 32, 32), i == 1 || i == 2 ? 0 : -EBADMSG, "%u", i);
		cr_expect_eq(decode_master_of_hash(SHA256, i, 32), i == 2 ? 0 : -EBADMSG, "%u", i);
	}
}

static int decode_binder(unsigned hash, size_t n)
{
	uint8_t transcript_hash[256] = { 0 };
	struct body b;

	begin(&b, 6, 0);
	tpmpsk_write_u8(&b.w, (uint8_t)hash);
	tpmpsk_write_u8(&b.w, 1);
	tpmpsk_write_var8(&b.w, transcript_hash, n);
	return decode(&b);
}

static int decode_shared(uint8_t role, unsigned step, const uint8_t *shared, size_t n)
{
	struct body b;

	begin(&b, 6, role);
	tpmpsk_write_u8(&b.w, SHA256);
	tpmpsk_write_u8(&b.w, (uint8_t)step);
	tpmpsk_write_var16(&b.w, shared, n);
	return decode(&b);
}

Test(tls13_schedule, takes_a_transcript_hash_as_long_as_the_hash_is)
{
	for (size_t n = 0; n < 256; n++) {
		cr_expect_eq(decode_binder(SHA256, n), n == 32 ? 0 : -EBADMSG, "%zu", n);
		cr_expect_eq(decode_binder(SHA384, n), n == 48 ? 0 : -EBADMSG, "%zu", n);
	}
}

Test(tls13_schedule, knows_two_hashes_and_two_steps)
{
	const uint8_t shared[32] = { 1 };

	for (unsigned i = 0; i < 256; i++) {
		cr_expect_eq(decode_binder(i, 32), i == 1 ? 0 : -EBADMSG, "%u", i);
		cr_expect_eq(decode_binder(i, 48), i == 2 ? 0 : -EBADMSG, "%u", i);
		cr_expect_eq(decode_shared(0, i, shared, 32), i == 2 ? 0 : -EBADMSG, "%u", i);
	}
}

Test(tls13_schedule, takes_a_shared_secret_of_32_to_1024_bytes)
{
	uint8_t shared[1026];

	memset(shared, 1, sizeof(shared));
	for (size_t n = 0; n <= sizeof(shared); n++)
		cr_expect_eq(decode_shared(0, 2, shared, n), n >= 32 && n <= 1024 ? 0 : -EBADMSG,
			"%zu", n);
}

Test(tls13_schedule, takes_no_shared_secret_of_zeroes)
{
	uint8_t shared[1024] = { 0 };

	for (size_t n = 32; n <= sizeof(shared); n++) {
		cr_expect_eq(decode_shared(0, 2, shared, n), -EBADMSG, "%zu", n);
		/* One bit anywhere makes it one. */
		shared[n - 1] = 0x80;
		cr_expect_eq(decode_shared(0, 2, shared, n), 0, "%zu", n);
		shared[n - 1] = 0;
	}
	shared[0] = 1;
	cr_expect_eq(decode_shared(0, 2, shared, 32), 0);
}

static int decode_import(uint8_t role, unsigned hash, unsigned protocol, unsigned kdf, size_t n)
{
	uint8_t context[1026] = { 0 };
	struct body b;

	begin(&b, 7, role);
	tpmpsk_write_u8(&b.w, (uint8_t)hash);
	tpmpsk_write_u16(&b.w, (uint16_t)protocol);
	tpmpsk_write_u16(&b.w, (uint16_t)kdf);
	tpmpsk_write_var16(&b.w, context, n);
	return decode(&b);
}

Test(psk_import, takes_a_context_of_at_most_1024_bytes)
{
	for (size_t n = 0; n <= 1026; n++)
		cr_expect_eq(
			decode_import(0, SHA256, 0x0304, 1, n), n <= 1024 ? 0 : -EBADMSG, "%zu", n);
}

Test(psk_import, knows_two_hashes_and_two_kdfs)
{
	for (unsigned i = 0; i < 256; i++)
		cr_expect_eq(decode_import(0, i, 0x0304, 1, 0), i == 1 || i == 2 ? 0 : -EBADMSG,
			"%u", i);
	for (unsigned i = 0; i <= UINT16_MAX; i++)
		cr_expect_eq(decode_import(0, SHA384, 0x0304, i, 0),
			i == 1 || i == 2 ? 0 : -EBADMSG, "%u", i);
}

Test(psk_import, is_for_no_protocol_before_1_3)
{
	static const unsigned refused[] = { 0, 0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0xfeff,
		0xfefe, 0xfefd, 0x0404, 0xffff };

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		cr_expect_eq(
			decode_import(0, SHA256, refused[i], 1, 0), -EBADMSG, "%04x", refused[i]);
	cr_expect_eq(decode_import(0, SHA256, 0x0304, 1, 0), 0);
	cr_expect_eq(decode_import(0, SHA256, 0x0305, 1, 0), 0);
	cr_expect_eq(decode_import(0, SHA256, 0xfefc, 1, 0), 0);
}

Test(schedule, has_no_roles)
{
	const uint8_t shared[32] = { 1 };

	for (unsigned role = 1; role < 256; role++) {
		cr_expect_eq(decode_master((uint8_t)role, SHA256, 32, 32), -EBADMSG);
		cr_expect_eq(decode_shared((uint8_t)role, 2, shared, 32), -EBADMSG);
		cr_expect_eq(decode_import((uint8_t)role, SHA256, 0x0304, 1, 0), -EBADMSG);
	}
}

Test(schedule, is_not_written_from_lengths_out_of_range)
{
	struct tpmpsk_derive q = { .purpose = 6, .identity_len = 1 };
	uint8_t buf[TPMPSK_MESSAGE_MAX];
	size_t len;

	q.tls13_schedule.digest = SHA256;
	q.tls13_schedule.step = TPMPSK_TLS13_HANDSHAKE_SECRET;
	q.tls13_schedule.shared_len = TPMPSK_SHARED_MAX + 1;
	cr_expect_eq(tpmpsk_derive_encode(1, &q, buf, sizeof(buf), &len), -EMSGSIZE);
	q.tls13_schedule.shared_len = SIZE_MAX;
	cr_expect_eq(tpmpsk_derive_encode(1, &q, buf, sizeof(buf), &len), -EMSGSIZE);
	q = (struct tpmpsk_derive){ .purpose = 7, .identity_len = 1 };
	q.psk_import.context_len = TPMPSK_CONTEXT_MAX + 1;
	cr_expect_eq(tpmpsk_derive_encode(1, &q, buf, sizeof(buf), &len), -EMSGSIZE);
}

Test(digest, goes_by_number_and_by_word)
{
	cr_expect_eq(tpmpsk_digest_size(SHA256), 32);
	cr_expect_eq(tpmpsk_digest_size(SHA384), 48);
	cr_expect_eq(tpmpsk_digest_by_name("sha256"), SHA256);
	cr_expect_eq(tpmpsk_digest_by_name("sha384"), SHA384);
	cr_expect_eq(tpmpsk_digest_by_name("sha512"), 0);
	cr_expect_eq(tpmpsk_digest_by_name(""), 0);
	for (unsigned i = 0; i < 300; i++) {
		cr_expect_eq(tpmpsk_digest_size(i) > 0, i == SHA256 || i == SHA384);
		cr_expect_eq(!!tpmpsk_digest_name(i), i == SHA256 || i == SHA384);
	}
}
