/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * job - one piece of work for the TPM, from the request that asked for it to its answer.
 *
 * Made, filled and given back on the loop thread, from a slab of locked memory. Between engine_submit() and its way back the TPM thread
 * may read `task`'s inputs and writes `result` and the times; everything else is the loop thread's alone, so that a connection can
 * go away while its job is at the TPM.
 */
#ifndef TPMPSK_DAEMON_JOB_H
#define TPMPSK_DAEMON_JOB_H

#include "daemon/keystore.h"
#include "daemon/list.h"
#include "daemon/queue.h"
#include "proto/message.h"

#include <stdint.h>

struct conn;
struct user;
struct new_key;

enum job_kind {
	JOB_DERIVE, /* one derivation under job.key */
	JOB_CREATE, /* a key from job.new_key's secret, or from the TPM's randomness */
	JOB_ADOPT,  /* prove that job.new_key's file loads */
};

struct job {
	/* The loop thread's. */
	struct conn *
		conn; /* NULL: who asked has gone or was told something else; the result is dropped */
	struct list conn_link;
	struct list deadline_link;
	struct user *user;
	uint32_t request_id;
	uint8_t opcode;
	uint64_t received_ns;
	uint64_t deadline_ns;

	/* The engine's. */
	struct queue_entry entry;
	struct list done_link;

	/* The work. Set before it is submitted. */
	enum job_kind kind;
	struct key *key; /* a reference */
	struct tpmpsk_derive derive;
	struct new_key *new_key; /* owned */

	/* What came of it. */
	int result; /* 0 or -errno as tpm.h has them; -ESHUTDOWN: the daemon stops */
	uint64_t started_ns;
	uint64_t finished_ns;
	struct tpmpsk_derived derived;
};

#endif
