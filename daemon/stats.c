/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash table with linear probing over an array of rows. Memory is taken at start, and used by the kernel's measure as rows are. When the
 * rows are used up, those that were idle for a day make room, and the table is built anew; at most once a minute, so that a crowd of
 * strangers does not have it done all the time.
 */
#include "daemon/stats.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_NS (UINT64_C(86400) * 1000000000)
#define SWEEP_NS UINT64_C(60000000000)

static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct stats *)0)->hash_key), "the key's size");
static_assert(STATS_ROWS < UINT16_MAX, "a row's number fits a slot");

const uint32_t stats_bounds_us[STATS_BOUNDS] = { 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000,
	25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000 };

int stats_init(struct stats *s)
{
	*s = (struct stats){ .n_rows = 1 };
	s->rows = calloc(STATS_ROWS, sizeof(*s->rows));
	s->slots = calloc(STATS_SLOTS, sizeof(*s->slots));
	if (!s->rows || !s->slots) {
		stats_done(s);
		return -ENOMEM;
	}
	s->rows[0].others = true;
	randombytes_buf(s->hash_key, sizeof(s->hash_key));
	return 0;
}

void stats_done(struct stats *s)
{
	free(s->rows);
	free(s->slots);
	*s = (struct stats){ 0 };
}

/* The slot of a user and key, or the empty one where it would be. */
static uint16_t *find(const struct stats *s, uid_t uid, const char *key)
{
	uint8_t in[sizeof(uid) + TPMPSK_KEY_NAME_MAX], out[crypto_shorthash_BYTES];
	size_t len = strlen(key);
	uint64_t hash;

	memcpy(in, &uid, sizeof(uid));
	memcpy(in + sizeof(uid), key, len);
	crypto_shorthash(out, in, sizeof(uid) + len, s->hash_key);
	memcpy(&hash, out, sizeof(hash));
	for (size_t i = hash & (STATS_SLOTS - 1);; i = (i + 1) & (STATS_SLOTS - 1)) {
		const struct stats_row *row = &s->rows[s->slots[i]];

		if (s->slots[i] == 0 || (row->uid == uid && strcmp(row->key, key) == 0))
			return &s->slots[i];
	}
}

/* What is dropped is added to the others, so that sums stay what they are. */
static void give_to_others(struct stats *s, const struct stats_row *row)
{
	struct stats_row *others = &s->rows[0];

	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++)
		others->counts[i] += row->counts[i];
	others->queue_us += row->queue_us;
	others->tpm_us += row->tpm_us;
}

static void sweep(struct stats *s, uint64_t now_ns)
{
	size_t n = 1;

	s->swept_ns = now_ns;
	s->n_strangers = 0;
	memset(s->slots, 0, STATS_SLOTS * sizeof(*s->slots));
	for (size_t i = 1; i < s->n_rows; i++) {
		struct stats_row *row = &s->rows[i];

		if (now_ns - row->used_ns >= IDLE_NS) {
			give_to_others(s, row);
			continue;
		}
		s->rows[n] = *row;
		s->n_strangers += !*row->key;
		*find(s, row->uid, row->key) = (uint16_t)n++;
	}
	memset(&s->rows[n], 0, (s->n_rows - n) * sizeof(*s->rows));
	s->n_rows = n;
}

static bool is_full(const struct stats *s, const char *key)
{
	return s->n_rows >= STATS_ROWS || (!*key && s->n_strangers >= STATS_STRANGERS);
}

static struct stats_row *row_of(struct stats *s, uid_t uid, const char *key, uint64_t now_ns)
{
	uint16_t *slot = find(s, uid, key);
	struct stats_row *row;

	if (*slot != 0)
		return &s->rows[*slot];
	if (is_full(s, key) && (s->swept_ns == 0 || now_ns - s->swept_ns >= SWEEP_NS)) {
		sweep(s, now_ns);
		slot = find(s, uid, key);
	}
	if (is_full(s, key))
		return &s->rows[0];
	*slot = (uint16_t)s->n_rows;
	row = &s->rows[s->n_rows++];
	row->uid = uid;
	memcpy(row->key, key, strlen(key) + 1);
	s->n_strangers += !*key;
	return row;
}

void stats_answer(struct stats *s, uid_t uid, const char *key, enum tpmpsk_status status,
	uint64_t queue_us, uint64_t tpm_us, uint64_t now_ns)
{
	struct stats_row *row = row_of(s, uid, key ? key : "", now_ns);

	row->counts[status]++;
	if (status == TPMPSK_STATUS_OK)
		row->queue_us += queue_us;
	row->tpm_us += tpm_us;
	row->used_ns = now_ns;
}

static void add(struct stats_histogram *h, uint64_t us)
{
	size_t i = 0;

	while (i < STATS_BOUNDS && us > stats_bounds_us[i])
		i++;
	h->counts[i]++;
	h->sum_us += us;
}

void stats_job(struct stats *s, uint64_t queue_us, uint64_t tpm_us)
{
	add(&s->queue, queue_us);
	add(&s->tpm, tpm_us);
}
