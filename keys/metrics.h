/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics - what a daemon has counted, as it says by the protocol's request of that name.
 *
 * Pages are put together; what is not as it should be is an error. For admins of the daemon. Ends the program when there is no memory.
 */
#ifndef TPMPSK_KEYS_METRICS_H
#define TPMPSK_KEYS_METRICS_H

#include "keys/command.h"

#define METRICS_BOUNDS_MAX 64

struct metrics_histogram {
	uint64_t counts[METRICS_BOUNDS_MAX +
			1]; /* not added up; the last is what is above all bounds */
	uint64_t sum_us;
};

struct metrics_row {
	bool others; /* all users and keys that have no row of their own */
	uint32_t uid;
	char key[TPMPSK_KEY_NAME_MAX + 1]; /* "": none */
	char purpose[32];
	uint64_t counts[TPMPSK_STATUS_COUNT];
	uint64_t queue_us, tpm_us;
};

struct metrics {
	uint64_t started, uptime_us;
	uint64_t audit_left_out, audit_lost;
	size_t n_bounds;
	uint64_t bounds_us[METRICS_BOUNDS_MAX];
	struct metrics_histogram queue, tpm;
	size_t n_rows;
	struct metrics_row *rows;
};

/* 0 or TPMPSK_ERR_*; *ret_refusal (may be NULL) is what the daemon said then. Says nothing itself. */
int metrics_fetch(struct invocation *call, struct metrics *ret,
	struct tpmpsk_error_reply *ret_refusal) __attribute__((warn_unused_result));
void metrics_done(struct metrics *m);

/* All but ok. */
uint64_t metrics_refused(const struct metrics_row *row);
/* How many a distribution counted. */
uint64_t metrics_count(const struct metrics *m, const struct metrics_histogram *h);
/* The bound, in us, that a part of all (0.5, 0.99) is not above; 0 when there are none, UINT64_MAX when it is above the last. */
uint64_t metrics_quantile(const struct metrics *m, const struct metrics_histogram *h, double part);
/* The user's name, or its number; malloc'ed, escaped. */
char *metrics_user(const struct metrics_row *row);

#endif
