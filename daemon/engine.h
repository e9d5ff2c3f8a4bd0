/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine - the TPM thread and the queue before it.
 *
 * The loop thread submits jobs and collects them when the engine's descriptor becomes readable; it never waits for the TPM. The TPM
 * thread takes jobs in the queue's order, one at a time, and alone touches struct tpm. When the TPM is lost, jobs fail with -ENODEV
 * at once while the thread tries to open it again; nothing is answered from memory. All functions are the loop thread's.
 *
 * A TPM may take a command and never answer. Nobody can call the thread back from that, but nobody has to wait for it either: after
 * ENGINE_SILENT_NS all that is queued, and all that comes, fails with -ETIMEDOUT until the TPM says something. After ENGINE_HOPELESS_NS
 * only another process can help, which has a connection of its own: Linux gives up on any command after two minutes, so that this is about
 * TPMs behind a socket, or a kernel that hangs.
 */
#ifndef TPMPSK_DAEMON_ENGINE_H
#define TPMPSK_DAEMON_ENGINE_H

#include "daemon/job.h"
#include "daemon/tpm.h"

#include <stdbool.h>
#include <stdint.h>

#define ENGINE_SILENT_NS UINT64_C(10000000000)
#define ENGINE_HOPELESS_NS UINT64_C(150000000000)

struct engine;

struct engine_status {
	/* A word: "ready"; "unavailable"; "different", another TPM is there; "silent", it does not answer. */
	const char *state;
	struct tpm_info info; /* of the TPM that is, or was last, there */
	struct tpm_stats
		stats; /* added up over all times it was opened; loaded is the present number */
	size_t queued;
};

/*
 * Starts the thread on a TPM that was opened with these options, and takes it over on success. From then on only a TPM with that same
 * primary key is taken.
 */
int engine_start(struct engine **ret, const struct tpm_options *options, struct tpm *tpm)
	__attribute__((warn_unused_result));

/*
 * Lets the command in progress finish, ends the thread and puts what is still queued among the finished jobs with -ESHUTDOWN. False when
 * the TPM did not finish within timeout_ms: the thread is stuck in it, and all that is left is to end the process.
 */
bool engine_stop(struct engine *e, unsigned timeout_ms);
/* After engine_stop() was true and all was collected. Takes NULL. */
void engine_free(struct engine *e);

/* Readable when there are finished jobs. */
int engine_fd(const struct engine *e);

void engine_submit(struct engine *e, struct queue_flow *flow, struct job *job);
/* True: the job is the caller's again, nothing was done. False: the TPM has it; it comes back through engine_collect(). */
bool engine_cancel(struct engine *e, struct job *job);
/* The next finished job, or NULL. Call until NULL each time the descriptor is readable. */
struct job *engine_collect(struct engine *e);

/* Looks whether the TPM has fallen silent; when to look again, 0: there is no need to. */
uint64_t engine_check(struct engine *e, uint64_t now_ns);
bool engine_hopeless(const struct engine *e, uint64_t now_ns);

/* Drops a key's objects from the TPM some time soon. */
void engine_forget(struct engine *e, const struct key *key);

void engine_status(struct engine *e, struct engine_status *ret);

/* The queue's accounts, under the engine's lock. */
int engine_account_add(struct engine *e, struct queue_account *a)
	__attribute__((warn_unused_result));
void engine_account_remove(struct engine *e, struct queue_account *a);
bool engine_account_settled(struct engine *e, const struct queue_account *a);

/* CLOCK_MONOTONIC in nanoseconds, the clock of all times in a job. */
uint64_t clock_ns(void);

#endif
