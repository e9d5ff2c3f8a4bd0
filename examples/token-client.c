/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token-client - asks token-server for "/" with a token that its key makes of this one TLS
 * connection, and prints the answer.
 *
 * The id goes into the header "client", the token into "apikey" or, with --bearer, into
 * "Authorization". Both leave only after the server's certificate was verified. Exit code 0: the
 * answer was 200; 1: anything else; 2: wrong arguments.
 */
#include "certificate.h"
#include "common.h"
#include "gnutls-common.h"
#include "http.h"
#include "jwt.h"
#include "token.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define HOST_SIZE 256

struct client {
	const char *socket;
	const char *connect;
	const char *id;
	const char *secret_file;
	const char *ca;
	const char *pin;
	const char *token; /* to send in place of the right one */
	const char *jwt;
	enum token_kind kind;
	unsigned int timeout_ms;
	bool bearer;
	bool print_token;
	bool print_ekm;
	char host[HOST_SIZE]; /* of --connect: what the certificate must be for */
	char peer[ADDRESS_TEXT_SIZE];
	struct token_key key;
};

static bool pin_ok(const struct client *client, gnutls_session_t session)
{
	unsigned int n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
	char pin[PIN_SIZE];

	if (!chain || n == 0 || !certificate_pin(&chain[0], GNUTLS_X509_FMT_DER, pin))
		return false;
	if (strcmp(pin, client->pin) == 0)
		return true;
	complain("%s: the certificate's pin is %s", client->peer, pin);
	return false;
}

static bool chain_ok(const struct client *client, gnutls_session_t session)
{
	gnutls_datum_t why = { NULL, 0 };
	unsigned int status;
	int r = gnutls_certificate_verify_peers3(session, client->host, &status);

	if (r == 0 && status == 0)
		return true;
	if (r == 0)
		r = gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &why, 0);
	complain("%s: %s", client->peer, r == 0 ? (char *)why.data : gnutls_strerror(r));
	gnutls_free(why.data);
	return false;
}

/* A pin is enough without an authority; an authority with a pin must agree with it. */
static int verify(gnutls_session_t session)
{
	const struct client *client = gnutls_session_get_ptr(session);

	if (client->pin && !pin_ok(client, session))
		return GNUTLS_E_CERTIFICATE_ERROR;
	if ((client->ca || !client->pin) && !chain_ok(client, session))
		return GNUTLS_E_CERTIFICATE_ERROR;
	return 0;
}

static void print_ekm(const struct client *client, const struct token_parts *ekm)
{
	for (size_t n = 0; n < ekm->n; n++) {
		printf("ekm ");
		if (client->kind != TOKEN_APIKEY)
			printf("%s ", token_context(client->kind, client->id, n));
		for (size_t i = 0; i < TOKEN_EKM_SIZE; i++)
			printf("%02x", ekm->of[n][i]);
		putchar('\n');
	}
}

/* What to send, for token_free(); NULL after a complaint. */
static char *choose_token(const struct client *client, const struct token_parts *ekm)
{
	struct token_parts secrets = { 0 };
	char *token;
	int r;

	if (client->token)
		return strdup(client->token);
	r = token_derive(&client->key, client->kind, client->id, ekm, &secrets);
	if (r < 0) {
		complain("tpm-pskd: %s", tpmpsk_strerror(r));
		return NULL;
	}
	token = token_make(client->kind, client->id, &secrets);
	token_parts_wipe(&secrets);
	if (!token)
		complain("cannot make a token for this client");
	return token;
}

static char *token_of(const struct client *client, gnutls_session_t session)
{
	struct token_parts ekm = { 0 };
	char *token = NULL;

	if (token_export(session, client->kind, client->id, &ekm) < 0) {
		complain("the TLS session exports nothing");
		return NULL;
	}
	if (client->print_ekm)
		print_ekm(client, &ekm);
	token = choose_token(client, &ekm);
	if (token && client->print_token)
		printf("token %s\n", token);
	token_parts_wipe(&ekm);
	return token;
}

static int report(const struct client *client, const struct http_response *response)
{
	if (response->status != 200)
		return complain("%s: %u", client->peer, response->status);
	printf("%.*s\n", (int)response->body_size, response->body);
	return EXIT_SUCCESS;
}

static int talk(const struct client *client, gnutls_session_t session)
{
	struct http_response *response = NULL;
	char *token = token_of(client, session);
	int r = EXIT_FAILURE;

	if (token &&
		http_get(session, client->connect, client->id,
			client->bearer ? "Authorization: Bearer " : "apikey: ", token) &&
		http_receive(session, client->peer, &response))
		r = report(client, response);
	token_free(token);
	free(response);
	gnutls_bye(session, GNUTLS_SHUT_WR);
	return r;
}

static int run_session(struct client *client, gnutls_session_t session, int fd)
{
	int r;

	gnutls_session_set_ptr(session, client);
	gnutls_session_set_verify_function(session, verify);
	gnutls_transport_set_int(session, fd);
	gnutls_handshake_set_timeout(session, client->timeout_ms);
	r = handshake(session);
	if (r < 0) {
		complain_handshake(session, client->peer, r);
		gnutls_alert_send_appropriate(session, r);
		return EXIT_FAILURE;
	}
	gnutls_record_set_timeout(session, client->timeout_ms);
	return talk(client, session);
}

/* A server's name goes into the ClientHello; an address does not (RFC 6066, section 3). */
static int set_name(const struct client *client, gnutls_session_t session)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo *address;

	if (getaddrinfo(client->host, NULL, &hints, &address) == 0) {
		freeaddrinfo(address);
		return 0;
	}
	return gnutls_server_name_set(session, GNUTLS_NAME_DNS, client->host, strlen(client->host));
}

static int run(struct client *client, gnutls_certificate_credentials_t credentials)
{
	gnutls_session_t session = NULL;
	int fd, r, result = EXIT_FAILURE;

	fd = connect_to(client->connect, false, client->peer);
	if (fd < 0)
		return EXIT_FAILURE;
	r = gnutls_init(&session, GNUTLS_CLIENT);
	if (r == 0)
		r = gnutls_priority_set_direct(session, PRIORITY, NULL);
	if (r == 0)
		r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
	if (r == 0)
		r = set_name(client, session);
	if (r == 0)
		result = run_session(client, session, fd);
	else
		complain("GnuTLS: %s", gnutls_strerror(r));
	gnutls_deinit(session);
	close(fd);
	return result;
}

/* Who may vouch for the server: --ca, or else whom this machine trusts. */
static bool load_trust(const struct client *client, gnutls_certificate_credentials_t credentials)
{
	int n = 0;

	if (client->ca)
		n = gnutls_certificate_set_x509_trust_file(
			credentials, client->ca, GNUTLS_X509_FMT_PEM);
	else if (!client->pin)
		n = gnutls_certificate_set_x509_system_trust(credentials);
	if (n < 0 || (client->ca && n == 0))
		complain("%s: %s", client->ca ? client->ca : "system's trust",
			n < 0 ? gnutls_strerror(n) : "no certificate");
	return n > 0 || (n == 0 && !client->ca);
}

static void help(void)
{
	printf("Usage: token-client --connect ADDR:PORT --client ID [OPTION]...\n"
	       "Asks token-server, with a token made from the client's key and this TLS 1.3\n"
	       "connection.\n\n"
	       "  --connect ADDR:PORT  the server\n"
	       "  --client ID          who asks; the key's identity\n"
	       "  --socket PATH        tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual place\n"
	       "  --secret-file F      no tpm-pskd: the bytes of F are the key\n"
	       "  --ca F               the server's certificate must be vouched for by one in F;\n"
	       "                       without --ca and --pin, by one that this machine trusts\n"
	       "  --pin PIN            the server's certificate must be this one\n"
	       "  --jwt sign|encrypt   the token is a JWT, signed or also encrypted\n"
	       "  --bearer             send it in 'Authorization' rather than 'apikey'\n"
	       "  --token T            send this one, whatever the right one is\n"
	       "  --print-token        print 'token T'; for demonstrations only, as is\n"
	       "  --print-ekm          print 'ekm HEX', which the token is made from\n"
	       "  --timeout MS         how long handshake and each wait may take (%d)\n"
	       "  --help\n",
		TIMEOUT_DEFAULT_MS);
}

/* The ADDR of ADDR:PORT; resolve() complains about what is none. */
static void set_host(struct client *client)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): check() has seen that there is one */
	const char *start = client->connect, *colon = strrchr(start, ':');
	size_t size = colon ? (size_t)(colon - start) : 0;

	if (size > 2 && start[0] == '[' && start[size - 1] == ']') {
		start++;
		size -= 2;
	}
	snprintf(client->host, sizeof(client->host), "%.*s", (int)size, start);
}

static int check(struct client *client)
{
	if (!client->connect || !client->id)
		return complain_usage("--connect and --client are needed");
	if (!token_client_ok(client->id, strlen(client->id)))
		return complain_usage(
			"--client: not 1 to %d printable characters", TOKEN_CLIENT_SIZE - 1);
	if (client->socket && client->secret_file)
		return complain_usage("--socket and --secret-file exclude each other");
	if (client->token && strpbrk(client->token, "\r\n"))
		return complain_usage("--token: not one line");
	if (client->jwt && !token_kind_parse(client->jwt, &client->kind))
		return complain_usage("--jwt: not 'sign' or 'encrypt'");
	return EXIT_SUCCESS;
}

static int parse(struct client *client, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "connect", .text = &client->connect },
		{ "client", .text = &client->id },
		{ "socket", .text = &client->socket },
		{ "secret-file", .text = &client->secret_file },
		{ "ca", .text = &client->ca },
		{ "pin", .text = &client->pin },
		{ "jwt", .text = &client->jwt },
		{ "bearer", .flag = &client->bearer },
		{ "token", .text = &client->token },
		{ "print-token", .flag = &client->print_token },
		{ "print-ekm", .flag = &client->print_ekm },
		{ "timeout", .number = &client->timeout_ms, .max = TIMEOUT_MAX_MS },
		{ 0 },
	};
	int r = parse_arguments(argc, argv, arguments, help);

	if (r != EXIT_SUCCESS)
		return r;
	return check(client);
}

int main(int argc, char *argv[])
{
	struct client client = { .timeout_ms = TIMEOUT_DEFAULT_MS };
	gnutls_certificate_credentials_t credentials;
	int r = parse(&client, argc, argv);

	if (r != EXIT_SUCCESS)
		return r;
	set_host(&client);
	signal(SIGPIPE, SIG_IGN);
	jwt_init();
	r = gnutls_certificate_allocate_credentials(&credentials);
	if (r < 0)
		return complain("GnuTLS: %s", gnutls_strerror(r));
	r = EXIT_FAILURE;
	if (load_trust(&client, credentials) &&
		(client.token || token_key_open(&client.key, client.socket, client.secret_file)))
		r = run(&client, credentials);
	token_key_close(&client.key);
	gnutls_certificate_free_credentials(credentials);
	return r;
}
