/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token-server - HTTPS for clients that show with each request that they hold their key, by a token
 * that is worth this one TLS connection.
 *
 * A client puts its id into the header "client" and its token into "apikey". A JWT may also come as
 * "Authorization: Bearer JWT", and may say as "kid" what the header "client" would. The answers:
 *
 *   200  ok
 *   401  whatever is wrong: no id, no key for it, no token, another connection's token. The answer
 *        does not tell what (the time that a TPM takes may); the log does.
 *   405  another method than GET
 *   503  the daemon cannot be asked, which is so for every client alike
 *
 * A thread for each connection, all on one handle to tpm-pskd. Exit code 0: --count requests were
 * answered, well or not; 1: could not start; 2: wrong arguments.
 */
#include "certificate.h"
#include "common.h"
#include "jwt.h"
#include "token.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define CONNECTION_MEMORY 16384 /* bytes for a request's line and headers, and for the answer's */
#define IDLE_SECONDS 30
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define BEARER "Bearer "

struct server {
	const char *socket;
	const char *listen;
	const char *secret_file;
	const char *cert;
	const char *cert_key;
	const char *jwt;
	enum token_kind kind;
	unsigned int count; /* 0: no end */
	struct token_key key;
	struct certificate certificate;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	unsigned int served;
};

/* What a request says of who sends it. Strings are the request's own. */
struct credentials {
	const char *client;
	const char *apikey;
	const char *authorization;
	bool malformed; /* one of them twice, too long or with a NUL */
	char kid[JWT_KID_SIZE];
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
	size_t name_size, const char *value, size_t value_size)
{
	struct credentials *c = cls;
	const struct {
		const char *name;
		const char **value;
		size_t size_max;
	} wanted[] = {
		{ "client", &c->client, TOKEN_CLIENT_SIZE - 1 },
		{ "apikey", &c->apikey, TOKEN_SIZE_MAX },
		{ "authorization", &c->authorization, strlen(BEARER) + TOKEN_SIZE_MAX },
	};

	(void)kind;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (name_size != strlen(wanted[i].name) || strcasecmp(name, wanted[i].name) != 0)
			continue;
		if (*wanted[i].value || !value || value_size > wanted[i].size_max ||
			strlen(value) != value_size)
			c->malformed = true;
		*wanted[i].value = value;
	}
	return MHD_YES;
}

static const char *token_in(const struct server *server, const struct credentials *c)
{
	if (server->kind == TOKEN_APIKEY || !c->authorization)
		return c->apikey;
	if (c->apikey || strncasecmp(c->authorization, BEARER, strlen(BEARER)) != 0)
		return NULL;
	return c->authorization + strlen(BEARER);
}

/* Finds id and token; what is missing or ambiguous is NULL. */
static void identify(const struct server *server, struct credentials *c, const char **ret_client,
	const char **ret_token)
{
	const char *token = token_in(server, c), *client = c->client;

	if (!client && token && server->kind != TOKEN_APIKEY &&
		jwt_kid(token, server->kind == TOKEN_JWT_ENCRYPTED, c->kid))
		client = c->kid;
	*ret_client = client && token_client_ok(client, strlen(client)) ? client : NULL;
	*ret_token = token && token[0] ? token : NULL;
}

/*
 * When the daemon has answered, the answer may depend on whether there is such a key (busy or
 * denied, say), and a peer that learned it from the status could find out which clients there are.
 */
static unsigned int status_of(int error)
{
	switch (error) {
	case TPMPSK_ERR_NO_DAEMON:
	case TPMPSK_ERR_PROTOCOL:
	case TPMPSK_ERR_SYSTEM:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	default:
		return MHD_HTTP_UNAUTHORIZED;
	}
}

/* The HTTP status, and what to say in the log when it is not 200. */
static unsigned int authenticate(const struct server *server, struct MHD_Connection *connection,
	gnutls_session_t session, const char **ret_why)
{
	struct token_parts ekm = { 0 }, secrets = { 0 };
	struct credentials c = { 0 };
	const char *client, *token;
	bool matches = false;
	int r;

	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &c);
	identify(server, &c, &client, &token);
	*ret_why = c.malformed ? "malformed headers" : !client ? "no client" : "no token";
	if (c.malformed || !client || !token)
		return MHD_HTTP_UNAUTHORIZED;
	r = token_export(session, server->kind, client, &ekm);
	if (r == 0)
		r = token_derive(&server->key, server->kind, client, &ekm, &secrets);
	if (r == 0)
		matches = token_matches(server->kind, client, &secrets, token);
	token_parts_wipe(&ekm);
	token_parts_wipe(&secrets);
	*ret_why = r == 0 ? "wrong token" : tpmpsk_strerror(r);
	return r < 0 ? status_of(r) : matches ? MHD_HTTP_OK : MHD_HTTP_UNAUTHORIZED;
}

static void log_refusal(struct MHD_Connection *connection, unsigned int status, const char *why)
{
	const struct sockaddr *address =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
			->client_addr;
	char name[ADDRESS_TEXT_SIZE];

	address_text(address,
		address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					       : sizeof(struct sockaddr_in),
		name);
	complain("%s: %u: %s", name, status, why);
}

static enum MHD_Result answer(
	const struct server *server, struct MHD_Connection *connection, unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *body;
		const char *name;
		const char *value;
	} answers[] = {
		{ MHD_HTTP_OK, "ok", NULL, NULL },
		{ MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed", "Allow", "GET" },
		{ MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable", NULL, NULL },
		{ MHD_HTTP_UNAUTHORIZED, "unauthorized", "WWW-Authenticate", NULL },
	};
	const char *scheme = server->kind == TOKEN_APIKEY ? "ApiKey" : "Bearer";
	struct MHD_Response *response;
	enum MHD_Result r = MHD_YES;
	size_t i = 0;

	while (answers[i].status != status)
		i++;
	response = MHD_create_response_from_buffer(
		strlen(answers[i].body), (void *)answers[i].body, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	if (answers[i].name)
		r = MHD_add_response_header(
			response, answers[i].name, answers[i].value ? answers[i].value : scheme);
	if (r == MHD_YES)
		r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

/*
 * Comes once with the headers, for each piece of a body, and when all is there. Who is answered
 * earlier than that, loses the connection.
 */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **con_cls)
{
	struct server *server = cls;
	gnutls_session_t session =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
			->tls_session;
	const bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0, first = !*con_cls;
	unsigned int status = MHD_HTTP_METHOD_NOT_ALLOWED;
	const char *why = "not a GET";

	(void)url, (void)version, (void)upload;
	*con_cls = server;
	if (get && (first || *upload_size > 0)) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (get)
		status = authenticate(server, connection, session, &why);
	if (status != MHD_HTTP_OK)
		log_refusal(connection, status, why);
	return answer(server, connection, status);
}

/* Once an answer is out, or its connection was lost. */
static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct server *server = cls;

	(void)connection, (void)con_cls, (void)code;
	pthread_mutex_lock(&server->lock);
	server->served++;
	pthread_cond_signal(&server->answered);
	pthread_mutex_unlock(&server->lock);
}

__attribute__((format(printf, 2, 0))) static void on_log(
	void *cls, const char *format, va_list arguments)
{
	char text[256];

	(void)cls;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\r\n")] = 0;
	complain("%s", text);
}

/* A listening socket, or -1 after a complaint. */
static int start_listening(const struct server *server)
{
	struct addrinfo *address;
	int fd;

	if (!resolve(server->listen, false, true, &address))
		return -1;
	fd = listen_stream(address);
	freeaddrinfo(address);
	if (fd < 0)
		complain("%s: %s", server->listen, strerror(errno));
	return fd;
}

/* Takes the socket when it succeeds. */
static struct MHD_Daemon *start_http(struct server *server, int fd)
{
	return MHD_start_daemon(MHD_USE_TLS | MHD_USE_THREAD_PER_CONNECTION |
					MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
					MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_PRIORITIES, PRIORITY,
		MHD_OPTION_HTTPS_MEM_CERT, (const char *)server->certificate.chain.data,
		MHD_OPTION_HTTPS_MEM_KEY, (const char *)server->certificate.key.data,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
}

static int run(struct server *server)
{
	char pin[PIN_SIZE];
	struct MHD_Daemon *http;
	int fd;

	if (!certificate_pin(&server->certificate.chain, GNUTLS_X509_FMT_PEM, pin))
		return EXIT_FAILURE;
	fd = start_listening(server);
	if (fd < 0)
		return EXIT_FAILURE;
	http = start_http(server, fd);
	if (!http) {
		close(fd);
		return complain("cannot start the HTTPS server");
	}
	announce(fd);
	printf("pin %s\n", pin);
	fflush(stdout);
	pthread_mutex_lock(&server->lock);
	while (server->count == 0 || server->served < server->count)
		pthread_cond_wait(&server->answered, &server->lock);
	pthread_mutex_unlock(&server->lock);
	MHD_stop_daemon(http);
	return EXIT_SUCCESS;
}

static void help(void)
{
	printf("Usage: token-server --listen ADDR:PORT [OPTION]...\n"
	       "Answers 'ok' over HTTPS to clients with a token made from their key and this TLS "
	       "1.3\n"
	       "connection; 401 to all others.\n\n"
	       "  --listen ADDR:PORT   port 0: any free one; 'listening on ADDR:PORT' says which\n"
	       "  --socket PATH        tpm-pskd's socket; else $TPM_PSK_SOCKET or the usual place\n"
	       "  --secret-file F      no tpm-pskd: the bytes of F are every client's key\n"
	       "  --cert F --key F     certificate chain and private key in PEM; else one is made\n"
	       "                       at start. 'pin PIN' says how a client can know it\n"
	       "  --jwt sign|encrypt   tokens are JWTs, signed or also encrypted\n"
	       "  --count N            end after N answers\n"
	       "  --help\n\n"
	       "The keys' purpose is exporter-kdf, and with --jwt exporter-mac.\n");
}

static int check(struct server *server)
{
	if (!server->listen)
		return complain_usage("--listen is needed");
	if (server->socket && server->secret_file)
		return complain_usage("--socket and --secret-file exclude each other");
	if (!server->cert != !server->cert_key)
		return complain_usage("--cert and --key go together");
	if (server->jwt && !token_kind_parse(server->jwt, &server->kind))
		return complain_usage("--jwt: not 'sign' or 'encrypt'");
	return EXIT_SUCCESS;
}

static int parse(struct server *server, int argc, char *argv[])
{
	const struct argument arguments[] = {
		{ "listen", .text = &server->listen },
		{ "socket", .text = &server->socket },
		{ "secret-file", .text = &server->secret_file },
		{ "cert", .text = &server->cert },
		{ "key", .text = &server->cert_key },
		{ "jwt", .text = &server->jwt },
		{ "count", .number = &server->count, .max = COUNT_MAX },
		{ 0 },
	};
	int r = parse_arguments(argc, argv, arguments, help);

	if (r != EXIT_SUCCESS)
		return r;
	return check(server);
}

int main(int argc, char *argv[])
{
	struct server server = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.answered = PTHREAD_COND_INITIALIZER,
	};
	int r = parse(&server, argc, argv);

	if (r != EXIT_SUCCESS)
		return r;
	signal(SIGPIPE, SIG_IGN);
	jwt_init();
	r = EXIT_FAILURE;
	if (token_key_open(&server.key, server.socket, server.secret_file) &&
		(server.cert ? certificate_load(server.cert, server.cert_key, &server.certificate)
			     : certificate_make(&server.certificate)))
		r = run(&server);
	certificate_done(&server.certificate);
	token_key_close(&server.key);
	return r;
}
