/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gnutls_run - handshakes between two GnuTLS sessions in this process, over the library's calls, and
 * what each end and the wire saw of them.
 *
 * The daemons' answers are the test's, so that each of them can be had: the server's says the status
 * that is in the identity, "status 3", or gives a wrong PSK for "wrong".
 */
#ifndef TPMPSK_TESTS_CLIENT_LIB_GNUTLS_RUN_H
#define TPMPSK_TESTS_CLIENT_LIB_GNUTLS_RUN_H

#include "client-lib/tpmpsk-gnutls.h"
#include "tests/client-lib/script.h"

#define TLS12 "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:"
#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:"
#define BOTH "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:"
/* With both, the client has sent no share of the one group the server takes. */
#define SERVER_RETRY TLS13 "+ECDHE-PSK:-GROUP-ALL:+GROUP-SECP384R1"
#define CLIENT_RETRY TLS13 "+ECDHE-PSK:-GROUP-ALL:+GROUP-SECP256R1:+GROUP-SECP384R1"
#define TRACE_SIZE 256
#define NAMES_MAX 8

extern struct script client_daemon, server_daemon;
extern struct tpmpsk *client_tpm, *server_tpm;

/* What the server's side was asked in TLS 1.3, call by call. */
extern struct call {
	uint8_t handshake[TPMPSK_HANDSHAKE_MAX];
	size_t handshake_len;
	char identity[TPMPSK_IDENTITY_MAX + 1];
} calls[NAMES_MAX];
extern size_t n_calls;

/* A suite's .init and .fini. */
void gnutls_run_begin(void);
void gnutls_run_end(void);

/* One handshake: what goes in, and what came of it. */
struct run {
	const char *priority;
	const char *server_priority; /* NULL: the same */
	gnutls_datum_t identity;
	unsigned int flags; /* of the server's call */
	int fds[2];
	int client_result, server_result;
	int client_error, server_error; /* tpmpsk_gnutls_last_error() */
	int alert;                      /* the client got; 0: none */
	gnutls_protocol_t version;
	bool has_dh;
	uint8_t client_psk[32], server_psk[32];
	char trace[TRACE_SIZE]; /* the client's handshake messages */
};

/* How all runs are made, from here on. */
extern struct manner {
	bool no_wait;              /* each end as an event loop has it, and never blocked */
	bool no_wait_server;       /* the server only */
	bool orphan;               /* the server, over a connection that nobody is at any more */
	bool piecemeal;            /* byte after byte */
	bool zero_random;          /* the server's, chosen to look like none */
	unsigned int client_flags; /* without waiting: of the client's call */
	unsigned int server_flags; /* and of the server's, besides the run's */
} manner;

/* The callbacks of a run; a test may have its own for the server. */
int run_server_psk(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key);
extern gnutls_psk_server_credentials_function2 *server_callback;

/* Does what run says, and frees the client's credentials. */
void run_with(struct run *run, gnutls_psk_client_credentials_t credentials);
struct run handshake_between(const char *priority, const char *server_priority,
	const void *identity, size_t len, unsigned int flags);
struct run handshake(const char *priority, const void *identity, size_t len, unsigned int flags);
struct run handshake_as(const char *priority, const char *identity, unsigned int flags);

void assert_agreed(const struct run *run, gnutls_protocol_t version);
/* One run with each version and key exchange, each with another PSK. */
void assert_every_version_agrees(void);
void assert_same_failure(const struct run *a, const struct run *b);

#endif
