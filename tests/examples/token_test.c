/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens that are right: with the key in the daemon and in software, from token-client and from a
 * peer that has nothing of ours; and what they are made of.
 */
#include "tests/examples/token_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(tokens, .init = token_stage_begin, .fini = token_stage_end);
TestSuite(tokens_in_software, .init = token_stage_begin_in_software, .fini = token_stage_end);

static void works_wherever_the_keys_are(const char *jwt)
{
	for (enum place server_side = IN_DAEMON; server_side <= IN_SOFTWARE; server_side++) {
		struct token_server server;

		token_serve(&server, server_side, jwt, NULL);
		token_assert_ok(token_ask(&server, IN_DAEMON, jwt, NULL));
		token_assert_ok(token_ask(&server, IN_SOFTWARE, jwt, NULL));
		token_leave(&server);
	}
}

Test(tokens, apikeys_work_wherever_the_two_keys_are)
{
	works_wherever_the_keys_are(NULL);
}

Test(tokens, signed_jwts_work_wherever_the_two_keys_are)
{
	works_wherever_the_keys_are(JWT_SIGNED);
}

Test(tokens, encrypted_jwts_work_wherever_the_two_keys_are)
{
	works_wherever_the_keys_are(JWT_ENCRYPTED);
}

/* The line `words` of what token-client printed, as bytes. */
static void said_value(
	const struct command_result *r, const char *words, uint8_t value[PEER_VALUE_SIZE])
{
	char hex[PEER_JWT_SIZE];

	token_said(r, words, hex);
	cr_assert_eq(strlen(hex), 2 * PEER_VALUE_SIZE);
	peer_unhex(hex, value);
}

Test(tokens, an_apikey_is_what_the_formula_makes_of_the_exporters_output)
{
	char token[PEER_JWT_SIZE], last[PEER_JWT_SIZE] = "", right[PEER_APIKEY_SIZE];
	struct token_server server;

	token_serve(&server, IN_DAEMON, NULL, NULL);
	for (enum place side = IN_DAEMON; side <= IN_SOFTWARE; side++) {
		const struct command_result *r =
			token_ask(&server, side, NULL, "--print-ekm", "--print-token", NULL);
		uint8_t ekm[PEER_VALUE_SIZE];

		said_value(r, "ekm ", ekm);
		token_said(r, "token ", token);
		peer_apikey(KDF_SECRET, ekm, right);
		cr_assert_str_eq(token, right);
		cr_assert_str_neq(token, last);
		strcpy(last, token);
	}
	token_leave(&server);
}

Test(tokens, a_jwt_is_signed_and_encrypted_with_what_the_formula_makes_of_the_exporters_output)
{
	char jwe[PEER_JWT_SIZE], jws[PEER_JWT_SIZE], part[PEER_JWT_SIZE];
	uint8_t ekm[PEER_VALUE_SIZE], sig_key[PEER_VALUE_SIZE], enc_key[PEER_VALUE_SIZE];
	const struct command_result *r;
	struct token_server server;

	token_serve(&server, IN_DAEMON, JWT_ENCRYPTED, NULL);
	r = token_ask(&server, IN_DAEMON, JWT_ENCRYPTED, "--print-ekm", "--print-token", NULL);
	said_value(r, "ekm sig_key ", ekm);
	peer_mac(MAC_SECRET, ekm, sig_key);
	said_value(r, "ekm enc_key ", ekm);
	peer_mac(MAC_SECRET, ekm, enc_key);
	token_said(r, "token ", jwe);

	peer_part(jwe, 0, part);
	cr_assert_str_eq(part, "{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\","
			       "\"kid\":\"Client1\",\"typ\":\"JWT\"}");
	cr_assert(peer_jwe_opens(jwe, enc_key, jws));
	cr_assert(peer_jws_verifies(jws, sig_key));
	peer_part(jws, 0, part);
	cr_assert_str_eq(part, "{\"alg\":\"HS256\",\"kid\":\"Client1\",\"typ\":\"JWT\"}");
	peer_part(jws, 1, part);
	cr_assert_str_eq(part, "{\"iss\":\"Client1\",\"sub\":\"Client1\"}");
	token_leave(&server);
}

Test(tokens, a_peer_of_another_make_gets_in_with_its_own_apikey)
{
	char apikey[PEER_APIKEY_SIZE], headers[256];
	uint8_t ekm[PEER_VALUE_SIZE];
	struct token_server server;
	struct token_peer *peer;

	token_serve(&server, IN_DAEMON, NULL, NULL);
	peer = token_peer_connect(server.address);
	token_peer_export(peer, PEER_APIKEY_LABEL, "Client1", ekm);
	peer_apikey(KDF_SECRET, ekm, apikey);
	snprintf(headers, sizeof(headers), "Client: Client1\r\nApiKey: %s\r\n", apikey);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(token_peer_get(peer, headers), 200);
		cr_assert(strstr(token_peer_response(peer), "\r\n\r\nok"));
	}
	token_peer_close(peer);
	token_leave(&server);
}

/*
 * As the programs do that this flow comes from: no header but Authorization, the client in the
 * JWE's kid, claims of the client's choice.
 */
static void assert_bearer_works(enum place place, const char *jwt)
{
	char jws[PEER_JWT_SIZE], jwe[PEER_JWT_SIZE], headers[PEER_JWT_SIZE + 64];
	uint8_t ekm[PEER_VALUE_SIZE], sig_key[PEER_VALUE_SIZE], enc_key[PEER_VALUE_SIZE];
	const bool encrypted = strcmp(jwt, JWT_ENCRYPTED) == 0;
	struct token_server server;
	struct token_peer *peer;

	token_serve(&server, place, jwt, NULL);
	peer = token_peer_connect(server.address);
	token_peer_export(peer, PEER_JWT_LABEL, "sig_key", ekm);
	peer_mac(MAC_SECRET, ekm, sig_key);
	token_peer_export(peer, PEER_JWT_LABEL, "enc_key", ekm);
	peer_mac(MAC_SECRET, ekm, enc_key);
	peer_jws("{\"alg\":\"HS256\"}", "{\"iss\":\"issuer\",\"sub\":\"subject\"}", sig_key, jws);
	peer_jwe("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\","
		 "\"kid\":\"Client1\"}",
		jws, strlen(jws), enc_key, jwe);
	snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n%s", encrypted ? jwe : jws,
		encrypted ? "" : "client: Client1\r\n");
	cr_assert_eq(token_peer_get(peer, headers), 200);
	token_peer_close(peer);
	token_leave(&server);
}

Test(tokens, a_peer_of_another_make_gets_in_with_its_own_jwt)
{
	assert_bearer_works(IN_DAEMON, JWT_SIGNED);
	assert_bearer_works(IN_DAEMON, JWT_ENCRYPTED);
}

Test(tokens_in_software, a_server_without_our_library_understands_a_peer_without_it)
{
	assert_bearer_works(IN_SOFTWARE, JWT_SIGNED);
	assert_bearer_works(IN_SOFTWARE, JWT_ENCRYPTED);
}

Test(tokens_in_software, a_jwt_may_go_into_authorization)
{
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, JWT_SIGNED, NULL);
	token_assert_ok(token_ask(&server, IN_SOFTWARE, JWT_SIGNED, "--bearer", NULL));
	token_leave(&server);
}

Test(tokens_in_software, long_and_odd_ids_work_in_each_form)
{
	static const char *const jwts[] = { NULL, JWT_SIGNED, JWT_ENCRYPTED };
	static const char *const odd[] = { "x", "a \"quoted\" \\ id", "sensor/\xce\xb2" };
	struct token_server server;
	char longest[129] = "";

	memset(longest, '"', 128);
	for (size_t i = 0; i < 3; i++) {
		token_serve(&server, IN_SOFTWARE, jwts[i], NULL);
		for (size_t j = 0; j < 3; j++)
			token_assert_ok(
				token_ask(&server, IN_SOFTWARE, jwts[i], "--client", odd[j], NULL));
		token_assert_ok(
			token_ask(&server, IN_SOFTWARE, jwts[i], "--client", longest, NULL));
		token_leave(&server);
	}
}

/* A certificate for 127.0.0.1 in the files "cert" and "key". */
static void make_certificate(void)
{
	char cert[128], key[128];

	strcpy(cert, token_file("cert"));
	strcpy(key, token_file("key"));
	cr_assert_eq(token_run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
			     "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test", "-addext",
			     "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert, NULL)
			     ->status,
		0);
}

Test(tokens_in_software, an_ordinary_certificate_is_verified_by_its_authority)
{
	char cert[128], key[128], secret[128];
	struct token_server server;

	make_certificate();
	strcpy(cert, token_file("cert"));
	strcpy(key, token_file("key"));
	strcpy(secret, token_file("kdf"));
	token_serve(&server, IN_SOFTWARE, NULL, "--cert", cert, "--key", key, NULL);
	token_assert_ok(token_run(TOKEN_CLIENT, "--connect", server.address, "--client", "Client1",
		"--secret-file", secret, "--ca", cert, NULL));
	token_assert_ok(token_ask(&server, IN_SOFTWARE, NULL, "--ca", cert, NULL));
	token_leave(&server);
}

/* In an orderly way: a sanitizer would find what it leaks. */
static void ends_after_its_count(const char *jwt)
{
	struct command_result r = { 0 };
	struct token_server server;

	token_serve(&server, IN_SOFTWARE, jwt, "--count", "2", NULL);
	token_assert_ok(token_ask(&server, IN_SOFTWARE, jwt, NULL));
	token_assert_refused(token_ask(&server, NOT_THE_KEY, jwt, NULL), "401");
	cr_assert_eq(command_stop(server.process, 0, COMMAND_DEADLINE_MS, &r), 0);
	cr_assert_eq(r.status, 0, "%s", r.err);
	command_result_done(&r);
	token_leave(&server);
}

Test(tokens_in_software, the_server_ends_after_its_count)
{
	ends_after_its_count(NULL);
	ends_after_its_count(JWT_SIGNED);
	ends_after_its_count(JWT_ENCRYPTED);
}
