/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/session_identity.h"

#include "tests/daemon/software_mac.h"
#include "tests/swtpm/vectors.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void mac_of(
	struct software_key *key, const uint8_t *in, size_t len, uint8_t out[SESSION_KEY_SIZE])
{
	const struct mac mac = software_mac(key);
	size_t out_len;

	cr_assert_eq(mac.compute(mac.context, 0, in, len, out, &out_len), 0);
	cr_assert_eq(out_len, SESSION_KEY_SIZE);
}

static void check(const struct vector *v)
{
	struct software_key key;
	struct session_identity s = { 0 }, parsed;
	uint8_t base[128], want[256], message[SESSION_MESSAGE_MAX], secret[SESSION_KEY_SIZE];
	uint8_t psk[SESSION_KEY_SIZE], wire[TPMPSK_IDENTITY_MAX];
	struct session_keys keys;
	const char *text = vector_text(v, "session_identity");
	size_t len;

	software_key_init(&key, TPMPSK_PURPOSE_SESSION_IDENTITY, base,
		vector_bytes(v, "key", base, sizeof(base)));
	s.base_len = vector_bytes(v, "identity", base, sizeof(base));
	s.version = (enum session_version)vector_number(v, "version", 0);
	s.unix_ms = (uint64_t)vector_number(v, "unix_ms", -1);
	cr_assert_eq(vector_bytes(v, "nonce", s.nonce, sizeof(s.nonce)), SESSION_NONCE_SIZE);

	len = session_epoch_message(s.version, session_epoch_of(s.unix_ms), message);
	mac_of(&key, message, len, secret);
	vector_bytes(v, "epoch_secret", want, sizeof(want));
	cr_assert_arr_eq(secret, want, SESSION_KEY_SIZE);

	session_epoch_keys(secret, &keys);
	session_tag(&s, base, &keys, s.tag);
	len = session_identity_print(&s, base, wire);
	cr_assert_eq(len, strlen(text));
	cr_assert_arr_eq(wire, text, len);

	cr_assert(session_identity_parse(wire, len, &parsed));
	cr_assert_eq(parsed.version, s.version);
	cr_assert_eq(parsed.unix_ms, s.unix_ms);
	cr_assert_eq(parsed.base_len, s.base_len);
	cr_assert_arr_eq(parsed.tag, s.tag, SESSION_TAG_SIZE);
	cr_assert_arr_eq(parsed.nonce, s.nonce, SESSION_NONCE_SIZE);

	if (s.version == SESSION_EPOCH)
		session_epoch_psk(wire, len, &keys, psk);
	else
		mac_of(&key, message, session_psk_message(SESSION_STRICT, wire, len, message), psk);
	vector_bytes(v, "psk", want, sizeof(want));
	cr_assert_arr_eq(psk, want, SESSION_KEY_SIZE);
}

Test(session_identity, gives_every_known_answer)
{
	struct vectors *v = vectors_load();
	const struct vector *one;
	size_t pos = 0, n = 0;

	for (; (one = vectors_next(v, "session-identity", &pos)); n++)
		check(one);
	cr_assert_eq(n, 8);
	vectors_free(v);
}

static const char good[] = "Client1~1.AAABoMTZgACGwfEQ0zTqXCwY1eNbVw8CJ6NWZzIBQkPx0sWe";

/* From a heap copy of exactly its size, so that a read behind the end is seen. */
static bool parses(const void *wire, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct session_identity s;
	bool ok;

	memcpy(copy, wire, len);
	ok = session_identity_parse(copy, len, &s);
	free(copy);
	return ok;
}

Test(session_identity, rejects_every_truncation)
{
	cr_assert(parses(good, sizeof(good) - 1));
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		cr_assert_not(parses(good, n));
	/* From the front it is another identity, as long as one byte of it is left. */
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		cr_assert_eq(parses(good + n, sizeof(good) - 1 - n), n < 7);
}

Test(session_identity, rejects_what_is_behind_the_suffix_or_not_of_its_alphabet)
{
	char wire[sizeof(good) + 1];

	for (unsigned c = 0; c < 256; c++) {
		memcpy(wire, good, sizeof(good));
		wire[sizeof(good) - 1] = (char)c;
		cr_assert_not(parses(wire, sizeof(good)), "one byte more: %u", c);
	}
	for (int c = 0; c < 256; c++) {
		memcpy(wire, good, sizeof(good));
		wire[20] = (char)c;
		cr_assert_eq(parses(wire, sizeof(good) - 1),
			c < 128 && (isalnum(c) || c == '-' || c == '_'), "byte %d", c);
	}
}

Test(session_identity, knows_two_versions_and_no_other)
{
	char wire[sizeof(good)];

	for (unsigned c = 0; c < 256; c++) {
		memcpy(wire, good, sizeof(good));
		wire[8] = (char)c;
		cr_assert_eq(parses(wire, sizeof(good) - 1), c == '1' || c == '2');
	}
}

Test(session_identity, has_a_base_of_one_to_77_bytes_without_nul)
{
	char wire[200];

	for (size_t n = 0; n <= 100; n++) {
		memset(wire, 'x', n);
		memcpy(wire + n, good + 7, sizeof(good) - 8);
		cr_assert_eq(
			parses(wire, n + SESSION_SUFFIX_SIZE), n >= 1 && n <= SESSION_BASE_MAX);
	}
	memset(wire, 'x', 5);
	wire[2] = 0;
	memcpy(wire + 5, good + 7, sizeof(good) - 8);
	cr_assert_not(parses(wire, 5 + SESSION_SUFFIX_SIZE));
}
