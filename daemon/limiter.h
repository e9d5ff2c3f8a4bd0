/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limiter - token buckets: how often a user may use a key.
 *
 * One bucket per (key, uid) in use; a bucket that has filled up again is forgotten, so memory is bounded by recent use. Pure but for its
 * own memory; the caller brings the time. Loop thread only.
 */
#ifndef TPMPSK_DAEMON_LIMITER_H
#define TPMPSK_DAEMON_LIMITER_H

#include "daemon/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LIMITER_BUCKETS 1024
#define LIMITER_ENTRIES_MAX 65536 /* more than this at once are refused, not waved through */

struct limiter {
	struct list buckets[LIMITER_BUCKETS];
	size_t count;
	size_t sweep_at;
};

void limiter_init(struct limiter *l);
void limiter_done(struct limiter *l);

/*
 * Takes a token. rate: tokens a second, 0 for no limit; burst: how many at most are saved up (0: as many as rate). False: none left;
 * *ret_retry_after_ms says when there will be one.
 */
bool limiter_take(struct limiter *l, uint64_t key_id, uid_t uid, uint32_t rate, uint32_t burst,
	uint64_t now_ns, uint32_t *ret_retry_after_ms);

#endif
