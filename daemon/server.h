/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server - the loop thread: the listening socket, signals, deadlines, and the struct that holds all of the daemon's state.
 *
 * There is one struct server and no global beside it. Everything here runs on the loop thread.
 */
#ifndef TPMPSK_DAEMON_SERVER_H
#define TPMPSK_DAEMON_SERVER_H

#include "daemon/audit.h"
#include "daemon/config.h"
#include "daemon/engine.h"
#include "daemon/keystore.h"
#include "daemon/limiter.h"
#include "daemon/list.h"
#include "daemon/log.h"
#include "daemon/sandbox.h"
#include "daemon/secret.h"
#include "daemon/session.h"
#include "daemon/stats.h"
#include "daemon/user.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVER_ERROR_SIZE 600
#define SERVER_REPLY_MAX 384 /* bytes of any reply with a secret; longer ones leave at once */
#define SERVER_REPLIES 8     /* put off: the client has these while the rest is handled */
#define SERVER_PACKETS 16    /* read for one user in a round of the loop, then it is others' turn */

struct server;

/* What epoll hands back: whatever has a descriptor starts with one of these. */
struct source {
	void (*on_event)(struct server *s, struct source *source, uint32_t events);
};

/* To the connection whose packets are being handled: they leave together, as soon as these are full or that is done. */
struct replies {
	struct conn *to; /* NULL: replies leave at once */
	unsigned n;
	struct {
		size_t len;
		uint8_t packet[SERVER_REPLY_MAX]; /* wiped when it has left */
	} of[SERVER_REPLIES];
};

struct server {
	const char *config_path; /* NULL: the default */
	struct config config;
	struct keystore *keys;
	struct engine *engine;
	struct users users;
	struct limiter limiter;
	struct sessions sessions;
	struct audit audit;
	struct slab jobs;

	int epoll_fd;
	int signal_fd;
	int listen_fd;
	char *bound_path; /* of the socket, when we bound it; NULL when it was handed over */
	dev_t bound_dev;
	ino_t bound_ino;
	int lock_fd; /* of the lock beside the socket; negative: none */
	uint64_t
		accept_again_ns; /* when accepting, which failed, is tried again; 0 while we accept */
	bool stopping;
	struct sandbox_gaps gaps;
	struct source on_signal, on_listen, on_engine;

	struct list conns;
	struct list paused; /* connections of users who are refused too often */
	uint64_t resume_ns; /* when they go on; 0 when there are none */
	struct list dying;  /* closed, but an event of this round may still point to them */
	unsigned n_conns;
	struct list deadlines; /* of all jobs not answered yet, the next one first */
	unsigned n_jobs;

	uint64_t started_ns, started_unix;
	uint64_t now_ns;      /* when this round of the loop began */
	uint64_t round;       /* of the loop, for each user's share of it */
	uint64_t tpm_ns;      /* a running mean of what one job costs the TPM */
	bool may_stay_awake;  /* for a fast TPM, in place of sleeping */
	uint64_t watchdog_ns; /* 0: nobody waits for a sign of life */
	uint64_t next_watchdog_ns;
	uint64_t counts[TPMPSK_STATUS_COUNT]; /* answers to derive requests */
	struct stats stats;
	struct log_limit accept_log, result_log;

	uint8_t packets[SERVER_PACKETS][TPMPSK_MESSAGE_MAX + 1]; /* being read; wiped after each */
	struct replies replies;
};

/* On failure error is one line. Takes over config on success. 0 or -errno. */
int server_new(struct server **ret, const char *config_path, struct config *config,
	char error[SERVER_ERROR_SIZE]) __attribute__((warn_unused_result));
/* Serves until SIGTERM or SIGINT. 0, or -errno when it could not end in order. */
int server_run(struct server *s) __attribute__((warn_unused_result));
void server_free(struct server *s);

/* Configuration and keys anew, all or nothing; says so in the log. On failure error is one line. */
int server_reload(struct server *s, char error[SERVER_ERROR_SIZE])
	__attribute__((warn_unused_result));

/* Takes back the jobs that the TPM is done with. */
void server_collect(struct server *s);

#endif
