/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/examples/token_peer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESPONSE_SIZE 8192
#define REQUEST_SIZE 65536
#define IV_SIZE 12
#define TAG_SIZE 16

struct token_peer {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	char response[RESPONSE_SIZE];
};

static int dial(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static struct token_peer *peer_new(const char *address, int version)
{
	struct token_peer *peer = calloc(1, sizeof(*peer));

	cr_assert(peer);
	signal(SIGPIPE, SIG_IGN);
	peer->fd = dial(address);
	peer->context = SSL_CTX_new(TLS_client_method());
	cr_assert(SSL_CTX_set_min_proto_version(peer->context, version));
	cr_assert(SSL_CTX_set_max_proto_version(peer->context, version));
	peer->ssl = SSL_new(peer->context);
	cr_assert(SSL_set_fd(peer->ssl, peer->fd));
	return peer;
}

struct token_peer *token_peer_connect(const char *address)
{
	struct token_peer *peer = peer_new(address, TLS1_3_VERSION);

	cr_assert_eq(SSL_connect(peer->ssl), 1);
	return peer;
}

bool token_peer_connects_with_tls12(const char *address)
{
	struct token_peer *peer = peer_new(address, TLS1_2_VERSION);
	bool connected = SSL_connect(peer->ssl) == 1;

	token_peer_close(peer);
	return connected;
}

void token_peer_close(struct token_peer *peer)
{
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->context);
	close(peer->fd);
	free(peer);
}

void token_peer_export(struct token_peer *peer, const char *label, const char *context,
	uint8_t ekm[PEER_VALUE_SIZE])
{
	cr_assert_eq(SSL_export_keying_material(peer->ssl, ekm, PEER_VALUE_SIZE, label,
			     strlen(label), (const uint8_t *)context, strlen(context), 1),
		1);
}

/* How long head and body are in all; 0 before that is known. */
static size_t whole_size(const char *response)
{
	const char *end = strstr(response, "\r\n\r\n");
	const char *length = strstr(response, "\r\nContent-Length: ");

	if (!end)
		return 0;
	cr_assert(length && length < end, "%s", response);
	return (size_t)(end + 4 - response) + strtoul(length + 18, NULL, 10);
}

static void forget_date(char *response)
{
	char *date = strstr(response, "\r\nDate: ");
	char *next = date ? strstr(date + 2, "\r\n") : NULL;

	if (next)
		memmove(date, next, strlen(next) + 1);
}

static void receive(struct token_peer *peer)
{
	size_t size = 0, whole = 0;

	memset(peer->response, 0, sizeof(peer->response));
	while (whole == 0 || size < whole) {
		int n = SSL_read(peer->ssl, peer->response + size, (int)(RESPONSE_SIZE - 1 - size));

		if (n <= 0)
			break;
		size += (size_t)n;
		if (whole == 0)
			whole = whole_size(peer->response);
	}
	forget_date(peer->response);
}

void token_peer_send(struct token_peer *peer, const void *data, size_t size)
{
	SSL_write(peer->ssl, data, (int)size);
	receive(peer);
}

unsigned int token_peer_request(struct token_peer *peer, const char *method, const char *headers)
{
	char request[REQUEST_SIZE];
	unsigned int status = 0;
	int size = snprintf(
		request, sizeof(request), "%s / HTTP/1.1\r\nHost: here\r\n%s\r\n", method, headers);

	cr_assert_lt((size_t)size, sizeof(request));
	token_peer_send(peer, request, (size_t)size);
	cr_assert_eq(sscanf(peer->response, "HTTP/1.1 %3u", &status), 1, "'%s'", peer->response);
	return status;
}

unsigned int token_peer_get(struct token_peer *peer, const char *headers)
{
	return token_peer_request(peer, "GET", headers);
}

const char *token_peer_response(const struct token_peer *peer)
{
	return peer->response;
}

static void hmac(const void *key, size_t key_size, const void *data, size_t size,
	uint8_t out[PEER_VALUE_SIZE])
{
	cr_assert(HMAC(EVP_sha256(), key, (int)key_size, data, size, out, NULL));
}

void peer_mac(const char *secret, const uint8_t ekm[PEER_VALUE_SIZE], uint8_t out[PEER_VALUE_SIZE])
{
	hmac(secret, strlen(secret), ekm, PEER_VALUE_SIZE, out);
}

void peer_apikey(
	const char *secret, const uint8_t ekm[PEER_VALUE_SIZE], char apikey[PEER_APIKEY_SIZE])
{
	uint8_t input[4 + PEER_VALUE_SIZE + 4] = { [4 + PEER_VALUE_SIZE + 2] = 1 };
	uint8_t output[PEER_VALUE_SIZE];

	memcpy(input + 4, ekm, PEER_VALUE_SIZE);
	hmac(secret, strlen(secret), input, sizeof(input), output);
	EVP_EncodeBlock((uint8_t *)apikey, output, sizeof(output));
}

/* Appends a part, and a dot in front unless it is the first. */
static void append(char *token, bool first, const void *data, size_t size)
{
	uint8_t text[PEER_JWT_SIZE];
	int n = EVP_EncodeBlock(text, data, (int)size);

	while (n > 0 && text[n - 1] == '=')
		n--;
	for (int i = 0; i < n; i++)
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	text[n] = 0;
	if (!first)
		strcat(token, ".");
	strcat(token, (char *)text);
}

size_t peer_part(const char *token, size_t n, char out[PEER_JWT_SIZE])
{
	char text[PEER_JWT_SIZE] = "";
	size_t size, padding;

	for (; n > 0; n--) {
		token = strchr(token, '.');
		cr_assert(token);
		token++;
	}
	size = strcspn(token, ".");
	memcpy(text, token, size);
	for (size_t i = 0; i < size; i++)
		text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	padding = (4 - size % 4) % 4;
	memset(text + size, '=', padding);
	size = (size_t)EVP_DecodeBlock((uint8_t *)out, (uint8_t *)text, (int)(size + padding));
	out[size - padding] = 0;
	return size - padding;
}

void peer_jws(const char *header, const char *payload, const uint8_t key[PEER_VALUE_SIZE],
	char jws[PEER_JWT_SIZE])
{
	uint8_t signature[PEER_VALUE_SIZE];

	jws[0] = 0;
	append(jws, true, header, strlen(header));
	append(jws, false, payload, strlen(payload));
	hmac(key, PEER_VALUE_SIZE, jws, strlen(jws), signature);
	append(jws, false, signature, sizeof(signature));
}

bool peer_jws_verifies(const char *jws, const uint8_t key[PEER_VALUE_SIZE])
{
	uint8_t right[PEER_VALUE_SIZE];
	char signature[PEER_JWT_SIZE];

	hmac(key, PEER_VALUE_SIZE, jws, (size_t)(strrchr(jws, '.') - jws), right);
	return peer_part(jws, 2, signature) == sizeof(right) &&
	       memcmp(signature, right, sizeof(right)) == 0;
}

void peer_jwe(const char *header, const void *data, size_t size, const uint8_t key[PEER_VALUE_SIZE],
	char jwe[PEER_JWT_SIZE])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t iv[IV_SIZE] = "twelve bytes", tag[TAG_SIZE], out[PEER_JWT_SIZE];
	int n, rest;

	jwe[0] = 0;
	append(jwe, true, header, strlen(header));
	cr_assert(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv));
	cr_assert(EVP_EncryptUpdate(c, NULL, &n, (uint8_t *)jwe, (int)strlen(jwe)));
	cr_assert(EVP_EncryptUpdate(c, out, &n, data, (int)size));
	cr_assert(EVP_EncryptFinal_ex(c, out + n, &rest));
	cr_assert(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag));
	append(jwe, false, "", 0);
	append(jwe, false, iv, sizeof(iv));
	append(jwe, false, out, (size_t)n);
	append(jwe, false, tag, sizeof(tag));
	EVP_CIPHER_CTX_free(c);
}

bool peer_jwe_opens(const char *jwe, const uint8_t key[PEER_VALUE_SIZE], char text[PEER_JWT_SIZE])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	char iv[PEER_JWT_SIZE], tag[PEER_JWT_SIZE], in[PEER_JWT_SIZE];
	int n, rest, size = (int)peer_part(jwe, 3, in);
	bool ok;

	cr_assert_eq(peer_part(jwe, 1, tag), 0);
	cr_assert_eq(peer_part(jwe, 2, iv), IV_SIZE);
	cr_assert_eq(peer_part(jwe, 4, tag), TAG_SIZE);
	cr_assert(EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, (uint8_t *)iv));
	cr_assert(EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)jwe, (int)strcspn(jwe, ".")));
	cr_assert(EVP_DecryptUpdate(c, (uint8_t *)text, &n, (uint8_t *)in, size));
	cr_assert(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag));
	ok = EVP_DecryptFinal_ex(c, (uint8_t *)text + n, &rest) == 1;
	text[n] = 0;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

void peer_unhex(const char *hex, uint8_t out[PEER_VALUE_SIZE])
{
	for (size_t i = 0; i < PEER_VALUE_SIZE; i++) {
		unsigned int byte;

		cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
}
