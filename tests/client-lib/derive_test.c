/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The typed calls: what they send, what they refuse before they send it, and replies of a wrong
 * shape. The daemon is the test's.
 */
#include "client-lib/tpmpsk.h"
#include "tests/client-lib/script.h"

#include <criterion/criterion.h>
#include <string.h>

#define MARK 0x5a

static struct script daemon_script;
static struct tpmpsk *tpm;

static struct tpmpsk_derive asked;   /* what came last */
static struct tpmpsk_derived answer; /* what goes back; empty: the right one */

static void serve(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	(void)number;
	while (script_receive(s, fd, &q)) {
		if (q.header.opcode == TPMPSK_OP_DERIVE)
			asked = q.derive;
		if (answer.secret_len > 0 || answer.name_len > 0)
			script_reply(fd, &q, &answer);
		else
			script_answer(fd, &q);
	}
}

static void begin(void)
{
	memset(&answer, 0, sizeof(answer));
	script_start(&daemon_script, serve);
	cr_assert_eq(tpmpsk_open(&tpm, daemon_script.path), 0);
}

static void end(void)
{
	tpmpsk_close(tpm);
	script_done(&daemon_script);
}

TestSuite(derive, .init = begin, .fini = end);

static void assert_untouched(const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		cr_assert_eq(bytes[i], MARK, "written on failure");
}

/* A client's call, with outputs that tell whether they were written. */
struct client_call {
	char name[TPMPSK_SESSION_IDENTITY_SIZE];
	size_t size;
	uint8_t psk[32];
	int result;
};

static struct client_call ask_client(const void *identity, size_t size)
{
	struct client_call c;

	memset(&c, MARK, sizeof(c));
	c.result = tpmpsk_session_identity_client(tpm, identity, size, c.name, &c.size, c.psk);
	return c;
}

static void assert_client_fails(const struct client_call *c, int error)
{
	cr_assert_eq(c->result, error);
	assert_untouched(c->name, sizeof(c->name));
	assert_untouched(&c->size, sizeof(c->size));
	assert_untouched(c->psk, sizeof(c->psk));
}

Test(derive, a_client_gets_a_session_identity_and_its_psk)
{
	char longest[TPMPSK_BASE_IDENTITY_SIZE_MAX];
	struct client_call c = ask_client("Client1", 7);
	uint8_t expected[32];

	cr_assert_eq(c.result, 0);
	cr_assert_eq(c.size, 7 + TPMPSK_SESSION_SUFFIX_SIZE);
	cr_assert_eq(strlen(c.name), c.size);
	script_name_psk((uint8_t *)c.name, c.size, expected);
	cr_assert_arr_eq(c.psk, expected, 32);
	cr_assert_eq(asked.purpose, TPMPSK_PURPOSE_SESSION_IDENTITY);
	cr_assert_eq(asked.role, TPMPSK_ROLE_CLIENT);

	memset(longest, 'x', sizeof(longest));
	c = ask_client(longest, sizeof(longest));
	cr_assert_eq(c.result, 0);
	cr_assert_eq(c.size, TPMPSK_IDENTITY_SIZE_MAX);
	cr_assert_eq(c.name[c.size], 0);
}

Test(derive, a_client_without_a_proper_identity_sends_nothing)
{
	char identity[TPMPSK_IDENTITY_SIZE_MAX] = { 0 };
	struct client_call c;

	memset(identity, 'x', sizeof(identity));
	c = ask_client(identity, 0);
	assert_client_fails(&c, TPMPSK_ERR_INVALID);
	c = ask_client(NULL, 7);
	assert_client_fails(&c, TPMPSK_ERR_INVALID);
	c = ask_client(identity, TPMPSK_BASE_IDENTITY_SIZE_MAX + 1);
	assert_client_fails(&c, TPMPSK_ERR_INVALID);
	c = ask_client(identity, SIZE_MAX);
	assert_client_fails(&c, TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_session_identity_client(NULL, "a", 1, c.name, &c.size, c.psk),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_session_identity_client(tpm, "a", 1, NULL, &c.size, c.psk),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_session_identity_client(tpm, "a", 1, c.name, NULL, c.psk),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_session_identity_client(tpm, "a", 1, c.name, &c.size, NULL),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(daemon_script.requests, 0);
}

Test(derive, a_client_takes_no_answer_of_a_wrong_shape)
{
	const size_t name_len = 7 + TPMPSK_SESSION_SUFFIX_SIZE;
	const struct tpmpsk_derived wrong[] = {
		{ .secret_len = 32, .name_len = 0 },
		{ .secret_len = 31, .name_len = name_len },
		{ .secret_len = 33, .name_len = name_len },
		{ .secret_len = 64, .name_len = name_len },
		{ .secret_len = 32, .name_len = name_len - 1 },
		{ .secret_len = 32, .name_len = name_len + 1 },
		{ .secret_len = 32, .name_len = TPMPSK_IDENTITY_MAX },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct client_call c;

		answer = wrong[i];
		memset(answer.name, 'n', answer.name_len);
		c = ask_client("Client1", 7);
		assert_client_fails(&c, TPMPSK_ERR_PROTOCOL);
	}
}

Test(derive, a_server_sends_what_came_and_names_the_handshake)
{
	uint8_t name[TPMPSK_HANDSHAKE_SIZE_MAX], psk[32], expected[32];

	for (size_t size = 0; size <= sizeof(name); size += 16) {
		memset(name, (int)size, sizeof(name));
		cr_assert_eq(tpmpsk_session_identity_server(
				     tpm, "any\0thing", 9, size > 0 ? name : NULL, size, psk),
			0);
		cr_assert_eq(asked.purpose, TPMPSK_PURPOSE_SESSION_IDENTITY);
		cr_assert_eq(asked.role, TPMPSK_ROLE_SERVER);
		cr_assert_eq(asked.identity_len, 9);
		cr_assert_arr_eq(asked.identity, "any\0thing", 9);
		cr_assert_eq(asked.session_identity.handshake_len, size);
		cr_assert_arr_eq(asked.session_identity.handshake, name, size);
		script_name_psk((const uint8_t *)"any\0thing", 9, expected);
		cr_assert_arr_eq(psk, expected, 32);
	}
}

Test(derive, a_server_tells_what_a_peer_sent_from_its_own_mistakes)
{
	uint8_t psk[32], long_identity[TPMPSK_IDENTITY_SIZE_MAX + 1] = { 0 }, name[33] = { 0 };

	memset(psk, MARK, sizeof(psk));
	cr_assert_eq(
		tpmpsk_session_identity_server(tpm, "", 0, NULL, 0, psk), TPMPSK_ERR_MALFORMED);
	cr_assert_eq(tpmpsk_session_identity_server(
			     tpm, long_identity, sizeof(long_identity), NULL, 0, psk),
		TPMPSK_ERR_MALFORMED);
	cr_assert_eq(tpmpsk_session_identity_server(tpm, long_identity, SIZE_MAX, NULL, 0, psk),
		TPMPSK_ERR_MALFORMED);
	cr_assert_eq(tpmpsk_session_identity_server(tpm, "a", 1, name, sizeof(name), psk),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_session_identity_server(tpm, "a", 1, NULL, 1, psk), TPMPSK_ERR_INVALID);
	cr_assert_eq(
		tpmpsk_session_identity_server(tpm, NULL, 1, NULL, 0, psk), TPMPSK_ERR_INVALID);
	cr_assert_eq(
		tpmpsk_session_identity_server(NULL, "a", 1, NULL, 0, psk), TPMPSK_ERR_INVALID);
	cr_assert_eq(
		tpmpsk_session_identity_server(tpm, "a", 1, NULL, 0, NULL), TPMPSK_ERR_INVALID);
	assert_untouched(psk, sizeof(psk));
	cr_assert_eq(daemon_script.requests, 0);
}

Test(derive, a_server_takes_no_answer_of_a_wrong_shape)
{
	const struct tpmpsk_derived wrong[] = {
		{ .secret_len = 31 },
		{ .secret_len = 33 },
		{ .secret_len = 32, .name_len = 1 },
	};
	uint8_t psk[32];

	memset(psk, MARK, sizeof(psk));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		answer = wrong[i];
		cr_assert_eq(tpmpsk_session_identity_server(tpm, "a", 1, NULL, 0, psk),
			TPMPSK_ERR_PROTOCOL);
	}
	assert_untouched(psk, sizeof(psk));
}

Test(derive, exporters_give_the_length_that_was_asked_for)
{
	uint8_t ekm[TPMPSK_EKM_SIZE_MAX], output[TPMPSK_KDF_SIZE_MAX + 1], expected[64];

	memset(ekm, 0xe1, sizeof(ekm));
	memset(expected, 0xe1, sizeof(expected));
	for (size_t size = TPMPSK_KDF_SIZE_MIN; size <= TPMPSK_KDF_SIZE_MAX; size += 8) {
		memset(output, MARK, sizeof(output));
		cr_assert_eq(tpmpsk_exporter_kdf(tpm, "Client1", 7, ekm, 48, output, size), 0);
		cr_assert_eq(asked.purpose, TPMPSK_PURPOSE_EXPORTER_KDF);
		cr_assert_eq(asked.exporter.length, size);
		cr_assert_eq(asked.exporter.ekm_len, 48);
		cr_assert_arr_eq(output, expected, size);
		cr_assert_eq(output[size], MARK);
	}
	memset(output, MARK, sizeof(output));
	cr_assert_eq(tpmpsk_exporter_mac(tpm, "Client1", 7, ekm, 16, output), 0);
	cr_assert_eq(asked.purpose, TPMPSK_PURPOSE_EXPORTER_MAC);
	cr_assert_eq(asked.exporter.ekm_len, 16);
	cr_assert_arr_eq(output, expected, TPMPSK_MAC_SIZE);
	cr_assert_eq(output[TPMPSK_MAC_SIZE], MARK);
}

Test(derive, exporters_out_of_range_send_nothing)
{
	static const struct {
		size_t identity, ekm, output;
	} wrong[] = { { 7, 15, 32 }, { 7, 49, 32 }, { 7, 0, 32 }, { 7, SIZE_MAX, 32 },
		{ 7, 32, 15 }, { 7, 32, 65 }, { 7, 32, 0 }, { 7, 32, 256 + 32 }, { 0, 32, 32 },
		{ TPMPSK_IDENTITY_SIZE_MAX + 1, 32, 32 } };
	uint8_t identity[TPMPSK_IDENTITY_SIZE_MAX + 1] = { 'a' }, ekm[64] = { 0 }, output[512];

	memset(output, MARK, sizeof(output));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_assert_eq(tpmpsk_exporter_kdf(tpm, identity, wrong[i].identity, ekm,
				     wrong[i].ekm, output, wrong[i].output),
			TPMPSK_ERR_INVALID);
		if (wrong[i].output == 32)
			cr_assert_eq(tpmpsk_exporter_mac(tpm, identity, wrong[i].identity, ekm,
					     wrong[i].ekm, output),
				TPMPSK_ERR_INVALID);
	}
	cr_assert_eq(tpmpsk_exporter_kdf(NULL, "a", 1, ekm, 32, output, 32), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_exporter_kdf(tpm, NULL, 1, ekm, 32, output, 32), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_exporter_kdf(tpm, "a", 1, NULL, 32, output, 32), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_exporter_kdf(tpm, "a", 1, ekm, 32, NULL, 32), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_exporter_mac(tpm, "a", 1, ekm, 32, NULL), TPMPSK_ERR_INVALID);
	assert_untouched(output, sizeof(output));
	cr_assert_eq(daemon_script.requests, 0);
}

Test(derive, exporters_take_no_answer_of_a_wrong_shape)
{
	const struct tpmpsk_derived wrong[] = {
		{ .secret_len = 31 },
		{ .secret_len = 33 },
		{ .secret_len = 64 },
		{ .secret_len = 32, .name_len = 7 },
	};
	uint8_t ekm[32] = { 0 }, output[64];

	memset(output, MARK, sizeof(output));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		answer = wrong[i];
		cr_assert_eq(
			tpmpsk_exporter_kdf(tpm, "a", 1, ekm, 32, output, 32), TPMPSK_ERR_PROTOCOL);
		cr_assert_eq(
			tpmpsk_exporter_mac(tpm, "a", 1, ekm, 32, output), TPMPSK_ERR_PROTOCOL);
	}
	assert_untouched(output, sizeof(output));
}

/* A call of the key schedules with sizes that may be wrong; what it writes is marked before. */
struct schedule_call {
	uint8_t output[TPMPSK_HASH_SIZE_MAX + 1];
	size_t size;
	int result;
};

#define CALL(name, hash, ...)                                                                      \
	({                                                                                         \
		struct schedule_call c_;                                                           \
		memset(&c_, MARK, sizeof(c_));                                                     \
		c_.result =                                                                        \
			tpmpsk_##name(tpm, "Client1", 7, (enum tpmpsk_hash)(hash), __VA_ARGS__);   \
		c_;                                                                                \
	})

static void assert_invalid(const struct schedule_call *c)
{
	cr_assert_eq(c->result, TPMPSK_ERR_INVALID);
	assert_untouched(c->output, sizeof(c->output));
	assert_untouched(&c->size, sizeof(c->size));
}

Test(derive, key_schedules_out_of_range_send_nothing)
{
	const uint8_t in[TPMPSK_SHARED_SECRET_SIZE_MAX + 1] = { 1 };
	struct schedule_call c;

	for (unsigned hash = 0; hash < 6; hash++) {
		const size_t size = hash == TPMPSK_HASH_SHA256 ? 32 : 48;
		const bool known = hash == TPMPSK_HASH_SHA256 || hash == TPMPSK_HASH_SHA384;

		for (size_t n = 0; n <= 64; n += 16) {
			if (known && n == size)
				continue;
			c = CALL(tls12_extended_master, hash, in, n, c_.output);
			assert_invalid(&c);
			c = CALL(tls13_binder, hash, in, n, c_.output);
			assert_invalid(&c);
		}
		if (known)
			continue;
		c = CALL(tls12_master, hash, in, in, c_.output);
		assert_invalid(&c);
		c = CALL(tls13_handshake_secret, hash, in, 32, c_.output);
		assert_invalid(&c);
		c = CALL(psk_import, hash, in, 1, 0x0304, 1, c_.output, &c_.size);
		assert_invalid(&c);
	}
	c = CALL(tls13_handshake_secret, 1, in, 31, c_.output);
	assert_invalid(&c);
	c = CALL(tls13_handshake_secret, 1, in, 1025, c_.output);
	assert_invalid(&c);
	c = CALL(tls13_handshake_secret, 1, in, SIZE_MAX, c_.output);
	assert_invalid(&c);
	c = CALL(psk_import, 1, in, 1025, 0x0304, 1, c_.output, &c_.size);
	assert_invalid(&c);
	c = CALL(psk_import, 1, in, 1, 0x0304, 3, c_.output, &c_.size);
	assert_invalid(&c);
	c = CALL(psk_import, 1, NULL, 1, 0x0304, 1, c_.output, &c_.size);
	assert_invalid(&c);
	c = CALL(psk_import, 1, in, 1, 0x0304, 1, c_.output, NULL);
	assert_invalid(&c);
	c = CALL(psk_import, 1, in, 1, 0x0304, 1, NULL, &c_.size);
	assert_invalid(&c);
	c = CALL(tls12_master, 1, NULL, in, c_.output);
	assert_invalid(&c);
	c = CALL(tls12_master, 1, in, NULL, c_.output);
	assert_invalid(&c);
	c = CALL(tls12_extended_master, 1, NULL, 32, c_.output);
	assert_invalid(&c);
	c = CALL(tls13_binder, 1, NULL, 32, c_.output);
	assert_invalid(&c);
	c = CALL(tls13_binder, 1, in, 32, NULL);
	assert_invalid(&c);
	cr_assert_eq(daemon_script.requests, 0);
}

Test(derive, key_schedules_take_no_answer_of_a_wrong_size)
{
	const uint8_t in[64] = { 1 };
	struct schedule_call c;

	for (size_t n = 1; n <= TPMPSK_KDF_SIZE_MAX; n++) {
		answer = (struct tpmpsk_derived){ .secret_len = n };
		c = CALL(tls13_binder, 1, in, 32, c_.output);
		cr_assert_eq(c.result, n == 32 ? 0 : TPMPSK_ERR_PROTOCOL);
		cr_assert_eq(c.output[32], MARK);
		c = CALL(tls13_handshake_secret, 2, in, 64, c_.output);
		cr_assert_eq(c.result, n == 48 ? 0 : TPMPSK_ERR_PROTOCOL);
		cr_assert_eq(c.output[48], MARK);
		c = CALL(tls12_master, 1, in, in, c_.output);
		cr_assert_eq(c.result, n == 48 ? 0 : TPMPSK_ERR_PROTOCOL);
		c = CALL(psk_import, 2, in, 1, 0x0304, 1, c_.output, &c_.size);
		cr_assert_eq(c.result, n == 32 ? 0 : TPMPSK_ERR_PROTOCOL);
		if (c.result < 0)
			assert_untouched(&c.size, sizeof(c.size));
		else
			cr_assert_eq(c.size, 32);
	}
}

Test(derive, the_longest_request_of_all_fits)
{
	uint8_t context[TPMPSK_CONTEXT_SIZE_MAX], psk[48], identity[TPMPSK_IDENTITY_SIZE_MAX];
	size_t size;

	memset(context, 0xc0, sizeof(context));
	memset(identity, 'x', sizeof(identity));
	answer = (struct tpmpsk_derived){ .secret_len = 48 };
	cr_assert_eq(tpmpsk_psk_import(tpm, identity, sizeof(identity), TPMPSK_HASH_SHA384, context,
			     sizeof(context), 0xfefc, 2, psk, &size),
		0);
	cr_assert_eq(asked.purpose, TPMPSK_PURPOSE_PSK_IMPORT);
	cr_assert_eq(asked.identity_len, sizeof(identity));
	cr_assert_eq(asked.psk_import.digest, TPMPSK_DIGEST_SHA384);
	cr_assert_eq(asked.psk_import.target_protocol, 0xfefc);
	cr_assert_eq(asked.psk_import.target_kdf, 2);
	cr_assert_eq(asked.psk_import.context_len, sizeof(context));
	cr_assert_arr_eq(asked.psk_import.context, context, sizeof(context));
}
