/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/limiter.h"

#include <criterion/criterion.h>

#define S UINT64_C(1000000000)

static struct limiter l;
static uint32_t retry;

static void setup(void)
{
	limiter_init(&l);
}

static void teardown(void)
{
	limiter_done(&l);
	cr_assert_eq(l.count, 0);
}

TestSuite(limiter, .init = setup, .fini = teardown);

Test(limiter, has_no_limit_without_a_rate)
{
	for (int i = 0; i < 10000; i++)
		cr_assert(limiter_take(&l, 1, 0, 0, 0, S, &retry));
	cr_assert_eq(l.count, 0);
}

Test(limiter, gives_a_burst_then_says_when_to_come_back)
{
	for (int i = 0; i < 5; i++)
		cr_assert(limiter_take(&l, 1, 1000, 10, 5, S, &retry));
	cr_assert_not(limiter_take(&l, 1, 1000, 10, 5, S, &retry));
	cr_assert_eq(retry, 100);
	cr_assert_not(limiter_take(&l, 1, 1000, 10, 5, S + S / 10 - 1000000, &retry));
	cr_assert_eq(retry, 1);
	cr_assert(limiter_take(&l, 1, 1000, 10, 5, S + S / 10, &retry));
	cr_assert_not(limiter_take(&l, 1, 1000, 10, 5, S + S / 10, &retry));
}

Test(limiter, holds_the_rate_in_the_long_run)
{
	unsigned taken = 0;

	for (uint64_t ms = 0; ms < 10000; ms++)
		taken += limiter_take(&l, 1, 1000, 50, 0, S + ms * 1000000, &retry);
	cr_assert_geq(taken, 500 + 49);
	cr_assert_leq(taken, 500 + 51);
}

Test(limiter, counts_each_key_and_user_apart)
{
	cr_assert(limiter_take(&l, 1, 1000, 1, 1, S, &retry));
	cr_assert_not(limiter_take(&l, 1, 1000, 1, 1, S, &retry));
	cr_assert(limiter_take(&l, 1, 1001, 1, 1, S, &retry));
	cr_assert(limiter_take(&l, 2, 1000, 1, 1, S, &retry));
}

Test(limiter, forgets_buckets_that_are_full_again)
{
	for (uint64_t key = 0; key < 100000; key++)
		cr_assert(limiter_take(&l, key, 1000, 1000, 1, key * S, &retry));
	cr_assert_lt(l.count, 1000);
}

Test(limiter, refuses_when_it_can_remember_no_more)
{
	for (uint64_t key = 0; key < LIMITER_ENTRIES_MAX; key++)
		cr_assert(limiter_take(&l, key, 1000, 1, 1, S, &retry));
	cr_assert_not(limiter_take(&l, LIMITER_ENTRIES_MAX, 1000, 1, 1, S, &retry));
	cr_assert_gt(retry, 0);
}

/* The next look for full buckets must not be put off beyond the most there may be. */
Test(limiter, has_room_again_once_more_than_half_of_the_most_were_live)
{
	uint64_t key = 0;

	/* A few that the first look finds full, so that the looks do not fall on powers of two. */
	for (; key < 56; key++)
		cr_assert(limiter_take(&l, key, 1000, 1, 1, S, &retry));
	for (; key < LIMITER_ENTRIES_MAX - 5000; key++)
		cr_assert(limiter_take(&l, key, 1000, 1, 1, 3 * S, &retry));
	for (; key < 2 * LIMITER_ENTRIES_MAX; key++)
		cr_assert(limiter_take(&l, key, 1000, 1000, 1, 100 * S + key * S, &retry), "%zu",
			(size_t)key);
}
