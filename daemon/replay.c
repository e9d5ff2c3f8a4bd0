/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries stand in a hash table and, by the time in their stamp, in slots of SLOT_MS. A slot is forgotten whole, when its time has left
 * the window by the present clock, and its number goes into a list of ranges. A stamp in such a range is refused without looking: the
 * clock has to jump backwards for one to come up at all. With a clock that runs as it should there are a handful of slots and one range,
 * which grows at its end. A clock that was an hour ahead for a while leaves a slot or two that wait for their hour, and disturbs nothing.
 */
#include "daemon/replay.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOT_MS 4096
#define SLOTS_MAX 256 /* alive at once; the largest window needs 150 */
#define RANGES_MAX 16
#define NONE UINT32_MAX

struct entry {
	uint64_t key_id;
	uint64_t stamp_ms;
	uint8_t nonce[REPLAY_NONCE_SIZE];
	uint8_t handshake[crypto_shorthash_siphashx24_BYTES];
	uint32_t next; /* in the bucket, or among the free */
	uint32_t next_in_slot;
};

struct slot {
	uint64_t number; /* stamp / SLOT_MS */
	/* monotonic: when it leaves the window by the clock that its entries came by */
	uint64_t keep_until_ms;
	uint32_t first;
};

struct range {
	uint64_t first, last; /* slot numbers */
};

struct replay {
	uint64_t window_ms;
	uint64_t start_ms; /* stamps up to here, as far back as could matter, are from before us */
	size_t capacity, used, high_water;
	size_t n_buckets;  /* a power of two */
	uint32_t *buckets; /* entry number + 1, so that fresh pages mean empty */
	struct entry *entries;
	uint32_t free;
	size_t n_slots;
	struct slot slots[SLOTS_MAX];
	size_t n_ranges;
	struct range ranges[RANGES_MAX];
	uint8_t hash_key[crypto_shorthash_siphashx24_KEYBYTES];
};

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t buckets_size(const struct replay *r)
{
	return r->n_buckets * sizeof(*r->buckets);
}

static size_t entries_size(const struct replay *r)
{
	return r->capacity * sizeof(*r->entries);
}

int replay_new(struct replay **ret, size_t capacity, uint64_t window_ms, uint64_t now_ms)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->capacity = capacity;
	r->n_buckets = 64;
	while (r->n_buckets < capacity)
		r->n_buckets *= 2;
	r->buckets = map(buckets_size(r));
	r->entries = map(entries_size(r));
	if (!r->buckets || !r->entries) {
		replay_free(r);
		return -ENOMEM;
	}
	r->free = NONE;
	r->window_ms = window_ms;
	r->start_ms = now_ms;
	randombytes_buf(r->hash_key, sizeof(r->hash_key));
	*ret = r;
	return 0;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	if (r->buckets)
		munmap(r->buckets, buckets_size(r));
	if (r->entries)
		munmap(r->entries, entries_size(r));
	free(r);
}

static uint32_t *bucket_of(
	struct replay *r, uint64_t key_id, uint64_t stamp_ms, const uint8_t *nonce)
{
	uint8_t in[16 + REPLAY_NONCE_SIZE], out[crypto_shorthash_siphashx24_BYTES];
	uint64_t hash;

	memcpy(in, &key_id, 8);
	memcpy(in + 8, &stamp_ms, 8);
	memcpy(in + 16, nonce, REPLAY_NONCE_SIZE);
	crypto_shorthash_siphashx24(out, in, sizeof(in), r->hash_key);
	memcpy(&hash, out, sizeof(hash));
	return &r->buckets[hash & (r->n_buckets - 1)];
}

static struct entry *find(
	struct replay *r, uint32_t bucket, uint64_t key_id, uint64_t stamp_ms, const uint8_t *nonce)
{
	for (uint32_t i = bucket; i != 0; i = r->entries[i - 1].next) {
		struct entry *e = &r->entries[i - 1];

		if (e->key_id == key_id && e->stamp_ms == stamp_ms &&
			memcmp(e->nonce, nonce, REPLAY_NONCE_SIZE) == 0)
			return e;
	}
	return NULL;
}

/* Two ranges that touch or overlap become one; with no room left the two closest do, which refuses more than it must, never less. */
static void add_range(struct replay *r, uint64_t number)
{
	size_t i = 0, closest = 0;

	while (i < r->n_ranges && r->ranges[i].last + 1 < number)
		i++;
	if (i < r->n_ranges && r->ranges[i].first <= number + 1) {
		struct range *at = &r->ranges[i];

		at->first = number < at->first ? number : at->first;
		at->last = number > at->last ? number : at->last;
		if (i + 1 < r->n_ranges && r->ranges[i + 1].first <= at->last + 1) {
			at->last = r->ranges[i + 1].last;
			memmove(at + 1, at + 2, (r->n_ranges - i - 2) * sizeof(*at));
			r->n_ranges--;
		}
		return;
	}
	if (r->n_ranges == RANGES_MAX) {
		for (size_t k = 1; k + 1 < RANGES_MAX; k++)
			if (r->ranges[k + 1].first - r->ranges[k].last <
				r->ranges[closest + 1].first - r->ranges[closest].last)
				closest = k;
		r->ranges[closest].last = r->ranges[closest + 1].last;
		memmove(&r->ranges[closest + 1], &r->ranges[closest + 2],
			(RANGES_MAX - closest - 2) * sizeof(struct range));
		r->n_ranges--;
		add_range(r, number);
		return;
	}
	memmove(&r->ranges[i + 1], &r->ranges[i], (r->n_ranges - i) * sizeof(struct range));
	r->ranges[i] = (struct range){ number, number };
	r->n_ranges++;
}

static bool is_forgotten(const struct replay *r, uint64_t stamp_ms)
{
	uint64_t number = stamp_ms / SLOT_MS;

	/* Before us: as far back as the earlier process could have accepted it by a clock like ours. */
	if (stamp_ms <= r->start_ms && r->start_ms - stamp_ms <= 2 * r->window_ms)
		return true;
	for (size_t i = 0; i < r->n_ranges; i++)
		if (number >= r->ranges[i].first && number <= r->ranges[i].last)
			return true;
	return false;
}

static void release(struct replay *r, uint32_t index)
{
	struct entry *e = &r->entries[index];
	uint32_t *link = bucket_of(r, e->key_id, e->stamp_ms, e->nonce);

	while (*link != index + 1)
		link = &r->entries[*link - 1].next;
	*link = e->next;
	e->next = r->free;
	r->free = index;
	r->used--;
}

/*
 * Forgets the slots whose whole time lies before the window, and has for real: a clock that is ahead for a moment must not make us
 * forget, and then refuse, the present.
 */
static void forget(struct replay *r, uint64_t now_ms, uint64_t monotonic_ms)
{
	for (size_t i = 0; i < r->n_slots;) {
		struct slot *s = &r->slots[i];
		uint32_t next;

		if (now_ms < r->window_ms || (s->number + 1) * SLOT_MS > now_ms - r->window_ms ||
			monotonic_ms < s->keep_until_ms) {
			i++;
			continue;
		}
		for (uint32_t index = s->first; index != NONE; index = next) {
			next = r->entries[index].next_in_slot;
			release(r, index);
		}
		add_range(r, s->number);
		*s = r->slots[--r->n_slots];
	}
}

static struct slot *slot_of(struct replay *r, uint64_t stamp_ms)
{
	uint64_t number = stamp_ms / SLOT_MS;

	for (size_t i = 0; i < r->n_slots; i++)
		if (r->slots[i].number == number)
			return &r->slots[i];
	if (r->n_slots == SLOTS_MAX)
		return NULL;
	r->slots[r->n_slots] = (struct slot){ .number = number, .first = NONE };
	return &r->slots[r->n_slots++];
}

static struct entry *take_entry(struct replay *r, uint32_t *ret_index)
{
	if (r->used >= r->capacity)
		return NULL;
	if (r->free != NONE) {
		*ret_index = r->free;
		r->free = r->entries[r->free].next;
	} else {
		*ret_index = (uint32_t)r->high_water++;
	}
	r->used++;
	return &r->entries[*ret_index];
}

enum replay_verdict replay_check(struct replay *r, uint64_t now_ms, uint64_t monotonic_ms,
	uint64_t key_id, uint64_t stamp_ms, const uint8_t nonce[REPLAY_NONCE_SIZE], uint32_t uid,
	const uint8_t *handshake, size_t handshake_len)
{
	uint8_t name[sizeof(uid) + 64], digest[crypto_shorthash_siphashx24_BYTES];
	uint32_t *bucket = bucket_of(r, key_id, stamp_ms, nonce);
	struct entry *e = find(r, *bucket, key_id, stamp_ms, nonce);
	uint64_t end_ms, keep_until_ms;
	struct slot *slot;
	uint32_t index;

	memcpy(name, &uid, sizeof(uid));
	if (handshake_len > sizeof(name) - sizeof(uid))
		handshake_len = sizeof(name) - sizeof(uid);
	if (handshake_len > 0)
		memcpy(name + sizeof(uid), handshake, handshake_len);
	crypto_shorthash_siphashx24(digest, name, sizeof(uid) + handshake_len, r->hash_key);
	if (e)
		return handshake_len > 0 && memcmp(e->handshake, digest, sizeof(digest)) == 0
			       ? REPLAY_REPEAT
			       : REPLAY_SEEN;

	forget(r, now_ms, monotonic_ms);
	if (is_forgotten(r, stamp_ms))
		return REPLAY_FORGOTTEN;
	slot = slot_of(r, stamp_ms);
	e = slot ? take_entry(r, &index) : NULL;
	if (!e)
		return REPLAY_FULL;
	*e = (struct entry){
		.key_id = key_id, .stamp_ms = stamp_ms, .next = *bucket, .next_in_slot = slot->first
	};
	memcpy(e->nonce, nonce, sizeof(e->nonce));
	memcpy(e->handshake, digest, sizeof(digest));
	*bucket = index + 1;
	slot->first = index;
	end_ms = (slot->number + 1) * SLOT_MS + r->window_ms;
	keep_until_ms = monotonic_ms + (end_ms > now_ms ? end_ms - now_ms : 0);
	if (slot->keep_until_ms < keep_until_ms)
		slot->keep_until_ms = keep_until_ms;
	return REPLAY_FRESH;
}

void replay_take_back(struct replay *r, uint64_t key_id, uint64_t stamp_ms,
	const uint8_t nonce[REPLAY_NONCE_SIZE])
{
	struct entry *e = find(r, *bucket_of(r, key_id, stamp_ms, nonce), key_id, stamp_ms, nonce);
	struct slot *slot = slot_of(r, stamp_ms);

	/* The last one that was added is its slot's first. */
	if (!e || !slot || e != &r->entries[slot->first])
		return;
	slot->first = e->next_in_slot;
	release(r, (uint32_t)(e - r->entries));
}

void replay_set_window(struct replay *r, uint64_t window_ms)
{
	r->window_ms = window_ms;
}

void replay_stats(const struct replay *r, struct replay_stats *ret)
{
	size_t used_buckets = r->high_water < r->n_buckets ? r->high_water : r->n_buckets;

	*ret = (struct replay_stats){
		.entries = r->used,
		.capacity = r->capacity,
		.bytes = sizeof(*r) + r->high_water * sizeof(struct entry) +
			 used_buckets * sizeof(uint32_t),
		.bytes_max = sizeof(*r) + entries_size(r) + buckets_size(r),
	};
}
