/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session - derivations for session-identity: what is decided on the loop thread before, and often instead of, asking the TPM.
 *
 * Owns the epoch secrets and the replay memory. A session identity from the network is hostile: it is checked in the order shape, time
 * window, tag, replay, and only what passes all four is derived. Until then it costs software only, whoever sends how many. Loop thread.
 */
#ifndef TPMPSK_DAEMON_SESSION_H
#define TPMPSK_DAEMON_SESSION_H

#include "daemon/epochs.h"
#include "daemon/replay.h"
#include "proto/message.h"

struct conn;
struct job;
struct server;

struct sessions {
	struct epochs epochs;
	struct replay *replay;
	uint64_t next_tick_ns; /* 0: nothing to look after */
};

int session_init(struct server *s) __attribute__((warn_unused_result));
void session_done(struct server *s);

/* What the identity in a request names: the key's own identity, a prefix of it. False: not of the right shape for the role. */
bool session_base(const struct tpmpsk_derive *q, size_t *ret_len);

/* A decoded request of a peer that may use the key in its role. Answers it, now or later. */
void session_request(struct server *s, struct conn *c, const struct tpmpsk_header *h, struct key *k,
	const struct tpmpsk_derive *q);

/* An epoch secret has come from the TPM, or has not: goes on with those who wait for it. */
void session_fetched(struct server *s, struct job *job);

/* Wipes what is over and fetches ahead; when to be called next, 0 for not at all. */
uint64_t session_tick(struct server *s, uint64_t now_ns);

/* The same as the configuration after a reload. */
void session_reconfigure(struct server *s);

#endif
