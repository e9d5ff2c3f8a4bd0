/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/stats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define DAY_NS (UINT64_C(86400) * 1000000000)

static struct stats s;

static void setup(void)
{
	cr_assert_eq(stats_init(&s), 0);
}

static void teardown(void)
{
	stats_done(&s);
}

TestSuite(stats, .init = setup, .fini = teardown);

static const struct stats_row *row(uid_t uid, const char *key)
{
	const struct stats_row *found = NULL;

	for (size_t i = 1; i < s.n_rows; i++) {
		if (s.rows[i].uid != uid || strcmp(s.rows[i].key, key) != 0)
			continue;
		cr_assert_null(found, "two rows of %u and %s", uid, key);
		found = &s.rows[i];
	}
	return found;
}

static uint64_t counted(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s.n_rows; i++)
		for (unsigned status = 0; status < TPMPSK_STATUS_COUNT; status++)
			sum += s.rows[i].counts[status];
	return sum;
}

Test(stats, counts_each_user_with_each_key_for_itself)
{
	stats_answer(&s, 1, "a", TPMPSK_STATUS_OK, 5, 90, 1);
	stats_answer(&s, 1, "a", TPMPSK_STATUS_OK, 6, 91, 1);
	stats_answer(&s, 1, "b", TPMPSK_STATUS_BUSY, 0, 0, 1);
	stats_answer(&s, 2, "a", TPMPSK_STATUS_OK, 7, 92, 1);
	stats_answer(&s, 2, NULL, TPMPSK_STATUS_DENIED, 0, 0, 1);
	cr_expect_eq(row(1, "a")->counts[TPMPSK_STATUS_OK], 2);
	cr_expect_eq(row(1, "a")->queue_us, 11);
	cr_expect_eq(row(1, "a")->tpm_us, 181);
	cr_expect_eq(row(1, "b")->counts[TPMPSK_STATUS_BUSY], 1);
	cr_expect_eq(row(2, "a")->tpm_us, 92);
	cr_expect_eq(row(2, "")->counts[TPMPSK_STATUS_DENIED], 1);
	cr_expect_eq(counted(), 5);
}

static void fill(size_t n, uint64_t now_ns)
{
	for (uid_t uid = 0; uid < n; uid++)
		stats_answer(&s, uid, "k", TPMPSK_STATUS_OK, 0, 0, now_ns);
}

Test(stats, never_grows_and_loses_no_count)
{
	fill(3 * STATS_ROWS, 1);
	cr_expect_eq(s.n_rows, STATS_ROWS);
	cr_expect_eq(counted(), 3 * STATS_ROWS);
	cr_expect_gt(s.rows[0].counts[TPMPSK_STATUS_OK], 0);
	/* Who has a row keeps it. */
	stats_answer(&s, 0, "k", TPMPSK_STATUS_OK, 0, 0, 2);
	cr_expect_eq(row(0, "k")->counts[TPMPSK_STATUS_OK], 2);
}

Test(stats, keeps_rows_for_users_when_strangers_come_in_crowds)
{
	for (uid_t uid = 0; uid < 2 * STATS_ROWS; uid++)
		stats_answer(&s, uid, NULL, TPMPSK_STATUS_DENIED, 0, 0, 1);
	cr_expect_eq(s.n_strangers, STATS_STRANGERS);
	stats_answer(&s, 7, "web", TPMPSK_STATUS_OK, 0, 0, 1);
	cr_expect(row(7, "web"));
	cr_expect_eq(counted(), 2 * STATS_ROWS + 1);
}

Test(stats, makes_room_of_who_was_idle_for_a_day)
{
	fill(STATS_ROWS, 1);
	for (uid_t uid = 0; uid < 10; uid++)
		stats_answer(&s, uid, "k", TPMPSK_STATUS_OK, 0, 0, DAY_NS);
	stats_answer(&s, 99999, "k", TPMPSK_STATUS_OK, 0, 0, DAY_NS + 1);
	cr_expect_eq(s.n_rows, 12);
	cr_expect_eq(row(3, "k")->counts[TPMPSK_STATUS_OK], 2);
	cr_expect(row(99999, "k"));
	cr_expect_eq(counted(), STATS_ROWS + 11);
}

Test(stats, puts_each_time_below_the_first_bound_that_is_not_less)
{
	stats_job(&s, 0, 10);
	stats_job(&s, 11, 10000000);
	stats_job(&s, 100, 10000001);
	cr_expect_eq(s.queue.counts[0], 1);
	cr_expect_eq(s.queue.counts[1], 1);
	cr_expect_eq(s.queue.counts[3], 1);
	cr_expect_eq(s.queue.sum_us, 111);
	cr_expect_eq(s.tpm.counts[0], 1);
	cr_expect_eq(s.tpm.counts[STATS_BOUNDS - 1], 1);
	cr_expect_eq(s.tpm.counts[STATS_BOUNDS], 1);
}
