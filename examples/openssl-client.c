/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * openssl-client - psk-client's twin on OpenSSL, over TLS 1.3 alone: what a program on another TLS
 * library than GnuTLS does, with nothing but libtpmpsk.
 *
 * Exit code 0: the echo came; 1: anything else; 2: wrong arguments.
 */
#include "openssl-common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tpmpsk.h>
#include <unistd.h>

struct client {
	const char *socket;
	const char *connect;
	const char *identity;
	const char *groups;
	const char *suites;
	const char *message;
	unsigned int timeout_ms;
	bool print_psk;
	struct tpmpsk *tpm;
	char peer[ADDRESS_TEXT_SIZE];
	int error; /* the daemon's */
	char session_identity[TPMPSK_SESSION_IDENTITY_SIZE];
	size_t session_identity_size;
	SSL_SESSION *session; /* while the handshake lasts */
};

/* All that has to do with the TPM: the PSK of one session, and what to call it. */
static SSL_SESSION *ask_daemon(struct client *client, SSL *ssl)
{
	uint8_t psk[PSK_SIZE];
	SSL_SESSION *session;

	client->error = tpmpsk_session_identity_client(client->tpm, client->identity,
		strlen(client->identity), client->session_identity, &client->session_identity_size,
		psk);
	if (client->error < 0)
		return NULL;
	session = psk_session(ssl, psk);
	explicit_bzero(psk, sizeof(psk));
	return session;
}

/*
 * Called once more when the server asks the client to begin again: the second ClientHello has to
 * have the identities of the first (RFC 8446, section 4.1.2), so what the daemon said is kept until
 * the handshake is over.
 */
static int on_psk(SSL *ssl, const EVP_MD *md, const unsigned char **identity, size_t *identity_size,
	SSL_SESSION **ret_session)
{
	struct client *client = SSL_get_app_data(ssl);

	(void)md; /* when the server wants another hash than the PSK's, OpenSSL gives up by itself */
	if (!client->session)
		client->session = ask_daemon(client, ssl);
	if (!client->session || !SSL_SESSION_up_ref(client->session))
		return 0;
	*identity = (unsigned char *)client->session_identity;
	*identity_size = client->session_identity_size;
	*ret_session = client->session;
	return 1;
}

static bool receive_all(SSL *ssl, char *buf, int len)
{
	for (int got = 0; got < len;) {
		int n = SSL_read(ssl, buf + got, len - got);

		if (n <= 0)
			return false;
		got += n;
	}
	return true;
}

static int talk(struct client *client, SSL *ssl)
{
	int len = (int)strlen(client->message), r = EXIT_FAILURE;
	char *echo = calloc(1, (size_t)len + 1);

	if (!echo)
		return complain("no memory");
	if (SSL_write(ssl, client->message, len) == len && receive_all(ssl, echo, len)) {
		r = EXIT_SUCCESS;
		if (memcmp(echo, client->message, (size_t)len) != 0)
			r = complain("the echo differs from the message");
		printf("%s\n", echo);
		SSL_shutdown(ssl);
	} else {
		complain_ssl(client->peer, "echo", 0);
	}
	free(echo);
	return r;
}

static void print_used(const struct client *client)
{
	uint8_t psk[PSK_SIZE] = { 0 };

	if (client->session)
		SSL_SESSION_get_master_key(client->session, psk, sizeof(psk));
	print_psk(psk);
	explicit_bzero(psk, sizeof(psk));
}

static int run_session(struct client *client, SSL *ssl)
{
	bool done;

	SSL_set_app_data(ssl, client);
	errno = 0;
	done = SSL_connect(ssl) == 1;
	if (!done)
		complain_ssl(client->peer, "handshake", client->error);
	else if (client->print_psk)
		print_used(client);
	SSL_SESSION_free(client->session);
	client->session = NULL;
	return done ? talk(client, ssl) : EXIT_FAILURE;
}

static int run(struct client *client)
{
	SSL_CTX *ctx = context_new(TLS_client_method(), client->groups, client->suites);
	int fd = ctx ? connect_to(client->connect, false, client->peer) : -1;
	int r = EXIT_FAILURE;
	SSL *ssl = NULL;

	if (fd >= 0) {
		limit_waiting(fd, client->timeout_ms);
		SSL_CTX_set_psk_use_session_callback(ctx, on_psk);
		/* The server has no certificate, and must not be let off with one. */
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		ssl = SSL_new(ctx);
		if (ssl && SSL_set_fd(ssl, fd))
			r = run_session(client, ssl);
		close(fd);
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return r;
}

static void help(void)
{
	printf("Usage: openssl-client --connect ADDR:PORT --identity ID [OPTION]...\n"
	       "Connects over TLS 1.3 with a session's PSK from the TPM, and expects an echo.\n\n"
	       "  --connect ADDR:PORT    the server\n"
	       "  --identity ID          the PSK identity\n"
	       "  --socket PATH          tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual\n"
	       "                         place\n"
	       "  --ciphersuites STRING  the suites to offer, as OpenSSL names them; one of them\n"
	       "                         must be with SHA-256\n"
	       "  --groups STRING        the groups to offer, as OpenSSL names them\n"
	       "  --message S            what to say\n"
	       "  --print-psk            print 'psk HEX'; for demonstrations only\n"
	       "  --timeout MS           how long to wait for the server each time (%d)\n"
	       "  --help\n",
		TIMEOUT_DEFAULT_MS);
}

static int parse(struct client *client, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "connect", .text = &client->connect },
		{ "identity", .text = &client->identity },
		{ "socket", .text = &client->socket },
		{ "ciphersuites", .text = &client->suites },
		{ "groups", .text = &client->groups },
		{ "message", .text = &client->message },
		{ "print-psk", .flag = &client->print_psk },
		{ "timeout", .number = &client->timeout_ms, .max = TIMEOUT_MAX_MS },
		{ 0 },
	};
	int r = parse_arguments(argc, argv, arguments, help);

	if (r != EXIT_SUCCESS)
		return r;
	if (!client->connect || !client->identity)
		return complain_usage("--connect and --identity are needed");
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct client client = { .message = "hello", .timeout_ms = TIMEOUT_DEFAULT_MS };
	int r = parse(&client, argc, argv);

	if (r != EXIT_SUCCESS)
		return r;
	signal(SIGPIPE, SIG_IGN);
	r = tpmpsk_open(&client.tpm, client.socket);
	if (r < 0)
		return complain("tpm-pskd: %s", tpmpsk_strerror(r));
	r = run(&client);
	tpmpsk_close(client.tpm);
	return r;
}
