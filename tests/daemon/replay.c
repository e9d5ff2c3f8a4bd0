/* SPDX-License-Identifier: BSD-2-Clause */
/* The replay memory over a clock that the test moves. */
#include "daemon/replay.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#define WINDOW UINT64_C(30000)
#define START UINT64_C(1790000000000)
#define HOUR UINT64_C(3600000)

static struct replay *r;
static uint64_t now;
static uint64_t
	monotonic; /* moves only where the test says so; where it does not matter, it is far ahead */

static void open_with(size_t capacity)
{
	cr_assert_geq(sodium_init(), 0);
	now = START;
	cr_assert_eq(replay_new(&r, capacity, WINDOW, now), 0);
	now++;
}

static void teardown(void)
{
	replay_free(r);
}

TestSuite(replay, .fini = teardown);

/* What the caller does: the window first, then the memory. */
static int use(uint64_t stamp, unsigned nonce, const char *handshake)
{
	uint8_t bytes[REPLAY_NONCE_SIZE] = { 0 };

	if (stamp + WINDOW < now || stamp > now + WINDOW)
		return -1;
	memcpy(bytes, &nonce, sizeof(nonce));
	return (int)replay_check(r, now, monotonic ? monotonic : now, 1, stamp, bytes, 1000,
		(const uint8_t *)handshake, strlen(handshake));
}

Test(replay, accepts_once_and_a_repeat_of_the_same_handshake)
{
	open_with(1024);
	cr_assert_eq(use(now, 1, "a"), REPLAY_FRESH);
	cr_assert_eq(use(now, 1, "a"), REPLAY_REPEAT);
	cr_assert_eq(use(now, 1, "b"), REPLAY_SEEN);
	cr_assert_eq(use(now, 2, "b"), REPLAY_FRESH);
}

static void take_back(uint64_t stamp, unsigned nonce)
{
	uint8_t bytes[REPLAY_NONCE_SIZE] = { 0 };

	memcpy(bytes, &nonce, sizeof(nonce));
	replay_take_back(r, 1, stamp, bytes);
}

Test(replay, takes_back_the_last_use_and_no_other)
{
	struct replay_stats stats;

	open_with(1024);
	cr_assert_eq(use(now, 1, ""), REPLAY_FRESH);
	cr_assert_eq(use(now, 2, ""), REPLAY_FRESH);
	for (unsigned i = 0; i < 3; i++) {
		take_back(now, 2);
		cr_assert_eq(use(now, 2, ""), REPLAY_FRESH);
	}
	take_back(now, 1);  /* not the last */
	take_back(now, 99); /* never used */
	replay_stats(r, &stats);
	cr_assert_eq(stats.entries, 2);
	cr_assert_eq(use(now, 1, ""), REPLAY_SEEN);
	cr_assert_eq(use(now, 2, ""), REPLAY_SEEN);
	/* Both are forgotten in their time. */
	now += 3 * WINDOW;
	cr_assert_eq(use(now, 3, ""), REPLAY_FRESH);
	replay_stats(r, &stats);
	cr_assert_eq(stats.entries, 1);
}

Test(replay, has_room_for_another_in_place_of_what_was_taken_back)
{
	open_with(4);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(use(now, i, ""), REPLAY_FRESH);
	cr_assert_eq(use(now, 4, ""), REPLAY_FULL);
	take_back(now, 3);
	cr_assert_eq(use(now, 4, ""), REPLAY_FRESH);
	cr_assert_eq(use(now, 5, ""), REPLAY_FULL);
}

Test(replay, takes_no_name_for_no_repeat)
{
	open_with(1024);
	cr_assert_eq(use(now, 1, ""), REPLAY_FRESH);
	cr_assert_eq(use(now, 1, ""), REPLAY_SEEN);
}

Test(replay, tells_keys_and_users_apart)
{
	uint8_t nonce[REPLAY_NONCE_SIZE] = { 0 };

	open_with(1024);
	cr_assert_eq(replay_check(r, now, now, 1, now, nonce, 1000, (const uint8_t *)"a", 1),
		REPLAY_FRESH);
	cr_assert_eq(replay_check(r, now, now, 2, now, nonce, 1000, (const uint8_t *)"a", 1),
		REPLAY_FRESH);
	cr_assert_eq(replay_check(r, now, now, 1, now, nonce, 1001, (const uint8_t *)"a", 1),
		REPLAY_SEEN);
}

Test(replay, remembers_for_as_long_as_the_window_would_accept)
{
	uint64_t stamp;

	open_with(100000);
	now += 2 * WINDOW;
	stamp = now + WINDOW;
	cr_assert_eq(use(stamp, 1, "a"), REPLAY_FRESH);
	for (unsigned i = 2; now <= stamp + WINDOW; now += 100, i++) {
		cr_assert_eq(use(stamp, 1, "b"), REPLAY_SEEN);
		cr_assert_eq(use(now, i, "a"), REPLAY_FRESH);
	}
	cr_assert_eq(use(stamp, 1, "b"), -1);
}

Test(replay, is_full_rather_than_forgetful_and_recovers_after_the_window)
{
	open_with(100);
	now += 2 * WINDOW;
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(use(now, i, "a"), REPLAY_FRESH);
	cr_assert_eq(use(now, 100, "a"), REPLAY_FULL);
	cr_assert_eq(use(now, 5, "b"), REPLAY_SEEN);
	now += WINDOW + 5000;
	cr_assert_eq(use(now, 101, "a"), REPLAY_FRESH);
}

Test(replay, refuses_what_was_made_before_it_started)
{
	open_with(100);
	now = START + 10;
	cr_assert_eq(use(START - 5, 1, "a"), REPLAY_FORGOTTEN);
	cr_assert_eq(use(START, 2, "a"), REPLAY_FORGOTTEN);
	cr_assert_eq(use(START + 1, 3, "a"), REPLAY_FRESH);
}

Test(replay, opens_no_window_when_the_clock_jumps_back)
{
	uint64_t first;

	open_with(100000);
	now += 2 * WINDOW;
	first = now;
	for (unsigned i = 0; i < 1000; i++, now += 100)
		cr_assert_eq(use(now, i, "a"), REPLAY_FRESH);
	now += HOUR;
	cr_assert_eq(use(now, 5000, "a"), REPLAY_FRESH); /* all before is forgotten now */
	now = first + 1000;
	for (unsigned i = 0; i < 300; i++)
		cr_assert(use(first + 100 * i, i, "b") != REPLAY_FRESH, "stamp %u", i);
	/* And the right time again. */
	now = first + HOUR + 200000;
	cr_assert_eq(use(now, 6000, "a"), REPLAY_FRESH);
}

Test(replay, blocks_nothing_after_the_clock_was_an_hour_ahead)
{
	uint64_t right;

	open_with(100000);
	now += 2 * WINDOW;
	right = now;
	monotonic = 1;
	cr_assert_eq(use(now, 1, "a"), REPLAY_FRESH);
	now = right + HOUR;
	for (unsigned i = 0; i < 100; i++, now += 100, monotonic += 100)
		cr_assert_eq(use(now, 100 + i, "a"), REPLAY_FRESH);
	/* Back: what was used before the jump is still used, and new ones are welcome, now and in an hour. */
	now = right + 10000;
	cr_assert_eq(use(right, 1, "b"), REPLAY_SEEN);
	for (unsigned i = 0; now < right + 2 * HOUR; i++, now += 1000, monotonic += 1000)
		cr_assert_eq(use(now, 1000 + i, "a"), REPLAY_FRESH, "%llu s later",
			(unsigned long long)(now - right) / 1000);
}

Test(replay, blocks_nothing_after_the_clock_was_ahead_for_a_moment)
{
	open_with(1000);
	now += 2 * WINDOW;
	monotonic = 1;
	cr_assert_eq(use(now, 1, "a"), REPLAY_FRESH);
	now += HOUR;
	cr_assert_eq(use(now, 2, "a"), REPLAY_FRESH);
	now -= HOUR;
	cr_assert_eq(use(now, 3, "a"), REPLAY_FRESH);
	cr_assert_eq(use(now, 1, "b"), REPLAY_SEEN);
}

/* A client whose clock is ahead had its identities remembered, and forgotten, before their time. */
Test(replay, blocks_nothing_after_the_clock_was_ahead_for_a_window)
{
	uint64_t right;

	open_with(1000);
	now += 2 * WINDOW;
	right = now;
	monotonic = 1;
	cr_assert_eq(use(now + WINDOW, 1, "a"), REPLAY_FRESH);
	now += HOUR;
	for (unsigned i = 0; i < 40; i++, now += 1000, monotonic += 1000)
		cr_assert_eq(use(now, 100 + i, "a"), REPLAY_FRESH);
	for (now = right + 40000; now < right + 100000; now += 1000, monotonic += 1000) {
		cr_assert_eq(use(now, (unsigned)(now - right), "a"), REPLAY_FRESH);
		cr_assert_eq(use(now - WINDOW, (unsigned)(now - right), "b"), REPLAY_FRESH);
	}
}

Test(replay, stays_within_its_bytes_whatever_the_clock_does)
{
	struct replay_stats stats;
	unsigned fresh = 0;

	open_with(5000);
	for (unsigned i = 0; i < 200000; i++) {
		now = START + randombytes_uniform(48) * HOUR + randombytes_uniform(60000);
		fresh += use(now, i, "a") == REPLAY_FRESH;
		replay_stats(r, &stats);
		cr_assert_leq(stats.entries, 5000);
		cr_assert_leq(stats.bytes, stats.bytes_max);
	}
	cr_assert_gt(fresh, 0);
}

/* Against a memory that forgets nothing: no (stamp, nonce) is ever accepted twice. */
Test(replay, never_accepts_twice_under_random_clocks)
{
	enum { N = 3000 };
	static uint64_t stamps[N];
	static bool accepted[N];

	open_with(500);
	for (unsigned i = 0; i < N; i++)
		stamps[i] = START + randombytes_uniform(40) * 10000;
	for (unsigned round = 0; round < 300000; round++) {
		unsigned i = randombytes_uniform(N);

		if (round % 50 == 0)
			now = START + randombytes_uniform(40) * 10000;
		if (use(stamps[i], i, "a") == REPLAY_FRESH) {
			cr_assert_not(accepted[i]);
			accepted[i] = true;
		}
	}
}
