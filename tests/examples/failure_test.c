/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes that fail, and what the other side gets to see of it; peers and a daemon that
 * misbehave; what the programs say to a person who made a mistake.
 */
#include "tests/examples/stage.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WRONG_SECRET "99"

TestSuite(failures, .init = stage_begin, .fini = stage_end);

/* What a peer with this identity and secret sees, message by message. */
static char *trace(const struct stage_server *server, const char *identity, const char *secret,
	const char *cipher)
{
	const struct command_result *r = stage_run(PEER, "--connect", server->address, "--identity",
		identity, "--secret-hex", secret, "--trace", "--cipher", cipher, NULL);

	cr_assert_eq(r->status, 1);
	return strdup(r->out);
}

static void assert_handshake_works(const struct stage_server *server)
{
	const struct command_result *r =
		stage_run(PSK_CLIENT, "--connect", server->address, "--identity", "Client1", NULL);

	cr_assert_eq(r->status, 0, "%s", r->err);
}

static void assert_err(const struct stage_server *server, const char *text)
{
	cr_assert_eq(command_wait_err(server->process, text, COMMAND_DEADLINE_MS), 0,
		"no '%s' in %s", text, command_err(server->process));
}

Test(failures, an_unknown_identity_looks_like_a_wrong_key)
{
	static const char *const ciphers[] = { "PSK-AES128-GCM-SHA256", "DHE-PSK-AES256-GCM-SHA384",
		"ECDHE-PSK-CHACHA20-POLY1305" };
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", NULL);
	for (size_t i = 0; i < 3; i++) {
		char *wrong = trace(&server, "Client1", WRONG_SECRET, ciphers[i]);
		char *unknown = trace(&server, "Nobody", STAGE_SECRET, ciphers[i]);
		char *foreign = trace(&server, "Foreign", STAGE_OTHER_SECRET, ciphers[i]);

		cr_assert(strstr(wrong, "received alert bad record mac"), "%s", wrong);
		cr_assert_str_eq(unknown, wrong);
		cr_assert_str_eq(foreign, wrong);
		free(wrong);
		free(unknown);
		free(foreign);
	}
	assert_err(&server, "tpm-pskd: unknown-identity");
	assert_handshake_works(&server);
	stage_leave(&server);
}

Test(failures, an_unknown_identity_is_revealed_on_request_only)
{
	struct stage_server server;
	char *unknown, *foreign, *wrong;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--reveal-unknown", NULL);
	unknown = trace(&server, "Nobody", STAGE_SECRET, "PSK");
	foreign = trace(&server, "Foreign", STAGE_OTHER_SECRET, "PSK");
	wrong = trace(&server, "Client1", WRONG_SECRET, "PSK");
	cr_assert(strstr(unknown, "received alert unknown PSK identity"), "%s", unknown);
	cr_assert_str_eq(foreign, unknown);
	cr_assert(strstr(wrong, "received alert bad record mac"), "%s", wrong);
	free(unknown);
	free(foreign);
	free(wrong);
	assert_handshake_works(&server);
	stage_leave(&server);
}

/*
 * In DTLS a record that does not decrypt is dropped (RFC 6347, section 4.1.2.7): no alert at all.
 */
Test(failures, a_wrong_dtls_peer_waits_in_vain_and_the_server_goes_on)
{
	const struct command_result *r;
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--dtls", "--timeout",
		"1500", NULL);
	r = stage_run(PEER, "--connect", server.address, "--identity", "Nobody", "--secret-hex",
		STAGE_SECRET, "--dtls", "--trace", "--timeout", "1", NULL);
	cr_assert_neq(r->status, 0);
	cr_assert_not(strstr(r->out, "received alert"), "%s", r->out);
	assert_err(&server, "tpm-pskd: unknown-identity");
	r = stage_run(
		PSK_CLIENT, "--connect", server.address, "--identity", "Client1", "--dtls", NULL);
	cr_assert_eq(r->status, 0, "%s", r->err);
	stage_leave(&server);
}

Test(failures, a_server_whose_user_is_denied_serves_nobody_and_says_why)
{
	const struct command_options stranger = { .as_user = true, .uid = 4712, .gid = 4712 };
	const struct command_result *r;
	struct stage_server server;
	char *known, *unknown;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	stage_serve(&server, &stranger, PSK_SERVER, "--listen", "127.0.0.1:0", NULL);
	known = trace(&server, "Client1", STAGE_SECRET, "PSK");
	unknown = trace(&server, "Nobody", STAGE_SECRET, "PSK");
	cr_assert_str_eq(known, unknown);
	free(known);
	free(unknown);
	assert_err(&server, "tpm-pskd: denied");
	r = stage_run(PSK_CLIENT, "--connect", server.address, "--identity", "Client1", NULL);
	cr_assert_eq(r->status, 1);
	stage_leave(&server);
}

Test(failures, a_client_whose_key_is_not_its_own_stops_and_says_why)
{
	const struct command_result *r;
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", NULL);
	r = stage_run(PSK_CLIENT, "--connect", server.address, "--identity", "Foreign", NULL);
	cr_assert_eq(r->status, 1);
	cr_assert(strstr(r->err, "tpm-pskd: unknown-identity\n"), "%s", r->err);
	assert_handshake_works(&server);
	stage_leave(&server);
}

Test(failures, without_a_daemon_both_ends_fail_at_once_and_recover_with_it)
{
	long long start = command_now_ms();
	const struct command_result *r;
	struct stage_server server;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", NULL);
	assert_handshake_works(&server);
	scene_kill(&stage);
	r = stage_run(PSK_CLIENT, "--connect", server.address, "--identity", "Client1", NULL);
	cr_assert_eq(r->status, 1);
	cr_assert(strstr(r->err, "no-daemon"), "%s", r->err);
	r = stage_run(PEER, "--connect", server.address, "--identity", "Client1", "--secret-hex",
		STAGE_SECRET, "--trace", NULL);
	cr_assert(strstr(r->out, "received alert internal error"), "%s", r->out);
	assert_err(&server, "tpm-pskd: no-daemon");
	cr_assert_lt(command_now_ms() - start, 10000);

	cr_assert_eq(scene_start(&stage), 0);
	assert_handshake_works(&server);
	stage_leave(&server);
}

/* A plain connection to a server. */
static int knock(const struct stage_server *server, int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	address.sin_port = htons((uint16_t)atoi(strchr(server->address, ':') + 1));
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

Test(failures, a_silent_peer_holds_up_nobody)
{
	struct stage_server server;
	int fds[8];

	stage_serve(
		&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--timeout", "60000", NULL);
	for (size_t i = 0; i < 8; i++)
		fds[i] = knock(&server, SOCK_STREAM);
	assert_handshake_works(&server);
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
	stage_leave(&server);
}

Test(failures, a_silent_peer_is_given_up_in_the_end)
{
	struct stage_server server;
	int fd;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--timeout", "100", NULL);
	fd = knock(&server, SOCK_STREAM);
	assert_err(&server, "The operation timed out");
	close(fd);
	stage_leave(&server);
}

Test(failures, garbage_costs_one_line_and_the_server_goes_on)
{
	struct stage_server server;
	char junk[600];
	int fd;

	memset(junk, 'x', sizeof(junk));
	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", NULL);
	fd = knock(&server, SOCK_STREAM);
	cr_assert_gt(send(fd, junk, sizeof(junk), 0), 0);
	assert_err(&server, ": handshake: ");
	assert_handshake_works(&server);
	close(fd);
	stage_leave(&server);
}

Test(failures, stray_datagrams_cost_nothing)
{
	struct stage_server server;
	const struct command_result *r;
	char junk[600] = { 22 };
	int fd;

	stage_serve(&server, NULL, PSK_SERVER, "--listen", "127.0.0.1:0", "--dtls", NULL);
	fd = knock(&server, SOCK_DGRAM);
	for (size_t n = 1; n < sizeof(junk); n += 50)
		cr_assert_gt(send(fd, junk, n, 0), 0);
	junk[13] = 1;
	for (size_t n = 1; n < sizeof(junk); n += 50)
		cr_assert_gt(send(fd, junk, n, 0), 0);
	r = stage_run(
		PSK_CLIENT, "--connect", server.address, "--identity", "Client1", "--dtls", NULL);
	cr_assert_eq(r->status, 0, "%s", r->err);
	close(fd);
	stage_leave(&server);
}

static void assert_refused(const struct command_result *r, int status, const char *text)
{
	cr_assert_eq(r->status, status, "%d: %s", r->status, r->err);
	cr_assert(strstr(r->err, text), "%s", r->err);
	cr_assert_eq(r->out_len, 0);
}

Test(failures, wrong_arguments_are_told_from_failures)
{
	assert_refused(stage_run(PSK_SERVER, NULL), 2, "--listen is needed");
	assert_refused(stage_run(PSK_CLIENT, NULL), 2, "--connect and --identity are needed");
	assert_refused(stage_run(PSK_SERVER, "--listen", "127.0.0.1:0", "more", NULL), 2, "'more'");
	assert_refused(stage_run(PSK_SERVER, "--nonsense", NULL), 2,
		"--nonsense: no such option, or it takes no value (see ");
	assert_refused(stage_run(PSK_SERVER, "--listen", NULL), 2, "--listen: a value is missing");
	assert_refused(stage_run(PSK_SERVER, "--listen", "127.0.0.1:0", "--count", "0", NULL), 2,
		"--count");
	assert_refused(stage_run(PSK_SERVER, "--listen", "127.0.0.1", NULL), 1, "not an ADDR:PORT");
	assert_refused(stage_run(PSK_SERVER, "--listen", "127.0.0.1:0", "--priority", "X", NULL), 1,
		"--priority");
	assert_refused(
		stage_run(PSK_CLIENT, "--connect", "127.0.0.1:1", "--identity", "Client1", NULL), 1,
		"127.0.0.1:1");
	cr_assert_eq(stage_run(PSK_SERVER, "--help", NULL)->status, 0);
	cr_assert_eq(stage_run(PSK_CLIENT, "--help", NULL)->status, 0);
}
