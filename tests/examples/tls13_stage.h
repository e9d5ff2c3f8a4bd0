/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls13_stage - the stage with keys for TLS 1.3 as well, and what the daemon was asked.
 *
 * "Client1" has its secret under both purposes, in strict mode; "Epoch" is in epoch mode and for TLS
 * 1.3 alone; "Other" and so "Foreign", who is somebody else's in both, stay as they are on the
 * stage. Tests only.
 */
#ifndef TPMPSK_TESTS_EXAMPLES_TLS13_STAGE_H
#define TPMPSK_TESTS_EXAMPLES_TLS13_STAGE_H

#include "tests/examples/stage.h"

#define OPENSSL_SERVER "examples/openssl-server"
#define OPENSSL_CLIENT "examples/openssl-client"

#define TLS12_ONLY "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"
#define TLS13_ONLY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK"
/* Of this group no client sends a share at first. */
#define TLS13_RETRY TLS13_ONLY ":-GROUP-ALL:+GROUP-SECP384R1"

/* For .init; stage_end() is for .fini. */
void tls13_begin(void);

/* That the daemon has granted n derivations: in a role, or of tls12-session (role NULL). */
void tls13_assert_granted(const char *role, size_t n);

/* The same PSK on both sides, and not the last one. */
void tls13_assert_agreed(struct stage_server *server, const struct command_result *client,
	char last[STAGE_HEX_SIZE]);

/* A software peer whose handshake fails, and what the daemon says of it; NULL: nothing. */
struct tls13_failure {
	const char *identity, *secret;
	const char *option, *value;
	const char *status;
};
#define TLS13_FAILURES 8
extern const struct tls13_failure tls13_failures[TLS13_FAILURES];

/* What such a peer sees, message by message; free() it. */
char *tls13_fail(const struct stage_server *server, const struct tls13_failure *f);

/* That each of them sees the same, and that the server's log tells them apart. */
void tls13_assert_all_fail_alike(const struct stage_server *server);

/* A plain connection to a server. */
int tls13_knock(const struct stage_server *server);

/* A client that takes part, after whatever else happened. */
void tls13_assert_serves(const struct stage_server *server);

/* Waits until the server has said so on standard error. */
void tls13_assert_err(const struct stage_server *server, const char *text);

#endif
