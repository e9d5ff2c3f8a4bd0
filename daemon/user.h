/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * user - what each uid holds of the daemon: connections, requests under way, TPM time.
 *
 * One struct per uid, shared by its connections and requests, each of which holds a reference that it gives back when it ends. A uid
 * that has gone is remembered until the TPM time it used is settled, so that hanging up does not wipe a debt. Loop thread only, but
 * the account inside belongs to the engine's queue and is touched under the engine's lock.
 */
#ifndef TPMPSK_DAEMON_USER_H
#define TPMPSK_DAEMON_USER_H

#include "daemon/audit.h"
#include "daemon/queue.h"

#include <stdint.h>
#include <sys/types.h>

#define USER_BUCKETS 256
#define USER_SELF ((uid_t)-1) /* no user has it: work that the daemon does for all of them */

struct engine;

struct user {
	struct list link; /* in its bucket */
	uid_t uid;
	unsigned refs;
	unsigned connections;
	unsigned requests;   /* queued or at the TPM */
	uint64_t refused_ns; /* when the present window of refusals began */
	unsigned refused;    /* requests refused in it */
	uint64_t round;      /* of the loop in which packets were last read for this user */
	unsigned packets;    /* read in that round */
	struct audit_budget audit;
	struct queue_account account;
	struct queue_flow background; /* jobs of the daemon's own that this user is charged for */
};

struct users {
	struct engine *engine;
	struct list buckets[USER_BUCKETS];
	size_t count; /* with those only remembered */
};

void users_init(struct users *u, struct engine *engine);
/* All references must be back. */
void users_done(struct users *u);

/* The user of a uid with one more reference, or NULL: no memory. */
struct user *users_get(struct users *u, uid_t uid);
/* One more reference to a user that the caller holds one of. */
struct user *user_ref(struct user *user);
void users_put(struct users *u, struct user *user);

#endif
