/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * script - the other end of a connection, played by the test: what the real daemon never sends, or
 * not at a time that a test could choose.
 *
 * Speaks the protocol through proto/. A script is a function that serves one connection; it runs in
 * a thread of its own, for each connection to a socket in the test's own directory. Every wait has
 * a deadline; what goes wrong in here fails the test by abort().
 */
#ifndef TPMPSK_TESTS_CLIENT_LIB_SCRIPT_H
#define TPMPSK_TESTS_CLIENT_LIB_SCRIPT_H

#include "proto/message.h"
#include "tests/swtpm/tempdir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SCRIPT_DEADLINE_MS 20000
#define SCRIPT_BACKLOG 64

struct script_request {
	struct tpmpsk_header header;
	struct tpmpsk_derive derive; /* zeroes when it was something else */
};

struct script {
	struct tempdir dir;
	char path[64];
	int listen_fd;
	void (*serve)(struct script *s, int fd, unsigned int number);
	void *argument;
	pthread_t thread;
	atomic_uint connections;
	atomic_uint requests;
	atomic_bool stopping;
};

/*
 * serve gets each accepted connection with its number, from 1; the connection is closed after it.
 */
void script_start(struct script *s, void (*serve)(struct script *s, int fd, unsigned int number));
/* Closes the listening socket: nobody is there any more. */
void script_stop(struct script *s);
void script_done(struct script *s);

/* The next request; false when the other end has closed. */
bool script_receive(struct script *s, int fd, struct script_request *ret);
void script_send(int fd, const void *packet, size_t len);
/*
 * The answer to a derivation, in the shape that its purpose has; the secret is what script_psk() or
 * script_name_psk() says, or the first byte of the exporter's output again and again.
 */
void script_answer(int fd, const struct script_request *q);
void script_derive(const struct tpmpsk_derive *q, struct tpmpsk_derived *ret);
void script_reply(int fd, const struct script_request *q, const struct tpmpsk_derived *d);
void script_refuse(
	int fd, const struct script_request *q, enum tpmpsk_status status, uint32_t retry_after_ms);
/* Serves a connection as it should be, until the other end closes. */
void script_behave(struct script *s, int fd, unsigned int number);

/* A "PSK" that tells by itself what it was derived from. */
void script_psk(const uint8_t *client_random, const uint8_t *server_random, uint8_t psk[32]);
void script_name_psk(const uint8_t *name, size_t len, uint8_t psk[32]);

#endif
