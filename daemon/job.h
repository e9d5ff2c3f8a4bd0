/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * job - one request on its way to the TPM and back.
 *
 * Owns the bounds a request must fit into, its deadline, and what happens when that passes, the connection closes or the daemon stops. A
 * job is made and given back on the loop thread, in locked memory that is wiped. While the engine has it the TPM thread reads the work
 * and writes what came of it; everything else is the loop thread's alone, so that a connection can go away while its job is at the TPM.
 */
#ifndef TPMPSK_DAEMON_JOB_H
#define TPMPSK_DAEMON_JOB_H

#include "daemon/keystore.h"
#include "daemon/list.h"
#include "daemon/queue.h"
#include "daemon/session_identity.h"
#include "proto/digest.h"
#include "proto/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct conn;
struct epoch;
struct new_key;
struct outlet;
struct server;
struct user;

enum job_kind {
	JOB_DERIVE, /* one derivation under job.key */
	JOB_CREATE, /* a key from job.new_key's secret, or from the TPM's randomness */
	JOB_ADOPT,  /* prove that job.new_key's file loads */
	JOB_CHECK,  /* prove that job.key loads */
	JOB_CSR,    /* sign job.digest for a certificate request */
	JOB_EPOCH, /* the epoch secret of job.epoch, into derived.secret; asked for by nobody in particular */
};

struct job {
	/* The loop thread's. */
	struct conn
		*conn; /* NULL: who asked has gone or has been answered; the result is dropped */
	struct list conn_link;
	struct list deadline_link;
	struct list wait_link; /* while it waits for an epoch secret */
	struct user *user;
	pid_t pid; /* of who asked, for the audit */
	uint32_t request_id;
	uint8_t opcode;
	bool at_engine; /* queued, at the TPM, or finished and not collected yet */
	uint64_t received_ns;
	uint64_t deadline_ns;

	/* Whoever sets `answered` first answers: the TPM thread with the result, or the loop with a refusal. */
	struct outlet *outlet; /* a reference */
	atomic_bool answered;
	bool sent; /* by the TPM thread; read by the loop when the job has come back */

	/* The engine's. */
	struct queue_entry entry;
	struct list done_link;

	/* The work. */
	enum job_kind kind;
	struct key *key; /* a reference */
	struct tpmpsk_derive derive;
	struct new_key *new_key; /* owned */
	uint8_t digest[TPMPSK_DIGEST_SIZE_MAX];
	struct session_identity session;
	struct epoch *epoch; /* JOB_EPOCH: what waits for it */

	/* What came of it. */
	int result; /* 0 or -errno as tpm.h has them; -ESHUTDOWN: the daemon stops; -ETIMEDOUT: the TPM is silent */
	uint64_t started_ns;
	uint64_t finished_ns;
	struct tpmpsk_derived derived;
};

/*
 * A job for a request, or NULL: the bounds are reached, and `busy` has been answered. Takes a reference to key (may be NULL), copies
 * derive (may be NULL) and, on success, takes over new_key (may be NULL).
 */
struct job *job_new(struct server *s, struct conn *c, const struct tpmpsk_header *h,
	enum job_kind kind, struct key *key, const struct tpmpsk_derive *derive,
	struct new_key *new_key);

/* One that the daemon itself wants done, charged to a user; NULL without memory. */
struct job *job_new_background(
	struct server *s, struct user *user, enum job_kind kind, struct key *key);

/* Takes a token of the key's rate; false: none was left, `busy` has been answered and the job is gone. */
bool job_take_rate(struct server *s, struct job *job) __attribute__((warn_unused_result));

/* Into the queue before the TPM. It comes back through job_finish(). */
void job_submit(struct server *s, struct job *job);

/* TPM thread: sends a derivation's result, if that can be done at once; else job_finish() does. */
void job_deliver(struct job *job);
/* Answers with what came of it, unless that has been done, and frees it. */
void job_finish(struct server *s, struct job *job);
/* Answers with a refusal, and lets go of it wherever it is. */
void job_fail(struct server *s, struct job *job, enum tpmpsk_status status, uint32_t retry_after_ms,
	const char *detail);
/* The connection has gone: the answer is wanted by nobody. */
void job_abandon(struct server *s, struct job *job);

/* Answers those whose time is up; the time of the next deadline in ns, 0 when there is none. */
uint64_t job_expire(struct server *s, uint64_t now_ns);
/* Answers everything under way with one status, because the TPM does not come back. */
void job_fail_all(struct server *s, enum tpmpsk_status status);

/* The status and the words for a result of the TPM module. */
enum tpmpsk_status job_status_of(int result, const char **ret_detail);

#endif
