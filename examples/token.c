/* SPDX-License-Identifier: BSD-2-Clause */
#include "token.h"

#include "common.h"
#include "jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_SIZE_MAX 1024
#define SIG 0
#define ENC 1

/* What the two ends export from the TLS session; a context of NULL is the client's id. */
static const struct {
	const char *label;
	size_t n;
	const char *contexts[TOKEN_PARTS_MAX];
} kinds[] = {
	[TOKEN_APIKEY] = { "EXPORTER-my_label", 1, { NULL } },
	[TOKEN_JWT_SIGNED] = { "EXPORTER-Channel-Binding", 1, { "sig_key" } },
	[TOKEN_JWT_ENCRYPTED] = { "EXPORTER-Channel-Binding", 2, { "sig_key", "enc_key" } },
};

bool token_kind_parse(const char *text, enum token_kind *ret)
{
	if (strcmp(text, "sign") == 0)
		*ret = TOKEN_JWT_SIGNED;
	else if (strcmp(text, "encrypt") == 0)
		*ret = TOKEN_JWT_ENCRYPTED;
	else
		return false;
	return true;
}

/* Up to SECRET_SIZE_MAX + 1 bytes, or -1. Not through stdio, whose buffers nobody wipes. */
static ssize_t slurp(const char *path, uint8_t *buf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	do {
		n = read(fd, buf + size, SECRET_SIZE_MAX + 1 - size);
		if (n > 0)
			size += (size_t)n;
	} while ((n > 0 && size <= SECRET_SIZE_MAX) || (n < 0 && errno == EINTR));
	close(fd);
	return n < 0 ? -1 : (ssize_t)size;
}

static bool read_secret(struct token_key *key, const char *path)
{
	ssize_t n;

	key->secret = malloc(SECRET_SIZE_MAX + 1);
	if (!key->secret)
		return complain("no memory"), false;
	n = slurp(path, key->secret);
	key->secret_size = SECRET_SIZE_MAX + 1; /* for the wiping */
	if (n < 0)
		return complain("%s: %s", path, strerror(errno)), false;
	if (n == 0 || n > SECRET_SIZE_MAX)
		return complain("%s: not 1 to %d bytes", path, SECRET_SIZE_MAX), false;
	key->secret_size = (size_t)n;
	return true;
}

bool token_key_open(struct token_key *ret, const char *socket, const char *secret_file)
{
	int r;

	*ret = (struct token_key){ 0 };
	if (secret_file) {
		if (read_secret(ret, secret_file))
			return true;
		token_key_close(ret);
		return false;
	}
	r = tpmpsk_open(&ret->tpm, socket);
	if (r < 0)
		complain("tpm-pskd: %s", tpmpsk_strerror(r));
	return r == 0;
}

void token_key_close(struct token_key *key)
{
	tpmpsk_close(key->tpm);
	if (key->secret)
		explicit_bzero(key->secret, key->secret_size);
	free(key->secret);
	*key = (struct token_key){ 0 };
}

void token_parts_wipe(struct token_parts *parts)
{
	explicit_bzero(parts, sizeof(*parts));
}

const char *token_context(enum token_kind kind, const char *client, size_t n)
{
	return kinds[kind].contexts[n] ? kinds[kind].contexts[n] : client;
}

bool token_client_ok(const char *client, size_t size)
{
	if (size == 0 || size >= TOKEN_CLIENT_SIZE || client[0] == ' ' || client[size - 1] == ' ')
		return false;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)client[i] < 0x20 || client[i] == 0x7f)
			return false;
	return true;
}

int token_export(gnutls_session_t session, enum token_kind kind, const char *client,
	struct token_parts *ret_ekm)
{
	const char *label = kinds[kind].label;
	struct token_parts ekm = { .n = kinds[kind].n };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ekm.n; i++) {
		const char *context = token_context(kind, client, i);

		r = gnutls_prf_rfc5705(session, strlen(label), label, strlen(context), context,
			sizeof(ekm.of[i]), (char *)ekm.of[i]);
	}
	if (r == 0)
		*ret_ekm = ekm;
	token_parts_wipe(&ekm);
	return r == 0 ? 0 : TPMPSK_ERR_SYSTEM;
}

/*
 * What the daemon computes, in software: for peers without a TPM. SP 800-108 in counter mode has
 * the counter, here 0 and no more, in front of its input and the length in bits behind.
 */
static int derive_in_software(const struct token_key *key, enum token_kind kind,
	const uint8_t ekm[TOKEN_EKM_SIZE], uint8_t output[TOKEN_EKM_SIZE])
{
	uint8_t input[4 + TOKEN_EKM_SIZE + 4] = { 0 };
	const bool kdf = kind == TOKEN_APIKEY;
	int r;

	memcpy(input + 4, ekm, TOKEN_EKM_SIZE);
	input[4 + TOKEN_EKM_SIZE + 2] = 8 * TOKEN_EKM_SIZE / 256;
	input[4 + TOKEN_EKM_SIZE + 3] = 8 * TOKEN_EKM_SIZE % 256;
	r = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key->secret, key->secret_size,
		kdf ? input : input + 4, kdf ? sizeof(input) : TOKEN_EKM_SIZE, output);
	explicit_bzero(input, sizeof(input));
	return r == 0 ? 0 : TPMPSK_ERR_SYSTEM;
}

/* All that has to do with the TPM. */
static int derive_one(const struct token_key *key, enum token_kind kind, const char *client,
	const uint8_t ekm[TOKEN_EKM_SIZE], uint8_t output[TOKEN_EKM_SIZE])
{
	size_t size = strlen(client);

	if (!key->tpm)
		return derive_in_software(key, kind, ekm, output);
	if (kind == TOKEN_APIKEY)
		return tpmpsk_exporter_kdf(
			key->tpm, client, size, ekm, TOKEN_EKM_SIZE, output, TOKEN_EKM_SIZE);
	return tpmpsk_exporter_mac(key->tpm, client, size, ekm, TOKEN_EKM_SIZE, output);
}

int token_derive(const struct token_key *key, enum token_kind kind, const char *client,
	const struct token_parts *ekm, struct token_parts *ret_secrets)
{
	struct token_parts secrets = { .n = ekm->n };
	int r = 0;

	for (size_t i = 0; r == 0 && i < secrets.n; i++)
		r = derive_one(key, kind, client, ekm->of[i], secrets.of[i]);
	if (r == 0)
		*ret_secrets = secrets;
	token_parts_wipe(&secrets);
	return r;
}

static char *make_apikey(const struct token_parts *secrets)
{
	gnutls_datum_t secret = { (unsigned char *)secrets->of[0], sizeof(secrets->of[0]) };
	gnutls_datum_t text = { NULL, 0 };
	char *token;

	if (gnutls_base64_encode2(&secret, &text) < 0)
		return NULL;
	token = strndup((char *)text.data, text.size);
	gnutls_memset(text.data, 0, text.size);
	gnutls_free(text.data);
	return token;
}

char *token_make(enum token_kind kind, const char *client, const struct token_parts *secrets)
{
	if (kind == TOKEN_APIKEY)
		return make_apikey(secrets);
	return jwt_make(
		client, secrets->of[SIG], kind == TOKEN_JWT_ENCRYPTED ? secrets->of[ENC] : NULL);
}

/* Against the right one's text, so that only one way to write it is right. */
static bool apikey_matches(const struct token_parts *secrets, const char *token)
{
	char *right = make_apikey(secrets);
	size_t size = right ? strlen(right) : 0;
	bool same = right && strlen(token) == size && gnutls_memcmp(right, token, size) == 0;

	token_free(right);
	return same;
}

bool token_matches(enum token_kind kind, const char *client, const struct token_parts *secrets,
	const char *token)
{
	if (kind == TOKEN_APIKEY)
		return apikey_matches(secrets, token);
	return jwt_matches(token, client, secrets->of[SIG],
		kind == TOKEN_JWT_ENCRYPTED ? secrets->of[ENC] : NULL);
}

void token_free(char *token)
{
	if (token)
		explicit_bzero(token, strlen(token));
	free(token);
}
