/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two examples over TLS 1.3 with each other, and each with a peer that holds the secret in
 * software: what is negotiated, what is asked of the daemon for it, and how it fails.
 */
#include "tests/examples/tls13_stage.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls13, .init = tls13_begin, .fini = stage_end);

static const char *const identities[] = { "Client1", "Epoch" };

/* A client with its priority (NULL: its own), which prints its PSK. */
static const struct command_result *run_client(
	const struct stage_server *server, const char *identity, const char *priority)
{
	return stage_run(PSK_CLIENT, "--connect", server->address, "--identity", identity,
		"--print-psk", priority ? "--priority" : NULL, priority, NULL);
}

Test(tls13, is_what_the_examples_negotiate_with_a_new_psk_each_time)
{
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk", NULL);
	for (size_t i = 0; i < 6; i++)
		tls13_assert_agreed(&server, run_client(&server, identities[i % 2], NULL), last);
	tls13_assert_granted("client", 6);
	tls13_assert_granted("server", 6);
	tls13_assert_granted(NULL, 0);
	stage_leave(&server);
}

Test(tls13, works_with_every_suite_that_has_sha_256_in_the_offer)
{
	static const char *const offers[] = {
		TLS13_ONLY ":-CIPHER-ALL:+AES-128-GCM",
		TLS13_ONLY ":-CIPHER-ALL:+CHACHA20-POLY1305",
		TLS13_ONLY ":-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM",
		TLS13_ONLY ":-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305",
		TLS13_ONLY ":-CIPHER-ALL:+CHACHA20-POLY1305:+AES-256-GCM:+AES-128-GCM",
		"NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK",
		"NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+DHE-PSK",
	};
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk", NULL);
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		tls13_assert_agreed(&server, run_client(&server, "Client1", offers[i]), last);
	tls13_assert_granted("server", sizeof(offers) / sizeof(offers[0]));
	stage_leave(&server);
}

Test(tls13, an_offer_of_sha_384_alone_fails_and_harms_nobody)
{
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", NULL);
	cr_assert_eq(
		run_client(&server, "Client1", TLS13_ONLY ":-CIPHER-ALL:+AES-256-GCM")->status, 1);
	tls13_assert_err(&server, ": handshake: ");
	tls13_assert_serves(&server);
	stage_leave(&server);
}

Test(tls13, a_server_may_ask_for_another_group)
{
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk",
		"--priority", TLS13_RETRY, NULL);
	for (size_t i = 0; i < 4; i++)
		tls13_assert_agreed(&server, run_client(&server, identities[i % 2], NULL), last);
	/* Twice in each handshake, once for each ClientHello. */
	tls13_assert_granted("client", 8);
	tls13_assert_granted("server", 8);
	stage_leave(&server);
}

Test(tls13, gives_way_to_1_2_when_the_server_has_nothing_else)
{
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk",
		"--priority", TLS12_ONLY, NULL);
	for (size_t i = 0; i < 2; i++)
		tls13_assert_agreed(&server, run_client(&server, "Client1", NULL), last);
	tls13_assert_granted("client", 2);
	tls13_assert_granted("server", 0);
	tls13_assert_granted(NULL, 4);
	stage_leave(&server);
}

Test(tls13, gives_way_to_1_2_when_the_client_has_nothing_else)
{
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk", NULL);
	for (size_t i = 0; i < 2; i++)
		tls13_assert_agreed(&server, run_client(&server, "Client1", TLS12_ONLY), last);
	tls13_assert_granted("client", 0);
	tls13_assert_granted(NULL, 4);
	stage_leave(&server);
}

Test(tls13, gives_way_to_1_2_with_a_server_on_another_library)
{
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PEER, "--listen", "127.0.0.1:0", "--identity", "Client1",
		"--secret-hex", STAGE_SECRET, "--print-psk", NULL);
	tls13_assert_agreed(&server, run_client(&server, "Client1", NULL), last);
	tls13_assert_granted("client", 1);
	tls13_assert_granted(NULL, 1);
	stage_leave(&server);
}

Test(tls13, is_not_offered_without_a_key_for_it)
{
	const struct command_result *r;
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk", NULL);
	tls13_assert_agreed(&server, run_client(&server, "Other", NULL), last);
	tls13_assert_granted(NULL, 2);
	r = run_client(&server, "Other", TLS13_ONLY ":+VERS-TLS1.2");
	cr_assert_eq(r->status, 1, "an explicit priority was not kept to");
	cr_assert(strstr(r->err, "tpm-pskd: unknown-identity\n"), "%s", r->err);
	stage_leave(&server);
}

Test(tls13, the_server_agrees_with_a_software_peer)
{
	char last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk", NULL);
	for (size_t i = 0; i < 2; i++) {
		tls13_assert_agreed(&server,
			stage_run(PEER, "--connect", server.address, "--identity", "Client1",
				"--secret-hex", STAGE_SECRET, "--print-psk", "--tls13", NULL),
			last);
		tls13_assert_agreed(&server,
			stage_run(PEER, "--connect", server.address, "--identity", "Epoch",
				"--secret-hex", STAGE_OTHER_SECRET, "--print-psk", "--tls13",
				"--epoch", NULL),
			last);
	}
	stage_leave(&server);
}

Test(tls13, the_client_agrees_with_a_software_peer)
{
	for (size_t i = 0; i < 2; i++) {
		char last[STAGE_HEX_SIZE] = "";
		struct stage_server server;

		stage_serve(&server, NULL, PEER, "--listen", "127.0.0.1:0", "--identity",
			identities[i], "--secret-hex", i == 0 ? STAGE_SECRET : STAGE_OTHER_SECRET,
			"--print-psk", "--tls13", "--count", "2", i == 0 ? NULL : "--epoch", NULL);
		for (size_t j = 0; j < 2; j++)
			tls13_assert_agreed(
				&server, run_client(&server, identities[i], NULL), last);
		stage_leave(&server);
	}
}

Test(tls13, whoever_has_no_psk_fails_like_a_wrong_key)
{
	static const char *const priorities[] = { NULL, TLS13_RETRY ":+VERS-TLS1.2" };

	for (size_t i = 0; i < 2; i++) {
		struct stage_server server;

		stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0",
			priorities[i] ? "--priority" : NULL, priorities[i], NULL);
		tls13_assert_all_fail_alike(&server);
		tls13_assert_serves(&server);
		stage_leave(&server);
	}
}

Test(tls13, what_is_wrong_is_revealed_on_request_only)
{
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--reveal-unknown", NULL);
	for (size_t i = 0; i < TLS13_FAILURES; i++) {
		char *seen = tls13_fail(&server, &tls13_failures[i]);

		cr_assert(strstr(seen, tls13_failures[i].status ? "alert unknown PSK identity"
								: "alert illegal parameter"),
			"%s", seen);
		free(seen);
	}
	tls13_assert_serves(&server);
	stage_leave(&server);
}
