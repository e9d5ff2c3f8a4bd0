/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handle - what a struct tpmpsk is: the way to the daemon and the connection in use. Not exported.
 *
 * Owns the socket, connecting anew, and noticing a fork. Every function but tpmpsk_handle_lock() is
 * called with the handle's lock held; tpmpsk_handle_connection() lets go of it while it blocks in
 * connect(2), at most until the deadline. Returns 0 or TPMPSK_ERR_*.
 */
#ifndef TPMPSK_CLIENT_LIB_HANDLE_H
#define TPMPSK_CLIENT_LIB_HANDLE_H

#include "client-lib/tpmpsk.h"
#include "proto/message.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct tpmpsk_call;

/*
 * One connected socket. Closed when the last call that uses it has let go, so that no thread polls
 * a descriptor that by then is another file.
 */
struct tpmpsk_connection {
	int fd;
	unsigned int refs;
	int lost;         /* 0, or the TPMPSK_ERR_* that ends the calls that still wait on it */
	bool reading;     /* one of the calls receives for all of them */
	int limit_ms;     /* the socket's SO_RCVTIMEO; 0: not set */
	bool never_waits; /* recv(2) returns at once whatever the limit */
	struct tpmpsk_error_reply refusal; /* what the daemon said of the connection itself */
	struct tpmpsk_call *calls;
};

struct tpmpsk {
	pthread_mutex_t lock;
	pthread_cond_t connected; /* a connect(2) ended */
	char *path;               /* NULL: came as a descriptor, there is no way to connect again */
	struct tpmpsk_connection *connection;
	bool connecting;
	uint32_t next_id;
	atomic_uint deadline_ms;
	atomic_uint forks; /* tells the process that last used it from its forked child */
};

/* Takes the lock. In a forked child, first drops what belongs to the parent. */
void tpmpsk_handle_lock(struct tpmpsk *h);

/* A reference to a connection that was not lost a moment ago; connects when there is none. */
int tpmpsk_handle_connection(struct tpmpsk *h, const struct timespec *deadline,
	struct tpmpsk_connection **ret) __attribute__((warn_unused_result));

void tpmpsk_connection_unref(struct tpmpsk_connection *c);

/*
 * Nobody sends on it from here on, and whoever polls it wakes up. Its calls are the caller's part.
 */
void tpmpsk_connection_lose(struct tpmpsk *h, struct tpmpsk_connection *c, int error);

#endif
