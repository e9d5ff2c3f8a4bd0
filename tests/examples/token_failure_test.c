/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens that are wrong in every way, and what the other side gets to see of it; servers that are
 * not who they should be; what the programs say to a person who made a mistake.
 */
#include "tests/examples/token_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = { NULL, JWT_SIGNED, JWT_ENCRYPTED };

TestSuite(token_failures, .init = token_stage_begin, .fini = token_stage_end);
TestSuite(
	token_failures_in_software, .init = token_stage_begin_in_software, .fini = token_stage_end);

Test(token_failures, a_wrong_key_is_refused)
{
	for (size_t i = 0; i < 3; i++) {
		struct token_server server;

		token_serve(&server, IN_DAEMON, kinds[i], NULL);
		token_assert_refused(token_ask(&server, NOT_THE_KEY, kinds[i], NULL), ": 401\n");
		token_assert_err(&server, "401: wrong token");
		token_assert_ok(token_ask(&server, IN_DAEMON, kinds[i], NULL));
		token_leave(&server);
	}
}

Test(token_failures, another_connections_token_is_refused)
{
	for (size_t i = 0; i < 3; i++) {
		char token[PEER_JWT_SIZE];
		struct token_server server;
		char *err;

		token_serve(&server, IN_DAEMON, kinds[i], NULL);
		token_said(token_ask(&server, IN_DAEMON, kinds[i], "--print-token", NULL), "token ",
			token);
		token_assert_refused(
			token_ask(&server, IN_DAEMON, kinds[i], "--token", token, NULL), ": 401\n");
		err = command_err(server.process);
		cr_assert(strstr(err, "401: wrong token"), "%s", err);
		cr_assert_not(strstr(err, token));
		free(err);
		token_leave(&server);
	}
}

/* The response to an id, on a new connection, with the token that the secret gives for it. */
static char *response_to(const struct token_server *server, const char *client, const char *secret)
{
	struct token_peer *peer = token_peer_connect(server->address);
	char apikey[PEER_APIKEY_SIZE], headers[512], *response;
	uint8_t ekm[PEER_VALUE_SIZE];

	token_peer_export(peer, PEER_APIKEY_LABEL, client, ekm);
	peer_apikey(secret, ekm, apikey);
	snprintf(headers, sizeof(headers), "client: %s\r\napikey: %s\r\n", client, apikey);
	cr_assert_eq(token_peer_get(peer, headers), 401);
	response = strdup(token_peer_response(peer));
	token_peer_close(peer);
	return response;
}

Test(token_failures, an_unknown_client_looks_like_a_wrong_token)
{
	struct token_server server;
	char *wrong, *unknown, *foreign;

	token_serve(&server, IN_DAEMON, NULL, NULL);
	wrong = response_to(&server, "Client1", WRONG_SECRET);
	unknown = response_to(&server, "Nobody", KDF_SECRET);
	foreign = response_to(&server, "Foreign", KDF_SECRET);
	cr_assert_str_eq(unknown, wrong);
	cr_assert_str_eq(foreign, wrong);
	cr_assert(strstr(wrong, "\r\nWWW-Authenticate: "));
	token_assert_err(&server, "401: unknown-identity");
	free(wrong);
	free(unknown);
	free(foreign);
	token_leave(&server);
}

Test(token_failures, a_server_that_cannot_ask_says_so_and_recovers)
{
	struct token_server server;

	token_serve(&server, IN_DAEMON, NULL, NULL);
	token_assert_ok(token_ask(&server, IN_SOFTWARE, NULL, NULL));
	scene_kill(&token_stage);
	token_assert_refused(token_ask(&server, IN_SOFTWARE, NULL, NULL), ": 503\n");
	token_assert_err(&server, "503: no-daemon");
	cr_assert_eq(scene_start(&token_stage), 0);
	token_assert_ok(token_ask(&server, IN_SOFTWARE, NULL, NULL));
	token_leave(&server);
}

Test(token_failures, a_client_that_cannot_ask_says_so)
{
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	token_assert_refused(token_ask(&server, IN_DAEMON, NULL, "--client", "Foreign", NULL),
		"tpm-pskd: unknown-identity");
	scene_kill(&token_stage);
	token_assert_refused(token_ask(&server, IN_DAEMON, NULL, NULL), "tpm-pskd: no-daemon");
	token_leave(&server);
}

/* The pattern with the token for each @. */
static void fill(char *headers, const char *pattern, const char *token)
{
	for (; *pattern; pattern++) {
		if (*pattern == '@')
			headers = stpcpy(headers, token);
		else
			*headers++ = *pattern;
	}
	*headers = 0;
}

/* Each of these on a connection of its own, for a server may hang up after one. */
Test(token_failures_in_software, headers_that_are_missing_doubled_or_odd_are_refused)
{
	static const char *const wrong[] = { "", "client: Client1\r\n", "apikey: @\r\n",
		"client:\r\napikey: @\r\n", "client: Client1\r\napikey:\r\n",
		"client: Client1\r\nclient: Client1\r\napikey: @\r\n",
		"client: Client1\r\napikey: @\r\napikey: @\r\n", "client: Client2\r\napikey: @\r\n",
		"client: client1\r\napikey: @\r\n",
		"client: Client1\r\nAuthorization: Bearer @\r\n",
		"client: Client1\r\nX-apikey: @\r\n", "client: Client1\x01\r\napikey: @\r\n",
		"client: Client1\r\napikey: @@\r\n" };
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct token_peer *peer = token_peer_connect(server.address);
		char apikey[PEER_APIKEY_SIZE], headers[512];
		uint8_t ekm[PEER_VALUE_SIZE];

		token_peer_export(peer, PEER_APIKEY_LABEL, "Client1", ekm);
		peer_apikey(KDF_SECRET, ekm, apikey);
		fill(headers, wrong[i], apikey);
		cr_assert_eq(token_peer_get(peer, headers), 401, "%s", wrong[i]);
		token_peer_close(peer);
	}
	token_assert_ok(token_ask(&server, IN_SOFTWARE, NULL, NULL));
	token_leave(&server);
}

Test(token_failures_in_software, an_apikey_has_exactly_one_spelling)
{
	char right[PEER_APIKEY_SIZE], headers[256];
	uint8_t ekm[PEER_VALUE_SIZE];
	struct token_server server;
	struct token_peer *peer;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	peer = token_peer_connect(server.address);
	token_peer_export(peer, PEER_APIKEY_LABEL, "Client1", ekm);
	peer_apikey(KDF_SECRET, ekm, right);
	for (size_t i = 0; i <= PEER_APIKEY_SIZE; i++) {
		char wrong[PEER_APIKEY_SIZE + 2];

		snprintf(wrong, sizeof(wrong), "%s%s", right, i < PEER_APIKEY_SIZE ? "" : "=");
		if (i < PEER_APIKEY_SIZE - 1)
			wrong[i] = (char)(wrong[i] ^ 1);
		else if (i == PEER_APIKEY_SIZE - 1)
			wrong[i - 1] = 0;
		snprintf(headers, sizeof(headers), "client: Client1\r\napikey: %s\r\n", wrong);
		cr_assert_eq(token_peer_get(peer, headers), 401, "%s", wrong);
	}
	snprintf(headers, sizeof(headers), "client: Client1\r\napikey: %s\r\n", right);
	cr_assert_eq(token_peer_get(peer, headers), 200);
	token_peer_close(peer);
	token_leave(&server);
}

/* A header of this many bytes. */
static unsigned int status_of_long(
	const struct token_server *server, const char *name, size_t value_size)
{
	struct token_peer *peer = token_peer_connect(server->address);
	char *headers = calloc(1, value_size + 100);
	unsigned int status;
	size_t n = (size_t)sprintf(headers, "%s: ", name);

	memset(headers + n, 'A', value_size);
	strcpy(headers + n + value_size,
		strcmp(name, "client") == 0 ? "\r\napikey: x\r\n" : "\r\nclient: Client1\r\n");
	status = token_peer_get(peer, headers);
	token_peer_close(peer);
	free(headers);
	return status;
}

Test(token_failures_in_software, headers_that_are_too_long_are_refused)
{
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	cr_assert_eq(status_of_long(&server, "client", 128), 401);
	token_assert_err(&server, "401: wrong token");
	cr_assert_eq(status_of_long(&server, "client", 129), 401);
	token_assert_err(&server, "401: malformed headers");
	cr_assert_eq(status_of_long(&server, "apikey", 4096), 401);
	cr_assert_eq(status_of_long(&server, "apikey", 8000), 401);
	cr_assert_eq(status_of_long(&server, "apikey", 50000), 431);
	token_assert_ok(token_ask(&server, IN_SOFTWARE, NULL, NULL));
	token_leave(&server);
}

Test(token_failures_in_software, garbage_in_place_of_http_harms_nobody)
{
	static const char *const junk[] = { "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
		"\x16\x03\x01 more TLS\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
		"GET / HTTP/1.1\r\nclient\r\napikey\r\n\r\n" };
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		struct token_peer *peer = token_peer_connect(server.address);

		token_peer_send(peer, junk[i], strlen(junk[i]));
		cr_assert_not(strstr(token_peer_response(peer), "ok"));
		token_peer_close(peer);
	}
	token_assert_ok(token_ask(&server, IN_SOFTWARE, NULL, NULL));
	token_leave(&server);
}

Test(token_failures_in_software, only_get_is_answered)
{
	static const char *const methods[] = { "HEAD", "POST", "PUT", "DELETE", "get", "BREW" };
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct token_peer *peer = token_peer_connect(server.address);

		cr_assert_eq(token_peer_request(peer, methods[i], "Connection: close\r\n"), 405);
		token_peer_close(peer);
	}
	token_leave(&server);
}

Test(token_failures_in_software, tls_1_2_is_refused)
{
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	cr_assert_not(token_peer_connects_with_tls12(server.address));
	token_leave(&server);
}

Test(token_failures_in_software, a_server_that_nobody_vouches_for_gets_no_token)
{
	const struct command_result *r;
	struct token_server server;
	char secret[128], other[128], *err;

	token_serve(&server, IN_SOFTWARE, NULL, NULL);
	strcpy(secret, token_file("kdf"));
	strcpy(other, server.pin);
	other[20] = (char)(other[20] ^ 1);
	r = token_run(TOKEN_CLIENT, "--connect", server.address, "--client", "Client1",
		"--secret-file", secret, "--pin", other, NULL);
	token_assert_refused(r, server.pin);
	r = token_run(TOKEN_CLIENT, "--connect", server.address, "--client", "Client1",
		"--secret-file", secret, NULL);
	token_assert_refused(r, "NOT trusted");
	err = command_err(server.process);
	cr_assert_not(strstr(err, ": 401"), "%s", err);
	free(err);
	token_leave(&server);
}

static void assert_usage(const struct command_result *r, int status, const char *text)
{
	cr_assert_eq(r->status, status, "%d: %s", r->status, r->err);
	cr_assert(strstr(r->err, text), "%s", r->err);
	cr_assert_eq(r->out_len, 0);
}

Test(token_failures_in_software, wrong_arguments_are_told_from_failures)
{
	char secret[128];
	const char *here = "127.0.0.1:0";

	strcpy(secret, token_file("kdf"));
	assert_usage(token_run(TOKEN_SERVER, NULL), 2, "--listen is needed");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "more", NULL), 2, "'more'");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--jwt", "x", NULL), 2, "--jwt");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--count", "0", NULL), 2, "--count");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--cert", secret, NULL), 2, "--key");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--socket", "x", "--secret-file",
			     secret, NULL),
		2, "exclude");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--secret-file", "/", NULL), 1, "/");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--secret-file", "/dev/null", NULL),
		1, "not 1 to 1024 bytes");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--secret-file", "/dev/zero", NULL),
		1, "not 1 to 1024 bytes");
	assert_usage(token_run(TOKEN_SERVER, "--listen", here, "--secret-file", secret, "--cert",
			     secret, "--key", secret, NULL),
		1, "certificate");
	assert_usage(token_run(TOKEN_CLIENT, NULL), 2, "--connect and --client");
	assert_usage(token_run(TOKEN_CLIENT, "--connect", here, "--client", "a\nb", NULL), 2,
		"--client");
	assert_usage(token_run(TOKEN_CLIENT, "--connect", here, "--client", "a", "--ca", "/nowhere",
			     NULL),
		1, "/nowhere");
	cr_assert_eq(token_run(TOKEN_SERVER, "--help", NULL)->status, 0);
	cr_assert_eq(token_run(TOKEN_CLIENT, "--help", NULL)->status, 0);
}
