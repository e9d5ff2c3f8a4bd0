/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/openssl/pair.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 40

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pair: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

OSSL_LIB_CTX *pair_libctx(const char *config)
{
	OSSL_LIB_CTX *libctx = OSSL_LIB_CTX_new();

	need(libctx && OSSL_LIB_CTX_load_config(libctx, config) == 1, config);
	return libctx;
}

void pair_reference(const char *identity, char *buf, size_t size)
{
	snprintf(buf, size, "tpm-psk-reference:00112233445566778899aabbccddeeff:%s", identity);
}

static unsigned int copy_psk(SSL *ssl, unsigned char *psk, unsigned int max)
{
	const struct pair_end *end = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	size_t len = end->psk_len ? end->psk_len : strlen(end->psk);

	if (len > max)
		return 0;
	memcpy(psk, end->psk, len);
	return (unsigned int)len;
}

static unsigned int on_client(SSL *ssl, const char *hint, char *identity, unsigned int identity_max,
	unsigned char *psk, unsigned int max)
{
	(void)hint;
	snprintf(identity, identity_max, PAIR_IDENTITY);
	return copy_psk(ssl, psk, max);
}

static unsigned int on_server(SSL *ssl, const char *identity, unsigned char *psk, unsigned int max)
{
	return strcmp(identity, PAIR_IDENTITY) == 0 ? copy_psk(ssl, psk, max) : 0;
}

static void use_certificate(SSL_CTX *ctx, OSSL_LIB_CTX *libctx)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(libctx, NULL, "EC", "P-256");
	X509 *x = X509_new_ex(libctx, NULL);

	need(key && x && X509_set_version(x, X509_VERSION_3) &&
			X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
			X509_gmtime_adj(X509_getm_notAfter(x), 3600) && X509_set_pubkey(x, key) &&
			X509_sign(x, key, EVP_sha256()) > 0 &&
			SSL_CTX_use_certificate(ctx, x) == 1 &&
			SSL_CTX_use_PrivateKey(ctx, key) == 1,
		"certificate");
	X509_free(x);
	EVP_PKEY_free(key);
}

SSL_CTX *pair_ctx(const struct pair_end *end)
{
	const SSL_METHOD *method = end->server ? TLS_server_method() : TLS_client_method();
	SSL_CTX *ctx = SSL_CTX_new_ex(end->libctx, NULL, method);
	const char *suites = end->suites;

	need(ctx && SSL_CTX_set_min_proto_version(ctx, end->version) == 1 &&
			SSL_CTX_set_max_proto_version(ctx, end->version) == 1 &&
			SSL_CTX_set_app_data(ctx, (void *)end) == 1,
		"context");
	if (!suites && end->psk && end->version == TLS1_2_VERSION)
		suites = "PSK-AES128-GCM-SHA256";
	if (suites)
		need((end->version == TLS1_2_VERSION ? SSL_CTX_set_cipher_list(ctx, suites)
						     : SSL_CTX_set_ciphersuites(ctx, suites)) == 1,
			"suites");
	if (end->server && !end->psk)
		use_certificate(ctx, end->libctx);
	if (end->server && end->psk)
		SSL_CTX_set_psk_server_callback(ctx, on_server);
	if (!end->server && end->psk)
		SSL_CTX_set_psk_client_callback(ctx, on_client);
	return ctx;
}

static SSL *new_ssl(SSL_CTX *ctx, BIO *in, BIO *out)
{
	SSL *ssl = SSL_new(ctx);

	need(ssl && BIO_up_ref(in) && BIO_up_ref(out), "connection");
	SSL_set_bio(ssl, in, out);
	return ssl;
}

/* Whether an end is done, gave up, or waits for the other. */
static bool step(SSL *ssl, bool *done)
{
	int r;

	if (*done)
		return true;
	r = SSL_do_handshake(ssl);
	*done = r == 1;
	return r == 1 || SSL_get_error(ssl, r) == SSL_ERROR_WANT_READ;
}

static bool shake_hands(SSL *client, SSL *server)
{
	bool client_done = false, server_done = false;

	for (unsigned int i = 0; i < ROUNDS_MAX && !(client_done && server_done); i++)
		if (!step(client, &client_done) || !step(server, &server_done))
			return false;
	return client_done && server_done;
}

static bool send_word(SSL *from, SSL *to, const char *word)
{
	char buf[16] = "";
	int len = (int)strlen(word);

	return SSL_write(from, word, len) == len && SSL_read(to, buf, sizeof(buf) - 1) == len &&
	       strcmp(buf, word) == 0;
}

bool pair_talk(SSL_CTX *client_ctx, SSL_CTX *server_ctx, SSL_SESSION *session,
	SSL_SESSION **ret_session, bool *ret_resumed)
{
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
	SSL *client = new_ssl(client_ctx, down, up), *server = new_ssl(server_ctx, up, down);
	bool ok;

	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	if (session)
		need(SSL_set_session(client, session) == 1, "session");
	ok = shake_hands(client, server) && send_word(client, server, "hello") &&
	     send_word(server, client, "olleh");
	if (ret_resumed)
		*ret_resumed = SSL_session_reused(client) == 1;
	if (ret_session)
		*ret_session = ok ? SSL_get1_session(client) : NULL;
	SSL_shutdown(client);
	SSL_free(client);
	SSL_free(server);
	BIO_free(up);
	BIO_free(down);
	return ok;
}
