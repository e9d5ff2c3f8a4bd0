/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token - what token-server and token-client share: from a TLS session and a client's key to what
 * goes into an HTTP header, and whether what came in one is right.
 *
 * A token is worth one TLS connection: it is made of what the TLS exporter (RFC 8446, section 7.5)
 * gives on that connection and on no other, and of the client's key, which the daemon has, or a
 * file. Calls block until the daemon's answer. Whatever came from the network is checked here.
 */
#ifndef TPMPSK_EXAMPLES_TOKEN_H
#define TPMPSK_EXAMPLES_TOKEN_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tpmpsk.h>

#define TOKEN_CLIENT_SIZE (TPMPSK_IDENTITY_SIZE_MAX + 1) /* room for any client's id, and a NUL */
#define TOKEN_SIZE_MAX 4096                              /* characters of the longest token */
#define TOKEN_EKM_SIZE 32
#define TOKEN_PARTS_MAX 2

/* On each side the same, as the peers' agreement. */
enum token_kind {
	TOKEN_APIKEY,        /* exporter-kdf: the token is the output in base64 */
	TOKEN_JWT_SIGNED,    /* exporter-mac: a JWT signed with the output */
	TOKEN_JWT_ENCRYPTED, /* that JWT within a JWE */
};

/* What --jwt takes: "sign" or "encrypt". */
bool token_kind_parse(const char *text, enum token_kind *ret);

/* Where a client's key is: the daemon computes with it, or else this process does. */
struct token_key {
	struct tpmpsk *tpm;
	uint8_t *secret;
	size_t secret_size;
};

/*
 * The daemon at socket (NULL: the usual place), or with secret_file the bytes of that file as they
 * are, 1 to 1024. False: complained.
 */
bool token_key_open(struct token_key *ret, const char *socket, const char *secret_file);
void token_key_close(struct token_key *key);

/* The 32-byte values of one session: the exporter's, and then what the key makes of them. */
struct token_parts {
	size_t n;
	uint8_t of[TOKEN_PARTS_MAX][TOKEN_EKM_SIZE];
};

void token_parts_wipe(struct token_parts *parts);

/* What the exporter's n-th value is called: the context that it was made with. */
const char *token_context(enum token_kind kind, const char *client, size_t n);

/* 1 to 128 bytes without control characters, nor with spaces around: fit for an HTTP header. */
bool token_client_ok(const char *client, size_t size);

/* Both are 0 or a TPMPSK_ERR_*. */
int token_export(gnutls_session_t session, enum token_kind kind, const char *client,
	struct token_parts *ret_ekm) __attribute__((warn_unused_result));
int token_derive(const struct token_key *key, enum token_kind kind, const char *client,
	const struct token_parts *ekm, struct token_parts *ret_secrets)
	__attribute__((warn_unused_result));

/* What to send; for token_free(). NULL: no memory, or a client's id that JSON cannot hold. */
char *token_make(enum token_kind kind, const char *client, const struct token_parts *secrets);
/* Takes constant time where a peer could learn from it. */
bool token_matches(enum token_kind kind, const char *client, const struct token_parts *secrets,
	const char *token);
/* Wipes, and takes NULL. */
void token_free(char *token);

#endif
