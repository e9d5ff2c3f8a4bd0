/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Standard key schedules through library, daemon and TPM: the known answers, how many TPM commands they take, and what the daemon
 * itself refuses, whoever sends it.
 */
#include "client-lib/tpmpsk.h"
#include "client-lib/transact.h"
#include "tests/client-lib/poller.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"
#include "tests/swtpm/vectors.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define HASH_BYTES(hash) ((hash) == TPMPSK_HASH_SHA384 ? 48 : 32)

static struct scene scene;
static struct tempdir own; /* for the TCTI's file: it must outlive what the scene clears away */
static struct tcti_test *tcti;
static struct tpmpsk *tpm;

static void begin(void)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	cr_assert_eq(scene_init(&scene, &(struct scene_options){ .tcti = name }), 0);
	cr_assert_eq(tpmpsk_open(&tpm, scene.socket), 0);
}

static void end(void)
{
	tpmpsk_close(tpm);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	scene_done(&scene);
	watch_done(&own, tcti);
}

TestSuite(schedule, .init = begin, .fini = end, .timeout = 120);

static void import(const char *purpose, const char *identity, const uint8_t *psk, size_t len)
{
	char hex[2 * TPMPSK_KEY_SECRET_MAX + 1], name[80], who[32];
	struct command_result result;
	const struct command_options options = { .input = hex };

	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", psk[i]);
	snprintf(name, sizeof(name), "%s-%s", purpose, identity);
	snprintf(who, sizeof(who), "uid:%u", getuid());
	cr_assert_eq(
		scene_psk(&scene, &options, &result, "key", "import", name, "--identity", identity,
			"--purpose", purpose, "--allow", who, "--hex-file", "-", NULL),
		0);
	cr_assert_eq(result.status, 0, "%s", result.err);
	command_result_done(&result);
}

/* The identity under which a vector's PSK is imported for its purpose: once for all vectors that share it. */
static const char *import_once(const struct vector *v)
{
	static char known[64][192];
	static size_t n_known;
	static char identity[64];
	char both[192];
	uint8_t psk[128];
	size_t len = vector_bytes(v, "key", psk, sizeof(psk));

	snprintf(identity, sizeof(identity), "psk-%zu-%02x%02x", len, psk[0], psk[len - 1]);
	snprintf(both, sizeof(both), "%s %s", vector_text(v, "purpose"), identity);
	for (size_t i = 0; i < n_known; i++)
		if (strcmp(known[i], both) == 0)
			return identity;
	strcpy(known[n_known++], both);
	import(vector_text(v, "purpose"), identity, psk, len);
	return identity;
}

static enum tpmpsk_hash hash_of(const struct vector *v)
{
	return strcmp(vector_text(v, "hash"), "sha384") == 0 ? TPMPSK_HASH_SHA384
							     : TPMPSK_HASH_SHA256;
}

static uint64_t hmacs(void)
{
	return tcti_test_count(tcti, TPM2_CC_HMAC);
}

static void expect(const struct vector *v, const char *field, const uint8_t *got, size_t len)
{
	uint8_t want[64];

	cr_assert_eq(vector_bytes(v, field, want, sizeof(want)), len);
	cr_assert_arr_eq(got, want, len);
}

static void check_tls12_master(const struct vector *v)
{
	const char *identity = import_once(v);
	enum tpmpsk_hash hash = hash_of(v);
	uint8_t seed[64], master[48];
	size_t len = vector_bytes(v, "seed", seed, sizeof(seed));
	uint64_t before = hmacs();

	if (strcmp(vector_text(v, "label"), "master secret") == 0)
		cr_assert_eq(tpmpsk_tls12_master(tpm, identity, strlen(identity), hash, seed,
				     seed + 32, master),
			0);
	else
		cr_assert_eq(tpmpsk_tls12_extended_master(
				     tpm, identity, strlen(identity), hash, seed, len, master),
			0);
	cr_assert_eq(hmacs() - before, hash == TPMPSK_HASH_SHA256 ? 4 : 2);
	expect(v, "master_secret", master, 48);
}

static void check_tls13_schedule(const struct vector *v)
{
	const char *identity = import_once(v);
	enum tpmpsk_hash hash = hash_of(v);
	uint8_t in[TPMPSK_SHARED_SECRET_SIZE_MAX], out[48];
	uint64_t before = hmacs();
	size_t len = vector_bytes(v, "transcript_hash", in, sizeof(in));

	cr_assert_eq(tpmpsk_tls13_binder(tpm, identity, strlen(identity), hash, in, len, out), 0);
	expect(v, "binder", out, HASH_BYTES(hash));
	len = vector_bytes(v, "shared_secret", in, sizeof(in));
	cr_assert_eq(
		tpmpsk_tls13_handshake_secret(tpm, identity, strlen(identity), hash, in, len, out),
		0);
	expect(v, "handshake_secret", out, HASH_BYTES(hash));
	cr_assert_eq(hmacs() - before, 2);
}

static void check_psk_import(const struct vector *v)
{
	char identity[64] = "";
	uint8_t context[64], psk[48], secret[128];
	size_t context_len = vector_bytes(v, "context", context, sizeof(context)), size = 0;
	uint16_t kdf = (uint16_t)vector_number(v, "target_kdf", 0);
	uint64_t before;

	vector_bytes(v, "identity", identity, sizeof(identity) - 1);
	if (scene_psk_ok(&scene, "key", "show", "psk-import-Client1", NULL) != 0)
		import("psk-import", identity, secret,
			vector_bytes(v, "key", secret, sizeof(secret)));
	before = hmacs();
	cr_assert_eq(
		tpmpsk_psk_import(tpm, identity, strlen(identity), hash_of(v), context, context_len,
			(uint16_t)vector_number(v, "target_protocol", 0), kdf, psk, &size),
		0);
	cr_assert_eq(hmacs() - before, kdf == 2 && hash_of(v) == TPMPSK_HASH_SHA256 ? 2 : 1);
	expect(v, "ipsk", psk, size);
}

Test(schedule, gives_every_known_answer_in_as_many_commands_as_is_said)
{
	static const struct {
		const char *purpose;
		void (*check)(const struct vector *v);
	} all[] = { { "tls12-master", check_tls12_master },
		{ "tls13-schedule", check_tls13_schedule }, { "psk-import", check_psk_import } };
	struct vectors *vectors = vectors_load();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct vector *v;
		size_t pos = 0, n = 0;

		for (; (v = vectors_next(vectors, all[i].purpose, &pos)); n++)
			all[i].check(v);
		cr_assert_geq(n, 8);
	}
	vectors_free(vectors);
}

Test(schedule, takes_two_commands_for_a_handshake_of_tls13_and_no_others)
{
	const uint8_t in[32] = { 1 };
	uint8_t out[32];
	uint64_t before;

	import("tls13-schedule", "Client1", in, sizeof(in));
	for (int i = 0; i < 10; i++) {
		before = tcti_test_count(tcti, 0);
		cr_assert_eq(
			tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, out), 0);
		cr_assert_eq(tpmpsk_tls13_handshake_secret(
				     tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, out),
			0);
	}
	/* With both objects loaded. */
	cr_assert_eq(tcti_test_count(tcti, 0) - before, 2);
}

Test(schedule, takes_the_longest_of_everything)
{
	uint8_t longest[TPMPSK_KEY_SECRET_MAX], out[48];
	char identity[TPMPSK_IDENTITY_SIZE_MAX + 1];
	size_t size = 0;

	memset(longest, 0xff, sizeof(longest));
	memset(identity, 'x', sizeof(identity));
	identity[40] = '\0'; /* it is part of the key's name here */
	import("tls13-schedule", identity, longest, sizeof(longest));
	import("tls12-master", identity, longest, sizeof(longest));
	import("psk-import", identity, longest, sizeof(longest));
	cr_assert_eq(tpmpsk_tls13_handshake_secret(tpm, identity, 40, TPMPSK_HASH_SHA384, longest,
			     TPMPSK_SHARED_SECRET_SIZE_MAX, out),
		0);
	cr_assert_eq(tpmpsk_tls12_extended_master(
			     tpm, identity, 40, TPMPSK_HASH_SHA384, longest, 48, out),
		0);
	cr_assert_eq(tpmpsk_psk_import(tpm, identity, 40, TPMPSK_HASH_SHA256, longest,
			     TPMPSK_CONTEXT_SIZE_MAX, 0x0304, 2, out, &size),
		0);
	cr_assert_eq(size, 48);
}

/* Sends a request as it is, past the library's own checks. */
static int send_as_it_is(uint8_t purpose, const struct tpmpsk_writer *fields)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_writer w;
	struct tpmpsk_reply reply;

	tpmpsk_writer_init(&w, packet, sizeof(packet));
	tpmpsk_write_u8(&w, TPMPSK_PROTOCOL_VERSION);
	tpmpsk_write_u8(&w, TPMPSK_OP_DERIVE);
	tpmpsk_write_u16(&w, 0);
	tpmpsk_write_u32(&w, 0);
	tpmpsk_write_u8(&w, purpose);
	tpmpsk_write_u8(&w, TPMPSK_ROLE_NONE);
	tpmpsk_write_var8(&w, "Client1", 7);
	tpmpsk_write_bytes(&w, fields->data, fields->len);
	return tpmpsk_transact(tpm, packet, w.len, true, &reply);
}

static int send_shared(const uint8_t *shared, size_t len)
{
	uint8_t fields[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_writer w;

	tpmpsk_writer_init(&w, fields, sizeof(fields));
	tpmpsk_write_u8(&w, TPMPSK_DIGEST_SHA256);
	tpmpsk_write_u8(&w, TPMPSK_TLS13_HANDSHAKE_SECRET);
	tpmpsk_write_var16(&w, shared, len);
	return send_as_it_is(TPMPSK_PURPOSE_TLS13_SCHEDULE, &w);
}

Test(schedule, refuses_a_shared_secret_that_is_none_whoever_sends_it)
{
	static const uint8_t zeroes[1200];
	uint8_t shared[1200];
	uint64_t before;

	memset(shared, 0x5a, sizeof(shared));
	import("tls13-schedule", "Client1", shared, 32);
	cr_assert_eq(send_shared(shared, 32), 0);
	cr_assert_eq(send_shared(shared, 1024), 0);
	before = tcti_test_count(tcti, 0);
	cr_expect_eq(send_shared(shared, 0), TPMPSK_ERR_MALFORMED);
	cr_expect_eq(send_shared(shared, 31), TPMPSK_ERR_MALFORMED);
	cr_expect_eq(send_shared(shared, 1025), TPMPSK_ERR_MALFORMED);
	cr_expect_eq(send_shared(zeroes, 32), TPMPSK_ERR_MALFORMED);
	cr_expect_eq(send_shared(zeroes, 48), TPMPSK_ERR_MALFORMED);
	cr_expect_eq(send_shared(zeroes, 1024), TPMPSK_ERR_MALFORMED);
	cr_assert_eq(tcti_test_count(tcti, 0), before);
	/* Through the library, too, which leaves that to the daemon. */
	cr_expect_eq(tpmpsk_tls13_handshake_secret(
			     tpm, "Client1", 7, TPMPSK_HASH_SHA256, zeroes, 32, shared),
		TPMPSK_ERR_MALFORMED);
	cr_assert_eq(shared[0], 0x5a);
	cr_assert_eq(send_shared(shared, 32), 0);
}

Test(schedule, has_no_request_for_anything_else_of_the_schedule)
{
	uint8_t fields[64];
	struct tpmpsk_writer w;

	import("tls13-schedule", "Client1", (const uint8_t *)"any", 3);
	import("tls12-master", "Client1", (const uint8_t *)"any", 3);
	for (unsigned step = 0; step < 256; step++) {
		tpmpsk_writer_init(&w, fields, sizeof(fields));
		tpmpsk_write_u8(&w, TPMPSK_DIGEST_SHA256);
		tpmpsk_write_u8(&w, (uint8_t)step);
		tpmpsk_write_var8(&w, "12345678901234567890123456789012", 32);
		cr_expect_eq(send_as_it_is(TPMPSK_PURPOSE_TLS13_SCHEDULE, &w),
			step == TPMPSK_TLS13_BINDER ? 0 : TPMPSK_ERR_MALFORMED, "%u", step);
		cr_expect_eq(send_as_it_is(TPMPSK_PURPOSE_TLS12_MASTER, &w),
			step == TPMPSK_TLS12_EXTENDED_MASTER ? 0 : TPMPSK_ERR_MALFORMED, "%u",
			step);
	}
}

Test(schedule, imports_for_no_protocol_before_tls13)
{
	uint8_t psk[48];
	size_t size = 0;

	import("psk-import", "Client1", (const uint8_t *)"any", 3);
	cr_expect_eq(tpmpsk_psk_import(
			     tpm, "Client1", 7, TPMPSK_HASH_SHA256, NULL, 0, 0x0303, 1, psk, &size),
		TPMPSK_ERR_MALFORMED);
	cr_expect_eq(tpmpsk_psk_import(
			     tpm, "Client1", 7, TPMPSK_HASH_SHA256, NULL, 0, 0xfefc, 1, psk, &size),
		0);
}

Test(schedule, of_one_purpose_is_not_asked_for_with_the_key_of_another)
{
	const uint8_t in[32] = { 1 };
	uint8_t out[48];

	import("tls12-master", "Client1", in, sizeof(in));
	cr_expect_eq(tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, out),
		TPMPSK_ERR_DENIED);
	cr_expect_eq(
		tpmpsk_tls12_extended_master(tpm, "Client2", 7, TPMPSK_HASH_SHA256, in, 32, out),
		TPMPSK_ERR_UNKNOWN_IDENTITY);
}

Test(schedule, without_sha384_serves_sha256_and_says_so)
{
	const uint8_t in[48] = { 1 };
	uint8_t out[48];
	size_t size;

	cr_assert_eq(scene_stop(&scene, NULL), 0);
	tcti->hide_sha384 = 1;
	cr_assert_eq(scene_start(&scene), 0);
	import("tls13-schedule", "Client1", in, sizeof(in));
	import("tls12-master", "Client1", in, sizeof(in));
	import("psk-import", "Client1", in, sizeof(in));
	cr_expect_eq(tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, out), 0);
	cr_expect_eq(
		tpmpsk_tls13_handshake_secret(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, out),
		0);
	cr_expect_eq(tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, 48, out),
		TPMPSK_ERR_UNSUPPORTED);
	cr_expect_eq(
		tpmpsk_tls13_handshake_secret(tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, 48, out),
		TPMPSK_ERR_UNSUPPORTED);
	cr_expect_eq(
		tpmpsk_tls12_extended_master(tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, 48, out),
		TPMPSK_ERR_UNSUPPORTED);
	cr_expect_eq(
		tpmpsk_tls12_extended_master(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, out),
		0);
	cr_expect_eq(tpmpsk_psk_import(
			     tpm, "Client1", 7, TPMPSK_HASH_SHA384, NULL, 0, 0x0304, 1, out, &size),
		TPMPSK_ERR_UNSUPPORTED);
	/* The length of what is imported has nothing to do with the hash. */
	cr_expect_eq(tpmpsk_psk_import(
			     tpm, "Client1", 7, TPMPSK_HASH_SHA256, NULL, 0, 0x0304, 2, out, &size),
		0);
}

Test(schedule, makes_its_key_anew_when_the_tpm_is_lost_in_the_middle)
{
	const uint8_t in[32] = { 1 };
	uint8_t before[32], after[32];

	import("tls13-schedule", "Client1", in, sizeof(in));
	cr_assert_eq(tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, before), 0);
	cr_assert_eq(scene_psk_ok(&scene, "key", "remove", "tls13-schedule-Client1", NULL), 0);
	/* The third of four objects: the file must not have those of the first attempt besides. */
	tcti_test_inject(tcti, TCTI_TEST_DROP, TPM2_CC_Create, 2, 1, 0);
	import("tls13-schedule", "Client1", in, sizeof(in));
	cr_assert_eq(tcti->faults, 1);
	cr_assert_eq(tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, after), 0);
	cr_assert_arr_eq(before, after, 32);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert_eq(scene_start(&scene), 0); /* it would refuse a file with six */
	cr_assert_eq(tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA256, in, 32, after), 0);
	cr_assert_arr_eq(before, after, 32);
}

static struct tpmpsk_async_result collect_one(struct tpmpsk_async *a)
{
	struct tpmpsk_async_result result;

	poller_collect(a, &result);
	cr_assert_eq(result.error, 0);
	cr_assert_eq(result.session_identity_size, 0);
	return result;
}

Test(schedule, gives_the_same_to_those_who_do_not_wait)
{
	const uint8_t in[64] = { 1, 2, 3 };
	uint8_t want[48];
	struct tpmpsk_async_result got;
	struct tpmpsk_async *a;
	size_t size = 0;

	import("tls13-schedule", "Client1", in, sizeof(in));
	import("tls12-master", "Client1", in, sizeof(in));
	import("psk-import", "Client1", in, sizeof(in));
	cr_assert_eq(tpmpsk_async_open(&a, scene.socket), 0);

#define SAME(n, name, ...)                                                                         \
	cr_assert_eq(                                                                              \
		tpmpsk_async_##name(a, NULL, "Client1", 7, TPMPSK_HASH_SHA384, __VA_ARGS__), 0);   \
	got = collect_one(a);                                                                      \
	cr_assert_eq(got.secret_size, n);                                                          \
	cr_assert_arr_eq(got.secret, want, n)

	cr_assert_eq(
		tpmpsk_tls12_master(tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, in + 32, want), 0);
	SAME(48, tls12_master, in, in + 32);
	cr_assert_eq(
		tpmpsk_tls12_extended_master(tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, 48, want),
		0);
	SAME(48, tls12_extended_master, in, 48);
	cr_assert_eq(tpmpsk_tls13_binder(tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, 48, want), 0);
	SAME(48, tls13_binder, in, 48);
	cr_assert_eq(
		tpmpsk_tls13_handshake_secret(tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, 64, want),
		0);
	SAME(48, tls13_handshake_secret, in, 64);
	cr_assert_eq(tpmpsk_psk_import(
			     tpm, "Client1", 7, TPMPSK_HASH_SHA384, in, 9, 0x0304, 1, want, &size),
		0);
	SAME(32, psk_import, in, 9, 0x0304, 1);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}
