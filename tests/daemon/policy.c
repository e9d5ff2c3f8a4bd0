/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/policy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY_HERE "no-such-user-8a6f"
#define TLS12 "\"purpose\": \"tls12-session\""

static struct policy p, q;
static char error[POLICY_ERROR_SIZE];

static void teardown(void)
{
	policy_done(&p);
	policy_done(&q);
}

TestSuite(policy, .fini = teardown);

/* From a copy of exact size, so that ASan sees a read behind it. */
static int parse_as(const char *text, size_t len, bool strict)
{
	char *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, text, len);
	policy_done(&p);
	error[0] = '\0';
	r = policy_parse(copy, len, strict, &p, error);
	free(copy);
	if (r < 0)
		cr_assert(error[0] && !strchr(error, '\n'));
	return r;
}

static int parse(const char *text)
{
	return parse_as(text, strlen(text), false);
}

static void accepts(const char *text)
{
	cr_assert_eq(parse(text), 0, "%s: %s", text, error);
}

static void rejects(const char *text, const char *why)
{
	cr_assert_eq(parse(text), -EBADMSG, "%s", text);
	cr_assert_str_eq(error, why);
	cr_assert_eq(p.n_allow, 0);
}

static struct peer peer(uid_t uid, gid_t gid, gid_t *groups, size_t n)
{
	return (struct peer){ .uid = uid, .gid = gid, .groups = groups, .n_groups = n };
}

static bool allows(uid_t uid, gid_t gid)
{
	struct peer who = peer(uid, gid, NULL, 0);

	return policy_allows(&p, &who, TPMPSK_ROLE_NONE);
}

Test(policy, reads_every_field)
{
	accepts("// a key\n{ \"identity\": \"Client1\", " TLS12 ", \"mode\": \"strict\",\n"
		"  \"allow\": [\"user:root\", \"group:root\", \"uid:1001\", \"gid:1002\"], "
		"\"rate\": 50, \"burst\": 100 }");
	cr_assert_eq(p.identity_len, 7);
	cr_assert_arr_eq(p.identity, "Client1", 7);
	cr_assert_eq(p.purpose, TPMPSK_PURPOSE_TLS12_SESSION);
	cr_assert_eq(p.mode, 0);
	cr_assert_eq(p.rate, 50);
	cr_assert_eq(p.burst, 100);
	cr_assert_eq(p.n_allow, 4);
	cr_assert_eq(p.allow[0].id, 0);
	cr_assert_eq(p.allow[2].id, 1001);
	cr_assert_eq(p.allow[3].kind, POLICY_GID);
	cr_assert_null(policy_unresolved(&p));
}

Test(policy, denies_by_default)
{
	accepts("{ \"identity\": \"a\", " TLS12 " }");
	cr_assert_not(allows(0, 0));
	accepts("{ \"identity\": \"a\", " TLS12 ", \"allow\": [] }");
	cr_assert_not(allows(0, 0));
	cr_assert_eq(p.rate, 0);
	cr_assert_eq(p.burst, 0);
}

Test(policy, allows_by_uid_and_by_any_group)
{
	gid_t groups[] = { 7, 8, 1002 };
	struct peer who;

	accepts("{ \"identity\": \"a\", " TLS12 ", \"allow\": [\"uid:1001\", \"gid:1002\"] }");
	cr_assert(allows(1001, 5));
	cr_assert(allows(5, 1002));
	cr_assert_not(allows(1002, 1001));
	cr_assert_not(allows(0, 0));
	who = peer(5, 5, groups, 3);
	cr_assert(policy_allows(&p, &who, TPMPSK_ROLE_NONE));
	who = peer(5, 5, groups, 2);
	cr_assert_not(policy_allows(&p, &who, TPMPSK_ROLE_NONE));
}

Test(policy, keeps_one_who_does_not_exist_and_allows_nobody_by_it)
{
	static const char text[] = "{ \"identity\": \"a\", " TLS12
				   ", \"allow\": [\"uid:1\", \"user:" NOBODY_HERE "\"] }";

	accepts(text);
	cr_assert_str_eq(policy_unresolved(&p)->text, "user:" NOBODY_HERE);
	cr_assert_not(allows(0, 0));
	cr_assert_not(allows((uid_t)-1, (gid_t)-1));
	cr_assert_eq(parse_as(text, strlen(text), true), -EBADMSG);
	cr_assert_str_eq(error, "field 'allow': 'user:" NOBODY_HERE "': there is no such user");
}

Test(policy, takes_identities_in_hex)
{
	accepts("{ \"identity\": { \"hex\": \"00ff10\" }, " TLS12 " }");
	cr_assert_eq(p.identity_len, 3);
	cr_assert_arr_eq(p.identity, "\x00\xff\x10", 3);
	rejects("{ \"identity\": { \"hex\": \"\" }, " TLS12 " }",
		"line 1: field 'identity': is empty");
	rejects("{ \"identity\": {}, " TLS12 " }", "line 1: field 'identity': is empty");
	rejects("{ \"identity\": { \"hex\": \"0\" }, " TLS12 " }",
		"line 1: field 'identity': field 'hex': must be the hex digits of 1 to 128 bytes");
	rejects("{ \"identity\": { \"hex\": \"0g\" }, " TLS12 " }",
		"line 1: field 'identity': field 'hex': must be the hex digits of 1 to 128 bytes");
	rejects("{ \"identity\": { \"base64\": \"\" }, " TLS12 " }",
		"line 1: field 'identity': field 'base64': no such field");
}

Test(policy, bounds_identities)
{
	char text[600], id[300];

	for (size_t len = 0; len < 200; len += len < 126 ? 126 : 1) {
		memset(id, 'a', len);
		id[len] = '\0';
		snprintf(text, sizeof(text), "{ \"identity\": \"%s\", " TLS12 " }", id);
		cr_assert_eq(
			parse(text), len >= 1 && len <= 128 ? 0 : -EBADMSG, "%zu: %s", len, error);
	}
	for (size_t len = 126; len < 130; len++) {
		memset(id, 'a', 2 * len);
		id[2 * len] = '\0';
		snprintf(text, sizeof(text), "{ \"identity\": {\"hex\": \"%s\"}, " TLS12 " }", id);
		cr_assert_eq(parse(text), len <= 128 ? 0 : -EBADMSG, "%zu: %s", len, error);
	}
}

Test(policy, says_what_is_wrong)
{
	rejects("{\n\"identity\": \"a\", \"purpose\": \"tls\" }",
		"line 2: field 'purpose': 'tls' is not a purpose");
	rejects("{ \"identity\": \"a\" }", "field 'purpose': is missing");
	rejects("{ " TLS12 " }", "field 'identity': is missing");
	rejects("{ \"identity\": \"a\\u0000\", " TLS12 " }",
		"line 1: field 'identity': is not printable: write it as {\"hex\": \"...\"}");
	rejects("{ \"identity\": \"\", " TLS12 " }",
		"line 1: field 'identity': must have 1 to 128 bytes");
	rejects("{ \"identity\": 1, " TLS12 " }",
		"line 1: field 'identity': must be a string or {\"hex\": \"...\"}");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"mode\": \"epoch\" }",
		"line 1: field 'mode': 'epoch' is not for purpose 'tls12-session'");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"mode\": \"lax\" }",
		"line 1: field 'mode': 'lax' is not a mode");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"rate\": 0 }",
		"line 1: field 'rate': must be a whole number from 1 to 1000000");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"rate\": 1, \"burst\": 1000001 }",
		"line 1: field 'burst': must be a whole number from 1 to 1000000");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"burst\": 1 }",
		"line 1: field 'burst': needs a rate");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"alow\": [] }",
		"line 1: field 'alow': no such field");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"allow\": \"user:root\" }",
		"line 1: field 'allow': must be an array");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"allow\": [1] }",
		"line 1: field 'allow': must be an array of strings");
	rejects("{ \"identity\": \"a\", " TLS12 ", \"allow\": [\"user:root\\u0000x\"] }",
		"line 1: field 'allow': must be an array of strings");
	rejects("[]", "not a JSON object");
	rejects("{", "line 1: the text ends too early");
}

Test(policy, rejects_bad_entries)
{
	static const char *const entries[] = { "", "root", "user:", "users:root", "uid:", "uid:-1",
		"uid: 1", "uid:0x1", "uid:4294967295", "uid:4294967296",
		"gid:99999999999999999999999", "user:a:b", "user:root:admin", ":client", "*" };

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		char text[200];

		snprintf(text, sizeof(text),
			"{ \"identity\": \"a\", " TLS12 ", \"allow\": [\"uid:5\", \"%s\"] }",
			entries[i]);
		cr_assert_eq(parse(text), -EBADMSG, "%s", entries[i]);
		cr_assert(strstr(error, "field 'allow': '"), "%s", error);
	}
	accepts("{ \"identity\": \"a\", " TLS12 ", \"allow\": [\"uid:4294967294\"] }");
}

Test(policy, knows_roles_where_there_are_some)
{
	struct policy_who w;
	struct peer who = peer(1, 2, NULL, 0);

	cr_assert_eq(policy_who_parse("uid:1:client", true, &w, error), 0, "%s", error);
	cr_assert(policy_who_matches(&w, &who, TPMPSK_ROLE_CLIENT));
	cr_assert_not(policy_who_matches(&w, &who, TPMPSK_ROLE_SERVER));
	cr_assert_not(policy_who_matches(&w, &who, TPMPSK_ROLE_NONE));
	policy_who_done(&w);
	cr_assert_eq(policy_who_parse("gid:2", true, &w, error), 0, "%s", error);
	cr_assert(policy_who_matches(&w, &who, TPMPSK_ROLE_CLIENT));
	cr_assert(policy_who_matches(&w, &who, TPMPSK_ROLE_SERVER));
	policy_who_done(&w);
	cr_assert_eq(policy_who_parse("uid:1:client", false, &w, error), -EBADMSG);
	cr_assert_eq(policy_who_parse("user:" NOBODY_HERE, false, &w, error), -ENOENT);
	cr_assert_eq(policy_who_parse("group:" NOBODY_HERE, false, &w, error), -ENOENT);
}

/* In a file it can only be a mistake that somebody should be told of; it must not keep the daemon from starting. */
Test(policy, lets_a_role_where_there_are_none_allow_nobody)
{
	struct peer who = peer(1, 2, NULL, 0);
	const char *text = "{ \"identity\": \"a\", " TLS12 ", \"allow\": [\"uid:1:client\"] }";

	accepts(text);
	cr_assert_not(policy_allows(&p, &who, TPMPSK_ROLE_NONE));
	cr_assert_eq(policy_unresolved(&p), &p.allow[0]);
	policy_done(&p);
	cr_assert_eq(policy_parse(text, strlen(text), true, &p, error), -EBADMSG);
	cr_assert(strstr(error, "there are no roles here"), "%s", error);
}

static void round_trip(const char *text)
{
	char *printed, *again;

	accepts(text);
	cr_assert_eq(policy_print(&p, &printed), 0);
	q = p;
	p = (struct policy){ 0 };
	accepts(printed);
	cr_assert_eq(p.identity_len, q.identity_len);
	cr_assert_arr_eq(p.identity, q.identity, p.identity_len);
	cr_assert_eq(p.purpose, q.purpose);
	cr_assert_eq(p.mode, q.mode);
	cr_assert_eq(p.rate, q.rate);
	cr_assert_eq(p.burst, q.burst);
	cr_assert_eq(p.n_allow, q.n_allow);
	for (size_t i = 0; i < p.n_allow; i++)
		cr_assert_str_eq(p.allow[i].text, q.allow[i].text);
	cr_assert_eq(policy_print(&p, &again), 0);
	cr_assert_str_eq(again, printed);
	policy_done(&q);
	free(printed);
	free(again);
}

Test(policy, prints_what_it_reads)
{
	round_trip("{ \"identity\": \"J\xc3\xbcrgen \\\"/\\\\\", " TLS12 " }");
	round_trip("{ \"identity\": { \"hex\": \"00ff\" }, " TLS12
		   ", \"allow\": [\"user:root\", \"user:" NOBODY_HERE "\"], "
		   "\"rate\": 5, \"burst\": 6 }");
	/* Hex that need not have been. */
	round_trip("{ \"identity\": { \"hex\": \"6162\" }, " TLS12 ", \"rate\": 1000000 }");
}

Test(policy, prints_fields_in_their_order_and_a_newline)
{
	char *text;

	accepts("{ \"burst\": 9, \"rate\": 5, \"allow\": [\"uid:1\"], " TLS12
		", \"identity\": \"a/b\" }");
	cr_assert_eq(policy_print(&p, &text), 0);
	cr_assert_str_eq(text, "{\n  \"identity\": \"a/b\",\n  \"purpose\": \"tls12-session\",\n  "
			       "\"allow\": [\n    \"uid:1\"\n  ],\n"
			       "  \"rate\": 5,\n  \"burst\": 9\n}\n");
	free(text);
}

static int with(const char *who, bool add)
{
	policy_done(&q);
	return policy_with(&p, who, add, &q, error);
}

Test(policy, adds_who_is_not_there_yet)
{
	accepts("{ \"identity\": \"a\", " TLS12 ", \"allow\": [\"uid:0\"], \"rate\": 5 }");
	cr_assert_eq(with("[\"user:root\", \"gid:0\", \"gid:0\"]", true), 0, "%s", error);
	cr_assert_eq(q.n_allow, 2);
	cr_assert_str_eq(q.allow[0].text, "uid:0");
	cr_assert_str_eq(q.allow[1].text, "gid:0");
	cr_assert_eq(q.rate, 5);
	cr_assert_eq(p.n_allow, 1);
}

Test(policy, takes_away_by_what_an_entry_means)
{
	accepts("{ \"identity\": \"a\", " TLS12
		", \"allow\": [\"uid:0\", \"gid:0\", \"user:root\", \"user:" NOBODY_HERE "\"] }");
	cr_assert_eq(with("[\"user:root\"]", false), 0, "%s", error);
	cr_assert_eq(q.n_allow, 2);
	cr_assert_str_eq(q.allow[0].text, "gid:0");
	cr_assert_eq(with("[\"user:" NOBODY_HERE "\"]", false), 0, "%s", error);
	cr_assert_eq(q.n_allow, 3);
	cr_assert_eq(with("[\"uid:1\"]", false), -EBADMSG);
	cr_assert_str_eq(error, "'uid:1' is not allowed now");
	cr_assert_eq(p.n_allow, 4);
}

Test(policy, refuses_changes_that_make_no_sense)
{
	accepts("{ \"identity\": \"a\", " TLS12 " }");
	cr_assert_eq(with("[]", true), -EBADMSG);
	cr_assert_eq(with("{}", true), -EBADMSG);
	cr_assert_eq(with("[\"root\"]", true), -EBADMSG);
	cr_assert_eq(with("[\"user:" NOBODY_HERE "\"]", true), -ENOENT);
	cr_assert_eq(with("", true), -EBADMSG);
}

/* "uid:0" to "uid:n-1", as a JSON array; malloc'ed. */
static char *many(unsigned n)
{
	char *text = malloc(n * 16 + 3), *end = stpcpy(text, "[");

	for (unsigned i = 0; i < n; i++)
		end += sprintf(end, "%s\"uid:%u\"", i ? "," : "", i);
	strcpy(end, "]");
	return text;
}

Test(policy, bounds_the_number_of_entries)
{
	static const unsigned bound = 1024;
	char *most = many(bound), *more = many(bound + 1), text[40000];

	accepts("{ \"identity\": \"a\", " TLS12 " }");
	cr_assert_eq(with(more, true), -EBADMSG);
	cr_assert_eq(with(most, true), 0, "%s", error);
	cr_assert_eq(q.n_allow, bound);
	accepts("{ \"identity\": \"a\", " TLS12 ", \"allow\": [\"uid:2000\"] }");
	cr_assert_eq(with(most, true), -EBADMSG);
	snprintf(text, sizeof(text), "{ \"identity\": \"a\", " TLS12 ", \"allow\": %s }", most);
	accepts(text);
	snprintf(text, sizeof(text), "{ \"identity\": \"a\", " TLS12 ", \"allow\": %s }", more);
	rejects(text, "line 1: field 'allow': has more than 1024 entries");
	free(most);
	free(more);
}

static const char sample[] =
	"{ \"identity\": {\"hex\": \"00ff\"}, " TLS12 ", \"mode\": \"strict\", /* c */\n"
	"\"allow\": [\"uid:1001\", \"gid:7\"], \"rate\": 50, \"burst\": 100 }";

Test(policy, rejects_every_truncation)
{
	for (size_t i = 0; i < sizeof(sample) - 1; i++)
		cr_assert_eq(parse_as(sample, i, false), -EBADMSG, "%zu", i);
}

Test(policy, survives_every_change_of_one_byte, .timeout = 120)
{
	char text[sizeof(sample)];

	for (size_t i = 0; i < sizeof(sample) - 1; i++) {
		memcpy(text, sample, sizeof(sample));
		for (int value = 0; value < 256; value++) {
			char *printed;

			text[i] = (char)value;
			if (parse_as(text, sizeof(sample) - 1, false) < 0)
				continue;
			cr_assert_eq(policy_print(&p, &printed), 0);
			free(printed);
		}
	}
}
