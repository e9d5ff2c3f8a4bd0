/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls-client - connects over TLS 1.3 to a server with a certificate, says something, and expects it
 * back. It shows a certificate of its own whose private key is in the TPM, or has a PSK which the TPM
 * derives for this session.
 *
 * Exit code 0: the echo came, each time; 1: anything else; 2: wrong arguments.
 */
#include "common.h"
#include "gnutls-common.h"
#include "tls-common.h"

#include <gnutls/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tpmpsk-gnutls.h>
#include <unistd.h>

struct client {
	const char *socket;
	const char *connect;
	const char *host;
	const char *ca;
	const char *key;
	const char *certificate;
	const char *identity;
	const char *message;
	unsigned int count;
	unsigned int timeout_ms;
	bool resume;
	struct tpmpsk *tpm;
	gnutls_certificate_credentials_t certificates;
	gnutls_psk_client_credentials_t psks;
	gnutls_datum_t ticket;
	char peer[ADDRESS_TEXT_SIZE];
};

/* For a client without a certificate. */
static int on_psk(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct client *client = gnutls_session_get_ptr(session);
	const gnutls_datum_t identity = { (unsigned char *)client->identity,
		(unsigned int)strlen(client->identity) };

	return tpmpsk_gnutls_client(client->tpm, session, &identity, 0, username, key);
}

/* The way to the key in the TPM: once, whatever the number of connections. */
static int use_key_in_tpm(struct client *client)
{
	const gnutls_datum_t key = { (unsigned char *)client->key,
		(unsigned int)strlen(client->key) };
	int r;

	r = tpmpsk_gnutls_set_certificate(
		client->certificates, client->tpm, &key, client->certificate, 0);
	return r < 0 ? complain_certificate(client->certificate, client->key, r) : EXIT_SUCCESS;
}

static int init_credentials(struct client *client)
{
	int r;

	r = gnutls_certificate_allocate_credentials(&client->certificates);
	if (r == 0 && client->identity)
		r = tpmpsk_gnutls_allocate_client_credentials(&client->psks);
	if (r < 0)
		return complain("GnuTLS: %s", gnutls_strerror(r));
	if (client->identity)
		gnutls_psk_set_client_credentials_function2(client->psks, on_psk);
	if (client->key || client->identity) {
		r = tpmpsk_open(&client->tpm, client->socket);
		if (r < 0)
			return complain("tpm-pskd: %s", tpmpsk_strerror(r));
	}
	r = client->ca ? trust(client->certificates, client->ca) : EXIT_SUCCESS;
	return r == EXIT_SUCCESS && client->key ? use_key_in_tpm(client) : r;
}

static int init_session(struct client *client, gnutls_session_t session, int fd)
{
	int r;

	r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, client->certificates);
	if (r == 0 && client->identity)
		r = gnutls_credentials_set(session, GNUTLS_CRD_PSK, client->psks);
	if (r == 0)
		r = gnutls_priority_set_direct(session, tls_priority(client->identity), NULL);
	if (r == 0 && client->key)
		r = tpmpsk_gnutls_watch(session);
	if (r == 0)
		r = gnutls_server_name_set(
			session, GNUTLS_NAME_DNS, client->host, strlen(client->host));
	if (r == 0 && client->ticket.size > 0)
		r = gnutls_session_set_data(session, client->ticket.data, client->ticket.size);
	if (r < 0)
		return r;
	gnutls_session_set_ptr(session, client);
	gnutls_session_set_verify_cert(session, client->host, 0);
	gnutls_handshake_set_timeout(session, client->timeout_ms);
	gnutls_transport_set_int(session, fd);
	return 0;
}

/* What to come back with. The server's tickets follow its part of the handshake, and have come by now. */
static void keep_ticket(struct client *client, gnutls_session_t session)
{
	gnutls_datum_t ticket;

	if (!client->resume || gnutls_session_get_data2(session, &ticket) < 0)
		return;
	gnutls_free(client->ticket.data);
	client->ticket = ticket;
}

static int converse(struct client *client, gnutls_session_t session, int fd)
{
	int r = handshake(session);

	if (r < 0) {
		complain_handshake(session, client->peer, r);
		gnutls_alert_send_appropriate(session, r);
		linger(fd);
		return EXIT_FAILURE;
	}
	tell_peer(session);
	r = exchange(session, client->message);
	keep_ticket(client, session);
	return r;
}

static int connect_once(struct client *client)
{
	int fd = connect_to(client->connect, false, client->peer);
	gnutls_session_t session = NULL;
	int r;

	if (fd < 0)
		return EXIT_FAILURE;
	r = gnutls_init(&session, GNUTLS_CLIENT);
	if (r == 0)
		r = init_session(client, session, fd);
	if (r == 0)
		r = converse(client, session, fd);
	else
		r = complain("GnuTLS: %s", gnutls_strerror(r));
	gnutls_deinit(session);
	close(fd);
	return r;
}

static void help(void)
{
	printf("Usage: tls-client --connect ADDR:PORT --ca FILE [OPTION]...\n"
	       "Says something over TLS 1.3 to a server with a certificate, and expects it "
	       "back.\n\n"
	       "  --connect ADDR:PORT\n"
	       "  --ca FILE            the authority behind the server's certificate (PEM)\n"
	       "  --host NAME          the server's name in it (localhost)\n"
	       "  --key ID             show a certificate: identity of its key, of purpose\n"
	       "                       certificate-verify\n"
	       "  --certificate FILE   and the certificate, with those between it and the root\n"
	       "  --identity ID        have a PSK instead (session-identity)\n"
	       "  --message S          what to say (hello)\n"
	       "  --count N            connect so many times (1)\n"
	       "  --resume             by the second time, with the session ticket of the first\n"
	       "  --socket PATH        tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual place\n"
	       "  --timeout MS         how long a handshake may take (%d)\n"
	       "  --help\n",
		TIMEOUT_DEFAULT_MS);
}

static int parse(struct client *client, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "connect", .text = &client->connect },
		{ "ca", .text = &client->ca },
		{ "host", .text = &client->host },
		{ "key", .text = &client->key },
		{ "certificate", .text = &client->certificate },
		{ "identity", .text = &client->identity },
		{ "message", .text = &client->message },
		{ "count", .number = &client->count, .max = COUNT_MAX },
		{ "resume", .flag = &client->resume },
		{ "socket", .text = &client->socket },
		{ "timeout", .number = &client->timeout_ms, .max = TIMEOUT_MAX_MS },
		{ 0 },
	};
	int r = parse_arguments(argc, argv, arguments, help);

	if (r != EXIT_SUCCESS)
		return r;
	if (!client->connect || (!client->ca && !client->identity))
		return complain_usage("--connect and --ca (or --identity) are needed");
	if (!client->key != !client->certificate || (client->key && client->identity))
		return complain_usage("--key and --certificate go together, without --identity");
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct client client = {
		.host = "localhost",
		.message = "hello",
		.count = 1,
		.timeout_ms = TIMEOUT_DEFAULT_MS,
	};
	int r = parse(&client, argc, argv);

	if (r != EXIT_SUCCESS)
		return r;
	signal(SIGPIPE, SIG_IGN);
	r = init_credentials(&client);
	for (unsigned int i = 0; r == EXIT_SUCCESS && i < client.count; i++)
		r = connect_once(&client);
	/* A ticket holds the secret of a session to come. */
	if (client.ticket.data)
		gnutls_memset(client.ticket.data, 0, client.ticket.size);
	gnutls_free(client.ticket.data);
	gnutls_certificate_free_credentials(client.certificates);
	if (client.psks)
		gnutls_psk_free_client_credentials(client.psks);
	tpmpsk_close(client.tpm);
	return r;
}
