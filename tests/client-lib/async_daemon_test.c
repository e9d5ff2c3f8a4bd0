/* SPDX-License-Identifier: BSD-2-Clause */
/* One thread with a poll loop, hundreds of requests outstanding, against the daemon and a TPM. */
#include "client-lib/tpmpsk.h"
#include "tests/client-lib/poller.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <string.h>

#define N 200

static struct scene scene;

static void import(const char *name, const char *identity, const char *purpose)
{
	struct command_result result;
	const struct command_options options = { .input = "a secret that both ends share" };

	cr_assert_eq(
		scene_psk(&scene, &options, &result, "key", "import", name, "--identity", identity,
			"--purpose", purpose, "--allow", "uid:0", "--secret-file", "-", NULL),
		0);
	cr_assert_eq(result.status, 0, "%s", result.err);
	command_result_done(&result);
}

static struct tpmpsk_async *start(void)
{
	struct tpmpsk_async *a = NULL;

	/* Hundreds of requests at once take their time where sanitizers watch and others work, too. */
	cr_assert_eq(
		scene_init(&scene,
			&(struct scene_options){ .config = "{\"audit\":\"off\","
							   "\"limits\":{\"deadline_ms\":60000}}" }),
		0);
	import("classic", "Client1", "tls12-session");
	import("modern", "Client2", "session-identity");
	import("token", "Client3", "exporter-kdf");
	cr_assert_eq(tpmpsk_async_open(&a, scene.socket), 0);
	cr_assert_eq(tpmpsk_async_set_deadline(a, 60000), 0);
	return a;
}

static void stop(void)
{
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	scene_done(&scene);
}

TestSuite(async_daemon, .fini = stop, .timeout = 100);

/* Tags are pointers into this. */
static struct outcome {
	unsigned int times;
	struct tpmpsk_async_result result;
} outcomes[N];

static void collect_all(struct tpmpsk_async *a)
{
	struct tpmpsk_async_result result;

	for (size_t i = 0; i < N; i++) {
		struct outcome *o;

		poller_collect(a, &result);
		o = result.tag;
		o->times++;
		o->result = result;
	}
	poller_expect_quiet(a);
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(outcomes[i].times, 1);
}

static void submit_all(struct tpmpsk_async *a, const char *identity)
{
	memset(outcomes, 0, sizeof(outcomes));
	for (size_t i = 0; i < N; i++) {
		const uint8_t random[32] = { (uint8_t)i, (uint8_t)(i >> 8) };

		cr_assert_eq(tpmpsk_async_tls12_session(
				     a, &outcomes[i], identity, 7, random, random, 32),
			0);
	}
}

/* The waiting calls, whose answers are checked against the vectors elsewhere, say what is right. */
static void expect_right_answers(void)
{
	struct tpmpsk *handle;

	cr_assert_eq(tpmpsk_open(&handle, scene.socket), 0);
	for (size_t i = 0; i < N; i++) {
		const uint8_t random[32] = { (uint8_t)i, (uint8_t)(i >> 8) };
		uint8_t psk[32];

		cr_assert_eq(
			tpmpsk_tls12_session(handle, "Client1", 7, random, random, 32, psk), 0);
		cr_assert_eq(outcomes[i].result.error, 0);
		cr_assert_arr_eq(outcomes[i].result.secret, psk, 32);
	}
	tpmpsk_close(handle);
}

Test(async_daemon, answers_hundreds_of_requests_of_one_thread)
{
	struct tpmpsk_async *a = start();

	submit_all(a, "Client1");
	collect_all(a);
	expect_right_answers();
	submit_all(a, "Nobody?");
	collect_all(a);
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(outcomes[i].result.error, TPMPSK_ERR_UNKNOWN_IDENTITY);
	tpmpsk_async_close(a);
}

Test(async_daemon, both_ends_of_a_session_get_the_same_secret)
{
	struct tpmpsk_async *a = start();
	struct tpmpsk_async_result client, server;

	for (unsigned int i = 0; i < 10; i++) {
		cr_assert_eq(tpmpsk_async_session_identity_client(a, &client, "Client2", 7), 0);
		poller_collect(a, &client);
		cr_assert_eq(client.error, 0);
		cr_assert_eq(
			tpmpsk_async_session_identity_server(a, &server, client.session_identity,
				client.session_identity_size, "one", 3),
			0);
		poller_collect(a, &server);
		cr_assert_eq(server.error, 0);
		cr_assert_eq(server.tag, &server);
		cr_assert_arr_eq(client.secret, server.secret, 32);
	}
	cr_assert_eq(tpmpsk_async_session_identity_server(a, NULL, client.session_identity,
			     client.session_identity_size, "two", 3),
		0);
	poller_collect(a, &server);
	cr_assert_eq(server.error, TPMPSK_ERR_REPLAYED);
	tpmpsk_async_close(a);
}

Test(async_daemon, gives_tokens_as_the_waiting_call_does)
{
	const uint8_t ekm[32] = { 1, 2, 3 };
	struct tpmpsk_async *a = start();
	struct tpmpsk_async_result result;
	struct tpmpsk *handle;
	uint8_t token[48];

	cr_assert_eq(tpmpsk_open(&handle, scene.socket), 0);
	cr_assert_eq(tpmpsk_exporter_kdf(handle, "Client3", 7, ekm, 32, token, sizeof(token)), 0);
	cr_assert_eq(tpmpsk_async_exporter_kdf(a, NULL, "Client3", 7, ekm, 32, sizeof(token)), 0);
	poller_collect(a, &result);
	cr_assert_eq(result.error, 0);
	cr_assert_eq(result.secret_size, sizeof(token));
	cr_assert_arr_eq(result.secret, token, sizeof(token));
	tpmpsk_close(handle);
	tpmpsk_async_close(a);
}

Test(async_daemon, survives_a_daemon_that_is_killed_and_started_again)
{
	struct tpmpsk_async *a = start();

	submit_all(a, "Client1");
	scene_kill(&scene);
	collect_all(a);
	for (size_t i = 0; i < N; i++)
		cr_assert(outcomes[i].result.error == 0 ||
			  outcomes[i].result.error == TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(scene_start(&scene), 0);
	submit_all(a, "Client1");
	collect_all(a);
	expect_right_answers();
	tpmpsk_async_close(a);
}
