/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes between two GnuTLS sessions in this process, over the library's two calls: what the
 * peer gets to see when the daemon has no PSK to give. The daemon's answers are the test's, so that
 * each of them can be had.
 */
#include "client-lib/tpmpsk-gnutls.h"
#include "tests/client-lib/script.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS12 "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:"
#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:"
#define BOTH "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:"
/* With both, the client has sent no share of the one group the server takes. */
#define SERVER_RETRY TLS13 "+ECDHE-PSK:-GROUP-ALL:+GROUP-SECP384R1"
#define CLIENT_RETRY TLS13 "+ECDHE-PSK:-GROUP-ALL:+GROUP-SECP256R1:+GROUP-SECP384R1"
#define TRACE_SIZE 256
#define NAMES_MAX 8

static struct script client_daemon, server_daemon;
static struct tpmpsk *client_tpm, *server_tpm;

/* What the server's side was asked in TLS 1.3, call by call. */
static struct {
	uint8_t handshake[TPMPSK_HANDSHAKE_MAX];
	size_t handshake_len;
	char identity[TPMPSK_IDENTITY_MAX + 1];
} calls[NAMES_MAX];
static size_t n_calls;

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

static void begin(void)
{
	n_calls = 0;
	script_start(&client_daemon, script_behave);
	script_start(&server_daemon, serve_by_identity);
	cr_assert_eq(tpmpsk_open(&client_tpm, client_daemon.path), 0);
	cr_assert_eq(tpmpsk_open(&server_tpm, server_daemon.path), 0);
}

static void end(void)
{
	tpmpsk_close(client_tpm);
	tpmpsk_close(server_tpm);
	script_done(&client_daemon);
	script_done(&server_daemon);
}

/* One handshake: what goes in, and what each end and the wire saw. */
struct run {
	const char *priority;
	const char *server_priority; /* NULL: the same */
	gnutls_datum_t identity;
	unsigned int flags;
	int fds[2];
	int client_result, server_result;
	int client_error, server_error; /* tpmpsk_gnutls_last_error() */
	int alert;                      /* the client got; 0: none */
	gnutls_protocol_t version;
	bool has_dh;
	uint8_t client_psk[32], server_psk[32];
	char trace[TRACE_SIZE]; /* the client's handshake messages */
};

static int client_psk(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct run *run = gnutls_session_get_ptr(session);
	int r = tpmpsk_gnutls_client(client_tpm, session, &run->identity, 0, username, key);

	if (r == 0)
		memcpy(run->client_psk, key->data, 32);
	return r;
}

static int server_psk(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
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

static int shake(gnutls_session_t session)
{
	int r;

	do
		r = gnutls_handshake(session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	return r;
}

static gnutls_session_t session_new(struct run *run, unsigned int end, void *credentials)
{
	gnutls_session_t session;

	cr_assert_eq(gnutls_init(&session, end | GNUTLS_NO_SIGNAL), 0);
	cr_assert_eq(gnutls_priority_set_direct(session,
			     end == GNUTLS_SERVER && run->server_priority ? run->server_priority
									  : run->priority,
			     NULL),
		0);
	cr_assert_eq(gnutls_credentials_set(session, GNUTLS_CRD_PSK, credentials), 0);
	gnutls_handshake_set_timeout(session, SCRIPT_DEADLINE_MS);
	gnutls_session_set_ptr(session, run);
	gnutls_transport_set_int(session, run->fds[end == GNUTLS_SERVER]);
	return session;
}

static gnutls_psk_server_credentials_function2 *server_callback = server_psk;

static void *server_thread(void *arg)
{
	struct run *run = arg;
	gnutls_psk_server_credentials_t credentials;
	gnutls_session_t session;

	cr_assert_eq(tpmpsk_gnutls_allocate_server_credentials(&credentials), 0);
	gnutls_psk_set_server_known_dh_params(credentials, GNUTLS_SEC_PARAM_MEDIUM);
	gnutls_psk_set_server_credentials_function2(credentials, server_callback);
	session = session_new(run, GNUTLS_SERVER, credentials);
	run->server_result = shake(session);
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
	run->client_result = shake(session);
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

static void run_with(struct run *run, gnutls_psk_client_credentials_t credentials)
{
	pthread_t thread;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, run->fds), 0);
	cr_assert_eq(pthread_create(&thread, NULL, server_thread, run), 0);
	client_end(run, credentials);
	pthread_join(thread, NULL);
	close(run->fds[0]);
	close(run->fds[1]);
	gnutls_psk_free_client_credentials(credentials);
}

static struct run handshake_between(const char *priority, const char *server_priority,
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
	gnutls_psk_set_client_credentials_function2(credentials, client_psk);
	run_with(&run, credentials);
	return run;
}

static struct run handshake(
	const char *priority, const void *identity, size_t len, unsigned int flags)
{
	return handshake_between(priority, NULL, identity, len, flags);
}

static struct run handshake_as(const char *priority, const char *identity, unsigned int flags)
{
	return handshake(priority, identity, strlen(identity), flags);
}

TestSuite(gnutls, .init = begin, .fini = end);

static void assert_agreed(const struct run *run, gnutls_protocol_t version)
{
	cr_assert_eq(run->client_result, 0, "%s", gnutls_strerror(run->client_result));
	cr_assert_eq(run->server_result, 0);
	cr_assert_eq(run->client_error | run->server_error, 0);
	cr_assert_arr_eq(run->client_psk, run->server_psk, 32);
	cr_assert_eq(run->version, version);
}

Test(gnutls, both_ends_get_the_same_psk_with_every_key_exchange)
{
	static const struct {
		const char *priority;
		gnutls_protocol_t version;
		bool has_dh;
	} cases[] = {
		{ TLS12 "+PSK", GNUTLS_TLS1_2, false },
		{ TLS12 "+DHE-PSK", GNUTLS_TLS1_2, true },
		{ TLS12 "+ECDHE-PSK", GNUTLS_TLS1_2, true },
		{ TLS13 "+PSK", GNUTLS_TLS1_3, false },
		{ TLS13 "+DHE-PSK", GNUTLS_TLS1_3, true },
		{ TLS13 "+ECDHE-PSK", GNUTLS_TLS1_3, true },
		{ BOTH "+ECDHE-PSK:+DHE-PSK:+PSK", GNUTLS_TLS1_3, true },
	};
	uint8_t last[32] = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct run run = handshake_as(cases[i].priority, "known", 0);

		assert_agreed(&run, cases[i].version);
		cr_assert_eq(run.has_dh, cases[i].has_dh);
		cr_assert_arr_neq(run.client_psk, last, 32);
		memcpy(last, run.client_psk, 32);
	}
}

Test(gnutls, one_handshake_falls_back_to_tls_1_2)
{
	const char *identity = "known";
	struct run run = handshake_between(
		BOTH "+ECDHE-PSK", TLS12 "+ECDHE-PSK", identity, strlen(identity), 0);

	assert_agreed(&run, GNUTLS_TLS1_2);
	cr_assert_eq(client_daemon.requests, 2);
	cr_assert_eq(server_daemon.requests, 1);
	cr_assert_eq(n_calls, 0);
}

Test(gnutls, a_client_of_tls_1_2_meets_a_server_of_both)
{
	const char *identity = "known";
	struct run run = handshake_between(
		TLS12 "+PSK", BOTH "+ECDHE-PSK:+PSK", identity, strlen(identity), 0);

	assert_agreed(&run, GNUTLS_TLS1_2);
	cr_assert_eq(client_daemon.requests, 1);
}

/* Each time the callbacks run there is a new identity, in one handshake. */
Test(gnutls, a_hello_retry_request_stays_within_the_handshake)
{
	const char *identity = "known";

	for (size_t i = 0; i < 2; i++) {
		struct run run = handshake_between(
			CLIENT_RETRY, SERVER_RETRY, identity, strlen(identity), 0);

		assert_agreed(&run, GNUTLS_TLS1_3);
	}
	cr_assert_eq(client_daemon.requests, 4);
	cr_assert_eq(n_calls, 4);
	cr_assert_gt(calls[0].handshake_len, 0);
	cr_assert_arr_eq(calls[0].handshake, calls[1].handshake, TPMPSK_HANDSHAKE_MAX);
	cr_assert_arr_eq(calls[2].handshake, calls[3].handshake, TPMPSK_HANDSHAKE_MAX);
	cr_assert_arr_neq(calls[0].handshake, calls[2].handshake, TPMPSK_HANDSHAKE_MAX);
	cr_assert_str_neq(calls[0].identity, calls[1].identity);
}

Test(gnutls, identities_are_bytes)
{
	char identity[128];
	struct run run;

	for (size_t i = 0; i < sizeof(identity); i++)
		identity[i] = (char)(i * 2);
	run = handshake(TLS12 "+PSK", identity, sizeof(identity), 0);
	cr_assert_eq(run.client_result, 0, "%s", gnutls_strerror(run.client_result));
	cr_assert_eq(run.server_result, 0);
}

static void assert_same_failure(const struct run *a, const struct run *b)
{
	cr_assert_lt(a->client_result, 0);
	cr_assert_eq(a->client_result, b->client_result);
	cr_assert_eq(a->server_result, b->server_result);
	cr_assert_eq(a->alert, b->alert);
	cr_assert_str_eq(a->trace, b->trace);
}

Test(gnutls, whatever_the_daemon_answers_looks_like_a_wrong_key)
{
	const char *const priorities[] = { TLS12 "+PSK", TLS12 "+ECDHE-PSK", TLS13 "+ECDHE-PSK",
		TLS13 "+PSK" };

	for (size_t i = 0; i < sizeof(priorities) / sizeof(priorities[0]); i++) {
		struct run wrong = handshake_as(priorities[i], "wrong", 0);

		cr_assert_eq(wrong.server_error, 0);
		for (int status = 1; status < TPMPSK_STATUS_COUNT; status++) {
			char identity[16];
			struct run run;

			if (status == TPMPSK_STATUS_UNSUPPORTED) /* is so for every identity */
				continue;
			snprintf(identity, sizeof(identity), "status %d", status);
			run = handshake_as(priorities[i], identity, 0);
			cr_assert_eq(run.server_error, -status);
			assert_same_failure(&run, &wrong);
		}
	}
}

Test(gnutls, reveals_unknown_identities_when_asked_to)
{
	struct run denied = handshake_as(TLS12 "+PSK", "status 3", TPMPSK_GNUTLS_REVEAL_UNKNOWN);
	struct run unknown = handshake_as(TLS12 "+PSK", "status 4", TPMPSK_GNUTLS_REVEAL_UNKNOWN);
	struct run busy = handshake_as(TLS12 "+PSK", "status 6", TPMPSK_GNUTLS_REVEAL_UNKNOWN);
	struct run known = handshake_as(TLS12 "+PSK", "known", TPMPSK_GNUTLS_REVEAL_UNKNOWN);

	cr_assert_eq(denied.alert, GNUTLS_A_UNKNOWN_PSK_IDENTITY);
	cr_assert_eq(unknown.alert, GNUTLS_A_UNKNOWN_PSK_IDENTITY);
	cr_assert_eq(busy.alert, GNUTLS_A_INTERNAL_ERROR);
	cr_assert_eq(busy.server_error, TPMPSK_ERR_BUSY);
	cr_assert_eq(known.client_result, 0);
}

Test(gnutls, reveals_every_fault_of_a_session_identity_when_asked_to)
{
	const unsigned int flags = TPMPSK_GNUTLS_REVEAL_UNKNOWN;

	for (int status = 1; status < TPMPSK_STATUS_COUNT; status++) {
		const int acceptable[] = { TPMPSK_STATUS_UNSUPPORTED, TPMPSK_STATUS_EXISTS,
			TPMPSK_STATUS_BUSY, TPMPSK_STATUS_DEADLINE, TPMPSK_STATUS_TPM_UNAVAILABLE,
			TPMPSK_STATUS_SHUTTING_DOWN, TPMPSK_STATUS_INTERNAL };
		int expected = GNUTLS_A_UNKNOWN_PSK_IDENTITY;
		char identity[16];
		struct run run;

		for (size_t i = 0; i < sizeof(acceptable) / sizeof(acceptable[0]); i++)
			if (status == acceptable[i])
				expected = GNUTLS_A_INTERNAL_ERROR;
		snprintf(identity, sizeof(identity), "status %d", status);
		run = handshake_as(TLS13 "+ECDHE-PSK", identity, flags);
		cr_assert_eq(run.server_error, -status);
		cr_assert_eq(run.alert, expected, "%d: %d", status, run.alert);
	}
	cr_assert_eq(handshake_as(TLS13 "+ECDHE-PSK", "known", flags).client_result, 0);
}

/* A handle whose daemon has gone for good. */
static struct tpmpsk *orphan(void)
{
	struct tpmpsk *h = NULL;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(tpmpsk_open_fd(&h, fds[0]), 0);
	close(fds[1]);
	return h;
}

Test(gnutls, without_a_daemon_the_server_refuses_all_alike)
{
	struct run known, other;

	tpmpsk_close(server_tpm);
	server_tpm = orphan();
	known = handshake_as(TLS12 "+PSK", "known", 0);
	other = handshake_as(TLS12 "+PSK", "status 3", 0);
	cr_assert_eq(known.alert, GNUTLS_A_INTERNAL_ERROR);
	cr_assert_eq(known.server_error, TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(known.server_result, GNUTLS_E_SRP_PWD_ERROR);
	assert_same_failure(&known, &other);
}

Test(gnutls, tells_the_client_why_it_has_no_psk)
{
	static const struct {
		int status, code;
	} cases[] = {
		{ TPMPSK_STATUS_DENIED, GNUTLS_E_INSUFFICIENT_CREDENTIALS },
		{ TPMPSK_STATUS_UNKNOWN_IDENTITY, GNUTLS_E_INSUFFICIENT_CREDENTIALS },
		{ TPMPSK_STATUS_DEADLINE, GNUTLS_E_TIMEDOUT },
		{ TPMPSK_STATUS_BUSY, GNUTLS_E_USER_ERROR },
		{ TPMPSK_STATUS_TPM_UNAVAILABLE, GNUTLS_E_USER_ERROR },
	};
	struct tpmpsk *behaving = client_tpm;

	client_tpm = server_tpm; /* the daemon that refuses */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char identity[16];
		struct run run;

		snprintf(identity, sizeof(identity), "status %d", cases[i].status);
		run = handshake_as(TLS12 "+PSK", identity, 0);
		cr_assert_eq(run.client_result, cases[i].code);
		cr_assert_eq(run.client_error, -cases[i].status);
	}
	client_tpm = behaving;
}

Test(gnutls, a_client_without_identity_or_daemon_gets_no_further)
{
	struct run empty = handshake_as(TLS12 "+PSK", "", 0), gone;

	cr_assert_eq(empty.client_result, GNUTLS_E_INVALID_REQUEST);
	tpmpsk_close(client_tpm);
	client_tpm = orphan();
	gone = handshake_as(TLS12 "+PSK", "known", 0);
	cr_assert_eq(gone.client_result, GNUTLS_E_USER_ERROR);
	cr_assert_eq(gone.client_error, TPMPSK_ERR_NO_DAEMON);
}

Test(gnutls, a_client_without_a_key_for_tls_1_3_gets_no_further)
{
	struct tpmpsk *behaving = client_tpm;
	struct run run;

	client_tpm = server_tpm; /* the daemon that refuses */
	run = handshake_as(BOTH "+PSK", "status 4", 0);
	cr_assert_eq(run.client_result, GNUTLS_E_INSUFFICIENT_CREDENTIALS);
	cr_assert_eq(run.client_error, TPMPSK_ERR_UNKNOWN_IDENTITY);
	cr_assert_str_eq(run.trace, "", "something was sent: %s", run.trace);
	client_tpm = behaving;
}

Test(gnutls, identities_of_tls_1_3_leave_room_for_what_is_added)
{
	char identity[TPMPSK_BASE_IDENTITY_SIZE_MAX + 1];
	struct run run;

	memset(identity, 'x', sizeof(identity));
	run = handshake(TLS13 "+ECDHE-PSK", identity, TPMPSK_BASE_IDENTITY_SIZE_MAX, 0);
	assert_agreed(&run, GNUTLS_TLS1_3);
	cr_assert_eq(strlen(calls[0].identity), TPMPSK_IDENTITY_MAX);
	run = handshake(TLS13 "+ECDHE-PSK", identity, sizeof(identity), 0);
	cr_assert_eq(run.client_result, GNUTLS_E_INVALID_REQUEST);
	run = handshake(TLS12 "+ECDHE-PSK", identity, sizeof(identity), 0);
	assert_agreed(&run, GNUTLS_TLS1_2);
}

/* A client that knows nothing of session identities: they are for the daemon to judge. */
Test(gnutls, a_server_hands_on_whatever_came_in_tls_1_3)
{
	const gnutls_datum_t key = { (unsigned char *)"0123456789abcdef", 16 };
	struct run run = { .priority = TLS13 "+ECDHE-PSK" };
	gnutls_psk_client_credentials_t credentials;

	gnutls_psk_allocate_client_credentials(&credentials);
	gnutls_psk_set_client_credentials(credentials, "status 1", &key, GNUTLS_PSK_KEY_RAW);
	run_with(&run, credentials);
	cr_assert_lt(run.client_result, 0);
	cr_assert_eq(run.server_error, TPMPSK_ERR_MALFORMED);
	cr_assert_str_eq(calls[0].identity, "status 1");
}

/* The rest is about the server's call by itself, made from within a handshake. */
static int probe_decoys(
	gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	unsigned char bytes[129] = { 0 };
	const gnutls_datum_t longer = { bytes, sizeof(bytes) }, empty = { bytes, 0 };
	gnutls_datum_t first = { 0 }, second = { 0 };

	(void)username;
	cr_assert_eq(tpmpsk_gnutls_server(server_tpm, session, &longer, 0, &first), 0);
	cr_assert_eq(tpmpsk_gnutls_last_error(), TPMPSK_ERR_UNKNOWN_IDENTITY);
	cr_assert_eq(tpmpsk_gnutls_server(server_tpm, session, &empty, 0, &second), 0);
	cr_assert_eq(first.size, 32);
	cr_assert_eq(second.size, 32);
	cr_assert_arr_neq(first.data, second.data, 32);
	cr_assert_eq(server_daemon.requests, 0);
	gnutls_free(second.data);
	*key = first;
	return 0;
}

Test(gnutls, identities_no_key_can_have_get_decoys_without_asking)
{
	server_callback = probe_decoys;
	cr_assert_lt(handshake_as(TLS12 "+PSK", "known", 0).client_result, 0);
}

/* As GnuTLS from 3.8.11 on does that has no hash to go by. */
static int ask_twice(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	gnutls_datum_t first = { 0 };

	cr_assert_eq(tpmpsk_gnutls_server(server_tpm, session, username, 0, &first), 0);
	cr_assert_eq(server_psk(session, username, key), 0);
	cr_assert_arr_eq(first.data, key->data, 32);
	gnutls_free(first.data);
	return 0;
}

Test(gnutls, a_second_question_in_one_handshake_has_the_same_name)
{
	struct run run;

	server_callback = ask_twice;
	run = handshake_as(TLS13 "+ECDHE-PSK", "known", 0);
	assert_agreed(&run, GNUTLS_TLS1_3);
	cr_assert_eq(n_calls, 2);
	cr_assert_str_eq(calls[0].identity, calls[1].identity);
	cr_assert_arr_eq(calls[0].handshake, calls[1].handshake, TPMPSK_HANDSHAKE_MAX);
}

static int probe_arguments(
	gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	unsigned char mark;
	gnutls_datum_t out = { &mark, 1 };

	cr_assert_lt(tpmpsk_gnutls_server(NULL, session, username, 0, &out), 0);
	cr_assert_eq(tpmpsk_gnutls_last_error(), TPMPSK_ERR_INVALID);
	cr_assert_lt(tpmpsk_gnutls_server(server_tpm, session, username, 2, &out), 0);
	cr_assert_lt(tpmpsk_gnutls_client(server_tpm, session, username, 1, &out, &out), 0);
	cr_assert_lt(tpmpsk_gnutls_client(server_tpm, session, NULL, 0, &out, &out), 0);
	cr_assert(out.data == &mark && out.size == 1, "written on failure");
	return tpmpsk_gnutls_server(server_tpm, session, username, 0, key);
}

Test(gnutls, refuses_flags_it_does_not_know)
{
	server_callback = probe_arguments;
	cr_assert_eq(handshake_as(TLS12 "+PSK", "known", 0).client_result, 0);
}
