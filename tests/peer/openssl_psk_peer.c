/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * openssl-psk-peer - the other implementation: TLS 1.2, DTLS 1.2 and TLS 1.3 with PSK on OpenSSL,
 * as client and as server, for tests only.
 *
 * Holds the secret in software and computes the session's PSK from it by itself; in TLS 1.3 from a
 * session identity, which as a client it can also make wrong in several ways. Shares no code
 * with the rest of this tree: what it agrees on with the examples, it agrees on by the
 * specification. One peer at a time; SIGALRM ends it when it takes longer than --timeout in all.
 *
 * Standard output: "listening on ADDR:PORT", "psk HEX", with --trace a line for each handshake
 * message and alert, and the client's "echo TEXT".
 */
#include "session_identity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LABEL "pre master secret"
#define LABEL_SIZE (sizeof(LABEL) - 1)
#define RANDOM_SIZE 32
#define PSK_SIZE 32
#define TIMEOUT_DEFAULT_S 30

static struct options {
	const char *connect;
	const char *listen;
	const char *identity;
	const char *cipher;
	const char *message;
	unsigned char secret[1024];
	size_t secret_len;
	unsigned long count;
	unsigned int timeout_s;
	long long age_ms;
	bool datagram;
	bool tls13;
	bool epoch;
	bool plain_identity; /* no session identity */
	bool wrong_psk;      /* one that does not go with the session identity */
	bool certificate;    /* a server that has one, and no PSK */
	bool print_psk;
	bool trace;
} options = { .message = "hello", .count = 1, .timeout_s = TIMEOUT_DEFAULT_S };

/* The PSK of the handshake under way, printed when it is done. */
static unsigned char session_psk[PSK_SIZE];

static void die(const char *what)
{
	fprintf(stderr, "openssl-psk-peer: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static unsigned int compute_psk(SSL *ssl, unsigned char *psk, unsigned int cap)
{
	unsigned char in[LABEL_SIZE + 2 * RANDOM_SIZE];
	unsigned int len = 0;

	memcpy(in, LABEL, LABEL_SIZE);
	if (cap < PSK_SIZE ||
		SSL_get_client_random(ssl, in + LABEL_SIZE, RANDOM_SIZE) != RANDOM_SIZE ||
		SSL_get_server_random(ssl, in + LABEL_SIZE + RANDOM_SIZE, RANDOM_SIZE) !=
			RANDOM_SIZE ||
		!HMAC(EVP_sha256(), options.secret, (int)options.secret_len, in, sizeof(in), psk,
			&len))
		return 0;
	memcpy(session_psk, psk, PSK_SIZE);
	return len;
}

static unsigned int on_client_psk(SSL *ssl, const char *hint, char *identity,
	unsigned int identity_cap, unsigned char *psk, unsigned int cap)
{
	if (options.trace)
		printf("hint %s\n", hint ? hint : "-");
	if (strlen(options.identity) >= identity_cap)
		return 0;
	strcpy(identity, options.identity);
	return compute_psk(ssl, psk, cap);
}

static unsigned int on_server_psk(
	SSL *ssl, const char *identity, unsigned char *psk, unsigned int cap)
{
	return strcmp(identity, options.identity) == 0 ? compute_psk(ssl, psk, cap) : 0;
}

static struct session_key session_key(void)
{
	return (struct session_key){
		.secret = options.secret,
		.secret_len = options.secret_len,
		.identity = options.identity,
		.version = options.epoch ? 2 : 1,
	};
}

static SSL_SESSION *tls13_session(SSL *ssl)
{
	static const unsigned char suite[] = { 0x13, 0x01 };
	SSL_SESSION *session = SSL_SESSION_new();

	if (!session || !SSL_SESSION_set1_master_key(session, session_psk, PSK_SIZE) ||
		!SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite)) ||
		!SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
		die("session");
	return session;
}

/* After a HelloRetryRequest once more, for the same. */
static int on_client_session(
	SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len, SSL_SESSION **session)
{
	static char name[SESSION_IDENTITY_SIZE];
	const struct session_key key = session_key();

	(void)md;
	if (options.plain_identity)
		snprintf(name, sizeof(name), "%s", options.identity);
	else if (!name[0])
		session_identity_make(&key, options.age_ms, name);
	session_identity_psk(&key, name, session_psk);
	if (options.wrong_psk)
		session_psk[0] ^= 1;
	*id = (unsigned char *)name;
	*id_len = strlen(name);
	*session = tls13_session(ssl);
	return 1;
}

static int on_server_session(
	SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session)
{
	const struct session_key key = session_key();
	char name[SESSION_IDENTITY_SIZE];

	*session = NULL;
	if (id_len >= sizeof(name))
		return 1;
	snprintf(name, sizeof(name), "%.*s", (int)id_len, (const char *)id);
	if (!session_identity_is_of(&key, name))
		return 1;
	session_identity_psk(&key, name, session_psk);
	*session = tls13_session(ssl);
	return 1;
}

static void on_message(
	int sent, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
	const unsigned char *bytes = buf;
	const char *way = sent ? "sent" : "received";

	(void)version;
	(void)ssl;
	(void)arg;
	if (type == SSL3_RT_HANDSHAKE && len > 0)
		printf("%s handshake %d\n", way, bytes[0]);
	else if (type == SSL3_RT_ALERT && len == 2)
		printf("%s alert %s\n", way, SSL_alert_desc_string_long(bytes[0] << 8 | bytes[1]));
}

/* One that nobody has reason to trust. */
static bool use_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	bool ok = key && x && X509_set_version(x, X509_VERSION_3) &&
		  X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
		  X509_gmtime_adj(X509_getm_notAfter(x), 3600) && X509_set_pubkey(x, key) &&
		  X509_sign(x, key, EVP_sha256()) > 0 && SSL_CTX_use_certificate(ctx, x) == 1 &&
		  SSL_CTX_use_PrivateKey(ctx, key) == 1;

	X509_free(x);
	EVP_PKEY_free(key);
	return ok;
}

static bool use_suites(SSL_CTX *ctx)
{
	if (options.tls13)
		return SSL_CTX_set_ciphersuites(
			ctx, options.cipher ? options.cipher : "TLS_AES_128_GCM_SHA256");
	return SSL_CTX_set_cipher_list(ctx, options.cipher ? options.cipher : "PSK");
}

static void use_psk(SSL_CTX *ctx)
{
	if (options.tls13) {
		SSL_CTX_set_psk_use_session_callback(ctx, on_client_session);
		SSL_CTX_set_psk_find_session_callback(ctx, on_server_session);
	} else {
		SSL_CTX_set_psk_client_callback(ctx, on_client_psk);
		SSL_CTX_set_psk_server_callback(ctx, on_server_psk);
	}
}

static SSL_CTX *context_new(void)
{
	SSL_CTX *ctx = SSL_CTX_new(options.datagram ? DTLS_method() : TLS_method());
	int version = options.tls13      ? TLS1_3_VERSION
		      : options.datagram ? DTLS1_2_VERSION
					 : TLS1_2_VERSION;

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, version) ||
		!SSL_CTX_set_max_proto_version(ctx, version) || !use_suites(ctx) ||
		(options.certificate && !use_certificate(ctx))) {
		ERR_print_errors_fp(stderr);
		exit(EXIT_FAILURE);
	}
	SSL_CTX_set_dh_auto(ctx, 1);
	if (!options.certificate)
		use_psk(ctx);
	if (options.trace)
		SSL_CTX_set_msg_callback(ctx, on_message);
	return ctx;
}

/* IPv4 only, in digits. */
static struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const char *colon = strchr(text, ':');
	char host[32];

	if (!colon) {
		fprintf(stderr, "openssl-psk-peer: %s: not an ADDR:PORT\n", text);
		exit(2);
	}
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		die(host);
	return address;
}

static int socket_new(void)
{
	int fd = socket(AF_INET, (options.datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void print_psk(void)
{
	printf("psk ");
	for (size_t i = 0; i < PSK_SIZE; i++)
		printf("%02x", session_psk[i]);
	printf("\n");
}

static bool echo_client(SSL *ssl)
{
	char buf[4096];
	int len = (int)strlen(options.message), got = 0;

	if (SSL_write(ssl, options.message, len) != len)
		return false;
	while (got < len) {
		int n = SSL_read(ssl, buf + got, (int)sizeof(buf) - 1 - got);

		if (n <= 0)
			return false;
		got += n;
	}
	buf[got] = 0;
	printf("echo %s\n", buf);
	SSL_shutdown(ssl);
	return strcmp(buf, options.message) == 0;
}

static bool echo_server(SSL *ssl)
{
	char buf[4096];
	int n;

	while ((n = SSL_read(ssl, buf, sizeof(buf))) > 0)
		if (SSL_write(ssl, buf, n) != n)
			return false;
	SSL_shutdown(ssl);
	return true;
}

/* One handshake and what is said after it, over a connected socket. */
static bool run_session(SSL_CTX *ctx, int fd, const struct sockaddr_in *peer, bool client)
{
	SSL *ssl = SSL_new(ctx);
	BIO *bio =
		options.datagram ? BIO_new_dgram(fd, BIO_NOCLOSE) : BIO_new_socket(fd, BIO_NOCLOSE);
	bool ok;

	if (!ssl || !bio)
		die("OpenSSL");
	if (options.datagram)
		BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, (void *)(uintptr_t)peer);
	SSL_set_bio(ssl, bio, bio);
	ok = (client ? SSL_connect(ssl) : SSL_accept(ssl)) == 1;
	if (!ok) {
		fprintf(stderr, "openssl-psk-peer: handshake failed\n");
		ERR_print_errors_fp(stderr);
	} else if (options.print_psk) {
		print_psk();
	}
	fflush(stdout);
	if (ok)
		ok = client ? echo_client(ssl) : echo_server(ssl);
	SSL_free(ssl);
	fflush(stdout);
	return ok;
}

static bool run_client(SSL_CTX *ctx)
{
	struct sockaddr_in address = parse_address(options.connect);
	int fd = socket_new();
	bool ok;

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	ok = run_session(ctx, fd, &address, true);
	close(fd);
	return ok;
}

/* Binds to *address and writes back what port that was. */
static int bind_socket(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	const int on = 1;
	int fd = socket_new();

	/* UDP sockets that may share a port could be given one in use. */
	if (!options.datagram)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)address, sizeof(*address)) < 0 ||
		(!options.datagram && listen(fd, 16) < 0) ||
		getsockname(fd, (struct sockaddr *)address, &len) < 0)
		die("bind");
	return fd;
}

static int next_peer(int listen_fd, struct sockaddr_in *peer)
{
	socklen_t len = sizeof(*peer);
	char byte;

	if (!options.datagram)
		return accept4(listen_fd, (struct sockaddr *)peer, &len, SOCK_CLOEXEC);
	if (recvfrom(listen_fd, &byte, 1, MSG_PEEK, (struct sockaddr *)peer, &len) < 0 ||
		connect(listen_fd, (struct sockaddr *)peer, len) < 0)
		return -1;
	return listen_fd;
}

static bool run_server(SSL_CTX *ctx)
{
	struct sockaddr_in own = parse_address(options.listen), peer;
	int listen_fd = bind_socket(&own), fd;
	bool ok = true;

	printf("listening on %s:%d\n", inet_ntoa(own.sin_addr), ntohs(own.sin_port));
	fflush(stdout);
	for (unsigned long i = 0; i < options.count; i++) {
		fd = next_peer(listen_fd, &peer);
		if (fd < 0)
			die("accept");
		ok = run_session(ctx, fd, &peer, false) && ok;
		close(fd);
		if (options.datagram) /* the socket was the peer's */
			listen_fd = bind_socket(&own);
	}
	close(listen_fd);
	return ok;
}

static void parse_secret(const char *hex)
{
	if (!OPENSSL_hexstr2buf_ex(
		    options.secret, sizeof(options.secret), &options.secret_len, hex, 0)) {
		fprintf(stderr, "openssl-psk-peer: --secret-hex: not hex\n");
		exit(2);
	}
}

static void parse(int argc, char *argv[])
{
	static const struct option table[] = {
		{ "connect", required_argument, NULL, 'c' },
		{ "listen", required_argument, NULL, 'l' },
		{ "identity", required_argument, NULL, 'i' },
		{ "secret-hex", required_argument, NULL, 's' },
		{ "cipher", required_argument, NULL, 'x' },
		{ "message", required_argument, NULL, 'm' },
		{ "count", required_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
		{ "age", required_argument, NULL, 'a' },
		{ "dtls", no_argument, NULL, 'd' },
		{ "tls13", no_argument, NULL, '3' },
		{ "epoch", no_argument, NULL, 'e' },
		{ "plain-identity", no_argument, NULL, 'p' },
		{ "wrong-psk", no_argument, NULL, 'w' },
		{ "certificate", no_argument, NULL, 'z' },
		{ "print-psk", no_argument, NULL, 'k' },
		{ "trace", no_argument, NULL, 'v' },
		{ 0 },
	};
	static const char **const strings[] = {
		['c'] = &options.connect,
		['l'] = &options.listen,
		['i'] = &options.identity,
		['x'] = &options.cipher,
		['m'] = &options.message,
	};
	static bool *const flags[256] = {
		['d'] = &options.datagram,
		['3'] = &options.tls13,
		['e'] = &options.epoch,
		['p'] = &options.plain_identity,
		['w'] = &options.wrong_psk,
		['z'] = &options.certificate,
		['k'] = &options.print_psk,
		['v'] = &options.trace,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c == '?')
			exit(2);
		if (flags[c])
			*flags[c] = true;
		else if (c == 's')
			parse_secret(optarg);
		else if (c == 'n')
			options.count = strtoul(optarg, NULL, 10);
		else if (c == 't')
			options.timeout_s = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'a')
			options.age_ms = strtoll(optarg, NULL, 10);
		else
			*strings[c] = optarg;
	}
	if (optind < argc || !options.identity || options.secret_len == 0 ||
		!options.connect == !options.listen) {
		fprintf(stderr,
			"openssl-psk-peer: --identity, --secret-hex and one of --connect and "
			"--listen are needed\n");
		exit(2);
	}
}

int main(int argc, char *argv[])
{
	SSL_CTX *ctx;
	bool ok;

	parse(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	alarm(options.timeout_s);
	ctx = context_new();
	ok = options.connect ? run_client(ctx) : run_server(ctx);
	SSL_CTX_free(ctx);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
