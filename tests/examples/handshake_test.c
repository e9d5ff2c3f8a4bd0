/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes that succeed: the two examples with each other, and each with a peer on another TLS
 * library that holds the secret in software and computes the PSK by itself.
 */
#include "tests/examples/stage.h"

#include <criterion/criterion.h>
#include <string.h>

#define KEY_EXCHANGES "-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"
/*
 * NORMAL and the CBC suites with SHA-2, for ECDHE-PSK has none with AES-GCM (RFC 5489) in OpenSSL.
 */
#define TLS_ALL "NORMAL:-VERS-ALL:+VERS-TLS1.2:+SHA256:+SHA384:" KEY_EXCHANGES
#define DTLS_ALL "NORMAL:-VERS-ALL:+VERS-DTLS1.2:+SHA256:+SHA384:" KEY_EXCHANGES

static const char *const suites[] = {
	"PSK-AES128-GCM-SHA256",
	"PSK-AES256-GCM-SHA384",
	"PSK-CHACHA20-POLY1305",
	"DHE-PSK-AES128-GCM-SHA256",
	"DHE-PSK-AES256-GCM-SHA384",
	"DHE-PSK-CHACHA20-POLY1305",
	"ECDHE-PSK-AES128-CBC-SHA256",
	"ECDHE-PSK-AES256-CBC-SHA384",
	"ECDHE-PSK-CHACHA20-POLY1305",
};
#define N_SUITES (sizeof(suites) / sizeof(suites[0]))

TestSuite(examples, .init = stage_begin, .fini = stage_end);

/* The last argument where an option is not wanted: the argument list ends there. */
static const char *dtls(bool datagram)
{
	return datagram ? "--dtls" : NULL;
}

static void assert_new(char hex[STAGE_HEX_SIZE], char last[STAGE_HEX_SIZE])
{
	cr_assert_str_neq(hex, last);
	memcpy(last, hex, STAGE_HEX_SIZE);
}

static void agree_with_each_other(bool datagram)
{
	char server_psk[STAGE_HEX_SIZE], client_psk[STAGE_HEX_SIZE], last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk",
		dtls(datagram), NULL);
	for (size_t i = 0; i < 4; i++) {
		const struct command_result *r = stage_run(PSK_CLIENT, "--connect", server.address,
			"--identity", i < 3 ? "Client1" : "Other", "--print-psk", "--message",
			"good day", dtls(datagram), NULL);

		stage_client_psk(r, client_psk);
		cr_assert(strstr(r->out, "\ngood day\n"));
		stage_server_psk(&server, server_psk);
		cr_assert_str_eq(server_psk, client_psk);
		assert_new(client_psk, last);
	}
	stage_leave(&server);
}

Test(examples, agree_on_a_new_psk_for_each_tls_session)
{
	agree_with_each_other(false);
}

Test(examples, agree_on_a_new_psk_for_each_dtls_session)
{
	agree_with_each_other(true);
}

static void server_speaks_all_suites(bool datagram)
{
	char server_psk[STAGE_HEX_SIZE], client_psk[STAGE_HEX_SIZE], last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--print-psk",
		"--priority", datagram ? DTLS_ALL : TLS_ALL, dtls(datagram), NULL);
	for (size_t i = 0; i < N_SUITES; i++) {
		stage_client_psk(stage_run(PEER, "--connect", server.address, "--identity",
					 "Client1", "--secret-hex", STAGE_SECRET, "--print-psk",
					 "--cipher", suites[i], dtls(datagram), NULL),
			client_psk);
		stage_server_psk(&server, server_psk);
		cr_assert_str_eq(server_psk, client_psk, "%s", suites[i]);
		assert_new(client_psk, last);
	}
	stage_leave(&server);
}

Test(examples, the_server_speaks_tls_in_all_suites_with_a_software_peer)
{
	server_speaks_all_suites(false);
}

Test(examples, the_server_speaks_dtls_in_all_suites_with_a_software_peer)
{
	server_speaks_all_suites(true);
}

static void client_speaks_all_suites(bool datagram)
{
	char server_psk[STAGE_HEX_SIZE], client_psk[STAGE_HEX_SIZE], last[STAGE_HEX_SIZE] = "";
	struct stage_server server;

	for (size_t i = 0; i < N_SUITES; i++) {
		stage_serve(&server, NULL, PEER, "--listen", "127.0.0.1:0", "--identity", "Client1",
			"--secret-hex", STAGE_SECRET, "--print-psk", "--cipher", suites[i],
			dtls(datagram), NULL);
		stage_client_psk(stage_run(PSK_CLIENT, "--connect", server.address, "--identity",
					 "Client1", "--print-psk", "--priority",
					 datagram ? DTLS_ALL : TLS_ALL, dtls(datagram), NULL),
			client_psk);
		stage_server_psk(&server, server_psk);
		cr_assert_str_eq(server_psk, client_psk, "%s", suites[i]);
		assert_new(client_psk, last);
		stage_leave(&server);
	}
}

Test(examples, the_client_speaks_tls_in_all_suites_with_a_software_peer)
{
	client_speaks_all_suites(false);
}

Test(examples, the_client_speaks_dtls_in_all_suites_with_a_software_peer)
{
	client_speaks_all_suites(true);
}

Test(examples, serve_many_dtls_peers_on_one_port_at_once)
{
	enum { N = 6 };
	struct stage_server server;
	struct command *clients[N];
	char path[512];

	scene_built(PSK_CLIENT, path, sizeof(path));
	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--dtls", NULL);
	for (size_t i = 0; i < N; i++) {
		const char *const argv[] = { path, "--socket", stage.socket, "--connect",
			server.address, "--identity", "Client1", "--dtls", NULL };

		cr_assert_eq(command_start(&clients[i], argv, NULL), 0);
	}
	for (size_t i = 0; i < N; i++) {
		struct command_result r = { 0 };

		cr_assert_eq(command_stop(clients[i], 0, COMMAND_DEADLINE_MS, &r), 0);
		cr_assert_eq(r.status, 0, "%s", r.err);
		command_result_done(&r);
		command_free(clients[i]);
	}
	stage_leave(&server);
}

Test(examples, the_server_ends_after_its_count)
{
	struct command_result r = { 0 };
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--count", "2", NULL);
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(stage_run(PSK_CLIENT, "--connect", server.address, "--identity",
				     "Client1", NULL)
				     ->status,
			0);
	cr_assert_eq(command_stop(server.process, 0, COMMAND_DEADLINE_MS, &r), 0);
	cr_assert_eq(r.status, 0);
	command_result_done(&r);
	stage_leave(&server);
}

Test(examples, the_server_sends_its_hint)
{
	struct stage_server server;
	const struct command_result *r;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--identity-hint",
		"who are you", NULL);
	r = stage_run(PEER, "--connect", server.address, "--identity", "Client1", "--secret-hex",
		STAGE_SECRET, "--trace", NULL);
	cr_assert_eq(r->status, 0, "%s", r->err);
	cr_assert(strstr(r->out, "hint who are you\n"));
	stage_leave(&server);
}
