/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls-server - a TLS 1.3 server whose certificate's private key is in the TPM, and which echoes what
 * its peers say. Clients show a certificate, when it is told of an authority; or, with --psk, have a
 * PSK which the TPM derives for their session.
 *
 * A thread for each peer, all on one handle to tpm-pskd. Who comes back with a session ticket is
 * let in without the TPM. Exit code 0: --count peers were served, well or not; 1: could not start,
 * or cannot go on; 2: wrong arguments.
 */
#include "common.h"
#include "gnutls-common.h"
#include "tls-common.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tpmpsk-gnutls.h>
#include <unistd.h>

#define PEERS_MAX 512
#define IDLE_MS 30000

struct server {
	const char *socket;
	const char *listen;
	const char *key;
	const char *certificate;
	const char *ca;
	unsigned int count; /* 0: no end */
	unsigned int timeout_ms;
	bool psk;
	bool no_tickets;
	struct tpmpsk *tpm;
	gnutls_certificate_credentials_t certificates;
	gnutls_psk_server_credentials_t psks;
	gnutls_datum_t ticket_key;
	pthread_mutex_t lock;
	pthread_cond_t peer_gone;
	unsigned int peers;
};

struct peer {
	struct server *server;
	int fd;
	char name[ADDRESS_TEXT_SIZE];
};

/* For clients without a certificate. */
static int on_psk(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct server *server = gnutls_session_get_ptr(session);

	return tpmpsk_gnutls_server(server->tpm, session, username, 0, key);
}

/* The way to the key in the TPM: once, before the first peer comes. */
static int use_key_in_tpm(struct server *server)
{
	const gnutls_datum_t key = { (unsigned char *)server->key,
		(unsigned int)strlen(server->key) };
	int r;

	r = tpmpsk_open(&server->tpm, server->socket);
	if (r < 0)
		return complain("tpm-pskd: %s", tpmpsk_strerror(r));
	r = tpmpsk_gnutls_set_certificate(
		server->certificates, server->tpm, &key, server->certificate, 0);
	if (r < 0)
		return complain_certificate(server->certificate, server->key, r);
	return EXIT_SUCCESS;
}

static int init_credentials(struct server *server)
{
	int r = gnutls_certificate_allocate_credentials(&server->certificates);

	if (r == 0 && !server->no_tickets)
		r = gnutls_session_ticket_key_generate(&server->ticket_key);
	if (r == 0 && server->psk)
		r = tpmpsk_gnutls_allocate_server_credentials(&server->psks);
	if (r < 0)
		return complain("GnuTLS: %s", gnutls_strerror(r));
	if (server->psk)
		gnutls_psk_set_server_credentials_function2(server->psks, on_psk);
	return server->ca ? trust(server->certificates, server->ca) : EXIT_SUCCESS;
}

static int init_session(struct server *server, gnutls_session_t session)
{
	int r;

	r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, server->certificates);
	if (r == 0 && server->psk)
		r = gnutls_credentials_set(session, GNUTLS_CRD_PSK, server->psks);
	if (r == 0)
		r = gnutls_priority_set_direct(session, tls_priority(server->psk), NULL);
	if (r == 0)
		r = tpmpsk_gnutls_watch(session);
	if (r == 0 && !server->no_tickets)
		r = gnutls_session_ticket_enable_server(session, &server->ticket_key);
	if (r < 0)
		return r;
	gnutls_session_set_ptr(session, server);
	if (server->ca) {
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
		gnutls_session_set_verify_cert(session, NULL, 0);
	}
	gnutls_handshake_set_timeout(session, server->timeout_ms);
	return 0;
}

static void serve_session(struct peer *peer, gnutls_session_t session)
{
	int r;

	gnutls_transport_set_int(session, peer->fd);
	r = handshake(session);
	if (r < 0) {
		complain_handshake(session, peer->name, r);
		gnutls_alert_send_appropriate(session, r);
		linger(peer->fd);
		return;
	}
	tell_peer(session);
	gnutls_record_set_timeout(session, IDLE_MS);
	echo(session);
}

static void *peer_thread(void *arg)
{
	struct peer *peer = arg;
	struct server *server = peer->server;
	gnutls_session_t session = NULL;
	int r;

	r = gnutls_init(&session, GNUTLS_SERVER);
	if (r == 0)
		r = init_session(server, session);
	if (r == 0)
		serve_session(peer, session);
	else
		complain("%s: GnuTLS: %s", peer->name, gnutls_strerror(r));
	gnutls_deinit(session);
	close(peer->fd);
	free(peer);
	pthread_mutex_lock(&server->lock);
	server->peers--;
	pthread_cond_signal(&server->peer_gone);
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* Blocks while there are more than limit peers. */
static void wait_for_peers(struct server *server, unsigned int limit, unsigned int come)
{
	pthread_mutex_lock(&server->lock);
	while (server->peers > limit)
		pthread_cond_wait(&server->peer_gone, &server->lock);
	server->peers += come;
	pthread_mutex_unlock(&server->lock);
}

static int accept_peer(int listen_fd, struct peer *peer)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	do
		peer->fd = accept4(listen_fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC);
	while (peer->fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (peer->fd < 0)
		return complain("accept: %s", strerror(errno));
	address_text((struct sockaddr *)&address, len, peer->name);
	return EXIT_SUCCESS;
}

static int serve_next(struct server *server, int listen_fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	pthread_t thread;
	int r;

	if (!peer)
		return complain("no memory");
	peer->server = server;
	r = accept_peer(listen_fd, peer);
	if (r != EXIT_SUCCESS) {
		free(peer);
		return r;
	}
	wait_for_peers(server, PEERS_MAX - 1, 1);
	r = pthread_create(&thread, NULL, peer_thread, peer);
	if (r == 0) {
		pthread_detach(thread);
		return EXIT_SUCCESS;
	}
	return complain("thread: %s", strerror(r));
}

static int run(struct server *server)
{
	struct addrinfo *addresses;
	int fd, r = EXIT_SUCCESS;

	if (!resolve(server->listen, false, true, &addresses))
		return EXIT_FAILURE;
	fd = listen_stream(addresses);
	freeaddrinfo(addresses);
	if (fd < 0 || !announce(fd))
		return complain("%s: %s", server->listen, strerror(errno));
	for (unsigned int i = 0; r == EXIT_SUCCESS && (server->count == 0 || i < server->count);
		i++)
		r = serve_next(server, fd);
	wait_for_peers(server, 0, 0);
	close(fd);
	return r;
}

static void help(void)
{
	printf("Usage: tls-server --listen ADDR:PORT --key ID --certificate FILE [OPTION]...\n"
	       "Echoes over TLS 1.3, with a certificate whose private key is in the TPM.\n\n"
	       "  --listen ADDR:PORT   port 0: any free one; 'listening on ADDR:PORT' says which\n"
	       "  --key ID             identity of the key, of purpose certificate-verify\n"
	       "  --certificate FILE   its certificate, and those between it and the root (PEM)\n"
	       "  --ca FILE            clients must show a certificate of this authority (PEM)\n"
	       "  --psk                clients may have a PSK instead (session-identity)\n"
	       "  --no-tickets         have each client prove anew who it is\n"
	       "  --socket PATH        tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual place\n"
	       "  --count N            end after N peers, whether their handshakes succeeded or "
	       "not\n"
	       "  --timeout MS         how long a handshake may take (%d)\n"
	       "  --help\n",
		TIMEOUT_DEFAULT_MS);
}

static int parse(struct server *server, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "listen", .text = &server->listen },
		{ "key", .text = &server->key },
		{ "certificate", .text = &server->certificate },
		{ "ca", .text = &server->ca },
		{ "psk", .flag = &server->psk },
		{ "no-tickets", .flag = &server->no_tickets },
		{ "socket", .text = &server->socket },
		{ "count", .number = &server->count, .max = COUNT_MAX },
		{ "timeout", .number = &server->timeout_ms, .max = TIMEOUT_MAX_MS },
		{ 0 },
	};
	int r = parse_arguments(argc, argv, arguments, help);

	if (r != EXIT_SUCCESS)
		return r;
	if (!server->listen || !server->key || !server->certificate)
		return complain_usage("--listen, --key and --certificate are needed");
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
	r = init_credentials(&server);
	if (r == EXIT_SUCCESS)
		r = use_key_in_tpm(&server);
	if (r == EXIT_SUCCESS)
		r = run(&server);
	/* The credentials hold a key that asks over the handle: they go first. */
	gnutls_certificate_free_credentials(server.certificates);
	if (server.psks)
		gnutls_psk_free_server_credentials(server.psks);
	if (server.ticket_key.data)
		gnutls_memset(server.ticket_key.data, 0, server.ticket_key.size);
	gnutls_free(server.ticket_key.data);
	tpmpsk_close(server.tpm);
	return r;
}
