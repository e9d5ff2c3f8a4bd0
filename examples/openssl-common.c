/* SPDX-License-Identifier: BSD-2-Clause */
#include "openssl-common.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <tpmpsk.h>

static const unsigned char aes_128_gcm_sha256[] = { 0x13, 0x01 }; /* RFC 8446, appendix B.4 */

SSL_CTX *context_new(const SSL_METHOD *method, const char *groups, const char *suites)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION)) {
		complain_ssl("OpenSSL", "context", 0);
	} else if (groups && !SSL_CTX_set1_groups_list(ctx, groups)) {
		complain("--groups: no such groups");
	} else if (suites && !SSL_CTX_set_ciphersuites(ctx, suites)) {
		complain("--ciphersuites: no such suites of TLS 1.3");
	} else {
		return ctx;
	}
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_SESSION *psk_session(SSL *ssl, const uint8_t psk[PSK_SIZE])
{
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
	SSL_SESSION *session = SSL_SESSION_new();

	/* Of the suite only the hash matters. */
	if (session && cipher && SSL_SESSION_set1_master_key(session, psk, PSK_SIZE) &&
		SSL_SESSION_set_cipher(session, cipher) &&
		SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

void limit_waiting(int fd, unsigned int ms)
{
	const struct timeval limit = {
		.tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000,
	};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

void complain_ssl(const char *peer, const char *what, int tpmpsk_error)
{
	int saved = errno;
	unsigned long e = ERR_get_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	if (!reason && saved == EAGAIN)
		reason = "timed out";
	else if (!reason)
		reason = saved ? strerror(saved) : "the connection ended";
	complain("%s: %s: %s%s%s", peer, what, reason, tpmpsk_error < 0 ? " tpm-pskd: " : "",
		tpmpsk_error < 0 ? tpmpsk_strerror(tpmpsk_error) : "");
	ERR_clear_error();
}
