/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/session_identity.h"

#include "proto/reader.h"
#include "proto/writer.h"

#include <assert.h>
#include <string.h>

#define STAMP_SIZE (8 + SESSION_NONCE_SIZE)
#define BINARY_SIZE (STAMP_SIZE + SESSION_TAG_SIZE)
#define BASE64_SIZE (SESSION_SUFFIX_SIZE - 3)

/* begun: with the key. It stays as it was. */
static void hmac(const crypto_auth_hmacsha256_state *begun, const void *in, size_t len,
	uint8_t out[SESSION_KEY_SIZE])
{
	crypto_auth_hmacsha256_state state = *begun;

	crypto_auth_hmacsha256_update(&state, in, len);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof(state));
}

static uint8_t version_char(enum session_version v)
{
	return (uint8_t)('0' + v);
}

bool session_identity_parse(const uint8_t *wire, size_t len, struct session_identity *ret)
{
	uint8_t binary[BINARY_SIZE];
	struct session_identity s;
	struct tpmpsk_reader r;
	const uint8_t *suffix;
	size_t got;

	if (len <= SESSION_SUFFIX_SIZE || len > TPMPSK_IDENTITY_MAX)
		return false;
	s.base_len = len - SESSION_SUFFIX_SIZE;
	suffix = wire + s.base_len;
	if (memchr(wire, 0, s.base_len) || suffix[0] != '~' || suffix[2] != '.')
		return false;
	if (suffix[1] != version_char(SESSION_STRICT) && suffix[1] != version_char(SESSION_EPOCH))
		return false;
	s.version = suffix[1] - '0';
	/* libsodium 1.0.18 takes some bytes above 127 for digits. */
	for (size_t i = 3; i < SESSION_SUFFIX_SIZE; i++)
		if (suffix[i] > 127)
			return false;
	/* 48 characters are 36 bytes without bits to spare: only one text stands for them. */
	if (sodium_base642bin(binary, sizeof(binary), (const char *)suffix + 3, BASE64_SIZE, NULL,
		    &got, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) < 0 ||
		got != BINARY_SIZE)
		return false;
	tpmpsk_reader_init(&r, binary, sizeof(binary));
	s.unix_ms = tpmpsk_read_u64(&r);
	tpmpsk_read_bytes(&r, s.nonce, sizeof(s.nonce));
	tpmpsk_read_bytes(&r, s.tag, sizeof(s.tag));
	if (tpmpsk_reader_finish(&r) < 0)
		return false;
	*ret = s;
	return true;
}

static void write_stamp(struct tpmpsk_writer *w, const struct session_identity *s)
{
	tpmpsk_write_u64(w, s->unix_ms);
	tpmpsk_write_bytes(w, s->nonce, sizeof(s->nonce));
}

/* Everything here is sized to fit; a writer that fails is a mistake of ours. */
static size_t finish(const struct tpmpsk_writer *w)
{
	size_t len = 0;
	int r = tpmpsk_writer_finish(w, &len);

	assert(r == 0);
	(void)r;
	return len;
}

size_t session_identity_print(
	const struct session_identity *s, const uint8_t *base, uint8_t wire[TPMPSK_IDENTITY_MAX])
{
	const uint8_t mark[3] = { '~', version_char(s->version), '.' };
	uint8_t binary[BINARY_SIZE];
	char text[BASE64_SIZE + 1];
	struct tpmpsk_writer w;

	tpmpsk_writer_init(&w, binary, sizeof(binary));
	write_stamp(&w, s);
	tpmpsk_write_bytes(&w, s->tag, sizeof(s->tag));
	finish(&w);
	sodium_bin2base64(text, sizeof(text), binary, sizeof(binary),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	tpmpsk_writer_init(&w, wire, TPMPSK_IDENTITY_MAX);
	tpmpsk_write_bytes(&w, base, s->base_len);
	tpmpsk_write_bytes(&w, mark, sizeof(mark));
	tpmpsk_write_bytes(&w, text, BASE64_SIZE);
	return finish(&w);
}

/* "tpm-psk session-identity v" || v || what || 0x00, the beginning of both messages. */
static void start_message(
	struct tpmpsk_writer *w, uint8_t *message, enum session_version v, const char *what)
{
	static const char label[] = "tpm-psk session-identity v";

	tpmpsk_writer_init(w, message, SESSION_MESSAGE_MAX);
	tpmpsk_write_bytes(w, label, sizeof(label) - 1);
	tpmpsk_write_u8(w, version_char(v));
	tpmpsk_write_bytes(w, what, strlen(what));
	tpmpsk_write_u8(w, 0);
}

size_t session_epoch_message(
	enum session_version v, uint64_t epoch, uint8_t message[SESSION_MESSAGE_MAX])
{
	struct tpmpsk_writer w;

	start_message(&w, message, v, " epoch secret");
	tpmpsk_write_u64(&w, epoch);
	return finish(&w);
}

void session_epoch_keys(const uint8_t secret[SESSION_KEY_SIZE], struct session_keys *ret)
{
	crypto_auth_hmacsha256_state state;
	uint8_t key[SESSION_KEY_SIZE];

	crypto_auth_hmacsha256_init(&state, secret, SESSION_KEY_SIZE);
	hmac(&state, "tag", 3, key);
	crypto_auth_hmacsha256_init(&ret->tag, key, sizeof(key));
	hmac(&state, "psk", 3, key);
	crypto_auth_hmacsha256_init(&ret->psk, key, sizeof(key));
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(key, sizeof(key));
}

void session_tag(const struct session_identity *s, const uint8_t *base,
	const struct session_keys *keys, uint8_t tag[SESSION_TAG_SIZE])
{
	uint8_t message[1 + STAMP_SIZE + SESSION_BASE_MAX], out[SESSION_KEY_SIZE];
	struct tpmpsk_writer w;

	tpmpsk_writer_init(&w, message, sizeof(message));
	tpmpsk_write_u8(&w, version_char(s->version));
	write_stamp(&w, s);
	tpmpsk_write_bytes(&w, base, s->base_len);
	hmac(&keys->tag, message, finish(&w), out);
	memcpy(tag, out, SESSION_TAG_SIZE);
	sodium_memzero(out, sizeof(out));
}

size_t session_psk_message(enum session_version v, const uint8_t *wire, size_t wire_len,
	uint8_t message[SESSION_MESSAGE_MAX])
{
	struct tpmpsk_writer w;

	start_message(&w, message, v, " psk");
	tpmpsk_write_bytes(&w, wire, wire_len);
	return finish(&w);
}

void session_epoch_psk(const uint8_t *wire, size_t wire_len, const struct session_keys *keys,
	uint8_t psk[SESSION_KEY_SIZE])
{
	uint8_t message[SESSION_MESSAGE_MAX];

	hmac(&keys->psk, message, session_psk_message(SESSION_EPOCH, wire, wire_len, message), psk);
}
