/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay - which session identities have been used, for as long as they could be used again.
 *
 * Bounded: `capacity` entries, whose memory is touched as it is needed. What is forgotten stays refused: the times of forgotten entries
 * are kept as a few ranges, so that no jump of the clock, forwards or
 * backwards, opens a window for what this process has seen before. When there
 * is no room the answer is "full", never "accept". The caller brings the time and has checked the tag, so that a forged identity takes
 * no place. Loop thread only.
 */
#ifndef TPMPSK_DAEMON_REPLAY_H
#define TPMPSK_DAEMON_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_NONCE_SIZE 16

struct replay;

enum replay_verdict {
	REPLAY_FRESH,  /* never seen; it is remembered now */
	REPLAY_REPEAT, /* seen, in the same handshake */
	REPLAY_SEEN,   /* seen in another handshake */
	REPLAY_FORGOTTEN, /* of a time whose identities are no longer remembered, or from before we started */
	REPLAY_FULL,
};

struct replay_stats {
	size_t entries;
	size_t capacity;
	size_t bytes;     /* in use now */
	size_t bytes_max; /* at most, with all entries in use */
};

/* What was made up to now_ms counts as forgotten: nobody knows what an earlier process accepted. window_ms: how far a stamp may be off. */
int replay_new(struct replay **ret, size_t capacity, uint64_t window_ms, uint64_t now_ms)
	__attribute__((warn_unused_result));
/* Takes NULL. */
void replay_free(struct replay *r);

/*
 * now_ms is the wall clock, monotonic_ms one that never jumps. One use of the identity with this stamp and nonce under a key, in a handshake that the caller of uid names by some bytes; none (0) means that
 * no repeat can be recognised.
 */
enum replay_verdict replay_check(struct replay *r, uint64_t now_ms, uint64_t monotonic_ms,
	uint64_t key_id, uint64_t stamp_ms, const uint8_t nonce[REPLAY_NONCE_SIZE], uint32_t uid,
	const uint8_t *handshake, size_t handshake_len);

/*
 * Takes back what the last replay_check() remembered: it said fresh, but the identity was not used after all. The same arguments.
 */
void replay_take_back(struct replay *r, uint64_t key_id, uint64_t stamp_ms,
	const uint8_t nonce[REPLAY_NONCE_SIZE]);

/* A new window after a reload; entries stay. */
void replay_set_window(struct replay *r, uint64_t window_ms);

void replay_stats(const struct replay *r, struct replay_stats *ret);

#endif
