/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats - what the daemon has done, in numbers: for each user and key, and how long jobs waited for the TPM and occupied it.
 *
 * Of fixed size: what has no room of its own is added to one row for all others, so no count is lost and nobody can make it grow. Counting
 * allocates nothing and cannot fail. Numbers and names only, no secret. Loop thread only.
 */
#ifndef TPMPSK_DAEMON_STATS_H
#define TPMPSK_DAEMON_STATS_H

#include "proto/message.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATS_ROWS 4096
#define STATS_STRANGERS                                                                            \
	(STATS_ROWS / 4) /* rows of refusals that name no key: anybody can cause these */
#define STATS_SLOTS (2 * STATS_ROWS)
#define STATS_BOUNDS 19 /* of a histogram; what is above the last one has a place of its own */

extern const uint32_t stats_bounds_us[STATS_BOUNDS];

struct stats_histogram {
	uint64_t counts[STATS_BOUNDS + 1]; /* not added up */
	uint64_t sum_us;
};

/* One user with one key. */
struct stats_row {
	uid_t uid;
	bool others; /* the row of all that have none of their own */
	char key[TPMPSK_KEY_NAME_MAX +
		 1]; /* "": it did not get as far as a key, or may not be said */
	uint64_t counts[TPMPSK_STATUS_COUNT];
	uint64_t queue_us; /* of those that ended well */
	uint64_t tpm_us;   /* of all */
	uint64_t used_ns;  /* when it last counted */
};

struct stats {
	struct stats_histogram queue, tpm;
	size_t n_rows, n_strangers;
	uint64_t swept_ns; /* when room was last made */
	uint8_t hash_key[16];
	struct stats_row *rows; /* STATS_ROWS and, the first of them, the others' */
	uint16_t *slots;        /* a hash table of 1 + a row's number */
};

/* 0 or -ENOMEM. */
int stats_init(struct stats *s) __attribute__((warn_unused_result));
void stats_done(struct stats *s);

/* A derivation that was answered; key NULL: none. */
void stats_answer(struct stats *s, uid_t uid, const char *key, enum tpmpsk_status status,
	uint64_t queue_us, uint64_t tpm_us, uint64_t now_ns);

/* A job that the TPM has done, whatever came of it. */
void stats_job(struct stats *s, uint64_t queue_us, uint64_t tpm_us);

#endif
