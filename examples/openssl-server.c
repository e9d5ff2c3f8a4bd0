/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * openssl-server - psk-server's twin on OpenSSL, over TLS 1.3 alone: what a program on another TLS
 * library than GnuTLS does, with nothing but libtpmpsk.
 *
 * One peer after the other, each as long as --timeout lets it pause. Exit code 0: --count peers
 * were served, well or not; 1: could not start, or cannot go on; 2: wrong arguments.
 */
#include "openssl-common.h"

#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tpmpsk.h>
#include <unistd.h>

#define HANDSHAKE_SIZE 16

struct server {
	const char *socket;
	const char *listen;
	const char *groups;
	const char *suites;
	unsigned int count; /* 0: no end */
	unsigned int timeout_ms;
	bool print_psk;
	struct tpmpsk *tpm;
	SSL_CTX *ctx;
};

struct peer {
	struct server *server;
	char name[ADDRESS_TEXT_SIZE];
	int error; /* the daemon's */
	/*
	 * What this handshake is called to the daemon. A second question for the same identity, after
	 * we asked the client to begin again, is answered; a recording of the first is not. The
	 * handshake's own randoms would not do: the client's is in the recording, ours is not there
	 * yet.
	 */
	uint8_t handshake[HANDSHAKE_SIZE];
	uint8_t psk[PSK_SIZE];
};

/* Whether the daemon had an answer, if only that there is no PSK for such an identity. */
static bool is_answer(int error)
{
	return error == 0 || (error <= TPMPSK_ERR_MALFORMED && error > TPMPSK_ERR_NO_DAEMON &&
				     error != TPMPSK_ERR_UNSUPPORTED);
}

/*
 * All that has to do with the TPM. Whoever has no PSK gets a random one and fails like a peer with a
 * wrong key, when its binder is checked: nobody learns which identities exist.
 */
static int on_psk(
	SSL *ssl, const unsigned char *identity, size_t identity_size, SSL_SESSION **ret_session)
{
	struct peer *peer = SSL_get_app_data(ssl);

	peer->error = tpmpsk_session_identity_server(peer->server->tpm, identity, identity_size,
		peer->handshake, sizeof(peer->handshake), peer->psk);
	if (!is_answer(peer->error))
		return 0;
	if (peer->error < 0 && RAND_priv_bytes(peer->psk, sizeof(peer->psk)) != 1)
		return 0;
	*ret_session = psk_session(ssl, peer->psk);
	return *ret_session != NULL;
}

static void echo(SSL *ssl)
{
	char buf[16384];
	int n;

	while ((n = SSL_read(ssl, buf, sizeof(buf))) > 0)
		if (SSL_write(ssl, buf, n) != n)
			return;
	if (SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN)
		SSL_shutdown(ssl);
}

static void serve_session(struct peer *peer, SSL *ssl, int fd)
{
	SSL_set_app_data(ssl, peer);
	errno = 0;
	if (SSL_accept(ssl) != 1) {
		complain_ssl(peer->name, "handshake", peer->error);
		linger(fd);
		return;
	}
	if (peer->server->print_psk)
		print_psk(peer->psk);
	explicit_bzero(peer->psk, sizeof(peer->psk));
	echo(ssl);
}

static void serve(struct server *server, int fd, const char *name)
{
	struct peer peer = { .server = server };
	SSL *ssl = SSL_new(server->ctx);

	memcpy(peer.name, name, sizeof(peer.name));
	limit_waiting(fd, server->timeout_ms);
	if (ssl && SSL_set_fd(ssl, fd) && RAND_bytes(peer.handshake, sizeof(peer.handshake)) == 1)
		serve_session(&peer, ssl, fd);
	else
		complain_ssl(peer.name, "session", 0);
	SSL_free(ssl);
	explicit_bzero(peer.psk, sizeof(peer.psk));
}

static int serve_next(struct server *server, int listen_fd)
{
	struct sockaddr_storage address;
	socklen_t len;
	char name[ADDRESS_TEXT_SIZE];
	int fd;

	do {
		len = sizeof(address);
		fd = accept4(listen_fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return complain("accept: %s", strerror(errno));
	address_text((struct sockaddr *)&address, len, name);
	serve(server, fd, name);
	close(fd);
	return EXIT_SUCCESS;
}

/* A listening socket, or -1 after a complaint. */
static int start_listening(const struct server *server)
{
	struct addrinfo *addresses;
	int fd;

	if (!resolve(server->listen, false, true, &addresses))
		return -1;
	fd = listen_stream(addresses);
	freeaddrinfo(addresses);
	if (fd < 0 || !announce(fd)) {
		complain("%s: %s", server->listen, strerror(errno));
		return -1;
	}
	return fd;
}

static int run(struct server *server)
{
	int r = EXIT_SUCCESS, fd;

	server->ctx = context_new(TLS_server_method(), server->groups, server->suites);
	fd = server->ctx ? start_listening(server) : -1;
	if (fd < 0)
		return EXIT_FAILURE;
	SSL_CTX_set_psk_find_session_callback(server->ctx, on_psk);
	/* A resumed session would ask nobody: each connection is to prove anew that it may. */
	SSL_CTX_set_num_tickets(server->ctx, 0);
	SSL_CTX_set_session_cache_mode(server->ctx, SSL_SESS_CACHE_OFF);
	for (unsigned int i = 0; r == EXIT_SUCCESS && (server->count == 0 || i < server->count);
		i++)
		r = serve_next(server, fd);
	close(fd);
	return r;
}

static void help(void)
{
	printf("Usage: openssl-server --listen ADDR:PORT [OPTION]...\n"
	       "Echoes over TLS 1.3 what peers say that hold a PSK from the TPM.\n\n"
	       "  --listen ADDR:PORT     port 0: any free one; 'listening on ADDR:PORT' says "
	       "which\n"
	       "  --socket PATH          tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual\n"
	       "                         place\n"
	       "  --ciphersuites STRING  in place of " SUITES_SHA256 ";\n"
	       "                         with SHA-256 only\n"
	       "  --groups STRING        the groups to accept, as OpenSSL names them\n"
	       "  --count N              end after N peers, whether their handshakes succeeded or "
	       "not\n"
	       "  --print-psk            print 'psk HEX' at each handshake; for demonstrations "
	       "only\n"
	       "  --timeout MS           how long to wait for a peer each time (%d)\n"
	       "  --help\n",
		TIMEOUT_DEFAULT_MS);
}

static int parse(struct server *server, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "listen", .text = &server->listen },
		{ "socket", .text = &server->socket },
		{ "ciphersuites", .text = &server->suites },
		{ "groups", .text = &server->groups },
		{ "count", .number = &server->count, .max = COUNT_MAX },
		{ "print-psk", .flag = &server->print_psk },
		{ "timeout", .number = &server->timeout_ms, .max = TIMEOUT_MAX_MS },
		{ 0 },
	};
	int r = parse_arguments(argc, argv, arguments, help);

	if (r != EXIT_SUCCESS)
		return r;
	if (!server->listen)
		return complain_usage("--listen is needed");
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct server server = { .timeout_ms = TIMEOUT_DEFAULT_MS, .suites = SUITES_SHA256 };
	int r = parse(&server, argc, argv);

	if (r != EXIT_SUCCESS)
		return r;
	signal(SIGPIPE, SIG_IGN);
	r = tpmpsk_open(&server.tpm, server.socket);
	if (r < 0)
		return complain("tpm-pskd: %s", tpmpsk_strerror(r));
	r = run(&server);
	SSL_CTX_free(server.ctx);
	tpmpsk_close(server.tpm);
	return r;
}
