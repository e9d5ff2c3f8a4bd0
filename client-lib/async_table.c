/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/async_table.h"

#include <assert.h>
#include <string.h>

/*
 * An id is the slot's index and, above it, a generation: an answer finds its slot without a search,
 * and the late one to a request that gave up does not fit the slot's next request.
 */
#define INDEX_BITS 10
#define INDEX_MASK ((UINT32_C(1) << INDEX_BITS) - 1)
#define GENERATION_MASK (UINT32_MAX >> INDEX_BITS)
static_assert(TPMPSK_ASYNC_OUTSTANDING_MAX <= INDEX_MASK + 1, "an index must fit");

void tpmpsk_table_init(struct tpmpsk_table *t)
{
	TAILQ_INIT(&t->free);
	TAILQ_INIT(&t->queued);
	TAILQ_INIT(&t->sent);
	TAILQ_INIT(&t->done);
	TAILQ_INIT(&t->by_deadline);
}

void tpmpsk_table_wipe(struct tpmpsk_table *t)
{
	explicit_bzero(t->slots, t->touched * sizeof(t->slots[0]));
}

/* Memory of a slot is touched when as many are in use for the first time, and not before. */
struct tpmpsk_slot *tpmpsk_table_spare(struct tpmpsk_table *t)
{
	struct tpmpsk_slot *s = TAILQ_FIRST(&t->free);

	if (!s && t->touched < TPMPSK_ASYNC_OUTSTANDING_MAX) {
		s = &t->slots[t->touched++];
		TAILQ_INSERT_HEAD(&t->free, s, link);
	}
	return s;
}

static struct tpmpsk_slots *list_of(struct tpmpsk_table *t, enum tpmpsk_slot_state state)
{
	struct tpmpsk_slots *const lists[] = {
		[TPMPSK_SLOT_FREE] = &t->free,
		[TPMPSK_SLOT_QUEUED] = &t->queued,
		[TPMPSK_SLOT_SENT] = &t->sent,
		[TPMPSK_SLOT_DONE] = &t->done,
	};

	return lists[state];
}

static void move(struct tpmpsk_table *t, struct tpmpsk_slot *s, enum tpmpsk_slot_state state)
{
	TAILQ_REMOVE(list_of(t, s->state), s, link);
	s->state = state;
	TAILQ_INSERT_TAIL(list_of(t, state), s, link);
}

/* From the end: with one deadline for all, which is the rule, that is where it belongs. */
static void insert_by_deadline(struct tpmpsk_table *t, struct tpmpsk_slot *s)
{
	struct tpmpsk_slot *before = TAILQ_LAST(&t->by_deadline, tpmpsk_slots);

	while (before && before->deadline_ns > s->deadline_ns)
		before = TAILQ_PREV(before, tpmpsk_slots, by_deadline);
	if (before)
		TAILQ_INSERT_AFTER(&t->by_deadline, before, s, by_deadline);
	else
		TAILQ_INSERT_HEAD(&t->by_deadline, s, by_deadline);
}

void tpmpsk_table_queue(
	struct tpmpsk_table *t, struct tpmpsk_slot *s, void *tag, int64_t deadline_ns)
{
	t->generation = t->generation % GENERATION_MASK + 1;
	s->id = t->generation << INDEX_BITS | (uint32_t)(s - t->slots);
	s->tag = tag;
	s->deadline_ns = deadline_ns;
	s->losses = 0;
	insert_by_deadline(t, s);
	move(t, s, TPMPSK_SLOT_QUEUED);
}

void tpmpsk_table_sent(struct tpmpsk_table *t, struct tpmpsk_slot *s)
{
	move(t, s, TPMPSK_SLOT_SENT);
}

void tpmpsk_table_unsend(struct tpmpsk_table *t)
{
	struct tpmpsk_slot *s;

	TAILQ_FOREACH(s, &t->sent, link)
	s->state = TPMPSK_SLOT_QUEUED;
	TAILQ_CONCAT(&t->sent, &t->queued, link);
	TAILQ_CONCAT(&t->queued, &t->sent, link);
}

void tpmpsk_table_finish(
	struct tpmpsk_table *t, struct tpmpsk_slot *s, int error, unsigned int retry_after_ms)
{
	explicit_bzero(&s->request, sizeof(s->request));
	s->error = error;
	s->retry_after_ms = retry_after_ms;
	TAILQ_REMOVE(&t->by_deadline, s, by_deadline);
	move(t, s, TPMPSK_SLOT_DONE);
}

void tpmpsk_table_release(struct tpmpsk_table *t, struct tpmpsk_slot *s)
{
	if (s->state == TPMPSK_SLOT_QUEUED || s->state == TPMPSK_SLOT_SENT)
		TAILQ_REMOVE(&t->by_deadline, s, by_deadline);
	TAILQ_REMOVE(list_of(t, s->state), s, link);
	explicit_bzero(s, sizeof(*s));
	TAILQ_INSERT_HEAD(&t->free, s, link); /* the one whose memory is warm is used next */
}

struct tpmpsk_slot *tpmpsk_table_by_id(struct tpmpsk_table *t, uint32_t id)
{
	uint32_t index = id & INDEX_MASK;

	return index < t->touched && t->slots[index].state == TPMPSK_SLOT_SENT &&
			       t->slots[index].id == id
		       ? &t->slots[index]
		       : NULL;
}

struct tpmpsk_slot *tpmpsk_table_by_tag(struct tpmpsk_table *t, const void *tag)
{
	for (unsigned int i = 0; i < t->touched; i++)
		if (t->slots[i].state != TPMPSK_SLOT_FREE && t->slots[i].tag == tag)
			return &t->slots[i];
	return NULL;
}
