/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JWTs that are right but for one thing. Each is made by a peer that has the keys, so nothing else
 * can be what it is refused for.
 */
#include "tests/examples/token_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define JWS_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS "{\"iss\":\"a\",\"sub\":\"b\"}"
#define JWE_HEADER                                                                                 \
	"{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\",\"kid\":"            \
	"\"Client1\"}"

TestSuite(jwts, .init = token_stage_begin_in_software, .fini = token_stage_end);

/* A connection and the keys that go with it. */
struct session {
	struct token_server server;
	struct token_peer *peer;
	uint8_t sig_key[PEER_VALUE_SIZE];
	uint8_t enc_key[PEER_VALUE_SIZE];
};

static void session_begin(struct session *s, const char *jwt)
{
	uint8_t ekm[PEER_VALUE_SIZE];

	token_serve(&s->server, IN_SOFTWARE, jwt, NULL);
	s->peer = token_peer_connect(s->server.address);
	token_peer_export(s->peer, PEER_JWT_LABEL, "sig_key", ekm);
	peer_mac(MAC_SECRET, ekm, s->sig_key);
	token_peer_export(s->peer, PEER_JWT_LABEL, "enc_key", ekm);
	peer_mac(MAC_SECRET, ekm, s->enc_key);
}

static void session_end(struct session *s)
{
	token_peer_close(s->peer);
	token_leave(&s->server);
}

static unsigned int status_of(struct session *s, const char *token)
{
	char headers[PEER_JWT_SIZE + 100];

	snprintf(headers, sizeof(headers), "client: Client1\r\napikey: %s\r\n", token);
	return token_peer_get(s->peer, headers);
}

static unsigned int status_of_jws(struct session *s, const char *header, const char *claims)
{
	char jws[PEER_JWT_SIZE];

	peer_jws(header, claims, s->sig_key, jws);
	return status_of(s, jws);
}

static unsigned int status_of_jwe(struct session *s, const char *header)
{
	char jws[PEER_JWT_SIZE], jwe[PEER_JWT_SIZE];

	peer_jws(JWS_HEADER, CLAIMS, s->sig_key, jws);
	peer_jwe(header, jws, strlen(jws), s->enc_key, jwe);
	return status_of(s, jwe);
}

Test(jwts, only_one_kind_of_signature_header_is_right)
{
	static const char *const right[] = { JWS_HEADER, "{\"alg\":\"HS256\"}",
		"{\"kid\":\"Client1\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"other\":1}" };
	static const char *const wrong[] = { "{}", "", "[]", "null", "{\"alg\":\"none\"}",
		"{\"alg\":\"HS384\"}", "{\"alg\":\"hs256\"}", "{\"alg\":[\"HS256\"]}",
		"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"typ\":\"JWE\"}",
		"{\"alg\":\"HS256\",\"kid\":\"Client2\"}", "{\"alg\":\"HS256\",\"kid\":7}",
		"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"alg\":\"HS256\",\"b64\":true}",
		"{\"alg\":\"HS256\"}x" };
	struct session s;

	session_begin(&s, JWT_SIGNED);
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		cr_assert_eq(status_of_jws(&s, right[i], CLAIMS), 200, "%s", right[i]);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(status_of_jws(&s, wrong[i], CLAIMS), 401, "%s", wrong[i]);
	session_end(&s);
}

Test(jwts, claims_must_be_complete_and_in_force)
{
	static const char *const right[] = { CLAIMS, "{\"iss\":\"a\",\"sub\":\"b\",\"x\":[1]}",
		"{\"iss\":\"a\",\"sub\":\"b\",\"nbf\":1,\"exp\":99999999999}",
		"{\"iss\":\"a\",\"sub\":\"b\",\"exp\":99999999999.5}" };
	static const char *const wrong[] = { "{}", "", "[]", "{\"iss\":\"a\"}", "{\"sub\":\"b\"}",
		"{\"iss\":\"\",\"sub\":\"b\"}", "{\"iss\":\"a\",\"sub\":1}",
		"{\"iss\":\"a\",\"iss\":\"a\",\"sub\":\"b\"}",
		"{\"iss\":\"a\",\"sub\":\"b\",\"exp\":1}",
		"{\"iss\":\"a\",\"sub\":\"b\",\"exp\":\"99999999999\"}",
		"{\"iss\":\"a\",\"sub\":\"b\",\"nbf\":99999999999}",
		"{\"iss\":\"a\",\"sub\":\"b\",\"aud\":\"c\"}" };
	struct session s;

	session_begin(&s, JWT_SIGNED);
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		cr_assert_eq(status_of_jws(&s, JWS_HEADER, right[i]), 200, "%s", right[i]);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(status_of_jws(&s, JWS_HEADER, wrong[i]), 401, "%s", wrong[i]);
	session_end(&s);
}

Test(jwts, only_one_kind_of_encryption_header_is_right)
{
	static const char *const wrong[] = { "{}", "",
		"{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"typ\":\"JWT\",\"kid\":\"Client1\"}",
		"{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"kid\":\"Client1\"}",
		"{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\"}",
		"{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\","
		"\"kid\":\"Client2\"}",
		"{\"alg\":\"dir\",\"enc\":\"A128GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\","
		"\"kid\":\"Client1\"}",
		"{\"alg\":\"A256KW\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\","
		"\"kid\":\"Client1\"}",
		"{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\","
		"\"kid\":\"Client1\",\"crit\":[\"kid\"]}" };
	struct session s;

	session_begin(&s, JWT_ENCRYPTED);
	cr_assert_eq(status_of_jwe(&s, JWE_HEADER), 200);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(status_of_jwe(&s, wrong[i]), 401, "%s", wrong[i]);
	session_end(&s);
}

/* What unpacks to megabytes costs its receiver more than its sender. */
Test(jwts, a_compressed_one_is_refused)
{
	char jws[PEER_JWT_SIZE], jwe[PEER_JWT_SIZE], packed[PEER_JWT_SIZE];
	struct session s;
	size_t size;

	session_begin(&s, JWT_ENCRYPTED);
	peer_jws(JWS_HEADER, CLAIMS, s.sig_key, jws);
	size = strlen(jws);
	packed[0] = 1; /* RFC 1951, section 3.2.4: one block, as it is */
	packed[1] = (char)(size & 0xff);
	packed[2] = (char)(size >> 8);
	packed[3] = (char)~packed[1];
	packed[4] = (char)~packed[2];
	memcpy(packed + 5, jws, size);
	peer_jwe("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"typ\":\"JWT\","
		 "\"kid\":\"Client1\",\"zip\":\"DEF\"}",
		packed, 5 + size, s.enc_key, jwe);
	cr_assert_eq(status_of(&s, jwe), 401);
	session_end(&s);
}

Test(jwts, what_is_inside_an_encrypted_one_is_verified_too)
{
	char jws[PEER_JWT_SIZE], jwe[PEER_JWT_SIZE];
	struct session s;

	session_begin(&s, JWT_ENCRYPTED);
	peer_jws(JWS_HEADER, CLAIMS, s.enc_key, jws);
	peer_jwe(JWE_HEADER, jws, strlen(jws), s.enc_key, jwe);
	cr_assert_eq(status_of(&s, jwe), 401, "signed with another key");
	peer_jwe(JWE_HEADER, CLAIMS, strlen(CLAIMS), s.enc_key, jwe);
	cr_assert_eq(status_of(&s, jwe), 401, "not signed");
	peer_jws(JWS_HEADER, CLAIMS, s.sig_key, jws);
	peer_jwe(JWE_HEADER, jws, strlen(jws), s.sig_key, jwe);
	cr_assert_eq(status_of(&s, jwe), 401, "encrypted with another key");
	cr_assert_eq(status_of(&s, jws), 401, "not encrypted");
	peer_jwe(JWE_HEADER, jws, strlen(jws), s.enc_key, jwe);
	cr_assert_eq(status_of(&s, jwe), 200);
	session_end(&s);
}

/* Every character changed, left out, and the whole cut off there. */
static void assert_no_other_spelling(struct session *s, const char *right)
{
	const size_t size = strlen(right);

	for (size_t i = 0; i < size; i++) {
		char wrong[PEER_JWT_SIZE];

		strcpy(wrong, right);
		wrong[i] = right[i] == '.' ? 'A' : (char)(right[i] ^ 1);
		cr_assert_eq(status_of(s, wrong), 401, "changed at %zu: %s", i, right);
		memmove(wrong + i, right + i + 1, size - i);
		cr_assert_eq(status_of(s, wrong), 401, "left out %zu: %s", i, right);
		wrong[i] = 0;
		cr_assert_eq(status_of(s, wrong), 401, "cut off at %zu: %s", i, right);
	}
}

/* The last character of 32 bytes in base64url has two bits that no decoder needs. */
static void assert_unused_bits_count(struct session *s, const char *right)
{
	static const char map[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char wrong[PEER_JWT_SIZE];
	char *last;

	strcpy(wrong, right);
	last = wrong + strlen(wrong) - 1;
	*last = map[(strchr(map, *last) - map) | 1];
	cr_assert_str_neq(wrong, right);
	cr_assert_eq(status_of(s, wrong), 401);
	strcpy(wrong, right);
	strcat(wrong, "=");
	cr_assert_eq(status_of(s, wrong), 401);
	wrong[strlen(wrong) - 1] = '.';
	cr_assert_eq(status_of(s, wrong), 401);
}

Test(jwts, a_signed_one_has_exactly_one_spelling, .timeout = 120)
{
	char jws[PEER_JWT_SIZE];
	struct session s;

	session_begin(&s, JWT_SIGNED);
	peer_jws(JWS_HEADER, CLAIMS, s.sig_key, jws);
	assert_no_other_spelling(&s, jws);
	assert_unused_bits_count(&s, jws);
	cr_assert_eq(status_of(&s, jws), 200);
	session_end(&s);
}

Test(jwts, an_encrypted_one_has_exactly_one_spelling, .timeout = 120)
{
	char jws[PEER_JWT_SIZE], jwe[PEER_JWT_SIZE], wrong[PEER_JWT_SIZE + 8];
	struct session s;

	session_begin(&s, JWT_ENCRYPTED);
	peer_jws(JWS_HEADER, CLAIMS, s.sig_key, jws);
	peer_jwe(JWE_HEADER, jws, strlen(jws), s.enc_key, jwe);
	assert_no_other_spelling(&s, jwe);
	assert_unused_bits_count(&s, jwe);
	cr_assert_eq(status_of(&s, jwe), 200);
	snprintf(wrong, sizeof(wrong), "%.*s.AAAA.%s", (int)strcspn(jwe, "."), jwe,
		strstr(jwe, "..") + 2);
	cr_assert_eq(status_of(&s, wrong), 401, "a key that is not used");
	session_end(&s);
}

Test(jwts, whose_it_is_must_be_said_once_and_the_same)
{
	char jws[PEER_JWT_SIZE], headers[2 * PEER_JWT_SIZE + 100];
	struct session s;

	session_begin(&s, JWT_SIGNED);
	peer_jws(JWS_HEADER, CLAIMS, s.sig_key, jws);
	snprintf(headers, sizeof(headers), "apikey: %s\r\n", jws);
	cr_assert_eq(token_peer_get(s.peer, headers), 401, "nobody");
	snprintf(headers, sizeof(headers),
		"client: Client1\r\napikey: %s\r\nAuthorization: Bearer %s\r\n", jws, jws);
	cr_assert_eq(token_peer_get(s.peer, headers), 401, "two tokens");
	snprintf(headers, sizeof(headers), "client: Client1\r\nAuthorization: Basic %s\r\n", jws);
	cr_assert_eq(token_peer_get(s.peer, headers), 401, "another scheme");
	snprintf(headers, sizeof(headers), "client: Client1\r\nAuthorization: bearer %s\r\n", jws);
	cr_assert_eq(token_peer_get(s.peer, headers), 200);
	session_end(&s);
}
