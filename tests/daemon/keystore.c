/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/keystore.h"

#include "tests/daemon/keys_on_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(keystore, .init = keys_setup, .fini = keys_teardown, .timeout = 120);

static void open_empty(void)
{
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_assert_eq(keystore_count(store), 0);
}

static void assert_open_fails(int r, const char *why)
{
	cr_assert_eq(keys_open(), r, "%s", error);
	cr_assert(strstr(error, why), "%s", error);
}

Test(keystore, knows_good_names)
{
	static const char *const bad[] = { "", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a\n",
		"\xc3\xbc", "../a" };
	char name[66];

	memset(name, 'a', 65);
	name[65] = '\0';
	cr_assert_not(keystore_name_ok(name));
	name[64] = '\0';
	cr_assert(keystore_name_ok(name));
	cr_assert(keystore_name_ok("A.b_c-9"));
	cr_assert(keystore_name_ok("0"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(keystore_name_ok(bad[i]), "%zu", i);
}

Test(keystore, makes_the_directory_but_not_its_parents)
{
	struct stat st;

	cr_assert_eq(rmdir(keys_path), 0);
	open_empty();
	cr_assert_eq(stat(keys_path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	keys_close();
	strcat(keys_path, "/a/b");
	assert_open_fails(-ENOENT, "cannot be made");
}

Test(keystore, keeps_keys_across_a_restart)
{
	struct stat st;

	open_empty();
	cr_assert_eq(keys_add("b", 2), 0, "%s", error);
	cr_assert_eq(keys_add("a.json", 1), 0, "%s", error);
	cr_assert(keys_has("b", 2) && keys_has("a.json", 1));
	cr_assert_eq(keys_files(), 4);
	cr_assert_eq(stat(keys_file("a.json.pem"), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(stat(keys_file("a.json.json"), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_assert_eq(keystore_count(store), 2);
	cr_assert(keys_has("b", 2) && keys_has("a.json", 1));
	cr_assert_eq(keys_files(), 4);
}

Test(keystore, is_one_daemons_at_a_time)
{
	struct keystore *second;

	open_empty();
	cr_assert_eq(keystore_open(&second, keys_path, error), -EBUSY);
	cr_assert(strstr(error, "another tpm-pskd has it"));
	keys_close();
	open_empty();
}

Test(keystore, refuses_a_key_that_exists)
{
	open_empty();
	cr_assert_eq(keys_add("a", 1), 0);
	cr_assert_eq(keys_add("a", 2), -EEXIST);
	cr_assert_str_eq(error, "there is a key 'a'");
	cr_assert_eq(keys_add("b", 1), -EEXIST);
	cr_assert_str_eq(error, "identity and purpose are those of key 'a'");
	cr_assert_eq(keys_add("../b", 3), -EINVAL);
	cr_assert_eq(keys_files(), 2);
	cr_assert_eq(keystore_count(store), 1);
}

Test(keystore, removes_a_key_but_not_from_under_its_users)
{
	struct key *k;

	open_empty();
	cr_assert_eq(keys_add("a", 1), 0);
	cr_assert_eq(keys_add("b", 2), 0);
	k = key_ref(keystore_by_name(store, "a"));
	cr_assert_eq(keystore_remove(store, k, error), 0, "%s", error);
	cr_assert_eq(keys_files(), 2);
	cr_assert_eq(keystore_count(store), 1);
	cr_assert_null(keystore_by_name(store, "a"));
	cr_assert_null(keystore_find(store, 1, k->policy.identity, k->policy.identity_len));
	cr_assert(keys_has("b", 2));
	cr_assert_eq(k->file.objects[0].pub[2], 1);
	key_unref(k);
	cr_assert_eq(keys_add("a", 1), 0, "%s", error);
}

Test(keystore, changes_a_policy_for_good)
{
	uint64_t generation;
	struct policy p;
	struct key *k;

	open_empty();
	cr_assert_eq(keys_add("a", 1), 0);
	k = keystore_by_name(store, "a");
	generation = keystore_generation(store);
	cr_assert_eq(policy_with(&k->policy, "[\"uid:77\"]", true, &p, error), 0);
	cr_assert_eq(keystore_set_policy(store, k, &p, error), 0, "%s", error);
	cr_assert_gt(keystore_generation(store), generation);
	cr_assert_eq(p.n_allow, 0);
	cr_assert_eq(k->policy.n_allow, 2);
	cr_assert_eq(keys_files(), 2);
	cr_assert_eq(keys_open(), 0);
	k = keystore_by_name(store, "a");
	cr_assert_eq(k->policy.n_allow, 2);
	cr_assert_eq(k->policy.allow[1].id, 77);
}

Test(keystore, refuses_a_policy_of_another_identity)
{
	struct keyfile file;
	struct policy p;

	open_empty();
	cr_assert_eq(keys_add("a", 1), 0);
	keys_make(2, &p, &file);
	cr_assert_eq(keystore_set_policy(store, keystore_by_name(store, "a"), &p, error), -EINVAL);
	cr_assert_eq(p.n_allow, 1);
	policy_done(&p);
	keyfile_done(&file);
	cr_assert(keys_has("a", 1));
}

Test(keystore, goes_through_the_keys_in_the_order_of_their_names)
{
	static const char *const names[] = { "A", "B", "a", "a-b", "a.b", "a0", "ab", "b" };
	static const unsigned order[] = { 3, 7, 0, 5, 1, 6, 2, 4 };
	const char *after = "";

	open_empty();
	for (unsigned i = 0; i < 8; i++)
		cr_assert_eq(keys_add(names[order[i]], order[i]), 0, "%s", error);
	for (int again = 0; again < 2; again++) {
		after = "";
		for (unsigned i = 0; i < 8; i++) {
			struct key *k = keystore_next(store, after);

			cr_assert_not_null(k);
			cr_assert_str_eq(k->name, names[i]);
			after = k->name;
		}
		cr_assert_null(keystore_next(store, after));
		cr_assert_str_eq(keystore_next(store, "a/")->name, "a0");
		cr_assert_eq(keys_open(), 0);
	}
}

Test(keystore, gives_every_object_an_id_of_its_own)
{
	open_empty();
	cr_assert_eq(keys_add("a", 1), 0);
	cr_assert_eq(keys_add("b", 2), 0);
	cr_assert_geq(keystore_by_name(store, "b")->id,
		keystore_by_name(store, "a")->id + KEYFILE_OBJECTS_MAX);
}

Test(keystore, knows_who_may_use_a_key_of_a_purpose)
{
	open_empty();
	cr_assert_eq(keys_add("a", 1), 0);
	cr_assert(keystore_any_allowed(
		store, &(struct peer){ .uid = 1 }, TPMPSK_PURPOSE_TLS12_SESSION));
	cr_assert_not(keystore_any_allowed(
		store, &(struct peer){ .uid = 2 }, TPMPSK_PURPOSE_TLS12_SESSION));
	cr_assert_not(keystore_any_allowed(
		store, &(struct peer){ .uid = 1 }, TPMPSK_PURPOSE_TLS12_SESSION + 1));
}

/* Reloading */

Test(keystore, reloads_what_was_changed_by_hand)
{
	struct key *same, *edited, *replaced, *gone;
	uint64_t old_id;

	open_empty();
	cr_assert_eq(keys_add("same", 1), 0);
	cr_assert_eq(keys_add("edited", 2), 0);
	cr_assert_eq(keys_add("replaced", 3), 0);
	cr_assert_eq(keys_add("gone", 4), 0);
	same = keystore_by_name(store, "same");
	same->derivations = 5;
	edited = keystore_by_name(store, "edited");
	replaced = key_ref(keystore_by_name(store, "replaced"));
	gone = key_ref(keystore_by_name(store, "gone"));
	old_id = replaced->id;
	keys_put("edited.json",
		"{ \"identity\": \"id-2\", \"purpose\": \"tls12-session\", \"rate\": 9 }");
	keys_put_pem("replaced.pem", 33);
	unlink(keys_file("gone.json"));
	unlink(keys_file("gone.pem"));
	keys_put_json("fresh.json", 5);
	keys_put_pem("fresh.pem", 5);

	cr_assert_eq(keystore_reload(store, error), 0, "%s", error);
	cr_assert_eq(keystore_count(store), 4);
	cr_assert_eq(keystore_by_name(store, "same"), same);
	cr_assert_eq(same->derivations, 5);
	cr_assert(keys_has("same", 1));
	cr_assert_eq(keystore_by_name(store, "edited"), edited);
	cr_assert_eq(edited->policy.rate, 9);
	cr_assert_eq(edited->policy.n_allow, 0);
	cr_assert_neq(keystore_by_name(store, "replaced"), replaced);
	cr_assert_neq(keystore_by_name(store, "replaced")->id, old_id);
	cr_assert_null(keystore_by_name(store, "gone"));
	cr_assert(keys_has("fresh", 5));
	key_unref(replaced);
	key_unref(gone);
}

Test(keystore, keeps_the_old_state_when_a_file_is_bad)
{
	uint64_t generation;
	struct key *a;

	open_empty();
	cr_assert_eq(keys_add("a", 1), 0);
	a = keystore_by_name(store, "a");
	generation = keystore_generation(store);
	keys_put_json("b.json", 2);
	keys_put_pem("b.pem", 2);
	keys_put("a.json",
		"{ \"identity\": \"id-1\", \"purpose\": \"tls12-session\",\n\"rate\": \"much\" }");
	cr_assert_eq(keystore_reload(store, error), -EBADMSG);
	cr_assert_str_eq(error + strlen(keys_path),
		"/a.json: line 2: field 'rate': must be a whole number from 1 to 1000000");
	cr_assert_eq(keystore_generation(store), generation);
	cr_assert_eq(keystore_count(store), 1);
	cr_assert_eq(keystore_by_name(store, "a"), a);
	cr_assert(keys_has("a", 1));
}

/* Hostile directories */

Test(keystore, names_the_bad_file)
{
	keys_put_json("a.json", 1);
	assert_open_fails(-ENOENT, "/a.pem: is missing");
	keys_put("a.pem", "nothing");
	assert_open_fails(-EBADMSG, "/a.pem: no TSS2 PRIVATE KEY in it");
	keys_put_pem("a.pem", 1);
	keys_put("a.json", "");
	assert_open_fails(-EBADMSG, "/a.json: line 1: ");
	keys_put_json("a.json", 1);
	keys_put_json("b.json", 1);
	keys_put_pem("b.pem", 1);
	assert_open_fails(-EEXIST, "/b.json: identity and purpose are also those of a.json");
}

/* A block that was lost, or one too many, must not make the daemon derive with the wrong object. */
Test(keystore, refuses_a_key_file_with_other_objects_than_its_purpose_has)
{
	static const char json[] =
		"{ \"identity\": \"id-1\", \"purpose\": \"%s\", \"allow\": [\"uid:1\"] }";
	static const struct {
		const char *purpose;
		unsigned objects; /* bit n: a file with n is taken */
	} all[] = { { "tls12-session", 1 << 1 }, { "exporter-mac", 1 << 1 },
		{ "tls12-master", 1 << 1 | 1 << 2 }, { "tls13-schedule", 1 << 2 | 1 << 4 },
		{ "psk-import", 1 << 1 | 1 << 2 } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char text[200];

		snprintf(text, sizeof(text), json, all[i].purpose);
		keys_put("a.json", text);
		for (unsigned n = 1; n <= KEYFILE_OBJECTS_MAX; n++) {
			keys_put_pem_of("a.pem", n);
			if (all[i].objects & 1u << n)
				cr_expect_eq(keys_open(), 0, "%s: %s", all[i].purpose, error);
			else
				assert_open_fails(-EBADMSG, "/a.pem: holds ");
		}
	}
}

Test(keystore, reads_regular_files_of_its_own_only)
{
	char elsewhere[100];

	snprintf(elsewhere, sizeof(elsewhere), "%s/../elsewhere", keys_path);
	keys_put_pem("a.pem", 1);
	keys_put_json("../elsewhere", 1);
	cr_assert_eq(symlink(elsewhere, keys_file("a.json")), 0);
	assert_open_fails(-ELOOP, "/a.json: is a symbolic link");
	unlink(keys_file("a.json"));
	cr_assert_eq(mkfifo(keys_file("a.json"), 0600), 0);
	assert_open_fails(-EINVAL, "/a.json: is not a regular file");
	unlink(keys_file("a.json"));
	cr_assert_eq(mkdir(keys_file("a.json"), 0700), 0);
	assert_open_fails(-EINVAL, "/a.json: is not a regular file");
	rmdir(keys_file("a.json"));
	keys_put_json("a.json", 1);
	cr_assert_eq(chmod(keys_file("a.json"), 0602), 0);
	assert_open_fails(-EPERM, "/a.json: everybody may write to it");
	cr_assert_eq(chmod(keys_file("a.json"), 0600), 0);
	cr_assert_eq(truncate(keys_file("a.json"), POLICY_SIZE_MAX + 1), 0);
	assert_open_fails(-EFBIG, "/a.json: is too long");
	cr_assert_eq(chmod(keys_path, 0777), 0);
	assert_open_fails(-EPERM, "everybody may write to it");
}

Test(keystore, leaves_files_alone_that_are_not_its_own)
{
	static const char *const files[] = { "README", "a b.json", "alone.pem", ".new-a b.json",
		".hidden", "x.json~" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		keys_put(files[i], "not a key");
	open_empty();
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		cr_assert(keys_there(files[i]), "%s", files[i]);
	cr_assert_eq(keys_files(), 6);
	/* Not even a key of that name may overwrite it. */
	cr_assert_eq(keys_add("alone", 1), -EEXIST);
	cr_assert(strstr(error, "/alone.pem: is already there"));
	cr_assert_eq(keys_files(), 6);
}

Test(keystore, takes_a_policy_whose_user_does_not_exist)
{
	keys_put("a.json", "{ \"identity\": \"a\", \"purpose\": \"tls12-session\", \"allow\": "
			   "[\"user:no-such-user-8a6f\"] }");
	keys_put_pem("a.pem", 1);
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_assert_not(
		keystore_any_allowed(store, &(struct peer){ 0 }, TPMPSK_PURPOSE_TLS12_SESSION));
}

Test(keystore, fails_to_open_what_it_may_not_write)
{
	int status;
	pid_t pid;

	cr_assert_eq(chmod(keys_path, 0555), 0);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		_exit(keystore_open(&store, keys_path, error) == -EACCES &&
					strstr(error, "not writable") && strstr(error, keys_path)
				? 0
				: 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(chmod(keys_path, 0700), 0);
}

Test(keystore, remembers_the_name_of_the_primary_key)
{
	struct tpm_name name = { .len = 34, .bytes = { 0x00, 0x0b, 0xff } }, read;

	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_assert_eq(keystore_primary(store, &read, error), 0);
	cr_assert_eq(read.len, 0);
	for (uint8_t i = 0; i < 3; i++) {
		name.bytes[33] = i;
		cr_assert_eq(keystore_set_primary(store, &name, error), 0, "%s", error);
		cr_assert_eq(keys_open(), 0, "%s", error);
		cr_assert_eq(keystore_primary(store, &read, error), 0, "%s", error);
		cr_assert_eq(read.len, 34);
		cr_assert_arr_eq(read.bytes, name.bytes, 34);
		cr_assert_eq(keys_files(), 1);
		cr_assert_eq(keystore_count(store), 0);
	}
}

Test(keystore, takes_nothing_else_for_the_name_of_a_primary_key)
{
	static const char *const bad[] = { "", "\n", "0", "000", "xx", "000b\n\n", "00 0b",
		"000b\n00", "0x000b" };
	struct tpm_name read;
	char text[2 * TPM_NAME_MAX + 4];

	cr_assert_eq(keys_open(), 0, "%s", error);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		keys_put("primary", bad[i]);
		cr_assert_eq(keystore_primary(store, &read, error), -EBADMSG, "%zu", i);
		cr_assert_not_null(strstr(error, "/primary: "), "%s", error);
	}
	memset(text, 'a', sizeof(text));
	text[2 * TPM_NAME_MAX + 2] = '\0';
	keys_put("primary", text);
	cr_assert_lt(keystore_primary(store, &read, error), 0);
	text[2 * TPM_NAME_MAX] = '\0';
	keys_put("primary", text);
	cr_assert_eq(keystore_primary(store, &read, error), 0, "%s", error);
	cr_assert_eq(read.len, TPM_NAME_MAX);
}

Test(keystore, finds_ten_thousand_keys)
{
	char name[32];

	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "k%u.json", i);
		keys_put_json(name, i);
		snprintf(name, sizeof(name), "k%u.pem", i);
		keys_put_pem(name, i);
	}
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_assert_eq(keystore_count(store), 10000);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		cr_assert(keys_has(name, i), "%s", name);
	}
	cr_assert_null(
		keystore_find(store, TPMPSK_PURPOSE_TLS12_SESSION, (const uint8_t *)"id-10000", 8));
}
