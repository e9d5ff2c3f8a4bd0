/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * psk-client - connects with a PSK that the TPM derives for this one session, says something, and
 * expects it back.
 *
 * Exit code 0: the echo came; 1: anything else; 2: wrong arguments.
 */
#include "common.h"
#include "gnutls-common.h"

#include <gnutls/dtls.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tpmpsk-gnutls.h>
#include <tpmpsk.h>
#include <unistd.h>

struct client {
	const char *socket;
	const char *connect;
	const char *identity;
	const char *priority;
	const char *message;
	unsigned int timeout_ms;
	bool datagram;
	bool print_psk;
	struct tpmpsk *tpm;
	gnutls_psk_client_credentials_t credentials;
	char peer[ADDRESS_TEXT_SIZE];
	bool has_psk;
	uint8_t psk[PSK_SIZE];
};

/*
 * All that has to do with the TPM. More than once in some handshakes: the PSK that counts is the
 * last one.
 */
static int on_psk(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct client *client = gnutls_session_get_ptr(session);
	const gnutls_datum_t identity = { (unsigned char *)client->identity,
		(unsigned int)strlen(client->identity) };
	int r;

	r = tpmpsk_gnutls_client(client->tpm, session, &identity, 0, username, key);
	if (r == 0) {
		client->has_psk = true;
		memcpy(client->psk, key->data, sizeof(client->psk));
	}
	return r;
}

static void init_transport(const struct client *client, gnutls_session_t session, int fd)
{
	gnutls_transport_set_int(session, fd);
	gnutls_handshake_set_timeout(session, client->timeout_ms);
	if (client->datagram) {
		gnutls_dtls_set_timeouts(session, DTLS_RETRANSMIT_MS, client->timeout_ms);
		gnutls_dtls_set_mtu(session, DTLS_MTU);
	}
}

/* A session, or NULL after a complaint. */
static gnutls_session_t session_new(struct client *client, const char *priority, int fd)
{
	gnutls_session_t session = NULL;
	const char *wrong = NULL;
	int r = gnutls_init(&session, GNUTLS_CLIENT | (client->datagram ? GNUTLS_DATAGRAM : 0));

	if (r == 0)
		r = gnutls_credentials_set(session, GNUTLS_CRD_PSK, client->credentials);
	if (r == 0)
		r = gnutls_priority_set_direct(session, priority, &wrong);
	if (r < 0) {
		if (wrong)
			complain("--priority: %s at '%s'", gnutls_strerror(r), wrong);
		else
			complain("GnuTLS: %s", gnutls_strerror(r));
		gnutls_deinit(session);
		return NULL;
	}
	gnutls_session_set_ptr(session, client);
	init_transport(client, session, fd);
	return session;
}

/* A session and how its handshake ended, or NULL after a complaint. */
static gnutls_session_t session_shake(
	struct client *client, const char *priority, int fd, int *ret_end)
{
	gnutls_session_t session = session_new(client, priority, fd);

	if (session)
		*ret_end = handshake(session);
	return session;
}

static int run_session(struct client *client, gnutls_session_t session)
{
	if (client->print_psk)
		print_psk(client->psk);
	explicit_bzero(client->psk, sizeof(client->psk));
	gnutls_record_set_timeout(session, client->timeout_ms);
	return exchange(session, client->message);
}

/*
 * Whether it was for the want of a key for TLS 1.3. Then nothing has been sent, and nobody on the
 * network can have had a hand in it.
 */
static bool lacks_tls13_key(const struct client *client, int error)
{
	return error == GNUTLS_E_INSUFFICIENT_CREDENTIALS && !client->has_psk &&
	       !client->priority && !client->datagram;
}

static int run_on(struct client *client, int fd)
{
	gnutls_session_t session;
	int r, result = EXIT_FAILURE;

	session = session_shake(client,
		client->priority ? client->priority : default_priority(client->datagram), fd, &r);
	if (session && lacks_tls13_key(client, r)) {
		gnutls_deinit(session);
		session = session_shake(client, tls12_priority(), fd, &r);
	}
	if (!session)
		return EXIT_FAILURE;
	if (r < 0) {
		complain_handshake(session, client->peer, r);
		gnutls_alert_send_appropriate(session, r);
	} else {
		result = run_session(client, session);
	}
	gnutls_deinit(session);
	return result;
}

static int run(struct client *client)
{
	int fd = connect_to(client->connect, client->datagram, client->peer);
	int r = EXIT_FAILURE;

	if (fd >= 0) {
		r = run_on(client, fd);
		close(fd);
	}
	return r;
}

static void help(void)
{
	printf("Usage: psk-client --connect ADDR:PORT --identity ID [OPTION]...\n"
	       "Connects over TLS with a session's PSK from the TPM, and expects an echo.\n\n"
	       "  --connect ADDR:PORT  the server\n"
	       "  --identity ID        the PSK identity\n"
	       "  --socket PATH        tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual place\n"
	       "  --dtls               DTLS 1.2 over UDP\n"
	       "  --priority STRING    GnuTLS priorities in place of TLS 1.3 and 1.2 with PSK; "
	       "1.3\n"
	       "                       is left out by itself when there is no key for it\n"
	       "  --message S          what to say\n"
	       "  --print-psk          print 'psk HEX' after the handshake; for demonstrations "
	       "only\n"
	       "  --timeout MS         how long handshake and echo may take each (%d)\n"
	       "  --help\n",
		TIMEOUT_DEFAULT_MS);
}

static int parse(struct client *client, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "connect", .text = &client->connect },
		{ "identity", .text = &client->identity },
		{ "socket", .text = &client->socket },
		{ "dtls", .flag = &client->datagram },
		{ "priority", .text = &client->priority },
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
	r = tpmpsk_gnutls_allocate_client_credentials(&client.credentials);
	if (r < 0)
		return complain("GnuTLS: %s", gnutls_strerror(r));
	gnutls_psk_set_client_credentials_function2(client.credentials, on_psk);
	r = run(&client);
	gnutls_psk_free_client_credentials(client.credentials);
	tpmpsk_close(client.tpm);
	return r;
}
