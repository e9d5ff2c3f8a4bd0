/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each account carries the TPM time it has used. The account that used least goes first; what it is served for is added when it is
 * known. An account that was idle starts at the floor, so it is ahead of everyone who was served meanwhile, but by no more than what
 * is being served right now: a flood delays another user by the command in progress and nothing else. The accounts with entries stand
 * in a binary heap, so cost grows with the logarithm of active users and not with connections or entries.
 */
#include "daemon/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define LOOK_MAX 256 /* entries looked at for a better one: what one pop may cost */

void queue_init(struct queue *q)
{
	*q = (struct queue){ 0 };
}

void queue_done(struct queue *q)
{
	free(q->heap);
	*q = (struct queue){ 0 };
}

static bool before(const struct queue_account *a, const struct queue_account *b)
{
	return a->used != b->used ? a->used < b->used : a->turn < b->turn;
}

/* Heap positions count from 1, so that a parent is at half its child's. */
static void place(struct queue *q, size_t position, struct queue_account *a)
{
	q->heap[position - 1] = a;
	a->position = position;
}

static void heap_up(struct queue *q, struct queue_account *a)
{
	size_t at = a->position;

	while (at > 1 && before(a, q->heap[at / 2 - 1])) {
		place(q, at, q->heap[at / 2 - 1]);
		at /= 2;
	}
	place(q, at, a);
}

static void heap_down(struct queue *q, struct queue_account *a)
{
	size_t at = a->position;

	for (;;) {
		size_t child = 2 * at;

		if (child > q->n_active)
			break;
		if (child < q->n_active && before(q->heap[child], q->heap[child - 1]))
			child++;
		if (!before(q->heap[child - 1], a))
			break;
		place(q, at, q->heap[child - 1]);
		at = child;
	}
	place(q, at, a);
}

static void activate(struct queue *q, struct queue_account *a)
{
	if (a->used < q->floor)
		a->used = q->floor;
	a->turn = q->pushes++;
	place(q, ++q->n_active, a);
	heap_up(q, a);
}

static void deactivate(struct queue *q, struct queue_account *a)
{
	struct queue_account *last = q->heap[--q->n_active];
	size_t hole = a->position;

	a->position = 0;
	if (last == a)
		return;
	place(q, hole, last);
	heap_up(q, last);
	heap_down(q, last);
}

int queue_account_add(struct queue *q, struct queue_account *a)
{
	if (q->n_accounts == q->cap) {
		size_t cap = q->cap ? 2 * q->cap : 16;
		struct queue_account **heap =
			realloc(q->heap, cap * sizeof(struct queue_account *));

		if (!heap)
			return -ENOMEM;
		q->heap = heap;
		q->cap = cap;
	}
	q->n_accounts++;
	*a = (struct queue_account){ .used = q->floor };
	list_init(&a->flows);
	return 0;
}

void queue_account_remove(struct queue *q, struct queue_account *a)
{
	assert(a->len == 0 && a->position == 0);
	q->n_accounts--;
}

bool queue_account_settled(const struct queue *q, const struct queue_account *a)
{
	return a->used <= q->floor;
}

void queue_flow_init(struct queue_flow *f, struct queue_account *a)
{
	f->account = a;
	list_init(&f->link);
	list_init(&f->entries);
}

void queue_push(struct queue *q, struct queue_flow *f, struct queue_entry *e)
{
	struct queue_account *a = f->account;

	if (list_empty(&f->entries))
		list_append(&a->flows, &f->link);
	list_append(&f->entries, &e->link);
	e->flow = f;
	e->account = a;
	e->pushed = a->pops;
	q->len++;
	if (a->len++ == 0)
		activate(q, a);
}

static void unlink_entry(struct queue *q, struct queue_entry *e)
{
	struct queue_flow *f = e->flow;

	list_remove(&e->link);
	e->flow = NULL;
	if (list_empty(&f->entries))
		list_remove(&f->link);
	q->len--;
	if (--f->account->len == 0)
		deactivate(q, f->account);
}

static struct queue_entry *first_of(const struct queue_flow *f)
{
	return list_entry(f->entries.next, struct queue_entry, link);
}

/* The entry of the account that is liked, the first one in order, among the next LOOK_MAX. */
static struct queue_entry *liked(const struct queue_account *a,
	bool (*prefer)(void *context, const struct queue_entry *e), void *context)
{
	size_t looked = 0;

	for (struct list *i = a->flows.next; i != &a->flows; i = i->next) {
		struct queue_flow *f = list_entry(i, struct queue_flow, link);

		for (struct list *k = f->entries.next; k != &f->entries; k = k->next) {
			struct queue_entry *e = list_entry(k, struct queue_entry, link);

			if (prefer(context, e))
				return e;
			if (++looked == LOOK_MAX)
				return NULL;
		}
	}
	return NULL;
}

struct queue_entry *queue_pop(
	struct queue *q, bool (*prefer)(void *context, const struct queue_entry *e), void *context)
{
	struct queue_account *a;
	struct queue_entry *e, *better = NULL;
	struct queue_flow *f;

	if (q->n_active == 0)
		return NULL;
	a = q->heap[0];
	if (q->floor < a->used)
		q->floor = a->used;
	e = first_of(list_entry(a->flows.next, struct queue_flow, link));
	if (prefer && a->pops - e->pushed < 2 * a->len)
		better = liked(a, prefer, context);
	if (better)
		e = better;
	f = e->flow;
	unlink_entry(q, e);
	a->pops++;
	if (!list_empty(&f->entries)) {
		/* The flow's turn is over. */
		list_remove(&f->link);
		list_append(&a->flows, &f->link);
	}
	return e;
}

bool queue_cancel(struct queue *q, struct queue_entry *e)
{
	if (!e->flow)
		return false;
	unlink_entry(q, e);
	return true;
}

void queue_charge(struct queue *q, struct queue_account *a, uint64_t ns)
{
	a->used += ns;
	if (a->position)
		heap_down(q, a);
}
