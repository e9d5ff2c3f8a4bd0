/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The examples on OpenSSL, with each other and with those on GnuTLS in both roles; and the software
 * peer, for what fails.
 */
#include "tests/examples/tls13_stage.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

TestSuite(openssl, .init = tls13_begin, .fini = stage_end);

static const char *const identities[] = { "Client1", "Epoch" };

/* Pairs of which at least one is on OpenSSL. */
static const struct {
	const char *server, *client;
} pairs[] = {
	{ OPENSSL_SERVER, OPENSSL_CLIENT },
	{ OPENSSL_SERVER, PSK_CLIENT },
	{ PSK_SERVER, OPENSSL_CLIENT },
};
#define N_PAIRS (sizeof(pairs) / sizeof(pairs[0]))

/* Two handshakes with each key, in a pair with an option each (NULL: none). */
static void assert_pair_agrees(size_t pair, const char *server_option, const char *server_value,
	const char *client_option, const char *client_value)
{
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, pairs[pair].server, "--listen", "127.0.0.1:0", "--print-psk",
		server_option, server_value, NULL);
	for (size_t i = 0; i < 4; i++) {
		const struct command_result *r = stage_run(pairs[pair].client, "--connect",
			server.address, "--identity", identities[i % 2], "--print-psk", "--message",
			"good day", client_option, client_value, NULL);

		tls13_assert_agreed(&server, r, last);
		cr_assert(strstr(r->out, "\ngood day\n"), "%s", r->out);
	}
	stage_leave(&server);
}

Test(openssl, agrees_with_itself_and_gnutls_on_a_new_psk_each_time)
{
	for (size_t i = 0; i < N_PAIRS; i++)
		assert_pair_agrees(i, NULL, NULL, NULL, NULL);
	tls13_assert_granted("client", 12);
	tls13_assert_granted("server", 12);
}

Test(openssl, a_server_may_ask_for_another_group)
{
	assert_pair_agrees(0, "--groups", "P-384", "--groups", "X25519:P-384");
	tls13_assert_granted("client", 4);
	tls13_assert_granted("server", 8);
	assert_pair_agrees(1, "--groups", "P-384", NULL, NULL);
	tls13_assert_granted("client", 12);
	tls13_assert_granted("server", 16);
	assert_pair_agrees(2, "--priority", TLS13_RETRY, "--groups", "X25519:P-384");
	tls13_assert_granted("client", 16);
	tls13_assert_granted("server", 24);
}

Test(openssl, works_with_every_suite_that_has_sha_256_in_the_offer)
{
	static const char *const openssl_offers[] = { "TLS_AES_128_GCM_SHA256",
		"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
		"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256" };
	static const char *const gnutls_offers[] = { TLS13_ONLY ":-CIPHER-ALL:+AES-128-GCM",
		TLS13_ONLY ":-CIPHER-ALL:+CHACHA20-POLY1305",
		TLS13_ONLY ":-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM",
		TLS13_ONLY ":-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305" };

	for (size_t i = 0; i < 4; i++) {
		assert_pair_agrees(0, NULL, NULL, "--ciphersuites", openssl_offers[i]);
		assert_pair_agrees(1, NULL, NULL, "--priority", gnutls_offers[i]);
		assert_pair_agrees(2, NULL, NULL, "--ciphersuites", openssl_offers[i]);
	}
}

Test(openssl, a_server_fails_whoever_has_no_psk_like_a_wrong_key)
{
	static const char *const groups[] = { NULL, "P-384" };

	for (size_t i = 0; i < 2; i++) {
		struct stage_server server;

		stage_serve(&server, NULL, OPENSSL_SERVER, "--listen", "127.0.0.1:0",
			groups[i] ? "--groups" : NULL, groups[i], NULL);
		tls13_assert_all_fail_alike(&server);
		tls13_assert_serves(&server);
		stage_leave(&server);
	}
}

Test(openssl, a_client_without_a_key_stops_and_says_why)
{
	const struct command_result *r;
	struct stage_server server;

	stage_serve(&server, NULL, OPENSSL_SERVER, "--listen", "127.0.0.1:0", NULL);
	r = stage_run(OPENSSL_CLIENT, "--connect", server.address, "--identity", "Other", NULL);
	cr_assert_eq(r->status, 1);
	cr_assert(strstr(r->err, "tpm-pskd: unknown-identity\n"), "%s", r->err);
	stage_leave(&server);
}

Test(openssl, no_client_is_content_with_a_certificate)
{
	static const char *const clients[] = { OPENSSL_CLIENT, PSK_CLIENT };

	for (size_t i = 0; i < 2; i++) {
		const struct command_result *r;
		struct stage_server server;

		stage_serve(&server, NULL, PEER, "--listen", "127.0.0.1:0", "--identity", "Client1",
			"--secret-hex", STAGE_SECRET, "--tls13", "--certificate", NULL);
		r = stage_run(
			clients[i], "--connect", server.address, "--identity", "Client1", NULL);
		cr_assert_eq(r->status, 1);
		cr_assert(strstr(r->err, ": handshake: "), "%s", r->err);
		stage_leave(&server);
	}
}

Test(openssl, without_a_daemon_both_ends_fail_at_once_and_recover_with_it)
{
	const struct command_result *r;
	struct stage_server server;

	stage_serve(&server, NULL, OPENSSL_SERVER, "--listen", "127.0.0.1:0", NULL);
	scene_kill(&stage);
	r = stage_run(OPENSSL_CLIENT, "--connect", server.address, "--identity", "Client1", NULL);
	cr_assert_eq(r->status, 1);
	cr_assert(strstr(r->err, "no-daemon"), "%s", r->err);
	r = stage_run(PEER, "--connect", server.address, "--identity", "Client1", "--secret-hex",
		STAGE_SECRET, "--tls13", "--trace", NULL);
	cr_assert(strstr(r->out, "received alert internal error"), "%s", r->out);
	tls13_assert_err(&server, "tpm-pskd: no-daemon");
	cr_assert_eq(scene_start(&stage), 0);
	tls13_assert_serves(&server);
	stage_leave(&server);
}

Test(openssl, a_silent_peer_is_given_up_and_the_server_ends_after_its_count)
{
	struct command_result end = { 0 };
	struct stage_server server;
	int fd;

	stage_serve(&server, NULL, OPENSSL_SERVER, "--listen", "127.0.0.1:0", "--timeout", "100",
		"--count", "1", NULL);
	fd = tls13_knock(&server);
	tls13_assert_err(&server, "handshake: timed out\n");
	close(fd);
	cr_assert_eq(command_stop(server.process, 0, COMMAND_DEADLINE_MS, &end), 0);
	cr_assert_eq(end.status, 0);
	command_result_done(&end);
	stage_leave(&server);
}

static void assert_refused(const struct command_result *r, int status, const char *text)
{
	cr_assert_eq(r->status, status, "%d: %s", r->status, r->err);
	cr_assert(strstr(r->err, text), "%s", r->err);
	cr_assert_eq(r->out_len, 0);
}

Test(openssl, wrong_arguments_are_told_from_failures)
{
	assert_refused(stage_run(OPENSSL_SERVER, NULL), 2, "--listen is needed");
	assert_refused(stage_run(OPENSSL_CLIENT, NULL), 2, "--connect and --identity are needed");
	assert_refused(
		stage_run(OPENSSL_SERVER, "--listen", "127.0.0.1:0", "more", NULL), 2, "'more'");
	assert_refused(stage_run(OPENSSL_CLIENT, "--nonsense", NULL), 2, "--nonsense");
	assert_refused(stage_run(OPENSSL_SERVER, "--listen", "127.0.0.1:0", "--count", "0", NULL),
		2, "--count");
	assert_refused(stage_run(OPENSSL_SERVER, "--listen", "127.0.0.1:0", "--groups", "X", NULL),
		1, "--groups");
	assert_refused(
		stage_run(OPENSSL_SERVER, "--listen", "127.0.0.1:0", "--ciphersuites", "X", NULL),
		1, "--ciphersuites");
	assert_refused(stage_run(OPENSSL_CLIENT, "--connect", "127.0.0.1:1", "--identity",
			       "Client1", NULL),
		1, "127.0.0.1:1");
	cr_assert_eq(stage_run(OPENSSL_SERVER, "--help", NULL)->status, 0);
	cr_assert_eq(stage_run(OPENSSL_CLIENT, "--help", NULL)->status, 0);
}
