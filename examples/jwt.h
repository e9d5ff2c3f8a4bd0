/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jwt - JSON Web Tokens between a client and a server that have the same two keys for their TLS
 * session: signed with HS256 (RFC 7515), and on request within a compact JWE of A256GCM (RFC 7516).
 *
 * libjose computes; what it is handed is checked here first, for only one form of each part is
 * right. The JWE's header has alg "dir", enc "A256GCM", cty and typ "JWT", and the client as kid;
 * the JWS's has alg "HS256", and may have typ and kid. The claims iss and sub must be there: they
 * are what the client says of itself, and are worth as much as the client is. Pure functions.
 */
#ifndef TPMPSK_EXAMPLES_JWT_H
#define TPMPSK_EXAMPLES_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JWT_KEY_SIZE 32
#define JWT_KID_SIZE 129 /* room for the longest kid, and a NUL */

/* Once, before anything else here: makes jansson wipe what it frees. */
void jwt_init(void);

/*
 * enc_key NULL: signed only. malloc()ed; NULL: no memory, or the client's id is not UTF-8.
 */
char *jwt_make(const char *client, const uint8_t sig_key[JWT_KEY_SIZE], const uint8_t *enc_key);

/*
 * What the outer header says whose it is, before anything is verified. False: it does not say, or
 * this is no token of that form.
 */
bool jwt_kid(const char *token, bool encrypted, char ret_kid[JWT_KID_SIZE]);

/* Any text is safe to ask about. enc_key NULL: a JWE is wrong, as a bare JWS is otherwise. */
bool jwt_matches(const char *token, const char *client, const uint8_t sig_key[JWT_KEY_SIZE],
	const uint8_t *enc_key);

#endif
