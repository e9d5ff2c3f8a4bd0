/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue over a simulated TPM: time passes only when an entry is served. */
#include "daemon/queue.h"

#include <criterion/criterion.h>

#define COST 8 /* what one command takes */

struct item {
	struct queue_entry entry;
	int tag;
};

static struct queue q;

static void setup(void)
{
	queue_init(&q);
}

static void teardown(void)
{
	queue_done(&q);
}

TestSuite(queue, .init = setup, .fini = teardown);

static void add(struct queue_account *a)
{
	cr_assert_eq(queue_account_add(&q, a), 0);
}

static int serve(uint64_t cost)
{
	struct queue_entry *e = queue_pop(&q, NULL, NULL);

	cr_assert_not_null(e);
	queue_charge(&q, e->account, cost);
	return list_entry(e, struct item, entry)->tag;
}

Test(queue, is_first_in_first_out_within_a_connection)
{
	struct queue_account a;
	struct queue_flow f;
	struct item items[10];

	add(&a);
	queue_flow_init(&f, &a);
	for (int i = 0; i < 10; i++) {
		items[i].tag = i;
		queue_push(&q, &f, &items[i].entry);
	}
	for (int i = 0; i < 10; i++)
		cr_assert_eq(serve(COST), i);
	cr_assert_null(queue_pop(&q, NULL, NULL));
}

Test(queue, takes_turns_between_connections_of_a_user)
{
	struct queue_account a;
	struct queue_flow f[2];
	struct item items[6];

	add(&a);
	for (int i = 0; i < 2; i++)
		queue_flow_init(&f[i], &a);
	for (int i = 0; i < 6; i++) {
		items[i].tag = i < 5 ? 0 : 1;
		queue_push(&q, &f[items[i].tag], &items[i].entry);
	}
	cr_assert_eq(serve(COST), 0);
	cr_assert_eq(serve(COST), 1);
	cr_assert_eq(serve(COST), 0);
}

Test(queue, shares_time_and_not_turns_between_users)
{
	struct queue_account slow, fast;
	struct queue_flow slow_flow, fast_flow;
	static struct item items[2000];
	uint64_t used[2] = { 0 };

	add(&slow);
	add(&fast);
	queue_flow_init(&slow_flow, &slow);
	queue_flow_init(&fast_flow, &fast);
	for (int i = 0; i < 2000; i++) {
		items[i].tag = i % 2;
		queue_push(&q, i % 2 ? &fast_flow : &slow_flow, &items[i].entry);
	}
	/* The slow one's commands take nine times as long. */
	for (int i = 0; i < 1000; i++) {
		struct queue_entry *e = queue_pop(&q, NULL, NULL);
		int tag = list_entry(e, struct item, entry)->tag;
		uint64_t cost = tag ? 10 : 90;

		used[tag] += cost;
		queue_charge(&q, e->account, cost);
	}
	cr_assert_leq(used[0] > used[1] ? used[0] - used[1] : used[1] - used[0], 90);
}

Test(queue, serves_a_newcomer_next_whatever_the_flood)
{
	struct queue_account flood, late;
	struct queue_flow flood_flow, late_flow;
	static struct item items[1000];
	struct item one = { .tag = 7 };

	add(&flood);
	add(&late);
	queue_flow_init(&flood_flow, &flood);
	queue_flow_init(&late_flow, &late);
	for (int i = 0; i < 1000; i++) {
		items[i].tag = 0;
		queue_push(&q, &flood_flow, &items[i].entry);
	}
	for (int round = 0; round < 50; round++) {
		struct queue_entry *e;

		for (int i = 0; i < 10; i++)
			cr_assert_eq(serve(COST), 0);
		/* Arrives while the flood's next command is at the TPM. */
		e = queue_pop(&q, NULL, NULL);
		queue_push(&q, &late_flow, &one.entry);
		queue_charge(&q, e->account, COST);
		cr_assert_eq(serve(COST), 7);
	}
}

Test(queue, saves_up_no_time_for_the_idle)
{
	struct queue_account busy, idle;
	struct queue_flow busy_flow, idle_flow;
	static struct item items[400];
	int idle_served = 0;

	add(&busy);
	add(&idle);
	queue_flow_init(&busy_flow, &busy);
	queue_flow_init(&idle_flow, &idle);
	for (int i = 0; i < 200; i++) {
		items[i].tag = 0;
		queue_push(&q, &busy_flow, &items[i].entry);
	}
	for (int i = 0; i < 100; i++)
		cr_assert_eq(serve(COST), 0);
	for (int i = 200; i < 400; i++) {
		items[i].tag = 1;
		queue_push(&q, &idle_flow, &items[i].entry);
	}
	for (int i = 0; i < 20; i++)
		idle_served += serve(COST);
	cr_assert_leq(idle_served, 11);
}

Test(queue, remembers_a_debt_until_others_have_caught_up)
{
	struct queue_account a, b;
	struct queue_flow fa, fb;
	struct item items[3] = { { .tag = 0 }, { .tag = 1 }, { .tag = 1 } };

	add(&a);
	add(&b);
	queue_flow_init(&fa, &a);
	queue_flow_init(&fb, &b);
	queue_push(&q, &fa, &items[0].entry);
	serve(COST);
	cr_assert_not(queue_account_settled(&q, &a));
	for (int i = 1; i < 3; i++)
		queue_push(&q, &fb, &items[i].entry);
	serve(COST);
	serve(COST);
	cr_assert(queue_account_settled(&q, &a));
}

Test(queue, cancels_what_waits_and_not_what_is_served)
{
	struct queue_account a;
	struct queue_flow f;
	struct item items[3];

	add(&a);
	queue_flow_init(&f, &a);
	for (int i = 0; i < 3; i++) {
		items[i].tag = i;
		queue_push(&q, &f, &items[i].entry);
	}
	cr_assert_eq(serve(COST), 0);
	cr_assert_not(queue_cancel(&q, &items[0].entry));
	cr_assert(queue_cancel(&q, &items[1].entry));
	cr_assert_not(queue_cancel(&q, &items[1].entry));
	cr_assert_eq(q.len, 1);
	cr_assert_eq(serve(COST), 2);
	cr_assert_null(queue_pop(&q, NULL, NULL));
}

Test(queue, keeps_its_order_under_random_use)
{
	enum { USERS = 40, ITEMS = 4000 };
	static struct queue_account accounts[USERS];
	static struct queue_flow flows[USERS];
	static struct item items[ITEMS];
	unsigned seed = 1, pushed = 0, served = 0, cancelled = 0;

	for (int i = 0; i < USERS; i++) {
		add(&accounts[i]);
		queue_flow_init(&flows[i], &accounts[i]);
	}
	while (pushed < ITEMS || q.len > 0) {
		unsigned dice = (seed = seed * 1103515245u + 12345u) >> 16;

		if (pushed < ITEMS && dice % 3 != 0) {
			items[pushed].tag = (int)(dice % USERS);
			queue_push(&q, &flows[dice % USERS], &items[pushed].entry);
			pushed++;
		} else if (pushed > 0 && dice % 7 == 0) {
			cancelled += queue_cancel(&q, &items[dice % pushed].entry);
		} else if (q.len > 0) {
			uint64_t least = UINT64_MAX;
			struct queue_entry *e;

			for (int i = 0; i < USERS; i++)
				if (accounts[i].len > 0 && accounts[i].used < least)
					least = accounts[i].used;
			e = queue_pop(&q, NULL, NULL);
			cr_assert_eq(e->account->used, least);
			queue_charge(&q, e->account, 1 + dice % 20);
			served++;
		}
	}
	cr_assert_eq(served + cancelled, ITEMS);
}

static bool is_odd(void *context, const struct queue_entry *e)
{
	(void)context;
	return list_entry((struct queue_entry *)e, struct item, entry)->tag % 2;
}

static int serve_preferring_odd(void)
{
	struct queue_entry *e = queue_pop(&q, is_odd, NULL);

	cr_assert_not_null(e);
	queue_charge(&q, e->account, COST);
	return list_entry(e, struct item, entry)->tag;
}

Test(queue, prefers_within_an_account_and_keeps_the_order_otherwise)
{
	struct queue_account a;
	struct queue_flow f;
	struct item items[6];

	add(&a);
	queue_flow_init(&f, &a);
	for (int i = 0; i < 6; i++) {
		items[i].tag = i;
		queue_push(&q, &f, &items[i].entry);
	}
	static const int want[] = { 1, 3, 5, 0, 2, 4 };

	for (int i = 0; i < 6; i++)
		cr_assert_eq(serve_preferring_odd(), want[i]);
}

Test(queue, prefers_nothing_across_accounts)
{
	struct queue_account a, b;
	struct queue_flow fa, fb;
	struct item even = { .tag = 0 }, odd[3] = { { .tag = 1 }, { .tag = 3 }, { .tag = 5 } };

	add(&a);
	add(&b);
	queue_flow_init(&fa, &a);
	queue_flow_init(&fb, &b);
	queue_push(&q, &fa, &even.entry);
	for (int i = 0; i < 3; i++)
		queue_push(&q, &fb, &odd[i].entry);
	cr_assert_eq(serve_preferring_odd(), 0);
}

/* However many preferred ones keep coming, the one before them waits at most about twice its turn. */
Test(queue, lets_nobody_wait_for_preferred_ones_without_end)
{
	struct queue_account a;
	struct queue_flow f;
	static struct item odd[4000];
	struct item even = { .tag = 0 };
	int served = 0;

	add(&a);
	queue_flow_init(&f, &a);
	for (int i = 0; i < 100; i++) {
		odd[i].tag = 1;
		queue_push(&q, &f, &odd[i].entry);
	}
	queue_push(&q, &f, &even.entry);
	for (int next = 100; even.entry.flow; next++) {
		cr_assert_lt(++served, 100 + 2 * 101 + 2);
		serve_preferring_odd();
		odd[next].tag = 1;
		queue_push(&q, &f, &odd[next].entry);
	}
}
