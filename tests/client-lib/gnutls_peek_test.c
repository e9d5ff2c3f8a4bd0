/* SPDX-License-Identifier: BSD-2-Clause */
/* What is read of a peer's first messages, from whatever pieces they come in. */
#include "client-lib/gnutls_inbox.h"
#include "client-lib/gnutls_parse.h"

#include <criterion/criterion.h>
#include <string.h>

#define SIZE_MAX_HERE (TPMPSK_INBOX_MESSAGE_MAX + 1000)

static struct tpmpsk_inbox inbox;
static uint8_t wire[SIZE_MAX_HERE], out[SIZE_MAX_HERE];
static size_t wire_size, out_size;

static void begin(void)
{
	memset(&inbox, 0, sizeof(inbox));
	wire_size = out_size = 0;
}

static void end(void)
{
	tpmpsk_inbox_done(&inbox);
}

TestSuite(gnutls_peek, .init = begin, .fini = end);

static void put(const void *data, size_t size)
{
	cr_assert_leq(size, sizeof(wire) - wire_size);
	memcpy(wire + wire_size, data, size);
	wire_size += size;
}

static void put_record(uint8_t type, const void *data, size_t size)
{
	const uint8_t header[] = { type, 3, 3, (uint8_t)(size >> 8), (uint8_t)size };

	put(header, sizeof(header));
	put(data, size);
}

/* A message of size bytes of its type. */
static size_t make_message(uint8_t *p, uint8_t type, size_t size)
{
	p[0] = type;
	p[1] = (uint8_t)(size >> 16);
	p[2] = (uint8_t)(size >> 8);
	p[3] = (uint8_t)size;
	memset(p + 4, type, size);
	return 4 + size;
}

/* As GnuTLS would have it all: what is on the wire through the inbox, at most step bytes at a time. */
static size_t run(size_t step, struct tpmpsk_message *messages, size_t max)
{
	size_t read = 0, n = 0;

	for (;;) {
		struct tpmpsk_message m;
		size_t room;
		uint8_t *p;
		int r;

		if (tpmpsk_inbox_has(&inbox)) {
			size_t want = step < 3 ? step : 3;

			out_size += tpmpsk_inbox_take(&inbox, out + out_size, want);
			continue;
		}
		if (inbox.off) { /* as recv() from here on */
			memcpy(out + out_size, wire + read, wire_size - read);
			out_size += wire_size - read;
			return n;
		}
		r = tpmpsk_inbox_next(&inbox, &m);
		cr_assert_geq(r, 0);
		if (r > 0) {
			cr_assert_lt(n, max);
			messages[n++] = m;
			continue;
		}
		if (tpmpsk_inbox_has(&inbox) || inbox.off)
			continue;
		if (read == wire_size)
			return n;
		p = tpmpsk_inbox_fill(&inbox, &room);
		cr_assert_not_null(p);
		cr_assert_gt(room, 0);
		room = room < step ? room : step;
		room = room < wire_size - read ? room : wire_size - read;
		memcpy(p, wire + read, room);
		tpmpsk_inbox_filled(&inbox, room);
		read += room;
	}
}

static void expect_all_gone(void)
{
	cr_assert_eq(out_size, wire_size);
	cr_assert_arr_eq(out, wire, wire_size);
}

Test(gnutls_peek, finds_messages_however_records_cut_them)
{
	static uint8_t stream[3 * 400];
	const size_t sizes[] = { 0, 300, 7 };
	struct tpmpsk_message m[3];
	size_t size = 0;

	for (uint8_t i = 0; i < 3; i++)
		size += make_message(stream + size, (uint8_t)(i + 1), sizes[i]);
	for (size_t record = 1; record <= size; record += record < 10 ? 1 : 37) {
		for (size_t step = 1; step < 600; step *= 5) {
			begin();
			for (size_t at = 0; at < size; at += record)
				put_record(
					22, stream + at, size - at < record ? size - at : record);
			cr_assert_eq(run(step, m, 3), 3);
			for (size_t i = 0; i < 3; i++) {
				cr_assert_eq(m[i].type, i + 1);
				cr_assert_eq(m[i].size, sizes[i]);
			}
			expect_all_gone();
			end();
		}
	}
}

Test(gnutls_peek, holds_a_record_until_the_messages_in_it_were_seen)
{
	uint8_t two[64];
	size_t size = make_message(two, 1, 8), room;
	struct tpmpsk_message m;
	uint8_t *p;

	size += make_message(two + size, 2, 8);
	put_record(22, two, size);
	for (size_t read = 0; read < wire_size; read += room) {
		cr_assert_eq(tpmpsk_inbox_next(&inbox, &m), 0);
		cr_assert_not(tpmpsk_inbox_has(&inbox));
		p = tpmpsk_inbox_fill(&inbox, &room);
		cr_assert_leq(read + room, wire_size, "more than the record");
		memcpy(p, wire + read, room);
		tpmpsk_inbox_filled(&inbox, room);
	}
	cr_assert_eq(tpmpsk_inbox_next(&inbox, &m), 1);
	cr_assert_eq(m.type, 1);
	cr_assert_eq(m.body[7], 1);
	cr_assert_not(tpmpsk_inbox_has(&inbox));
	cr_assert_eq(tpmpsk_inbox_take(&inbox, out, sizeof(out)), 0);
	cr_assert_eq(tpmpsk_inbox_next(&inbox, &m), 1);
	cr_assert_eq(m.type, 2);
	cr_assert_not(tpmpsk_inbox_has(&inbox));
	cr_assert_eq(tpmpsk_inbox_next(&inbox, &m), 0);
	cr_assert(tpmpsk_inbox_has(&inbox));
	cr_assert_eq(tpmpsk_inbox_take(&inbox, out, sizeof(out)), wire_size);
}

Test(gnutls_peek, lets_everything_else_go_on_unread)
{
	static uint8_t message[4 + TPMPSK_INBOX_MESSAGE_MAX + 1];
	const struct {
		uint8_t type;
		const char *data;
	} cases[] = { { 23, "encrypted" }, { 24, "a heartbeat" }, { 0x80, "an old hello" } };
	struct tpmpsk_message m[1];
	size_t size;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		put_record(20, "\1", 1);
		put_record(21, "\1\x70", 2); /* a warning is nothing of the handshake's */
		put_record(cases[i].type, cases[i].data, strlen(cases[i].data));
		put("and more", 8);
		cr_assert_eq(run(1000, m, 1), 0);
		cr_assert(inbox.off);
		expect_all_gone();
		end();
	}
	/* Too large a message, as soon as its size is there; and too large a record. */
	begin();
	size = make_message(message, 1, TPMPSK_INBOX_MESSAGE_MAX + 1);
	for (size_t at = 0; at < size; at += 16384)
		put_record(22, message + at, size - at < 16384 ? size - at : 16384);
	cr_assert_eq(run(1000, m, 1), 0);
	cr_assert(inbox.off);
	expect_all_gone();
	end();
	begin();
	put("\x16\3\3\x40\1", 5);
	put(message, 16385);
	cr_assert_eq(run(1000, m, 1), 0);
	expect_all_gone();
	end();
	begin();
	size = make_message(message, 1, TPMPSK_INBOX_MESSAGE_MAX);
	for (size_t at = 0; at < size; at += 16384)
		put_record(22, message + at, size - at < 16384 ? size - at : 16384);
	cr_assert_eq(run(1000, m, 1), 1, "the largest");
	expect_all_gone();
}

/* A ClientHello by hand: the two extensions that count, and one in front. */
static const uint8_t hello[] = {
	3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5,
	6, 7, 8,                    /* version, random */
	2, 9, 9,                    /* session */
	0, 2, 0x13, 1,              /* suites */
	1, 0,                       /* compression */
	0, 55,                      /* extensions */
	0, 10, 0, 4, 0, 2, 0, 23,   /* groups */
	0, 43, 0, 5, 4, 3, 4, 3, 3, /* versions: 1.3, 1.2 */
	0, 41, 0, 34,               /* PSKs */
	0, 20, 0, 5, 'o', 't', 'h', 'e', 'r', 0, 0, 0, 7, 0, 3, 'y', 'o', 'u', 0, 0, 0,
	0,                                   /* names */
	0, 10, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* binders */
};

static bool parse_hello(const uint8_t *body, size_t size)
{
	/* In memory of its own size, for the sanitizers. */
	uint8_t *copy = malloc(size ? size : 1);
	struct tpmpsk_span s;
	bool found;

	memcpy(copy, body, size);
	found = tpmpsk_parse_client_hello(copy, size, &s);
	if (found)
		cr_assert(s.data >= copy && s.data + s.size <= copy + size && s.size >= 1 &&
			  s.size <= TPMPSK_USERNAME_MAX);
	free(copy);
	return found;
}

/* The first that is no ticket, as GnuTLS has it. */
Test(gnutls_peek, reads_the_identity_of_a_client_hello)
{
	struct tpmpsk_span s;
	uint8_t changed[sizeof(hello)];

	cr_assert(tpmpsk_parse_client_hello(hello, sizeof(hello), &s));
	cr_assert(s.size == 3 && memcmp(s.data, "you", 3) == 0);
	/* Cut short it has none, but where only the binders are. */
	for (size_t size = 0; size < sizeof(hello) - 12; size++)
		cr_assert_not(parse_hello(hello, size), "%zu", size);
	/* Any byte may be any other. */
	for (size_t i = 0; i < sizeof(hello); i++) {
		for (unsigned int v = 0; v < 256; v++) {
			memcpy(changed, hello, sizeof(hello));
			changed[i] = (uint8_t)v;
			parse_hello(changed, sizeof(changed));
		}
	}
	/* Without TLS 1.3 there is nothing to be asked about in it. */
	memcpy(changed, hello, sizeof(hello));
	for (size_t i = 40; i + 1 < sizeof(changed); i++)
		if (changed[i] == 3 && changed[i + 1] == 4)
			changed[i + 1] = 2;
	cr_assert_not(tpmpsk_parse_client_hello(changed, sizeof(changed), &s));
}

Test(gnutls_peek, reads_what_a_server_hello_chose)
{
	uint8_t body[2 + 32 + 1 + 3 + 2 + 6] = { 3, 3 };
	struct tpmpsk_server_hello h;
	const uint8_t tls13[] = { 0, 6, 0, 43, 0, 2, 3, 4 };

	body[2] = 77;
	cr_assert(tpmpsk_parse_server_hello(body, 38, &h));
	cr_assert_eq(h.version, TPMPSK_TLS12);
	cr_assert_eq(h.random[0], 77);
	memcpy(body + 38, tls13, sizeof(tls13));
	cr_assert(tpmpsk_parse_server_hello(body, sizeof(body), &h));
	cr_assert_eq(h.version, TPMPSK_TLS13);
	for (size_t size = 0; size < sizeof(body); size++)
		if (size != 38)
			cr_assert_not(tpmpsk_parse_server_hello(body, size, &h), "%zu", size);
}

Test(gnutls_peek, reads_the_identity_of_a_client_key_exchange)
{
	const uint8_t body[] = { 0, 3, 'y', 'o', 'u', 4, 1, 2, 3, 4 };
	struct tpmpsk_span s;

	cr_assert(tpmpsk_parse_client_key_exchange(body, sizeof(body), &s));
	cr_assert(s.size == 3 && memcmp(s.data, "you", 3) == 0);
	cr_assert(tpmpsk_parse_client_key_exchange(body, 5, &s));
	for (size_t size = 0; size < 5; size++)
		cr_assert_not(tpmpsk_parse_client_key_exchange(body, size, &s));
}
