/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bucket is kept as one number: the time at which it will be full. Each token taken moves that time 1/rate into the future, and one
 * may be taken as long as it is no further away than a full bucket's worth of tokens.
 */
#include "daemon/limiter.h"

#include <stdlib.h>

#define NS_PER_S UINT64_C(1000000000)
#define SWEEP_FIRST 256

struct bucket {
	struct list link;
	uint64_t key_id;
	uid_t uid;
	uint64_t full_ns;
};

void limiter_init(struct limiter *l)
{
	for (size_t i = 0; i < LIMITER_BUCKETS; i++)
		list_init(&l->buckets[i]);
	l->count = 0;
	l->sweep_at = SWEEP_FIRST;
}

static void drop(struct limiter *l, struct bucket *b)
{
	list_remove(&b->link);
	l->count--;
	free(b);
}

/* Forgets the buckets that are full at now_ns. */
static void sweep(struct limiter *l, uint64_t now_ns)
{
	for (size_t i = 0; i < LIMITER_BUCKETS; i++) {
		struct list *it, *next;

		list_for_each_safe (it, next, &l->buckets[i]) {
			struct bucket *b = list_entry(it, struct bucket, link);

			if (b->full_ns <= now_ns)
				drop(l, b);
		}
	}
}

void limiter_done(struct limiter *l)
{
	sweep(l, UINT64_MAX);
}

static struct bucket *find(struct limiter *l, uint64_t key_id, uid_t uid, uint64_t now_ns)
{
	struct list *head = &l->buckets[(key_id * 31 + uid) % LIMITER_BUCKETS];
	struct bucket *b;

	for (struct list *it = head->next; it != head; it = it->next) {
		b = list_entry(it, struct bucket, link);
		if (b->key_id == key_id && b->uid == uid)
			return b;
	}
	if (l->count >= l->sweep_at) {
		sweep(l, now_ns);
		l->sweep_at = 2 * l->count > SWEEP_FIRST ? 2 * l->count : SWEEP_FIRST;
		if (l->sweep_at > LIMITER_ENTRIES_MAX)
			l->sweep_at = LIMITER_ENTRIES_MAX;
	}
	if (l->count >= LIMITER_ENTRIES_MAX)
		return NULL;
	b = malloc(sizeof(*b));
	if (!b)
		return NULL;
	*b = (struct bucket){ .key_id = key_id, .uid = uid, .full_ns = now_ns };
	list_append(head, &b->link);
	l->count++;
	return b;
}

bool limiter_take(struct limiter *l, uint64_t key_id, uid_t uid, uint32_t rate, uint32_t burst,
	uint64_t now_ns, uint32_t *ret_retry_after_ms)
{
	struct bucket *b;
	uint64_t token_ns, full_ns, room_ns;

	if (rate == 0)
		return true;
	b = find(l, key_id, uid, now_ns);
	if (!b) {
		*ret_retry_after_ms = 1000;
		return false;
	}
	token_ns = NS_PER_S / rate;
	room_ns = (burst ? burst : rate) * token_ns;
	full_ns = (b->full_ns > now_ns ? b->full_ns : now_ns) + token_ns;
	if (full_ns - now_ns > room_ns) {
		*ret_retry_after_ms = (uint32_t)((full_ns - now_ns - room_ns + 999999) / 1000000);
		return false;
	}
	b->full_ns = full_ns;
	return true;
}
