/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shake_loop - one end of many handshakes at a time, in one process with one event loop: what a
 * server that is not made of threads does.
 *
 * Each connection makes one handshake after the other on its socket. Tests and benches only.
 */
#ifndef TPMPSK_TESTS_CLIENT_LIB_SHAKE_LOOP_H
#define TPMPSK_TESTS_CLIENT_LIB_SHAKE_LOOP_H

#include "client-lib/tpmpsk-gnutls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHAKE_LOOP_MAX 64 /* connections */

struct shake_loop_connection {
	int fd; /* a stream socket that does not block; -1: closed */
	gnutls_session_t session;
	struct tpmpsk_gnutls_handshake *handshake;
	uint64_t start_ns;
	bool waits; /* for the daemon */
};

struct shake_loop {
	bool server;
	unsigned n_connections;
	struct shake_loop_connection connections[SHAKE_LOOP_MAX];
	gnutls_priority_t priority;
	void *credentials;
	void *ptr;                      /* of each session, for the credentials' callback */
	struct tpmpsk_async *async;     /* NULL: the PSKs need nobody */
	const gnutls_datum_t *identity; /* a client's, where the daemon is asked */
	int epoll_fd;                   /* -1 before shake_loop_init() */
	unsigned waiting, most_waiting; /* connections, for the daemon: now, and at one time */
};

/* Opens what the loop polls with. 0 or -errno. */
int shake_loop_init(struct shake_loop *l) __attribute__((warn_unused_result));
/* Closes the connections as well. */
void shake_loop_done(struct shake_loop *l);

/*
 * n handshakes, and in ns how long each took; as many as come until all connections were closed for
 * a server, with n and ns 0. 0, or what failed: a GnuTLS code, having said so on standard error.
 */
int shake_loop_run(struct shake_loop *l, size_t n, uint64_t *ns)
	__attribute__((warn_unused_result));

#endif
