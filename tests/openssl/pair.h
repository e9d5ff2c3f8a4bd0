/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pair - both ends of a TLS connection in one process, each in a library context with a
 * configuration of its own, over memory.
 *
 * Tests only. What cannot fail in a test is the end of the program, with OpenSSL's errors.
 */
#ifndef TPMPSK_TESTS_OPENSSL_PAIR_H
#define TPMPSK_TESTS_OPENSSL_PAIR_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAIR_IDENTITY "Client1"
#define PAIR_PSK_MAX 256

/* One end: what makes an SSL_CTX. */
struct pair_end {
	OSSL_LIB_CTX *libctx; /* NULL: OpenSSL's own */
	bool server;
	int version;        /* TLS1_2_VERSION or TLS1_3_VERSION */
	const char *suites; /* NULL: OpenSSL's, and with a PSK in TLS 1.2 PSK-AES128-GCM-SHA256 */
	const char
		*psk;   /* text: bytes of a reference; NULL: none, and a server has a certificate */
	size_t psk_len; /* 0: the length of the text */
};

/* A library context that was configured by this file. */
OSSL_LIB_CTX *pair_libctx(const char *config);

SSL_CTX *pair_ctx(const struct pair_end *end);

/*
 * A handshake, a word in either direction and a goodbye. session: the client's to resume, may be
 * NULL. ret_session (may be NULL) is what the client got to resume with. True when all went well; else
 * the reasons are on OpenSSL's error stack.
 */
bool pair_talk(SSL_CTX *client, SSL_CTX *server, SSL_SESSION *session, SSL_SESSION **ret_session,
	bool *ret_resumed);

/* "tpm-psk-reference:…" for an identity. */
void pair_reference(const char *identity, char *buf, size_t size);

#endif
