/* SPDX-License-Identifier: BSD-2-Clause */
#include "jwt.h"

#include <jose/jose.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_SIZE_MAX 4096
#define PARTS_MAX 5
#define SIGNATURE_SIZE 32
#define IV_SIZE 12
#define TAG_SIZE 16

/* The parts of the compact forms: RFC 7515, section 7.1, and RFC 7516, section 7.1. */
static const char *const jws_parts[] = { "protected", "payload", "signature", NULL };
static const char *const jwe_parts[] = { "protected", "encrypted_key", "iv", "ciphertext", "tag",
	NULL };

static void wiping_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void jwt_init(void)
{
	json_set_alloc_funcs(malloc, wiping_free);
	json_object_seed(0); /* while there is one thread */
}

static json_t *key_new(const char *alg, const uint8_t key[JWT_KEY_SIZE])
{
	return json_pack(
		"{s:s, s:s, s:o*}", "kty", "oct", "alg", alg, "k", jose_b64_enc(key, JWT_KEY_SIZE));
}

/* The parts with dots between; malloc()ed. */
static char *compact(const json_t *object, const char *const parts[])
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; parts[i]; i++) {
		const char *part = json_string_value(json_object_get(object, parts[i]));

		fprintf(f, "%s%s", i > 0 ? "." : "", part ? part : "");
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static char *sign(const char *client, const uint8_t key[JWT_KEY_SIZE])
{
	json_auto_t *claims = json_pack("{s:s, s:s}", "iss", client, "sub", client);
	json_auto_t *jws = json_pack("{s:o*}", "payload", jose_b64_enc_dump(claims));
	json_auto_t *template = json_pack(
		"{s:{s:s, s:s, s:s}}", "protected", "alg", "HS256", "typ", "JWT", "kid", client);
	json_auto_t *jwk = key_new("HS256", key);

	if (!claims || !jws || !template || !jwk || !jose_jws_sig(NULL, jws, template, jwk))
		return NULL;
	return compact(jws, jws_parts);
}

static char *encrypt(const char *client, const uint8_t key[JWT_KEY_SIZE], const char *jwt)
{
	json_auto_t *jwe = json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "protected", "alg", "dir",
		"enc", "A256GCM", "cty", "JWT", "typ", "JWT", "kid", client);
	json_auto_t *jwk = key_new("A256GCM", key);

	if (!jwe || !jwk || !jose_jwe_enc(NULL, jwe, NULL, jwk, jwt, strlen(jwt)))
		return NULL;
	return compact(jwe, jwe_parts);
}

static void text_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

char *jwt_make(const char *client, const uint8_t sig_key[JWT_KEY_SIZE], const uint8_t *enc_key)
{
	char *signed_jwt = sign(client, sig_key), *jwe;

	if (!signed_jwt || !enc_key)
		return signed_jwt;
	jwe = encrypt(client, enc_key, signed_jwt);
	text_free(signed_jwt);
	return jwe;
}

/* Parts that have one size only: the signature, a vector, a tag; and a key that is not sent. */
static bool size_ok(const char *name, size_t size)
{
	static const struct {
		const char *name;
		size_t size;
	} fixed[] = { { "signature", SIGNATURE_SIZE }, { "encrypted_key", 0 }, { "iv", IV_SIZE },
		{ "tag", TAG_SIZE } };

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strcmp(name, fixed[i].name) == 0)
			return size == fixed[i].size;
	return size > 0;
}

/*
 * The object that libjose works on; NULL when it is not exactly these parts. libjose's decoder
 * takes no padding and no bits that stand for nothing: there is one way to write a part.
 */
static json_t *split(const char *text, size_t size, const char *const parts[])
{
	json_auto_t *object = json_object();

	for (size_t i = 0; parts[i]; i++) {
		const char *dot = memchr(text, '.', size);
		size_t part = dot ? (size_t)(dot - text) : size;
		size_t decoded = part > 0 ? jose_b64_dec_buf(text, part, NULL, 0) : 0;

		if (!dot != !parts[i + 1] || decoded == SIZE_MAX || !size_ok(parts[i], decoded) ||
			json_object_set_new(object, parts[i], json_stringn(text, part)) < 0)
			return NULL;
		if (dot) {
			text += part + 1;
			size -= part + 1;
		}
	}
	return json_incref(object);
}

/* The JSON object in a part. */
static json_t *part_load(const json_t *object, const char *name)
{
	const json_t *part = json_object_get(object, name);
	uint8_t bytes[TEXT_SIZE_MAX];
	size_t n = jose_b64_dec(part, bytes, sizeof(bytes));
	json_t *loaded = NULL;

	if (n != SIZE_MAX)
		loaded = json_loadb((char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
	explicit_bzero(bytes, sizeof(bytes));
	return loaded;
}

/* Whether a member is this string; missing is as good if it need not be there. */
static bool is(const json_t *object, const char *name, const char *value, bool needed)
{
	const json_t *member = json_object_get(object, name);

	if (!member)
		return !needed;
	return json_is_string(member) && json_string_length(member) == strlen(value) &&
	       memcmp(json_string_value(member), value, strlen(value)) == 0;
}

static bool has(const json_t *object, const char *name)
{
	return json_object_get(object, name) != NULL;
}

static bool jwe_header_ok(const json_t *header, const char *client)
{
	return is(header, "alg", "dir", true) && is(header, "enc", "A256GCM", true) &&
	       is(header, "cty", "JWT", true) && is(header, "typ", "JWT", true) &&
	       is(header, "kid", client, true) && !has(header, "zip") && !has(header, "crit");
}

static bool jws_header_ok(const json_t *header, const char *client)
{
	return is(header, "alg", "HS256", true) && is(header, "typ", "JWT", false) &&
	       is(header, "kid", client, false) && !has(header, "b64") && !has(header, "crit");
}

/* RFC 7519, section 4.1: none of these must be there, but what is there counts. */
static bool times_ok(const json_t *claims, double now)
{
	const json_t *from = json_object_get(claims, "nbf"),
		     *until = json_object_get(claims, "exp");

	return (!from || (json_is_number(from) && now >= json_number_value(from))) &&
	       (!until || (json_is_number(until) && now < json_number_value(until)));
}

/* "aud" names receivers; this one has no name. */
static bool claims_ok(const json_t *claims)
{
	return json_string_length(json_object_get(claims, "iss")) > 0 &&
	       json_string_length(json_object_get(claims, "sub")) > 0 && !has(claims, "aud") &&
	       times_ok(claims, (double)time(NULL));
}

/* The claims count only once the signature is known to be right. */
static bool jws_matches(
	const char *text, size_t size, const char *client, const uint8_t key[JWT_KEY_SIZE])
{
	json_auto_t *jws = split(text, size, jws_parts);
	json_auto_t *header = jws ? part_load(jws, "protected") : NULL;
	json_auto_t *jwk = key_new("HS256", key);
	json_auto_t *claims = NULL;

	if (!jwk || !jws_header_ok(header, client) || !jose_jws_ver(NULL, jws, NULL, jwk, false))
		return false;
	claims = part_load(jws, "payload");
	return claims_ok(claims);
}

static bool jwe_matches(const char *text, size_t size, const char *client,
	const uint8_t sig_key[JWT_KEY_SIZE], const uint8_t enc_key[JWT_KEY_SIZE])
{
	json_auto_t *jwe = split(text, size, jwe_parts);
	json_auto_t *header = jwe ? part_load(jwe, "protected") : NULL;
	json_auto_t *jwk = key_new("A256GCM", enc_key);
	size_t inner_size = 0;
	char *inner = NULL;
	bool matches;

	if (jwk && jwe_header_ok(header, client))
		inner = jose_jwe_dec(NULL, jwe, NULL, jwk, &inner_size);
	matches = inner && jws_matches(inner, inner_size, client, sig_key);
	if (inner)
		explicit_bzero(inner, inner_size);
	free(inner);
	return matches;
}

bool jwt_kid(const char *token, bool encrypted, char ret_kid[JWT_KID_SIZE])
{
	json_auto_t *object =
		split(token, strnlen(token, TEXT_SIZE_MAX), encrypted ? jwe_parts : jws_parts);
	json_auto_t *header = object ? part_load(object, "protected") : NULL;
	const json_t *kid = json_object_get(header, "kid");
	size_t size = json_string_length(kid);

	if (size == 0 || size >= JWT_KID_SIZE || strlen(json_string_value(kid)) != size)
		return false;
	memcpy(ret_kid, json_string_value(kid), size + 1);
	return true;
}

bool jwt_matches(const char *token, const char *client, const uint8_t sig_key[JWT_KEY_SIZE],
	const uint8_t *enc_key)
{
	size_t size = strnlen(token, TEXT_SIZE_MAX + 1);

	if (size > TEXT_SIZE_MAX)
		return false;
	if (!enc_key)
		return jws_matches(token, size, client, sig_key);
	return jwe_matches(token, size, client, sig_key, enc_key);
}
