/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes that do not block: all that is so for the two calls that do is so for these, and
 * nothing is waited for but where the event loop waits.
 */
#include "tests/client-lib/gnutls_run.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char known[] = "known";

static void begin(void)
{
	gnutls_run_begin();
	manner = (struct manner){ .no_wait = true };
}

TestSuite(gnutls_handshake, .init = begin, .fini = gnutls_run_end, .timeout = 100);

Test(gnutls_handshake, gives_both_ends_the_same_psk_with_every_version)
{
	assert_every_version_agrees();
}

Test(gnutls_handshake, takes_what_comes_byte_after_byte)
{
	manner.piecemeal = true;
	assert_every_version_agrees();
}

Test(gnutls_handshake, asks_for_no_session_identity_when_there_is_no_tls_1_3)
{
	struct run run;

	manner.client_flags = TPMPSK_GNUTLS_TLS12_ONLY;
	run = handshake_as(TLS12 "+ECDHE-PSK", known, 0);
	assert_agreed(&run, GNUTLS_TLS1_2);
	cr_assert_eq(client_daemon.requests, 1);
	/* Said of a client that has TLS 1.3 it is a mistake, and nothing is sent. */
	run = handshake_as(BOTH "+ECDHE-PSK", known, 0);
	cr_assert_eq(run.client_error, TPMPSK_ERR_INVALID);
	cr_assert_str_eq(run.trace, "");
}

/* One session identity for the whole of it: there is no need to forget the PSK in between. */
Test(gnutls_handshake, asks_once_for_a_handshake_with_a_retry)
{
	struct run run;

	run = handshake_between(CLIENT_RETRY, SERVER_RETRY, known, strlen(known), 0);
	assert_agreed(&run, GNUTLS_TLS1_3);
	cr_assert_eq(client_daemon.requests, 1);
	cr_assert_eq(n_calls, 1);
	cr_assert_gt(calls[0].handshake_len, 0);
}

/* A client that waits makes another one for its second ClientHello. */
Test(gnutls_handshake, lets_a_retry_bring_another_session_identity)
{
	struct run run;

	manner = (struct manner){ .no_wait_server = true };
	run = handshake_between(CLIENT_RETRY, SERVER_RETRY, known, strlen(known), 0);
	cr_assert_eq(run.client_result | run.server_result, 0);
	cr_assert_eq(n_calls, 2);
	cr_assert_str_neq(calls[0].identity, calls[1].identity);
	cr_assert_arr_eq(calls[0].handshake, calls[1].handshake, TPMPSK_HANDSHAKE_MAX);
}

Test(gnutls_handshake, answers_with_decoys_as_the_other_form_does)
{
	const char *const priorities[] = { TLS12 "+PSK", TLS12 "+ECDHE-PSK", TLS13 "+ECDHE-PSK",
		TLS13 "+PSK" };

	for (size_t i = 0; i < sizeof(priorities) / sizeof(priorities[0]); i++) {
		struct run wrong;

		manner.no_wait = false;
		wrong = handshake_as(priorities[i], "wrong", 0);
		manner.no_wait = true;
		for (int status = 1; status < TPMPSK_STATUS_COUNT; status++) {
			char identity[16];
			struct run run;

			if (status == TPMPSK_STATUS_UNSUPPORTED) /* is so for every identity */
				continue;
			snprintf(identity, sizeof(identity), "status %d", status);
			run = handshake_as(priorities[i], identity, 0);
			cr_assert_eq(run.server_error, -status, "%d", run.server_error);
			assert_same_failure(&run, &wrong);
		}
	}
}

Test(gnutls_handshake, reveals_unknown_identities_when_asked_to)
{
	const char *const priorities[] = { TLS12 "+PSK", TLS13 "+ECDHE-PSK" };

	for (size_t i = 0; i < 2; i++) {
		struct run denied =
			handshake_as(priorities[i], "status 3", TPMPSK_GNUTLS_REVEAL_UNKNOWN);
		struct run busy =
			handshake_as(priorities[i], "status 6", TPMPSK_GNUTLS_REVEAL_UNKNOWN);
		struct run good = handshake_as(priorities[i], known, TPMPSK_GNUTLS_REVEAL_UNKNOWN);

		cr_assert_eq(denied.alert, GNUTLS_A_UNKNOWN_PSK_IDENTITY);
		cr_assert_eq(busy.alert, GNUTLS_A_INTERNAL_ERROR);
		cr_assert_eq(good.client_result, 0);
	}
}

/* Names that nobody is asked about have no PSK: not one of zeroes either. */
Test(gnutls_handshake, no_key_of_zeroes_opens_anything)
{
	static unsigned char zeroes[32];
	const gnutls_datum_t key = { zeroes, sizeof(zeroes) };
	const char *const priorities[] = { TLS12 "+PSK", TLS12 "+ECDHE-PSK", TLS13 "+ECDHE-PSK" };
	unsigned char name[200];

	memset(name, 'x', sizeof(name));
	manner = (struct manner){ .no_wait_server = true };
	for (size_t i = 0; i < sizeof(priorities) / sizeof(priorities[0]); i++) {
		for (unsigned int size = 0; size <= sizeof(name); size += 50) {
			const gnutls_datum_t username = { name, size };
			struct run run = { .priority = priorities[i] };
			gnutls_psk_client_credentials_t credentials;

			gnutls_psk_allocate_client_credentials(&credentials);
			gnutls_psk_set_client_credentials2(
				credentials, &username, &key, GNUTLS_PSK_KEY_RAW);
			run_with(&run, credentials);
			cr_assert_lt(run.client_result, 0, "%zu %u", i, size);
			cr_assert_lt(run.server_result, 0);
		}
	}
}

Test(gnutls_handshake, a_server_hands_on_whatever_came_in_tls_1_3)
{
	const gnutls_datum_t key = { (unsigned char *)"0123456789abcdef", 16 };
	struct run run = { .priority = TLS13 "+ECDHE-PSK" };
	gnutls_psk_client_credentials_t credentials;

	manner = (struct manner){ .no_wait_server = true };
	gnutls_psk_allocate_client_credentials(&credentials);
	gnutls_psk_set_client_credentials(credentials, "status 9", &key, GNUTLS_PSK_KEY_RAW);
	run_with(&run, credentials);
	cr_assert_lt(run.client_result, 0);
	cr_assert_eq(run.server_error, TPMPSK_ERR_FORGED);
	cr_assert_str_eq(calls[0].identity, "status 9");
}

Test(gnutls_handshake, without_a_daemon_the_server_refuses)
{
	struct run run;

	manner = (struct manner){ .no_wait_server = true, .orphan = true };
	run = handshake_as(TLS13 "+ECDHE-PSK", known, 0);
	cr_assert_eq(run.alert, GNUTLS_A_INTERNAL_ERROR);
	cr_assert_eq(run.server_error, TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(run.server_result, GNUTLS_E_SRP_PWD_ERROR);
}

Test(gnutls_handshake, a_random_of_zeroes_is_one_too)
{
	struct run run;

	manner.zero_random = true;
	run = handshake_between(BOTH "+ECDHE-PSK", TLS12 "+ECDHE-PSK", known, strlen(known), 0);
	assert_agreed(&run, GNUTLS_TLS1_2);
}

/* The rest is about one end by itself, stepped by hand. */
static struct tpmpsk_async *async;
static gnutls_priority_t priority;
static gnutls_psk_server_credentials_t server_credentials;
static gnutls_psk_client_credentials_t client_credentials;

static gnutls_session_t session_on(int fd, unsigned int flags)
{
	gnutls_session_t session;

	cr_assert_eq(gnutls_init(&session, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL), 0);
	cr_assert_eq(gnutls_priority_set(session, priority), 0);
	cr_assert_eq(gnutls_credentials_set(session, GNUTLS_CRD_PSK,
			     flags & GNUTLS_SERVER ? (void *)server_credentials
						   : (void *)client_credentials),
		0);
	gnutls_transport_set_int(session, fd);
	return session;
}

static void begin_by_hand(int fds[2], int type, const char *priorities)
{
	cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	cr_assert_eq(gnutls_priority_init2(&priority, priorities, NULL, 0), 0);
	cr_assert_eq(tpmpsk_gnutls_allocate_server_credentials(&server_credentials), 0);
	gnutls_psk_set_server_credentials_function2(
		server_credentials, tpmpsk_gnutls_handshake_server_psk);
	cr_assert_eq(tpmpsk_gnutls_allocate_client_credentials(&client_credentials), 0);
	gnutls_psk_set_client_credentials_function2(
		client_credentials, tpmpsk_gnutls_handshake_client_psk);
	cr_assert_eq(tpmpsk_async_open(&async, client_daemon.path), 0);
}

static void end_by_hand(const int fds[2])
{
	tpmpsk_async_close(async);
	gnutls_psk_free_server_credentials(server_credentials);
	gnutls_psk_free_client_credentials(client_credentials);
	gnutls_priority_deinit(priority);
	close(fds[0]);
	close(fds[1]);
}

static void await_result(struct tpmpsk_async_result *ret)
{
	struct pollfd p = { .fd = tpmpsk_async_fd(async), .events = POLLIN };
	int r;

	do {
		cr_assert_eq(poll(&p, 1, SCRIPT_DEADLINE_MS), 1);
		r = tpmpsk_async_collect(async, ret);
	} while (r == TPMPSK_ERR_AGAIN);
	cr_assert_eq(r, 0);
}

/* The next result, for either of the two ends. */
static void collect(struct tpmpsk_gnutls_handshake *const ends[2])
{
	struct tpmpsk_async_result result;

	await_result(&result);
	cr_assert_eq(tpmpsk_gnutls_handshake_deliver(ends[result.tag == &ends[1]], &result), 0);
}

static int step_to_end(struct tpmpsk_gnutls_handshake *const ends[2], int i)
{
	int r;

	while ((r = tpmpsk_gnutls_handshake_step(ends[i])) == GNUTLS_E_AGAIN &&
		tpmpsk_gnutls_handshake_waits(ends[i]))
		collect(ends);
	return r;
}

static const gnutls_datum_t base = { (unsigned char *)(uintptr_t)known, sizeof(known) - 1 };

Test(gnutls_handshake, leaves_what_follows_it_to_the_session)
{
	struct tpmpsk_gnutls_handshake *ends[2], *another = NULL;
	gnutls_session_t client, server;
	char data[16] = { 0 };
	int fds[2], r;

	begin_by_hand(fds, SOCK_STREAM, TLS13 "+ECDHE-PSK");
	client = session_on(fds[0], GNUTLS_CLIENT);
	server = session_on(fds[1], GNUTLS_SERVER);
	cr_assert_eq(
		tpmpsk_gnutls_handshake_client(&ends[0], async, client, &ends[0], &base, 0), 0);
	cr_assert_eq(tpmpsk_gnutls_handshake_server(&ends[1], async, server, &ends[1], 0), 0);
	cr_assert_eq(step_to_end(ends, 0), GNUTLS_E_AGAIN);
	cr_assert_eq(step_to_end(ends, 1), GNUTLS_E_AGAIN);
	cr_assert_eq(step_to_end(ends, 0), 0);
	/* On its heels, before the server has read the client's Finished. */
	cr_assert_eq(gnutls_record_send(client, "hello", 5), 5);
	tpmpsk_gnutls_handshake_end(ends[0]);
	cr_assert_eq(step_to_end(ends, 1), 0);
	cr_assert_eq(tpmpsk_gnutls_handshake_step(ends[1]), GNUTLS_E_INVALID_REQUEST, "it is over");
	cr_assert_eq(tpmpsk_gnutls_handshake_server(&another, async, server, &another, 0),
		GNUTLS_E_INVALID_REQUEST, "one for each session");
	tpmpsk_gnutls_handshake_end(ends[1]);
	do
		r = (int)gnutls_record_recv(server, data, sizeof(data));
	while (r == GNUTLS_E_AGAIN);
	cr_assert_eq(r, 5, "%s", gnutls_strerror(r));
	cr_assert_str_eq(data, "hello");
	cr_assert_eq(gnutls_record_send(server, "good bye", 8), 8);
	do
		r = (int)gnutls_record_recv(client, data, sizeof(data));
	while (r == GNUTLS_E_AGAIN);
	cr_assert_eq(r, 8);
	gnutls_deinit(client);
	gnutls_deinit(server);
	end_by_hand(fds);
}

Test(gnutls_handshake, may_end_while_it_waits)
{
	struct tpmpsk_gnutls_handshake *ends[2] = { NULL };
	struct tpmpsk_async_result result;
	gnutls_session_t client;
	int fds[2];

	begin_by_hand(fds, SOCK_STREAM, TLS13 "+ECDHE-PSK");
	client = session_on(fds[0], GNUTLS_CLIENT);
	cr_assert_eq(
		tpmpsk_gnutls_handshake_client(&ends[0], async, client, &ends[0], &base, 0), 0);
	cr_assert_eq(tpmpsk_gnutls_handshake_waits(ends[0]), 1);
	cr_assert_eq(tpmpsk_gnutls_handshake_step(ends[0]), GNUTLS_E_AGAIN);
	tpmpsk_gnutls_handshake_end(ends[0]);
	gnutls_deinit(client);
	/* What was asked for is answered to nobody; what comes after it is. */
	cr_assert_eq(tpmpsk_async_session_identity_client(async, fds, base.data, base.size), 0);
	await_result(&result);
	cr_assert_eq(result.tag, fds);
	tpmpsk_gnutls_handshake_end(NULL);
	end_by_hand(fds);
}

Test(gnutls_handshake, takes_no_result_that_is_not_its_own)
{
	static const struct tpmpsk_async_result wrong[] = {
		{ .secret_size = 31, .session_identity_size = 5 + TPMPSK_SESSION_SUFFIX_SIZE },
		{ .secret_size = 32 },
		{ .secret_size = 32, .session_identity_size = 200 },
		{ .secret_size = 32,
			.session_identity_size = 5 + TPMPSK_SESSION_SUFFIX_SIZE,
			.error = 1 },
	};
	struct tpmpsk_gnutls_handshake *h = NULL;
	struct tpmpsk_async_result result = { .tag = &result };
	gnutls_session_t client;
	int fds[2];

	begin_by_hand(fds, SOCK_STREAM, TLS13 "+ECDHE-PSK");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct tpmpsk_async_result own = wrong[i];

		client = session_on(fds[0], GNUTLS_CLIENT);
		cr_assert_eq(tpmpsk_gnutls_handshake_client(&h, async, client, &h, &base, 0), 0);
		cr_assert_eq(tpmpsk_gnutls_handshake_deliver(NULL, &own), GNUTLS_E_INVALID_REQUEST);
		cr_assert_eq(tpmpsk_gnutls_handshake_deliver(h, NULL), GNUTLS_E_INVALID_REQUEST);
		cr_assert_eq(tpmpsk_gnutls_handshake_deliver(h, &result), GNUTLS_E_INVALID_REQUEST);
		cr_assert_eq(tpmpsk_gnutls_handshake_waits(h), 1);
		own.tag = &h;
		cr_assert_eq(tpmpsk_gnutls_handshake_deliver(h, &own), 0);
		cr_assert_eq(tpmpsk_gnutls_handshake_deliver(h, &own), GNUTLS_E_INVALID_REQUEST);
		cr_assert_eq(tpmpsk_gnutls_handshake_step(h), GNUTLS_E_USER_ERROR, "%zu", i);
		cr_assert_eq(tpmpsk_gnutls_last_error(), TPMPSK_ERR_PROTOCOL);
		tpmpsk_gnutls_handshake_end(h);
		gnutls_deinit(client);
		await_result(&result); /* the real one */
		result.tag = &result;
	}
	end_by_hand(fds);
}

/* GnuTLS's own call, and the callbacks, in a session that waits. */
Test(gnutls_handshake, has_no_psk_while_it_waits)
{
	struct tpmpsk_gnutls_handshake *h = NULL, *another = NULL;
	struct tpmpsk_async_result result;
	gnutls_datum_t out = { NULL, 0 };
	gnutls_session_t client;
	int fds[2];

	begin_by_hand(fds, SOCK_STREAM, TLS13 "+ECDHE-PSK");
	client = session_on(fds[0], GNUTLS_CLIENT);
	cr_assert_eq(tpmpsk_gnutls_handshake_client(&h, async, client, &h, &base, 0), 0);
	cr_assert_eq(
		tpmpsk_gnutls_handshake_client_psk(client, &out, &out), GNUTLS_E_INVALID_REQUEST);
	cr_assert_eq(gnutls_handshake(client), GNUTLS_E_INVALID_REQUEST);
	/* Another one in the same session does not take away what the first waits for. */
	cr_assert_eq(tpmpsk_gnutls_handshake_client(&another, async, client, &h, &base, 0),
		GNUTLS_E_INVALID_REQUEST);
	await_result(&result);
	tpmpsk_gnutls_handshake_end(h);
	gnutls_deinit(client);
	end_by_hand(fds);
}

/* In either order. */
Test(gnutls_handshake, may_end_after_its_session)
{
	struct tpmpsk_gnutls_handshake *h = NULL;
	gnutls_session_t server;
	int fds[2];

	begin_by_hand(fds, SOCK_STREAM, TLS13 "+ECDHE-PSK");
	server = session_on(fds[0], GNUTLS_SERVER);
	cr_assert_eq(tpmpsk_gnutls_handshake_server(&h, async, server, &h, 0), 0);
	cr_assert_eq(tpmpsk_gnutls_handshake_step(h), GNUTLS_E_AGAIN);
	gnutls_deinit(server);
	cr_assert_eq(tpmpsk_gnutls_handshake_step(h), GNUTLS_E_INVALID_REQUEST);
	tpmpsk_gnutls_handshake_end(h);
	end_by_hand(fds);
}

/* Steps both ends in turn until both are through or one has failed; the client's code. */
static int shake_by_hand(struct tpmpsk_gnutls_handshake *const ends[2])
{
	int r[2] = { GNUTLS_E_AGAIN, GNUTLS_E_AGAIN };

	for (int i = 0; r[0] != 0 || r[1] != 0; i = !i) {
		if (r[i] != 0)
			r[i] = step_to_end(ends, i);
		if (r[i] != 0 && gnutls_error_is_fatal(r[i]))
			return r[i];
	}
	return 0;
}

/* As a server does that does not know the name it was called by. */
Test(gnutls_handshake, goes_on_after_a_warning)
{
	static const uint8_t warning[] = { 21, 3, 3, 0, 2, 1, 112 }; /* unrecognized_name */
	struct tpmpsk_gnutls_handshake *ends[2];
	gnutls_session_t client, server;
	int fds[2];

	begin_by_hand(fds, SOCK_STREAM, TLS12 "+ECDHE-PSK");
	client = session_on(fds[0], GNUTLS_CLIENT);
	server = session_on(fds[1], GNUTLS_SERVER);
	cr_assert_eq(
		tpmpsk_gnutls_handshake_client(&ends[0], async, client, &ends[0], &base, 0), 0);
	cr_assert_eq(tpmpsk_gnutls_handshake_server(
			     &ends[1], async, server, &ends[1], TPMPSK_GNUTLS_TLS12_ONLY),
		0);
	cr_assert_eq(step_to_end(ends, 0), GNUTLS_E_AGAIN);
	cr_assert_eq(send(fds[1], warning, sizeof(warning), 0), sizeof(warning));
	cr_assert_eq(step_to_end(ends, 1), GNUTLS_E_AGAIN);
	cr_assert_eq(step_to_end(ends, 0), GNUTLS_E_WARNING_ALERT_RECEIVED);
	cr_assert_eq(shake_by_hand(ends), 0);
	tpmpsk_gnutls_handshake_end(ends[0]);
	tpmpsk_gnutls_handshake_end(ends[1]);
	gnutls_deinit(client);
	gnutls_deinit(server);
	end_by_hand(fds);
}

/* One connection; the client comes with a ticket if there is one, and leaves with another. */
static bool resume_by_hand(const gnutls_datum_t *ticket_key, gnutls_datum_t *ticket)
{
	struct tpmpsk_gnutls_handshake *ends[2];
	gnutls_session_t client, server;
	char nothing;
	bool resumed;
	int fds[2];

	begin_by_hand(fds, SOCK_STREAM, TLS13 "+ECDHE-PSK");
	client = session_on(fds[0], GNUTLS_CLIENT);
	server = session_on(fds[1], GNUTLS_SERVER);
	cr_assert_eq(gnutls_session_ticket_enable_server(server, ticket_key), 0);
	if (ticket->data)
		cr_assert_eq(gnutls_session_set_data(client, ticket->data, ticket->size), 0);
	gnutls_free(ticket->data);
	cr_assert_eq(
		tpmpsk_gnutls_handshake_client(&ends[0], async, client, &ends[0], &base, 0), 0);
	cr_assert_eq(tpmpsk_gnutls_handshake_server(&ends[1], async, server, &ends[1], 0), 0);
	cr_assert_eq(shake_by_hand(ends), 0);
	tpmpsk_gnutls_handshake_end(ends[0]);
	tpmpsk_gnutls_handshake_end(ends[1]);
	resumed = gnutls_session_is_resumed(server);
	cr_assert_eq(gnutls_record_recv(client, &nothing, 1), GNUTLS_E_AGAIN);
	cr_assert_eq(gnutls_session_get_data2(client, ticket), 0);
	gnutls_deinit(client);
	gnutls_deinit(server);
	end_by_hand(fds);
	return resumed;
}

/* A ticket stands in front of the session identity, and is not it. */
Test(gnutls_handshake, takes_a_ticket_or_the_session_identity_behind_it)
{
	gnutls_datum_t key, other, ticket = { NULL, 0 };

	cr_assert_eq(gnutls_session_ticket_key_generate(&key), 0);
	cr_assert_eq(gnutls_session_ticket_key_generate(&other), 0);
	cr_assert_not(resume_by_hand(&key, &ticket));
	cr_assert(resume_by_hand(&key, &ticket));
	cr_assert_not(resume_by_hand(&other, &ticket));
	gnutls_free(ticket.data);
	gnutls_free(key.data);
	gnutls_free(other.data);
}

Test(gnutls_handshake, asks_about_no_session_identity_where_the_server_has_no_tls_1_3)
{
	struct run run;

	manner.server_flags = TPMPSK_GNUTLS_TLS12_ONLY;
	run = handshake_between(BOTH "+ECDHE-PSK", TLS12 "+ECDHE-PSK", known, strlen(known), 0);
	assert_agreed(&run, GNUTLS_TLS1_2);
	cr_assert_eq(server_daemon.requests, 1);
	cr_assert_eq(n_calls, 0);
}

Test(gnutls_handshake, refuses_what_it_cannot_do)
{
	struct tpmpsk_gnutls_handshake *h = NULL;
	gnutls_datum_t out = { NULL, 0 };
	gnutls_session_t s;
	int fds[2];

	begin_by_hand(fds, SOCK_DGRAM, TLS13 "+ECDHE-PSK");
	s = session_on(fds[0], GNUTLS_CLIENT);
	cr_assert_eq(tpmpsk_gnutls_handshake_server(&h, async, s, NULL, 0),
		GNUTLS_E_INVALID_REQUEST, "no stream");
	cr_assert_eq(tpmpsk_gnutls_handshake_client(
			     &h, async, s, NULL, &base, TPMPSK_GNUTLS_REVEAL_UNKNOWN),
		GNUTLS_E_INVALID_REQUEST);
	cr_assert_eq(
		tpmpsk_gnutls_handshake_server(&h, async, s, NULL, 4), GNUTLS_E_INVALID_REQUEST);
	cr_assert_eq(tpmpsk_gnutls_handshake_client(&h, async, s, NULL, &out, 0),
		GNUTLS_E_INVALID_REQUEST);
	cr_assert_eq(tpmpsk_gnutls_handshake_step(NULL), GNUTLS_E_INVALID_REQUEST);
	cr_assert_eq(tpmpsk_gnutls_handshake_waits(NULL), 0);
	/* Of sessions that were not begun so. */
	cr_assert_eq(tpmpsk_gnutls_handshake_client_psk(s, &out, &out), GNUTLS_E_INVALID_REQUEST);
	cr_assert_eq(tpmpsk_gnutls_handshake_server_psk(s, &base, &out), GNUTLS_E_SRP_PWD_ERROR);
	cr_assert_null(h);
	cr_assert_null(out.data);
	gnutls_deinit(s);
	end_by_hand(fds);
}
