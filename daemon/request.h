/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request - what the daemon does with a message: decode, decide, hand to the TPM, answer.
 *
 * Owns the table of opcodes and who may send them, and a job's way from request to reply. Nothing that a peer sent is acted on before
 * the whole message has been decoded, and no answer depends on more of a key than the peer may know of it.
 */
#ifndef TPMPSK_DAEMON_REQUEST_H
#define TPMPSK_DAEMON_REQUEST_H

#include "daemon/conn.h"
#include "daemon/job.h"
#include "daemon/new_key.h"
#include "daemon/server.h"

/* One packet of len bytes as received; more than TPMPSK_MESSAGE_MAX bytes were cut off. */
void request_handle(struct server *s, struct conn *c, const uint8_t *packet, size_t len);

/* A job that the engine has given back. */
void request_finished(struct server *s, struct job *job);
/* The connection has gone: the job's answer is wanted by nobody. */
void request_abandon(struct server *s, struct job *job);
/* Answers the jobs whose time is up; the time of the next deadline in ns, 0 when there is none. */
uint64_t request_expire(struct server *s, uint64_t now_ns);
/* Answers everything that is under way with one status, because the TPM does not come back. */
void request_fail_all(struct server *s, enum tpmpsk_status status);

/*
 * Puts a job into the queue, within the bounds; takes a reference to key (may be NULL) and, on success, new_key. False: answered with
 * `busy`.
 */
bool request_submit(struct server *s, struct conn *c, const struct tpmpsk_header *h,
	enum job_kind kind, struct key *key, const struct tpmpsk_derive *derive,
	struct new_key *new_key);

/* The status and the words for a result of the TPM module. */
enum tpmpsk_status request_status_of(int result, const char **ret_detail);

#endif
