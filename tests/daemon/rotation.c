/* SPDX-License-Identifier: BSD-2-Clause */
/* Two keys for one identity and purpose: which of them is found, in whatever order they come. */
#include "tests/daemon/keys_on_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

TestSuite(rotation, .init = keys_setup, .fini = keys_teardown);

static void policy_text(char *text, size_t size, const char *replaces)
{
	snprintf(text, size,
		"{ \"identity\": \"C1\", \"purpose\": \"session-identity\", \"allow\": "
		"[\"uid:1\"]%s%s%s }",
		*replaces ? ", \"replaces\": \"" : "", replaces, *replaces ? "\"" : "");
}

/* A key for the one identity of this file. */
static int add(const char *name, unsigned seed, const char *replaces)
{
	char text[200], why[POLICY_ERROR_SIZE];
	struct policy policy, other;
	struct keyfile file;
	int r;

	keys_make(seed, &other, &file);
	policy_done(&other);
	policy_text(text, sizeof(text), replaces);
	cr_assert_eq(policy_parse(text, strlen(text), false, &policy, why), 0, "%s", why);
	r = keystore_add(store, name, &policy, &file, error);
	policy_done(&policy);
	keyfile_done(&file);
	return r;
}

static const char *found(void)
{
	const struct key *k =
		keystore_find(store, TPMPSK_PURPOSE_SESSION_IDENTITY, (const uint8_t *)"C1", 2);

	return k ? k->name : "";
}

static const char *behind(const char *name)
{
	const struct key *k = keystore_replaced(store, keystore_by_name(store, name));

	return k ? k->name : "";
}

static void drop(const char *name)
{
	cr_assert_eq(keystore_remove(store, keystore_by_name(store, name), error), 0, "%s", error);
}

Test(rotation, finds_the_new_key_and_behind_it_the_old_one)
{
	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(add("web", 1, ""), 0);
	cr_assert_eq(add("a-web", 2, "web"), 0, "%s", error);
	cr_expect_str_eq(found(), "a-web");
	cr_expect_str_eq(behind("a-web"), "web");
	cr_expect_str_eq(behind("web"), "");
	cr_expect_eq(keystore_successor(store, keystore_by_name(store, "web")),
		keystore_by_name(store, "a-web"));
	/* The same from the disk, where names come in another order than keys did; and after a reload. */
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_expect_str_eq(found(), "a-web");
	cr_expect_str_eq(behind("a-web"), "web");
	cr_assert_eq(keystore_reload(store, error), 0, "%s", error);
	cr_expect_str_eq(found(), "a-web");
}

Test(rotation, goes_on_with_the_new_key_when_the_old_one_is_removed)
{
	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(add("web", 1, ""), 0);
	cr_assert_eq(add("web-2", 2, "web"), 0);
	drop("web");
	cr_expect_str_eq(found(), "web-2");
	cr_expect_str_eq(behind("web-2"), "");
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_expect_str_eq(found(), "web-2");
	cr_assert_eq(add("web-3", 3, "web-2"), 0, "%s", error);
	cr_expect_str_eq(found(), "web-3");
}

Test(rotation, is_taken_back_by_removing_the_new_key)
{
	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(add("web", 1, ""), 0);
	cr_assert_eq(add("web-2", 2, "web"), 0);
	drop("web-2");
	cr_expect_str_eq(found(), "web");
}

Test(rotation, has_two_keys_at_most)
{
	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(add("web", 1, ""), 0);
	cr_expect_eq(add("x", 2, ""), -EEXIST);
	cr_expect_eq(add("x", 2, "y"), -EEXIST);
	cr_assert_eq(add("web-2", 2, "web"), 0);
	cr_expect_eq(add("web-3", 3, "web"), -EEXIST);
	cr_expect_eq(add("web-3", 3, "web-2"), -EEXIST);
	cr_expect_str_eq(error, "key 'web' still stands beside 'web-2': remove it first");
}

Test(rotation, replaces_nothing_that_is_not_there)
{
	cr_assert_eq(keys_open(), 0);
	cr_expect_eq(add("web-2", 2, "web"), -EINVAL);
	cr_assert_eq(keys_add("other", 1), 0);
	cr_expect_eq(add("web-2", 2, "other"), -EINVAL);
}

static void put(const char *name, unsigned seed, const char *replaces)
{
	char text[200], file[100];

	policy_text(text, sizeof(text), replaces);
	snprintf(file, sizeof(file), "%s.json", name);
	keys_put(file, text);
	snprintf(file, sizeof(file), "%s.pem", name);
	keys_put_pem(file, seed);
}

Test(rotation, refuses_a_directory_with_two_keys_of_which_none_replaces_the_other)
{
	put("a", 1, "");
	put("b", 2, "");
	cr_expect_eq(keys_open(), -EEXIST);
	put("b", 2, "a");
	cr_expect_eq(keys_open(), 0, "%s", error);
	put("c", 3, "b");
	cr_expect_eq(keys_open(), -EEXIST);
	put("c", 3, "a");
	cr_expect_eq(keys_open(), -EEXIST);
}

Test(rotation, has_an_order_even_of_two_that_replace_each_other)
{
	put("a", 1, "b");
	put("b", 2, "a");
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_expect_str_eq(found(), "b");
	cr_expect_str_eq(behind("b"), "a");
	cr_expect_str_eq(behind("a"), "");
}

Test(rotation, is_refused_where_nobody_can_tell_which_key_a_peer_has)
{
	static const char text[] = "{ \"identity\": \"C1\", \"purpose\": \"tls12-session\", "
				   "\"allow\": [], \"replaces\": \"web\" }";
	char why[POLICY_ERROR_SIZE];
	struct policy policy;

	cr_expect_eq(policy_parse(text, strlen(text), true, &policy, why), -EBADMSG);
	cr_expect_str_eq(
		why, "field 'replaces': is not for purpose 'tls12-session': use a second identity");
}
