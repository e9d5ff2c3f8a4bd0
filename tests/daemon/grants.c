/* SPDX-License-Identifier: BSD-2-Clause */
/* The digest of all policies answers as the policies themselves would. */
#include "daemon/grants.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TLS12 TPMPSK_PURPOSE_TLS12_SESSION
#define SESSION TPMPSK_PURPOSE_SESSION_IDENTITY

static struct grants g;

static void teardown(void)
{
	grants_done(&g);
}

TestSuite(grants, .fini = teardown);

/* allow: as in JSON, "\"uid:1\", \"gid:2\"". */
static void add(const char *purpose, const char *allow)
{
	char text[512], error[POLICY_ERROR_SIZE];
	struct policy p;

	snprintf(text, sizeof(text), "{\"identity\":\"Client1\",\"purpose\":\"%s\",\"allow\":[%s]}",
		purpose, allow);
	cr_assert_eq(policy_parse(text, strlen(text), false, &p, error), 0, "%s", error);
	cr_assert_eq(grants_add(&g, &p), 0);
	policy_done(&p);
}

static bool any(uid_t uid, gid_t gid, uint8_t purpose)
{
	return grants_any(&g, &(struct peer){ .uid = uid, .gid = gid }, purpose);
}

Test(grants, nothing_to_anybody_without_a_key)
{
	grants_finish(&g);
	cr_assert_not(any(0, 0, TLS12));
	cr_assert_not(any(1000, 1000, SESSION));
}

Test(grants, to_users_and_groups_of_any_key_by_purpose)
{
	add("tls12-session", "\"uid:1003\", \"uid:1001\", \"gid:7\"");
	add("tls12-session", "\"uid:1002\", \"uid:1001\"");
	add("session-identity", "\"uid:1004:client\", \"gid:8:server\"");
	add("exporter-mac", "");
	grants_finish(&g);
	cr_assert_eq(g.users[TLS12].count, 3); /* each once */
	for (uid_t uid = 1001; uid <= 1003; uid++) {
		cr_assert(any(uid, 1, TLS12));
		cr_assert_not(any(uid, 1, SESSION));
	}
	cr_assert(any(5, 7, TLS12));
	cr_assert(any(1004, 1, SESSION));
	cr_assert(any(5, 8, SESSION));
	cr_assert_not(any(1000, 1, TLS12));
	cr_assert_not(any(1004, 1, TLS12));
	cr_assert_not(any(7, 1001, TLS12)); /* the numbers of users are not those of groups */
	cr_assert_not(any(0, 0, TLS12));
	cr_assert_not(any(1001, 7, TPMPSK_PURPOSE_EXPORTER_MAC));
}

Test(grants, nothing_by_an_entry_that_can_match_nobody)
{
	add("tls12-session", "\"uid:1001:client\", \"user:no-such-user-8a6f\", "
			     "\"group:no-such-group-8a6f\"");
	grants_finish(&g);
	cr_assert_not(any(1001, 1, TLS12));
	cr_assert_not(any(0, 0, TLS12));
}

Test(grants, by_each_supplementary_group_be_they_few_or_many)
{
	gid_t groups[3000];
	struct peer peer = { .uid = 1, .gid = 1, .groups = groups };

	add("tls12-session", "\"gid:100\", \"gid:5002\", \"gid:200\", \"gid:300\"");
	grants_finish(&g);
	for (gid_t i = 0; i < 3000; i++)
		groups[i] = 10000 + i;
	for (size_t n = 0; n <= 3000; n = 2 * n + 1) {
		peer.n_groups = n;
		cr_assert_not(grants_any(&g, &peer, TLS12), "%zu", n);
		if (n == 0)
			continue;
		groups[0] = 5002;
		cr_assert(grants_any(&g, &peer, TLS12), "%zu", n);
		cr_assert_not(grants_any(&g, &peer, SESSION));
		groups[0] = 10000;
	}
}

Test(grants, to_as_many_users_as_there_are)
{
	for (uid_t uid = 0; uid < 5000; uid += 2) {
		char who[32];

		snprintf(who, sizeof(who), "\"uid:%u\"", (uid * 7919) % 5000);
		add("tls12-session", who);
	}
	grants_finish(&g);
	cr_assert_eq(g.users[TLS12].count, 2500);
	for (uid_t uid = 0; uid < 5000; uid++)
		cr_assert_eq(any(uid, 1, TLS12), uid % 2 == 0, "%u", uid);
}
