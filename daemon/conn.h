/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn - one client's connection.
 *
 * Owns the descriptor, who the peer is, its requests under way and replies that its socket had no room for. Reads only while there is
 * room for a request and its answer, so a client that does not read its answers stops itself and nobody else.
 */
#ifndef TPMPSK_DAEMON_CONN_H
#define TPMPSK_DAEMON_CONN_H

#include "daemon/peer.h"
#include "daemon/server.h"
#include "daemon/unit.h"

#include <stdatomic.h>

#define CONN_REQUESTS_MAX 64 /* under way on one connection, unsent replies included */

/*
 * The way back to a client, shared by its connection and its jobs: the TPM thread answers on it, so the descriptor must stay what it is
 * until the last of them has let go.
 */
struct outlet {
	atomic_uint refs;
	int fd;
	char unit[UNIT_SIZE]; /* of the peer, for the audit */
};

struct outlet *outlet_ref(struct outlet *o);
/* Takes NULL. */
void outlet_unref(struct outlet *o);

struct conn {
	struct source source;
	struct list link;
	struct outlet *outlet;
	struct peer peer;
	struct user *user;
	struct queue_flow flow;
	struct list jobs;
	unsigned n_jobs;
	struct list unsent;
	unsigned n_unsent;
	uint32_t events;        /* what epoll watches for */
	struct list pause_link; /* in server.paused, while it is not read from for a moment */
	bool closed;
};

/* Takes over fd, whatever it returns. 0 or -errno. */
int conn_new(struct server *s, int fd) __attribute__((warn_unused_result));
/* Frees it after this round of events; jobs under way lose their owner. May be called twice. */
void conn_close(struct server *s, struct conn *c);
void conn_free_dying(struct server *s);

/* Sends a packet or keeps it until there is room. The packet may hold secrets; the caller wipes its own copy. */
void conn_send(struct server *s, struct conn *c, const uint8_t *packet, size_t len);
void conn_send_error(struct server *s, struct conn *c, uint32_t id, uint8_t opcode,
	enum tpmpsk_status status, uint32_t retry_after_ms, const char *detail);

/* Begins or goes on reading, as far as there is room. */
void conn_update_events(struct server *s, struct conn *c);

/* Goes on reading from those that were paused, when it is time; when to be called next, 0 for not at all. */
uint64_t conn_resume_paused(struct server *s, uint64_t now_ns);

#endif
