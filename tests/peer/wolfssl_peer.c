/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wolfssl_peer - a client or server on wolfSSL whose PSK is in the TPM, around the code that client-lib/README.md shows, as it
 * stands there.
 *
 *     wolfssl_peer SOCKET IDENTITY client PORT      sends a line and prints what comes back
 *     wolfssl_peer SOCKET IDENTITY server COUNT     prints its port, then sends back a line on each of so many connections
 *
 * On loopback only. Prints the cipher suite of each handshake. 0 when all went well.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "wolfssl_readme.h"

#define DEVICE 7
#define TIMEOUT_S 30

static struct handshake template;
static struct handshake *answering; /* the PSK callbacks have no context of their own */

static unsigned int give_placeholder(unsigned char *key, unsigned int max)
{
	if (max < sizeof(answering->placeholder))
		return 0;
	memcpy(key, answering->placeholder, sizeof(answering->placeholder));
	return sizeof(answering->placeholder);
}

static unsigned int on_client_psk(WOLFSSL *ssl, const char *hint, char *identity,
	unsigned int identity_max, unsigned char *key, unsigned int max, const char **suite)
{
	(void)ssl;
	(void)hint;
	if (strlen(answering->identity) >= identity_max)
		return 0;
	strcpy(identity, answering->identity);
	*suite = "TLS13-AES128-GCM-SHA256";
	return give_placeholder(key, max);
}

static unsigned int on_server_psk(WOLFSSL *ssl, const char *identity, unsigned char *key,
	unsigned int max, const char **suite)
{
	(void)ssl;
	if (strcmp(identity, answering->identity) != 0)
		return 0;
	*suite = "TLS13-AES128-GCM-SHA256";
	return give_placeholder(key, max);
}

static int fail(const char *what, int why)
{
	fprintf(stderr, "wolfssl_peer: %s: %d\n", what, why);
	return 1;
}

/* One connection, from its handshake to its end. */
static int serve(WOLFSSL_CTX *ctx, int fd, bool client)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	struct handshake h = template;
	WOLFSSL *ssl = wolfSSL_new(ctx);
	char line[256];
	int n, failed = 0;

	answering = &h;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	wolfSSL_set_fd(ssl, fd);
	wolfSSL_SetHKDFExtractCtx(ssl, &h);
	if (client)
		wolfSSL_set_psk_client_tls13_callback(ssl, on_client_psk);
	else
		wolfSSL_set_psk_server_tls13_callback(ssl, on_server_psk);
	n = client ? wolfSSL_connect(ssl) : wolfSSL_accept(ssl);
	if (n != WOLFSSL_SUCCESS) {
		failed = fail("handshake", wolfSSL_get_error(ssl, n));
	} else {
		printf("%s %s\n", wolfSSL_get_version(ssl), wolfSSL_get_cipher_name(ssl));
		if (client && wolfSSL_write(ssl, "hello\n", 6) != 6)
			failed = fail("write", 0);
		n = wolfSSL_read(ssl, line, sizeof(line));
		if (n <= 0)
			failed = fail("read", wolfSSL_get_error(ssl, n));
		else if (client)
			printf("%.*s", n, line);
		else if (wolfSSL_write(ssl, line, n) != n)
			failed = fail("write", 0);
		wolfSSL_shutdown(ssl);
	}
	fflush(stdout);
	wolfSSL_free(ssl);
	close(fd);
	current = NULL;
	return failed;
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int run_client(WOLFSSL_CTX *ctx, int port)
{
	struct sockaddr_in to = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return fail("connect", port);
	return serve(ctx, fd, true);
}

static int run_server(WOLFSSL_CTX *ctx, int count)
{
	struct sockaddr_in at = loopback(0);
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), failed = 0;

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return fail("listen", 0);
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	while (count-- > 0)
		failed |= serve(ctx, accept(fd, NULL, NULL), false);
	return failed;
}

int main(int argc, char **argv)
{
	bool client = argc == 5 && strcmp(argv[3], "client") == 0;
	WOLFSSL_CTX *ctx;
	int r;

	if (argc != 5)
		return fail("arguments", argc);
	wolfSSL_Init();
	if (tpmpsk_open(&template.tpm, argv[1]) < 0 ||
		getrandom(template.placeholder, sizeof(template.placeholder), 0) !=
			sizeof(template.placeholder))
		return fail("no daemon", 0);
	template.identity = argv[2];
	ctx = wolfSSL_CTX_new(client ? wolfTLSv1_3_client_method() : wolfTLSv1_3_server_method());
	if (!ctx || wc_CryptoCb_RegisterDevice(DEVICE, on_crypto, NULL) != 0 ||
		wolfSSL_CTX_SetDevId(ctx, DEVICE) != WOLFSSL_SUCCESS)
		return fail("set up", 0);
	wolfSSL_CTX_SetHKDFExtractCb(ctx, on_extract);
	wolfSSL_CTX_set_cipher_list(ctx, "TLS13-AES128-GCM-SHA256");
	r = client ? run_client(ctx, atoi(argv[4])) : run_server(ctx, atoi(argv[4]));
	wolfSSL_CTX_free(ctx);
	wolfSSL_Cleanup();
	tpmpsk_close(template.tpm);
	return r;
}
