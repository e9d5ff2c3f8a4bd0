/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_stage - token-server and token-client against a scene in which "Client1" has a key for each
 * of the exporter purposes, whose secrets also lie in files.
 *
 * "Foreign" is somebody else's. Servers listen on a port that the kernel chose, with a certificate
 * that they made. Assertions are criterion's. Tests only.
 */
#ifndef TPMPSK_TESTS_EXAMPLES_TOKEN_STAGE_H
#define TPMPSK_TESTS_EXAMPLES_TOKEN_STAGE_H

#include "tests/examples/token_peer.h"
#include "tests/swtpm/scene.h"

#define KDF_SECRET "a secret for tokens"
#define MAC_SECRET "a secret for signing keys"
#define WRONG_SECRET "a secret of nobody's"
#define JWT_SIGNED "sign"
#define JWT_ENCRYPTED "encrypt"
#define TOKEN_SERVER "examples/token-server"
#define TOKEN_CLIENT "examples/token-client"

extern struct scene token_stage;

/* For .init and .fini; without a TPM and a daemon, there are the files alone. */
void token_stage_begin(void);
void token_stage_begin_in_software(void);
void token_stage_end(void);

/* What PATH of --socket or --secret-file is. */
enum place {
	IN_DAEMON,
	IN_SOFTWARE,
	NOT_THE_KEY, /* in software, and the wrong one */
};

struct token_server {
	struct command *process;
	char address[64];
	char pin[64];
};

/* jwt NULL: none. The others end with NULL. */
void token_serve(struct token_server *s, enum place place, const char *jwt, ...)
	__attribute__((sentinel));
void token_leave(struct token_server *s);
void token_assert_err(const struct token_server *s, const char *text);

/* Runs token-client as "Client1" to its end; the result is valid until the next one. */
const struct command_result *token_ask(const struct token_server *s, enum place place,
	const char *jwt, ...) __attribute__((sentinel));
/* Runs any program; --socket and the like are the caller's. */
const struct command_result *token_run(const char *program, ...) __attribute__((sentinel));

/* The rest of a line that starts with these words. */
void token_said(const struct command_result *r, const char *words, char rest[PEER_JWT_SIZE]);

void token_assert_ok(const struct command_result *r);
void token_assert_refused(const struct command_result *r, const char *text);

/* A file in the scene's directory; valid until the next call. */
const char *token_file(const char *name);

#endif
