/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * psk-session - writes a PSK as a TLS 1.3 session in PEM, which `openssl s_client` and `s_server`
 * take with -psk_session: the way to a PSK with SHA-384, and to early data.
 *
 *     psk-session HEX SUITE [MAX_EARLY_DATA] >FILE
 */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const SSL_CIPHER *suite_by_name(SSL *ssl, const char *name)
{
	STACK_OF(SSL_CIPHER) *all = SSL_get_ciphers(ssl);

	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++)
		if (strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)), name) == 0)
			return sk_SSL_CIPHER_value(all, i);
	return NULL;
}

int main(int argc, char *argv[])
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	SSL_SESSION *session = SSL_SESSION_new();
	unsigned char key[512];
	size_t len = 0;
	const SSL_CIPHER *suite;
	int ok;

	if (argc < 3 || !ssl || !session)
		return 2;
	suite = suite_by_name(ssl, argv[2]);
	ok = OPENSSL_hexstr2buf_ex(key, sizeof(key), &len, argv[1], 0) && suite &&
	     SSL_SESSION_set1_master_key(session, key, len) &&
	     SSL_SESSION_set_cipher(session, suite) &&
	     SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) &&
	     SSL_SESSION_set_max_early_data(
		     session, argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 0) &&
	     PEM_write_SSL_SESSION(stdout, session);
	SSL_SESSION_free(session);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
