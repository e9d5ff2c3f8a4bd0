/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * psk-server - echoes what peers say that have a PSK which the TPM derives for their session.
 *
 * A thread for each peer, all on one handle to tpm-pskd. The listening thread does nothing but
 * accept, so a peer that stalls holds up nobody. Exit code 0: --count peers were served, well or
 * not; 1: could not start, or cannot go on; 2: wrong arguments.
 */
#include "common.h"
#include "dtls.h"
#include "gnutls-common.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tpmpsk-gnutls.h>
#include <tpmpsk.h>
#include <unistd.h>

#define PEERS_MAX 512
#define IDLE_MS 30000

struct server {
	const char *socket;
	const char *listen;
	const char *priority;
	const char *hint;
	unsigned int count; /* 0: no end */
	unsigned int timeout_ms;
	bool reveal_unknown;
	bool datagram;
	bool print_psk;
	struct tpmpsk *tpm;
	gnutls_psk_server_credentials_t credentials;
	gnutls_datum_t cookie_key;
	pthread_mutex_t lock;
	pthread_cond_t peer_gone;
	unsigned int peers;
};

struct peer {
	struct server *server;
	int fd;
	char name[ADDRESS_TEXT_SIZE];
	uint8_t psk[PSK_SIZE];
	struct dtls_peer dtls;
};

/*
 * All that has to do with the TPM. More than once in some handshakes: the PSK that counts is the
 * last one.
 */
static int on_psk(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct peer *peer = gnutls_session_get_ptr(session);
	struct server *server = peer->server;
	int r;

	r = tpmpsk_gnutls_server(server->tpm, session, username,
		server->reveal_unknown ? TPMPSK_GNUTLS_REVEAL_UNKNOWN : 0, key);
	if (r == 0 && server->print_psk)
		memcpy(peer->psk, key->data, sizeof(peer->psk));
	return r;
}

static void serve_session(struct peer *peer, gnutls_session_t session)
{
	struct server *server = peer->server;
	int r;

	gnutls_session_set_ptr(session, peer);
	gnutls_handshake_set_timeout(session, server->timeout_ms);
	if (server->datagram)
		dtls_attach(session, &peer->dtls, server->timeout_ms);
	else
		gnutls_transport_set_int(session, peer->fd);

	r = handshake(session);
	if (r < 0) {
		complain_handshake(session, peer->name, r);
		gnutls_alert_send_appropriate(session, r);
		if (!server->datagram)
			linger(peer->fd);
		return;
	}
	if (server->print_psk)
		print_psk(peer->psk);
	gnutls_record_set_timeout(session, IDLE_MS);
	echo(session);
}

static void serve(struct peer *peer)
{
	struct server *server = peer->server;
	gnutls_session_t session = NULL;
	int r;

	r = gnutls_init(&session, GNUTLS_SERVER | (server->datagram ? GNUTLS_DATAGRAM : 0));
	if (r == 0)
		r = gnutls_credentials_set(session, GNUTLS_CRD_PSK, server->credentials);
	if (r == 0)
		r = gnutls_priority_set_direct(session, server->priority, NULL);
	if (r == 0)
		serve_session(peer, session);
	else
		complain("%s: GnuTLS: %s", peer->name, gnutls_strerror(r));
	gnutls_deinit(session);
}

static void peer_free(struct peer *peer)
{
	struct server *server = peer->server;

	if (peer->fd >= 0)
		close(peer->fd);
	explicit_bzero(peer->psk, sizeof(peer->psk));
	free(peer);
	pthread_mutex_lock(&server->lock);
	server->peers--;
	pthread_cond_signal(&server->peer_gone);
	pthread_mutex_unlock(&server->lock);
}

static void *peer_thread(void *arg)
{
	serve(arg);
	peer_free(arg);
	return NULL;
}

/* Blocks while there are limit peers or more. */
static void wait_for_peers(struct server *server, unsigned int limit)
{
	pthread_mutex_lock(&server->lock);
	while (server->peers > limit)
		pthread_cond_wait(&server->peer_gone, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

static struct peer *peer_new(struct server *server)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->server = server;
	peer->fd = -1;
	pthread_mutex_lock(&server->lock);
	server->peers++;
	pthread_mutex_unlock(&server->lock);
	return peer;
}

static bool accept_peer(struct server *server, int listen_fd, struct peer *peer)
{
	struct sockaddr_storage *address = &peer->dtls.address;
	socklen_t *len = &peer->dtls.address_len;

	do {
		*len = sizeof(*address);
		if (!server->datagram)
			peer->fd =
				accept4(listen_fd, (struct sockaddr *)address, len, SOCK_CLOEXEC);
		else if (dtls_accept(listen_fd, &server->cookie_key, &peer->dtls) == 0)
			peer->fd = peer->dtls.fd;
	} while (
		peer->fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == ECONNREFUSED));
	if (peer->fd >= 0)
		address_text((struct sockaddr *)address, *len, peer->name);
	return peer->fd >= 0;
}

static int serve_next(struct server *server, int listen_fd)
{
	struct peer *peer = peer_new(server);
	pthread_t thread;
	int r;

	if (!peer)
		return complain("no memory");
	if (!accept_peer(server, listen_fd, peer)) {
		r = complain("accept: %s", strerror(errno));
		peer_free(peer);
		return r;
	}
	r = pthread_create(&thread, NULL, peer_thread, peer);
	if (r != 0) {
		complain("%s: thread: %s", peer->name, strerror(r));
		peer_free(peer);
		return EXIT_SUCCESS;
	}
	pthread_detach(thread);
	return EXIT_SUCCESS;
}

/* A listening socket, or -1 after a complaint. */
static int start_listening(const struct server *server)
{
	struct addrinfo *addresses;
	int fd;

	if (!resolve(server->listen, server->datagram, true, &addresses))
		return -1;
	fd = server->datagram ? dtls_listen(addresses) : listen_stream(addresses);
	freeaddrinfo(addresses);
	if (fd < 0 || !announce(fd)) {
		complain("%s: %s", server->listen, strerror(errno));
		return -1;
	}
	return fd;
}

static int run(struct server *server)
{
	int fd = start_listening(server);
	int r = EXIT_SUCCESS;

	if (fd < 0)
		return EXIT_FAILURE;
	for (unsigned int i = 0; r == EXIT_SUCCESS && (server->count == 0 || i < server->count);
		i++) {
		wait_for_peers(server, PEERS_MAX - 1);
		r = serve_next(server, fd);
	}
	wait_for_peers(server, 0);
	close(fd);
	return r;
}

static int init_gnutls(struct server *server)
{
	const char *wrong = NULL;
	gnutls_priority_t priorities;
	int r;

	/* Each session parses the string anew; once here, to tell the user what is wrong in it. */
	r = gnutls_priority_init(&priorities, server->priority, &wrong);
	if (r < 0)
		return complain("--priority: %s at '%s'", gnutls_strerror(r), wrong ? wrong : "");
	gnutls_priority_deinit(priorities);

	r = gnutls_key_generate(&server->cookie_key, GNUTLS_COOKIE_KEY_SIZE);
	if (r == 0)
		r = tpmpsk_gnutls_allocate_server_credentials(&server->credentials);
	if (r == 0)
		r = gnutls_psk_set_server_known_dh_params(
			server->credentials, GNUTLS_SEC_PARAM_MEDIUM);
	if (r == 0 && server->hint)
		r = gnutls_psk_set_server_credentials_hint(server->credentials, server->hint);
	if (r < 0)
		return complain("GnuTLS: %s", gnutls_strerror(r));
	gnutls_psk_set_server_credentials_function2(server->credentials, on_psk);
	return EXIT_SUCCESS;
}

static void help(void)
{
	printf("Usage: psk-server --listen ADDR:PORT [OPTION]...\n"
	       "Echoes over TLS what peers say that hold a PSK from the TPM.\n\n"
	       "  --listen ADDR:PORT   port 0: any free one; 'listening on ADDR:PORT' says which\n"
	       "  --socket PATH        tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual place\n"
	       "  --dtls               DTLS 1.2 over UDP\n"
	       "  --priority STRING    GnuTLS priorities in place of TLS 1.3 and 1.2 with PSK\n"
	       "  --identity-hint S    sent to clients before they choose an identity; not in TLS "
	       "1.3\n"
	       "  --count N            end after N peers, whether their handshakes succeeded or "
	       "not\n"
	       "  --print-psk          print 'psk HEX' at each handshake; for demonstrations only\n"
	       "  --reveal-unknown     refuse unknown identities at once, with "
	       "unknown_psk_identity,\n"
	       "                       rather than let them fail as a wrong key does\n"
	       "  --timeout MS         how long a handshake may take (%d)\n"
	       "  --help\n",
		TIMEOUT_DEFAULT_MS);
}

static int parse(struct server *server, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "listen", .text = &server->listen },
		{ "socket", .text = &server->socket },
		{ "dtls", .flag = &server->datagram },
		{ "priority", .text = &server->priority },
		{ "identity-hint", .text = &server->hint },
		{ "count", .number = &server->count, .max = COUNT_MAX },
		{ "print-psk", .flag = &server->print_psk },
		{ "reveal-unknown", .flag = &server->reveal_unknown },
		{ "timeout", .number = &server->timeout_ms, .max = TIMEOUT_MAX_MS },
		{ 0 },
	};
	int r = parse_arguments(argc, argv, arguments, help);

	if (r != EXIT_SUCCESS)
		return r;
	if (!server->listen)
		return complain_usage("--listen is needed");
	if (!server->priority)
		server->priority = default_priority(server->datagram);
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct server server = {
		.timeout_ms = TIMEOUT_DEFAULT_MS,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.peer_gone = PTHREAD_COND_INITIALIZER,
	};
	int r = parse(&server, argc, argv);

	if (r != EXIT_SUCCESS)
		return r;
	signal(SIGPIPE, SIG_IGN);
	r = tpmpsk_open(&server.tpm, server.socket);
	if (r < 0)
		return complain("tpm-pskd: %s", tpmpsk_strerror(r));
	r = init_gnutls(&server);
	if (r == EXIT_SUCCESS)
		r = run(&server);
	if (server.credentials)
		gnutls_psk_free_server_credentials(server.credentials);
	gnutls_free(server.cookie_key.data);
	tpmpsk_close(server.tpm);
	return r;
}
