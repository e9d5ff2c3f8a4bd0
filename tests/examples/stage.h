/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage - the example programs and the software peer, run against a scene that has two keys.
 *
 * The scene's user may use the keys of "Client1" and "Other"; "Foreign" is somebody else's. Servers
 * listen on a port that the kernel chose. Assertions are criterion's; a test that fails leaves
 * nothing running. Tests only.
 */
#ifndef TPMPSK_TESTS_EXAMPLES_STAGE_H
#define TPMPSK_TESTS_EXAMPLES_STAGE_H

#include "tests/swtpm/scene.h"

#define STAGE_SECRET "000102030405060708090a0b0c0d0e0f"
#define STAGE_OTHER_SECRET "ff0102030405060708090a0b0c0d0e0f"
#define STAGE_ARGUMENTS_MAX 32
#define STAGE_HEX_SIZE 65

extern struct scene stage;

/* For .init and .fini. */
void stage_begin(void);
void stage_end(void);

/* A server, "examples/psk-server" or "tests/peer/openssl-psk-peer", and where it listens. */
struct stage_server {
	struct command *process;
	char address[64];
};

/* options may be NULL; the arguments end with NULL. --socket is added for the examples. */
void stage_serve(struct stage_server *s, const struct command_options *options, const char *program,
	...) __attribute__((sentinel));
void stage_leave(struct stage_server *s);
/* The PSK that the server prints next. */
void stage_server_psk(struct stage_server *s, char hex[STAGE_HEX_SIZE]);

/* Runs a client to its end; the result is valid until the next one. */
const struct command_result *stage_run(const char *program, ...) __attribute__((sentinel));
/* The PSK in what a client said; fails the test when it ended with an error. */
void stage_client_psk(const struct command_result *r, char hex[STAGE_HEX_SIZE]);

#define PSK_SERVER "examples/psk-server"
#define PSK_CLIENT "examples/psk-client"
#define PEER "tests/peer/openssl-psk-peer"

#endif
