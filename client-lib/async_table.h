/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * async_table - the requests of an asynchronous handle: queued, sent, done; and by deadline. Not
 * exported.
 *
 * A table of fixed size inside the handle; a request stays in its slot from when it is submitted
 * until it is collected. Does no I/O and does not block; the handle's one thread. A slot is wiped
 * of its request when that is done, and of all when it is free again.
 */
#ifndef TPMPSK_CLIENT_LIB_ASYNC_TABLE_H
#define TPMPSK_CLIENT_LIB_ASYNC_TABLE_H

#include "client-lib/requests.h"
#include "client-lib/tpmpsk.h"

#include <stdint.h>
#include <sys/queue.h>

enum tpmpsk_slot_state {
	TPMPSK_SLOT_FREE,
	TPMPSK_SLOT_QUEUED,
	TPMPSK_SLOT_SENT,
	TPMPSK_SLOT_DONE,
};

struct tpmpsk_slot {
	TAILQ_ENTRY(tpmpsk_slot) link;        /* in its state's list */
	TAILQ_ENTRY(tpmpsk_slot) by_deadline; /* while queued or sent */
	enum tpmpsk_slot_state state;
	uint32_t id;
	unsigned int losses; /* connections lost since it was submitted */
	int64_t deadline_ns;
	void *tag;
	int error;
	unsigned int retry_after_ms;
	struct tpmpsk_request request;
	struct tpmpsk_derived derived;
};

TAILQ_HEAD(tpmpsk_slots, tpmpsk_slot);

struct tpmpsk_table {
	struct tpmpsk_slots free, queued, sent, done; /* the first one is the oldest */
	struct tpmpsk_slots by_deadline;              /* the first one is the nearest */
	unsigned int touched;                         /* slots that were ever in use */
	uint32_t generation;
	struct tpmpsk_slot slots[TPMPSK_ASYNC_OUTSTANDING_MAX];
};

void tpmpsk_table_init(struct tpmpsk_table *t);
void tpmpsk_table_wipe(struct tpmpsk_table *t);

/* A free slot to build a request in, still free; NULL when all are in use. */
struct tpmpsk_slot *tpmpsk_table_spare(struct tpmpsk_table *t);
/* What was built in a spare slot becomes the last in the queue, with an id of its own. */
void tpmpsk_table_queue(
	struct tpmpsk_table *t, struct tpmpsk_slot *s, void *tag, int64_t deadline_ns);
void tpmpsk_table_sent(struct tpmpsk_table *t, struct tpmpsk_slot *s);
/* What was sent goes back to the head of the queue, in its old order. */
void tpmpsk_table_unsend(struct tpmpsk_table *t);
void tpmpsk_table_finish(
	struct tpmpsk_table *t, struct tpmpsk_slot *s, int error, unsigned int retry_after_ms);
/* Forgets a request, whatever its state. */
void tpmpsk_table_release(struct tpmpsk_table *t, struct tpmpsk_slot *s);

/* The sent request with this id, or NULL. */
struct tpmpsk_slot *tpmpsk_table_by_id(struct tpmpsk_table *t, uint32_t id);
/* Any request with this tag, or NULL. */
struct tpmpsk_slot *tpmpsk_table_by_tag(struct tpmpsk_table *t, const void *tag);

#endif
