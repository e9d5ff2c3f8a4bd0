/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * openssl-common - what the two programs on OpenSSL share: a PSK in the form that OpenSSL takes,
 * and why a handshake failed.
 */
#ifndef TPMPSK_EXAMPLES_OPENSSL_COMMON_H
#define TPMPSK_EXAMPLES_OPENSSL_COMMON_H

#include "common.h"

#include <openssl/ssl.h>

/*
 * A PSK belongs to one hash, and ours to SHA-256: a server that has a suite with SHA-384 at hand
 * might choose it, and then has no PSK.
 */
#define SUITES_SHA256 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

/* TLS 1.3 alone, the groups (NULL: OpenSSL's) and suites as given. NULL after a complaint. */
SSL_CTX *context_new(const SSL_METHOD *method, const char *groups, const char *suites);

/* A session to resume that never was: how OpenSSL takes a TLS 1.3 PSK. NULL: no memory. */
SSL_SESSION *psk_session(SSL *ssl, const uint8_t psk[PSK_SIZE]);

/* No read or write on the socket takes longer. */
void limit_waiting(int fd, unsigned int ms);

/* One line: what happened, OpenSSL's reason, and the daemon's answer (0: none to tell of). */
void complain_ssl(const char *peer, const char *what, int tpmpsk_error);

#endif
