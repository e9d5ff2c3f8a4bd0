/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/client-lib/gnutls_run.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct script client_daemon, server_daemon;
struct tpmpsk *client_tpm, *server_tpm;

struct call calls[NAMES_MAX];
size_t n_calls;

static void note(const struct tpmpsk_derive *q)
{
	if (q->purpose != TPMPSK_PURPOSE_SESSION_IDENTITY || n_calls == NAMES_MAX)
		return;
	memset(&calls[n_calls], 0, sizeof(calls[n_calls]));
	memcpy(calls[n_calls].handshake, q->session_identity.handshake,
		q->session_identity.handshake_len);
	calls[n_calls].handshake_len = q->session_identity.handshake_len;
	memcpy(calls[n_calls].identity, q->identity, q->identity_len);
	n_calls++;
}

/* What the server's daemon says: the status in the identity, "status 3"; a PSK that is wrong. */
static void serve_by_identity(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	(void)number;
	while (script_receive(s, fd, &q)) {
		unsigned int status;
		char identity[129] = { 0 };
		struct tpmpsk_derived d;

		note(&q.derive);
		memcpy(identity, q.derive.identity, q.derive.identity_len);
		if (sscanf(identity, "status %u", &status) == 1) {
			script_refuse(fd, &q, status, 0);
			continue;
		}
		script_derive(&q.derive, &d);
		if (strncmp(identity, "wrong", 5) == 0)
			d.secret[0] ^= 1;
		script_reply(fd, &q, &d);
	}
}

void gnutls_run_begin(void)
{
	n_calls = 0;
	script_start(&client_daemon, script_behave);
	script_start(&server_daemon, serve_by_identity);
	cr_assert_eq(tpmpsk_open(&client_tpm, client_daemon.path), 0);
	cr_assert_eq(tpmpsk_open(&server_tpm, server_daemon.path), 0);
}

void gnutls_run_end(void)
{
	tpmpsk_close(client_tpm);
	tpmpsk_close(server_tpm);
	script_done(&client_daemon);
	script_done(&server_daemon);
}

static int client_psk(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct run *run = gnutls_session_get_ptr(session);
	int r = tpmpsk_gnutls_client(client_tpm, session, &run->identity, 0, username, key);

	if (r == 0)
		memcpy(run->client_psk, key->data, 32);
	return r;
}

int run_server_psk(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct run *run = gnutls_session_get_ptr(session);
	int r = tpmpsk_gnutls_server(server_tpm, session, username, run->flags, key);

	if (r == 0)
		memcpy(run->server_psk, key->data, 32);
	return r;
}

static int on_message(gnutls_session_t session, unsigned int type, unsigned int when,
	unsigned int incoming, const gnutls_datum_t *message)
{
	struct run *run = gnutls_session_get_ptr(session);
	size_t len = strlen(run->trace);

	(void)when;
	(void)message;
	snprintf(run->trace + len, sizeof(run->trace) - len, "%c%u ", incoming ? '<' : '>', type);
	return 0;
}

struct manner manner;

/* The library's own callbacks, and what they gave. */
static int no_wait_client_psk(
	gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct run *run = gnutls_session_get_ptr(session);
	int r = tpmpsk_gnutls_handshake_client_psk(session, username, key);

	if (r == 0)
		memcpy(run->client_psk, key->data, 32);
	return r;
}

static int no_wait_server_psk(
	gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct run *run = gnutls_session_get_ptr(session);
	int r = tpmpsk_gnutls_handshake_server_psk(session, username, key);

	if (r == 0)
		memcpy(run->server_psk, key->data, 32);
	return r;
}

/* One end as an event loop has it. */
struct end {
	int fd;
	struct tpmpsk_async *async;
	struct tpmpsk_gnutls_handshake *handshake;
};

/* Until the socket has something, or the daemon: who waits for that looks at nothing else. */
static void await(struct end *e)
{
	bool waits = tpmpsk_gnutls_handshake_waits(e->handshake);
	struct pollfd p[] = { { .fd = tpmpsk_async_fd(e->async), .events = POLLIN },
		{ .fd = waits ? -1 : e->fd, .events = POLLIN } };
	struct tpmpsk_async_result result;

	cr_assert_gt(poll(p, 2, SCRIPT_DEADLINE_MS), 0);
	while (tpmpsk_async_collect(e->async, &result) == 0) {
		cr_assert_eq(result.tag, e);
		cr_assert_eq(tpmpsk_gnutls_handshake_deliver(e->handshake, &result), 0);
	}
}

static int begin_handshake(
	struct end *e, const struct run *run, gnutls_session_t session, bool server)
{
	const char *path = server ? server_daemon.path : client_daemon.path;

	if (server && manner.orphan) {
		int fds[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
		cr_assert_eq(tpmpsk_async_open_fd(&e->async, fds[0]), 0);
		close(fds[1]);
	} else {
		cr_assert_eq(tpmpsk_async_open(&e->async, path), 0);
	}
	cr_assert_eq(fcntl(e->fd, F_SETFL, O_NONBLOCK), 0);
	if (server)
		return tpmpsk_gnutls_handshake_server(
			&e->handshake, e->async, session, e, run->flags | manner.server_flags);
	return tpmpsk_gnutls_handshake_client(
		&e->handshake, e->async, session, e, &run->identity, manner.client_flags);
}

static int shake_no_wait(const struct run *run, gnutls_session_t session, bool server)
{
	struct end e = { .fd = run->fds[server] };
	int r = begin_handshake(&e, run, session, server);

	while (r == 0) {
		r = tpmpsk_gnutls_handshake_step(e.handshake);
		if (r == 0 || gnutls_error_is_fatal(r))
			break;
		if (r == GNUTLS_E_AGAIN)
			await(&e);
		r = 0;
	}
	tpmpsk_gnutls_handshake_end(e.handshake);
	tpmpsk_async_close(e.async);
	return r;
}

static bool is_no_wait(bool server)
{
	return manner.no_wait || (server && manner.no_wait_server);
}

static int shake(const struct run *run, gnutls_session_t session, bool server)
{
	int r;

	if (is_no_wait(server))
		return shake_no_wait(run, session, server);
	do
		r = gnutls_handshake(session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	return r;
}

static gnutls_session_t session_new(struct run *run, unsigned int end, void *credentials)
{
	bool no_wait = is_no_wait(end == GNUTLS_SERVER);
	gnutls_session_t session;

	cr_assert_eq(
		gnutls_init(&session, end | GNUTLS_NO_SIGNAL | (no_wait ? GNUTLS_NONBLOCK : 0)), 0);
	cr_assert_eq(gnutls_priority_set_direct(session,
			     end == GNUTLS_SERVER && run->server_priority ? run->server_priority
									  : run->priority,
			     NULL),
		0);
	cr_assert_eq(gnutls_credentials_set(session, GNUTLS_CRD_PSK, credentials), 0);
	if (!no_wait)
		gnutls_handshake_set_timeout(session, SCRIPT_DEADLINE_MS);
	gnutls_session_set_ptr(session, run);
	gnutls_transport_set_int(session, run->fds[end == GNUTLS_SERVER]);
	return session;
}

gnutls_psk_server_credentials_function2 *server_callback = run_server_psk;

static void *server_thread(void *arg)
{
	struct run *run = arg;
	gnutls_psk_server_credentials_t credentials;
	gnutls_session_t session;

	cr_assert_eq(tpmpsk_gnutls_allocate_server_credentials(&credentials), 0);
	gnutls_psk_set_server_known_dh_params(credentials, GNUTLS_SEC_PARAM_MEDIUM);
	gnutls_psk_set_server_credentials_function2(
		credentials, is_no_wait(true) ? no_wait_server_psk : server_callback);
	session = session_new(run, GNUTLS_SERVER, credentials);
	if (manner.zero_random)
		cr_assert_eq(gnutls_handshake_set_random(
				     session, &(gnutls_datum_t){ (unsigned char[32]){ 0 }, 32 }),
			0);
	run->server_result = shake(run, session, true);
	run->server_error = tpmpsk_gnutls_last_error();
	if (run->server_result < 0)
		gnutls_alert_send_appropriate(session, run->server_result);
	shutdown(run->fds[1], SHUT_WR);
	gnutls_deinit(session);
	gnutls_psk_free_server_credentials(credentials);
	return NULL;
}

static void client_end(struct run *run, gnutls_psk_client_credentials_t credentials)
{
	gnutls_session_t session = session_new(run, GNUTLS_CLIENT, credentials);

	gnutls_handshake_set_hook_function(
		session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_POST, on_message);
	run->client_result = shake(run, session, false);
	run->client_error = tpmpsk_gnutls_last_error();
	run->version = gnutls_protocol_get_version(session);
	run->has_dh = gnutls_group_get(session) != GNUTLS_GROUP_INVALID;
	if (run->client_result == GNUTLS_E_FATAL_ALERT_RECEIVED)
		run->alert = (int)gnutls_alert_get(session);
	else if (run->client_result < 0)
		gnutls_alert_send_appropriate(session, run->client_result);
	shutdown(run->fds[0], SHUT_WR);
	gnutls_deinit(session);
}

/* Between two sockets, byte after byte, until both have ended. */
static void *relay(void *arg)
{
	const int *fds = arg;
	bool open[] = { true, true };

	while (open[0] || open[1]) {
		struct pollfd p[] = { { .fd = open[0] ? fds[0] : -1, .events = POLLIN },
			{ .fd = open[1] ? fds[1] : -1, .events = POLLIN } };

		cr_assert_gt(poll(p, 2, SCRIPT_DEADLINE_MS), 0);
		for (int i = 0; i < 2; i++) {
			char byte;

			if (!p[i].revents)
				continue;
			open[i] = read(fds[i], &byte, 1) == 1 &&
				  send(fds[!i], &byte, 1, MSG_NOSIGNAL) == 1;
			if (!open[i])
				shutdown(fds[!i], SHUT_WR);
		}
	}
	return NULL;
}

static void run_ends(struct run *run, gnutls_psk_client_credentials_t credentials)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, server_thread, run), 0);
	client_end(run, credentials);
	pthread_join(thread, NULL);
	close(run->fds[0]);
	close(run->fds[1]);
}

static void run_piecemeal(struct run *run, gnutls_psk_client_credentials_t credentials)
{
	int client[2], server[2], between[2];
	pthread_t thread;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, server), 0);
	run->fds[0] = client[0];
	run->fds[1] = server[0];
	between[0] = client[1];
	between[1] = server[1];
	cr_assert_eq(pthread_create(&thread, NULL, relay, between), 0);
	run_ends(run, credentials);
	pthread_join(thread, NULL);
	close(between[0]);
	close(between[1]);
}

void run_with(struct run *run, gnutls_psk_client_credentials_t credentials)
{
	if (manner.piecemeal) {
		run_piecemeal(run, credentials);
	} else {
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, run->fds), 0);
		run_ends(run, credentials);
	}
	gnutls_psk_free_client_credentials(credentials);
}

struct run handshake_between(const char *priority, const char *server_priority,
	const void *identity, size_t len, unsigned int flags)
{
	struct run run = {
		.priority = priority,
		.server_priority = server_priority,
		.identity = { (unsigned char *)(uintptr_t)identity, (unsigned int)len },
		.flags = flags,
	};
	gnutls_psk_client_credentials_t credentials;

	cr_assert_eq(tpmpsk_gnutls_allocate_client_credentials(&credentials), 0);
	gnutls_psk_set_client_credentials_function2(
		credentials, manner.no_wait ? no_wait_client_psk : client_psk);
	run_with(&run, credentials);
	return run;
}

struct run handshake(const char *priority, const void *identity, size_t len, unsigned int flags)
{
	return handshake_between(priority, NULL, identity, len, flags);
}

struct run handshake_as(const char *priority, const char *identity, unsigned int flags)
{
	return handshake(priority, identity, strlen(identity), flags);
}

void assert_agreed(const struct run *run, gnutls_protocol_t version)
{
	cr_assert_eq(run->client_result, 0, "%s", gnutls_strerror(run->client_result));
	cr_assert_eq(run->server_result, 0);
	cr_assert_eq(run->client_error | run->server_error, 0);
	cr_assert_arr_eq(run->client_psk, run->server_psk, 32);
	cr_assert_eq(run->version, version);
}

void assert_every_version_agrees(void)
{
	static const struct {
		const char *client, *server;
		gnutls_protocol_t version;
		bool has_dh;
	} cases[] = {
		{ TLS12 "+PSK", NULL, GNUTLS_TLS1_2, false },
		{ TLS12 "+DHE-PSK", NULL, GNUTLS_TLS1_2, true },
		{ TLS12 "+ECDHE-PSK", NULL, GNUTLS_TLS1_2, true },
		{ TLS13 "+PSK", NULL, GNUTLS_TLS1_3, false },
		{ TLS13 "+DHE-PSK", NULL, GNUTLS_TLS1_3, true },
		{ TLS13 "+ECDHE-PSK", NULL, GNUTLS_TLS1_3, true },
		{ BOTH "+ECDHE-PSK:+DHE-PSK:+PSK", NULL, GNUTLS_TLS1_3, true },
		{ BOTH "+ECDHE-PSK", TLS12 "+ECDHE-PSK", GNUTLS_TLS1_2, true },
		{ TLS12 "+PSK", BOTH "+ECDHE-PSK:+PSK", GNUTLS_TLS1_2, false },
		{ CLIENT_RETRY, SERVER_RETRY, GNUTLS_TLS1_3, true },
	};
	uint8_t last[32] = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct run run = handshake_between(cases[i].client, cases[i].server, "known", 5, 0);

		assert_agreed(&run, cases[i].version);
		cr_assert_eq(run.has_dh, cases[i].has_dh);
		cr_assert_arr_neq(run.client_psk, last, 32);
		memcpy(last, run.client_psk, 32);
	}
}

void assert_same_failure(const struct run *a, const struct run *b)
{
	cr_assert_lt(a->client_result, 0);
	cr_assert_eq(a->client_result, b->client_result);
	cr_assert_eq(a->server_result, b->server_result);
	cr_assert_eq(a->alert, b->alert);
	cr_assert_str_eq(a->trace, b->trace);
}
