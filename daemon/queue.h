/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue - who is next at the TPM.
 *
 * Fair by TPM time between accounts (one per user), and turn by turn between the flows (one per connection) of an account. Pure: no
 * clock, no lock, no thread; whoever shares a queue between threads brings the lock. Members live in their owners' structs; the queue
 * allocates only when an account is added, so that a push cannot fail.
 */
#ifndef TPMPSK_DAEMON_QUEUE_H
#define TPMPSK_DAEMON_QUEUE_H

#include "daemon/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
	struct queue_account *
		*heap; /* accounts with entries, the one with the least time used on top */
	size_t n_active, n_accounts, cap;
	uint64_t
		floor; /* time used by the account that was served last, when it was: where newcomers start */
	uint64_t pushes;
	size_t len;
};

struct queue_account {
	uint64_t
		used; /* TPM time in ns, raised to the floor after a pause: time not asked for is not saved up */
	uint64_t turn;     /* breaks ties: who became active first */
	size_t position;   /* in the heap, from 1; 0 when it has no entries */
	struct list flows; /* those with entries */
	size_t len;
	uint64_t pops;
};

struct queue_flow {
	struct queue_account *account;
	struct list link;
	struct list entries;
};

struct queue_entry {
	struct queue_account *account; /* stays set while the entry is being served */
	struct queue_flow *flow;       /* NULL when not queued */
	uint64_t pushed;               /* the account's pops when it was queued */
	struct list link;
};

void queue_init(struct queue *q);
void queue_done(struct queue *q);

/* 0 or -ENOMEM. An account without entries may be removed at any time; it should wait until queue_account_settled(). */
int queue_account_add(struct queue *q, struct queue_account *a) __attribute__((warn_unused_result));
void queue_account_remove(struct queue *q, struct queue_account *a);
/* Whether forgetting the account would forgive it nothing: it has used no more than the one served last. */
bool queue_account_settled(const struct queue *q, const struct queue_account *a);

void queue_flow_init(struct queue_flow *f, struct queue_account *a);

void queue_push(struct queue *q, struct queue_flow *f, struct queue_entry *e);
/*
 * The next entry, now out of the queue, or NULL. Whose turn it is, is never in question; but among the entries of that account one that
 * prefer() likes goes first, as long as the one before it has not waited more than twice what it would have waited in order. prefer may be
 * NULL.
 */
struct queue_entry *queue_pop(
	struct queue *q, bool (*prefer)(void *context, const struct queue_entry *e), void *context);
/* Takes an entry out; false when it was not queued (it is being served, or was). */
bool queue_cancel(struct queue *q, struct queue_entry *e);
/* What serving an entry of this account cost. */
void queue_charge(struct queue *q, struct queue_account *a, uint64_t ns);

#endif
