/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a crash, a kill or a full disk leaves of a change. Three ways: the states between the steps made by hand, a child killed
 * before each of its system calls, and a disk with room for part of it.
 */
#include "daemon/keystore.h"

#include "tests/daemon/keys_on_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(keystore_crash, .init = keys_setup, .fini = keys_teardown, .timeout = 120);

/* Files as they lie there: "json" or "pem" content by the name's end. */
static void put_all(const char *const *files)
{
	for (; *files; files++) {
		if (strstr(*files, ".pem"))
			keys_put_pem(*files, 1);
		else
			keys_put_json(*files, 1);
	}
}

Test(keystore_crash, any_state_between_two_steps_is_the_old_or_the_new)
{
	static const struct {
		const char *files[5];
		bool has_key;
		size_t left;
	} states[] = {
		/* add */
		{ { ".new-a.pem" }, false, 0 },
		{ { ".new-a.pem", ".new-a.json" }, false, 0 },
		{ { "a.pem", ".new-a.json" }, true, 2 },
		{ { "a.pem", "a.json" }, true, 2 },
		{ { ".new-a.json" }, false, 0 },
		/* policy */
		{ { "a.pem", "a.json", ".policy-a.json" }, true, 2 },
		/* remove */
		{ { "a.pem", ".removed-a.json" }, false, 0 },
		{ { ".removed-a.json" }, false, 0 },
		/* remove, of which the last step failed, and another add */
		{ { "a.pem", "a.json", ".removed-a.json" }, true, 2 },
		{ { ".removed-a.json", ".new-a.pem", ".new-a.json" }, false, 0 },
		{ { ".removed-a.json", "a.pem", ".new-a.json" }, false, 0 },
		/* leftovers beside a whole key, or beside a file that is somebody else's */
		{ { "a.pem", "a.json", ".new-a.pem", ".new-a.json" }, true, 2 },
		{ { "a.pem", ".new-a.pem", ".new-a.json" }, false, 1 },
		{ { "a.pem", ".new-a.pem" }, false, 1 },
		{ { ".probe" }, false, 0 },
		{ { ".new-primary" }, false, 0 },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		put_all(states[i].files);
		cr_assert_eq(keys_open(), 0, "%zu: %s", i, error);
		cr_assert_eq(keys_has("a", 1), states[i].has_key, "%zu", i);
		cr_assert_eq(keys_files(), states[i].left, "%zu: %zu files", i, keys_files());
		keys_close();
		unlink(keys_file("a.pem"));
		unlink(keys_file("a.json"));
	}
}

Test(keystore_crash, leftovers_of_one_key_are_not_taken_for_anothers)
{
	/* The names of a key "a.json" begin like those of "a". */
	static const char *const files[] = { "a.json.pem", ".new-a.json.json", "a.json", "a.pem",
		NULL };

	put_all(files);
	keys_put_json(".new-a.json.json", 2);
	keys_put_pem("a.json.pem", 2);
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_assert(keys_has("a", 1));
	cr_assert(keys_has("a.json", 2));
	cr_assert_eq(keys_files(), 4);
}

static void change_add(void)
{
	struct policy policy;
	struct keyfile file;

	keys_make(1, &policy, &file);
	if (keystore_add(store, "a", &policy, &file, error) < 0)
		_exit(1);
}

static void change_policy(void)
{
	struct policy policy, old;
	struct keyfile file;

	keys_make(1, &old, &file);
	if (policy_with(&old, "[\"uid:2\"]", true, &policy, error) < 0 ||
		keystore_set_policy(store, keystore_by_name(store, "a"), &policy, error) < 0)
		_exit(1);
}

static void change_remove(void)
{
	if (keystore_remove(store, keystore_by_name(store, "a"), error) < 0)
		_exit(1);
}

static void child(void (*change)(void))
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(2);
	if (keystore_open(&store, keys_path, error) < 0)
		_exit(3);
	raise(SIGSTOP);
	change();
	_exit(0);
}

/* Lets a child make a change up to its system call number n, and kills it. False: it came to its end. */
static bool kill_at(void (*change)(void), unsigned n)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		child(change);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		cr_skip_test("ptrace is not permitted here");
	cr_assert(WIFSTOPPED(status), "%x", (unsigned)status);
	/* Every system call stops twice, before it and behind it. */
	for (unsigned i = 0; i < 2 * n - 1; i++) {
		cr_assert_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			cr_assert_eq(WEXITSTATUS(status), 0);
			return false;
		}
	}
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return true;
}

/* Opens after a kill: key "a" is whole or gone, key "other" untouched, and there is no file besides. */
static bool opens_clean(void)
{
	bool there;

	cr_assert_eq(keys_open(), 0, "%s", error);
	there = keystore_by_name(store, "a");
	cr_assert(keys_has("other", 7));
	cr_assert_eq(keystore_count(store), there ? 2 : 1);
	cr_assert_eq(keys_files(), there ? 4 : 2);
	return there;
}

static void open_with_other(void)
{
	cr_assert_eq(keys_open(), 0, "%s", error);
	cr_assert_eq(keys_add("other", 7), 0, "%s", error);
	keys_close();
}

Test(keystore_crash, an_add_may_be_killed_at_any_system_call)
{
	unsigned n = 1, added = 0;

	open_with_other();
	for (; kill_at(change_add, n); n++) {
		if (opens_clean()) {
			added++;
			cr_assert(keys_has("a", 1));
			cr_assert_eq(
				keystore_remove(store, keystore_by_name(store, "a"), error), 0);
		}
		keys_close();
	}
	cr_assert(opens_clean());
	/* It was tried on both sides of the step that counts. */
	cr_assert_gt(n, 10);
	cr_assert_gt(added, 0);
	cr_assert_lt(added, n - 5);
}

Test(keystore_crash, a_change_of_a_policy_may_be_killed_at_any_system_call)
{
	unsigned n = 1, changed = 0;

	open_with_other();
	keys_put_json("a.json", 1);
	keys_put_pem("a.pem", 1);
	for (; kill_at(change_policy, n); n++) {
		cr_assert(opens_clean());
		if (keystore_by_name(store, "a")->policy.n_allow == 2)
			changed++;
		else
			cr_assert(keys_has("a", 1));
		keys_close();
		keys_put_json("a.json", 1);
	}
	cr_assert(opens_clean());
	cr_assert_eq(keystore_by_name(store, "a")->policy.n_allow, 2);
	cr_assert_gt(n, 5);
	cr_assert_gt(changed, 0);
	cr_assert_lt(changed, n - 3);
}

Test(keystore_crash, a_removal_may_be_killed_at_any_system_call)
{
	unsigned n = 1, removed = 0;

	open_with_other();
	keys_put_json("a.json", 1);
	keys_put_pem("a.pem", 1);
	for (; kill_at(change_remove, n); n++) {
		if (!opens_clean()) {
			removed++;
			cr_assert_eq(keys_add("a", 1), 0, "%s", error);
		}
		cr_assert(keys_has("a", 1));
		keys_close();
	}
	cr_assert_not(opens_clean());
	cr_assert_gt(n, 4);
	cr_assert_gt(removed, 0);
	cr_assert_lt(removed, n - 1);
}

/* A small disk of the test's own; the whole process moves to a view of the file system in which it is mounted. */
static void mount_disk(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		cr_skip_test("mounting is not permitted here");
	/* EINVAL: the root is a chroot's and no mount point */
	cr_assert(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL);
	cr_assert_eq(mount("keys", keys_path, "tmpfs", 0, "size=64k,mode=700"), 0);
}

static void unmount_disk(void)
{
	keys_close();
	cr_assert_eq(umount2(keys_path, MNT_DETACH), 0);
}

/* Fills the disk up to so many free pages. */
static void fill_disk(size_t free_pages)
{
	static char page[4096];
	size_t pages = 0;
	int fd = open(keys_file("filler"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	while (write(fd, page, sizeof(page)) == sizeof(page))
		pages++;
	cr_assert_eq(errno, ENOSPC);
	cr_assert_geq(pages, free_pages);
	cr_assert_eq(ftruncate(fd, (off_t)((pages - free_pages) * sizeof(page))), 0);
	close(fd);
}

Test(keystore_crash, a_full_disk_leaves_nothing_behind_and_is_told)
{
	struct policy p;
	struct key *k;

	mount_disk();
	open_with_other();
	for (size_t free_pages = 0; free_pages < 2; free_pages++) {
		fill_disk(free_pages);
		/* Keys can be used all the same. */
		cr_assert_eq(keys_open(), 0, "%s", error);
		cr_assert(keys_has("other", 7));
		cr_assert_eq(keys_add("a", 1), -ENOSPC, "%s", error);
		cr_assert(strstr(error, "the disk is full"), "%s", error);
		cr_assert_eq(keystore_count(store), 1);
		cr_assert_eq(keys_files(), 3);
	}
	fill_disk(0);
	k = keystore_by_name(store, "other");
	cr_assert_eq(policy_with(&k->policy, "[\"uid:9\"]", true, &p, error), 0);
	cr_assert_eq(keystore_set_policy(store, k, &p, error), -ENOSPC);
	policy_done(&p);
	cr_assert_eq(keys_files(), 3);
	cr_assert(keys_has("other", 7));
	/* Removing needs no room. */
	cr_assert_eq(keystore_remove(store, k, error), 0, "%s", error);
	cr_assert_eq(keys_files(), 1);
	fill_disk(2);
	cr_assert_eq(keys_add("a", 1), 0, "%s", error);
	unmount_disk();
}

Test(keystore_crash, a_read_only_disk_is_told_at_the_start)
{
	mount_disk();
	cr_assert_eq(mount(NULL, keys_path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	cr_assert_eq(keys_open(), -EROFS);
	cr_assert(strstr(error, "not writable"), "%s", error);
	unmount_disk();
}
