/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/epochs.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/*
 * Fetching ahead begins this long before an epoch's end for the first keys and ends that long before it: behind it lies the time that
 * peers with fast clocks may already use, so it is the window, and before that the keys spread over two minutes.
 */
#define SPREAD_MS 120000

void epochs_init(struct epochs *e)
{
	for (size_t i = 0; i < EPOCHS_BUCKETS; i++)
		list_init(&e->buckets[i]);
	slab_init(&e->slab, sizeof(struct epoch));
	e->count = 0;
}

void epochs_done(struct epochs *e)
{
	for (size_t i = 0; i < EPOCHS_BUCKETS; i++) {
		struct list *it, *next;

		list_for_each_safe (it, next, &e->buckets[i])
			epochs_drop(e, list_entry(it, struct epoch, link));
	}
	slab_done(&e->slab);
}

enum session_version epochs_version(const struct key *k)
{
	return k->policy.mode == POLICY_EPOCH ? SESSION_EPOCH : SESSION_STRICT;
}

static struct list *bucket_of(struct epochs *e, const struct key *k, uint64_t number)
{
	return &e->buckets[(k->id / KEYFILE_OBJECTS_MAX * 31 + number) % EPOCHS_BUCKETS];
}

static struct epoch *find(struct epochs *e, const struct key *k, uint64_t number)
{
	struct list *bucket = bucket_of(e, k, number);

	for (struct list *it = bucket->next; it != bucket; it = it->next) {
		struct epoch *entry = list_entry(it, struct epoch, link);

		/* A reload may change a key's mode, and so what its secrets are. */
		if (entry->key == k && entry->number == number &&
			entry->version == epochs_version(k))
			return entry;
	}
	return NULL;
}

struct epoch *epochs_get(struct epochs *e, struct key *k, uint64_t number)
{
	struct epoch *entry = find(e, k, number);

	if (entry)
		return entry;
	entry = slab_get(&e->slab);
	if (!entry)
		return NULL;
	entry->key = key_ref(k);
	entry->version = epochs_version(k);
	entry->number = number;
	list_init(&entry->waiting);
	list_append(bucket_of(e, k, number), &entry->link);
	e->count++;
	return entry;
}

void epochs_fill(struct epoch *entry, const uint8_t secret[SESSION_KEY_SIZE])
{
	session_epoch_keys(secret, &entry->keys);
	if (entry->version == SESSION_STRICT)
		sodium_memzero(&entry->keys.psk, sizeof(entry->keys.psk));
	entry->ready = true;
}

void epochs_drop(struct epochs *e, struct epoch *entry)
{
	assert(list_empty(&entry->waiting) && !entry->fetching);
	list_remove(&entry->link);
	key_unref(entry->key);
	slab_put(&e->slab, entry); /* wipes */
	e->count--;
}

static bool is_over(const struct epoch *entry, const struct epochs_tick *t)
{
	uint64_t start = entry->number * SESSION_EPOCH_MS, end = start + SESSION_EPOCH_MS;

	/* Also what lies too far ahead to have been fetched by a clock like this one. */
	return end + t->window_ms < t->now_ms || start > t->now_ms + SPREAD_MS + 2 * t->window_ms;
}

/* Whether the moment has come at which this key's next epoch is fetched. */
static bool is_due(const struct epoch *entry, const struct epochs_tick *t)
{
	uint64_t left = (entry->number + 1) * SESSION_EPOCH_MS - t->now_ms;

	return left <= t->window_ms + entry->key->id / KEYFILE_OBJECTS_MAX * 7919 % SPREAD_MS;
}

static void tick_entry(struct epochs *e, struct epoch *entry, const struct epochs_tick *t)
{
	struct epoch *next;

	if (entry->fetching || !list_empty(&entry->waiting))
		return;
	if (is_over(entry, t) || !t->current(t->context, entry->key) ||
		entry->version != epochs_version(entry->key)) {
		epochs_drop(e, entry);
		return;
	}
	if (!entry->used || entry->number != session_epoch_of(t->now_ms) || !is_due(entry, t))
		return;
	next = epochs_get(e, entry->key, entry->number + 1);
	if (next && !next->ready && !next->fetching)
		t->fetch(t->context, next);
}

void epochs_tick(struct epochs *e, const struct epochs_tick *t)
{
	for (size_t i = 0; e->count > 0 && i < EPOCHS_BUCKETS; i++) {
		struct list *it, *next;

		list_for_each_safe (it, next, &e->buckets[i])
			tick_entry(e, list_entry(it, struct epoch, link), t);
	}
}
