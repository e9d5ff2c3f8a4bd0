/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies and key files when there is no memory. The allocator here is the C library's, but for one call that
 * fails: each in turn; or but for an end of its memory. json-c itself may crash for want of memory (as of 0.16), so
 * each try is a process of its own; what must never be is a policy that lacks something.
 */
#include "daemon/policy.h"
#include "keys/keyfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static bool counting;
static unsigned calls, failing;        /* the call that fails, from 1; 0: none */
static size_t used, most = SIZE_MAX, peak; /* bytes */

static size_t size_of(void *p)
{
	return p ? malloc_usable_size(p) : 0;
}

static void take_off(void *p)
{
	if (!counting)
		return;
	if (size_of(p) > used)
		abort(); /* allocated before: the account would be wrong */
	used -= size_of(p);
}

static bool fails(size_t size)
{
	return counting && (++calls == failing || size > most || used > most - size);
}

static void *account(void *p)
{
	if (!counting)
		return p;
	used += size_of(p);
	if (used > peak)
		peak = used;
	return p;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	return fails(size) ? NULL : account(__libc_malloc(size));
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	return fails(n * size) ? NULL : account(__libc_calloc(n, size));
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t size)
{
	if (fails(size))
		return NULL;
	take_off(p);
	return account(__libc_realloc(p, size));
}

__attribute__((visibility("default"))) void free(void *p)
{
	take_off(p);
	__libc_free(p);
}

/* More entries than json-c makes room for at first. */
static const char text[] =
	"{\"identity\": \"Client1\", \"purpose\": \"tls12-session\", \"rate\": 50, \"burst\": 100, "
	"\"allow\": [\"uid:1\", \"uid:2\", \"uid:3\", \"uid:4\", \"uid:5\", \"uid:6\", \"uid:7\", "
	"\"uid:8\", \"uid:9\", \"uid:10\", \"uid:11\", \"uid:12\", \"uid:13\", \"uid:14\", "
	"\"uid:15\", \"uid:16\", \"uid:17\", \"uid:18\", \"uid:19\", \"uid:20\", \"uid:21\", "
	"\"uid:22\", \"uid:23\", \"uid:24\", \"uid:25\", \"uid:26\", \"uid:27\", \"uid:28\", "
	"\"uid:29\", \"uid:30\", \"uid:31\", \"uid:32\", \"uid:33\", \"uid:34\", \"uid:35\"]}";

/* With the n-th allocation failing. */
static int parse(unsigned n, struct policy *ret)
{
	char error[POLICY_ERROR_SIZE];
	int r;

	failing = n;
	calls = 0;
	counting = true;
	r = policy_parse(text, strlen(text), false, ret, error);
	counting = false;
	return r;
}

enum outcome {
	RIGHT,
	WRONG,
	REFUSED,
};

static enum outcome outcome_of(unsigned n)
{
	struct policy p;

	if (parse(n, &p) < 0)
		return REFUSED;
	return p.rate == 50 && p.burst == 100 && p.n_allow == 35 ? RIGHT : WRONG;
}

Test(json_memory, lacking_gives_no_policy_that_lacks_something)
{
	unsigned refused = 0, all;
	struct policy p;

	cr_assert_eq(parse(0, &p), 0);
	all = calls;
	policy_done(&p);
	cr_assert_gt(all, 50);
	for (unsigned n = 1; n <= all; n++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit((int)outcome_of(n));
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_not(
			WIFEXITED(status) && WEXITSTATUS(status) == WRONG, "allocation %u", n);
		refused += WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;
	}
	cr_assert_gt(refused, all / 2);
}

/* Memory ends after so many bytes: nothing crashes then. */
static void run_out(enum outcome (*attempt)(void))
{
	unsigned refused = 0, right = 0;
	size_t enough;

	used = peak = 0;
	counting = true;
	cr_assert_eq(attempt(), RIGHT);
	counting = false;
	enough = peak;
	for (size_t n = 0; n < enough + 1024; n += 64) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			enum outcome outcome;

			used = 0;
			most = n;
			counting = true;
			outcome = attempt();
			counting = false;
			_exit((int)outcome);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFEXITED(status), "%zu bytes: signal %d", n, WTERMSIG(status));
		cr_assert_neq(WEXITSTATUS(status), WRONG, "%zu bytes", n);
		refused += WEXITSTATUS(status) == REFUSED;
		right += WEXITSTATUS(status) == RIGHT;
	}
	cr_assert_gt(refused, 0);
	cr_assert_gt(right, 0);
}

static enum outcome read_policy(void)
{
	char error[POLICY_ERROR_SIZE];
	struct policy p;

	if (policy_parse(text, strlen(text), false, &p, error) < 0)
		return REFUSED;
	return p.rate == 50 && p.burst == 100 && p.n_allow == 35 ? RIGHT : WRONG;
}

static enum outcome write_and_read_key(void)
{
	static const uint8_t pub[100] = { 0, 98 }, priv[100] = { 0, 98 };
	struct keyfile kf = { 0 }, again = { 0 };
	const char *why;
	char *pem;
	size_t len;

	if (keyfile_add(&kf, 0x40000001, pub, sizeof(pub), priv, sizeof(priv)) < 0 ||
		keyfile_encode(&kf, &pem, &len) < 0)
		return REFUSED;
	if (keyfile_decode(pem, len, &again, &why) < 0)
		return REFUSED;
	return again.n_objects == 1 && again.objects[0].parent == 0x40000001 &&
			       again.objects[0].pub_len == sizeof(pub) &&
			       memcmp(again.objects[0].pub, pub, sizeof(pub)) == 0 &&
			       again.objects[0].priv_len == sizeof(priv) &&
			       memcmp(again.objects[0].priv, priv, sizeof(priv)) == 0
		       ? RIGHT
		       : WRONG;
}

Test(json_memory, that_runs_out_while_a_policy_is_read_crashes_nothing)
{
	run_out(read_policy);
}

Test(json_memory, that_runs_out_while_a_key_file_is_written_and_read_crashes_nothing)
{
	run_out(write_and_read_key);
}
