/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_peer - a client of token-server's that has nothing of ours: OpenSSL for TLS 1.3, its
 * exporter and every HMAC, and any header that a test wants to send.
 *
 * Assertions are criterion's. Tests only.
 */
#ifndef TPMPSK_TESTS_EXAMPLES_TOKEN_PEER_H
#define TPMPSK_TESTS_EXAMPLES_TOKEN_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_VALUE_SIZE 32
#define PEER_APIKEY_SIZE 45
#define PEER_JWT_SIZE 4096
#define PEER_APIKEY_LABEL "EXPORTER-my_label"
#define PEER_JWT_LABEL "EXPORTER-Channel-Binding"

struct token_peer;

/* address is "127.0.0.1:PORT". The certificate is not looked at. */
struct token_peer *token_peer_connect(const char *address);
/* With at most TLS 1.2; false when the server does not want that. */
bool token_peer_connects_with_tls12(const char *address);
void token_peer_close(struct token_peer *peer);

void token_peer_export(struct token_peer *peer, const char *label, const char *context,
	uint8_t ekm[PEER_VALUE_SIZE]);

/*
 * Sends "GET / HTTP/1.1" with these headers ("a: b\r\n", any number), and returns the status. The
 * response without its date is valid until the next one.
 */
unsigned int token_peer_get(struct token_peer *peer, const char *headers);
unsigned int token_peer_request(struct token_peer *peer, const char *method, const char *headers);
const char *token_peer_response(const struct token_peer *peer);

/* Sends bytes as they are and waits until the server hangs up, or answers. */
void token_peer_send(struct token_peer *peer, const void *data, size_t size);

/* HMAC-SHA256(secret, ekm) */
void peer_mac(const char *secret, const uint8_t ekm[PEER_VALUE_SIZE], uint8_t out[PEER_VALUE_SIZE]);
/* base64(HMAC-SHA256(secret, be32(0) || ekm || be32(256))) */
void peer_apikey(
	const char *secret, const uint8_t ekm[PEER_VALUE_SIZE], char apikey[PEER_APIKEY_SIZE]);

/* Compact forms of what need not be JSON: base64url(header) "." ... */
void peer_jws(const char *header, const char *payload, const uint8_t key[PEER_VALUE_SIZE],
	char jws[PEER_JWT_SIZE]);
void peer_jwe(const char *header, const void *data, size_t size, const uint8_t key[PEER_VALUE_SIZE],
	char jwe[PEER_JWT_SIZE]);
/* Whether the signature is right; and what is in a JWE. */
bool peer_jws_verifies(const char *jws, const uint8_t key[PEER_VALUE_SIZE]);
bool peer_jwe_opens(const char *jwe, const uint8_t key[PEER_VALUE_SIZE], char text[PEER_JWT_SIZE]);
/* The n-th part decoded, with a NUL behind. */
size_t peer_part(const char *token, size_t n, char out[PEER_JWT_SIZE]);

void peer_unhex(const char *hex, uint8_t out[PEER_VALUE_SIZE]);

#endif
