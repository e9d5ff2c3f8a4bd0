/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's two calls: what the peer gets to see when the daemon has no PSK to give.
 */
#include "tests/client-lib/gnutls_run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(gnutls, .init = gnutls_run_begin, .fini = gnutls_run_end);

Test(gnutls, both_ends_get_the_same_psk_with_every_key_exchange)
{
	assert_every_version_agrees();
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

/* A server's random of zeroes gets no session identity's PSK out of a client of TLS 1.2. */
Test(gnutls, a_random_of_zeroes_is_one_too)
{
	struct run run;

	manner.zero_random = true;
	run = handshake_as(TLS12 "+ECDHE-PSK", "known", 0);
	assert_agreed(&run, GNUTLS_TLS1_2);
	cr_assert_eq(client_daemon.requests, 1);
	cr_assert_eq(n_calls, 0);
	run = handshake_between(BOTH "+ECDHE-PSK", TLS12 "+ECDHE-PSK", "known", 5, 0);
	assert_agreed(&run, GNUTLS_TLS1_2);
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
	cr_assert_eq(run_server_psk(session, username, key), 0);
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
