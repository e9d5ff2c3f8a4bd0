/* SPDX-License-Identifier: BSD-2-Clause */
/* Many processes of several users, more keys than the TPM holds, and a daemon that is killed in between. */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include "client-lib/tpmpsk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define KEYS 60
#define GROUP 30001

static struct scene scene;
static struct tempdir
	own; /* for the TCTI's counters, which the daemon needs before its own directory is there */
static struct tcti_test *tcti;

static void secret_of(unsigned key, uint8_t secret[32])
{
	crypto_hash_sha256(secret, (const uint8_t *)&key, sizeof(key));
}

static void import(unsigned key)
{
	char name[32], identity[32], file[256];
	uint8_t secret[32];
	FILE *f;

	secret_of(key, secret);
	snprintf(name, sizeof(name), "key%u", key);
	snprintf(identity, sizeof(identity), "Client%u", key);
	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret), f), sizeof(secret));
	fclose(f);
	cr_assert_eq(scene_psk_ok(&scene, "key", "import", name, "--identity", identity,
			     "--purpose", "tls12-session", "--allow", "uid:0", "uid:20001",
			     "uid:20002", "gid:30001", "--secret-file", file, NULL),
		0);
}

static void start(unsigned keys)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	cr_assert_eq(scene_init(&scene, &(struct scene_options){ .tcti = name,
						.config = "{\"audit\":\"off\"}" }),
		0);
	for (unsigned i = 0; i < keys; i++)
		import(i);
}

static void teardown(void)
{
	scene_done(&scene);
	watch_done(&own, tcti);
}

TestSuite(crowd, .fini = teardown, .timeout = 300);

/* 0: right; 1: an honest error; 2: wrong. */
static int ask(struct tpmpsk *handle, unsigned key, uint64_t seed, int *ret_error)
{
	struct tpmpsk_derive q;
	uint8_t secret[32], want[32], got[TPMPSK_PSK_SIZE];
	char identity[32];

	snprintf(identity, sizeof(identity), "Client%u", key);
	raw_derive(&q, identity, seed);
	*ret_error = tpmpsk_tls12_session(handle, q.identity, q.identity_len,
		q.tls12_session.client_random, q.tls12_session.server_random, TPMPSK_RANDOM_SIZE,
		got);
	if (*ret_error < 0)
		return 1;
	secret_of(key, secret);
	raw_expected(&q, secret, sizeof(secret), want);
	return memcmp(want, got, sizeof(want)) == 0 ? 0 : 2;
}

/* In a child: count derivations over keys chosen at random; its exit status is 0 when all are right. */
static void worker(unsigned id, unsigned uid, unsigned group, unsigned count, unsigned keys)
{
	struct tpmpsk *handle;
	int error;

	if (uid)
		raw_become(uid, group);
	if (tpmpsk_open(&handle, scene.socket) < 0)
		_exit(3);
	for (unsigned i = 0; i < count; i++) {
		int r = ask(handle, randombytes_uniform(keys), (uint64_t)id << 32 | i, &error);

		if (r != 0)
			_exit(r);
	}
	tpmpsk_close(handle);
	_exit(0);
}

static void run_workers(unsigned n, unsigned count, unsigned keys)
{
	static const unsigned uids[3] = { 0, 20001,
		20003 }; /* the last one is allowed by its group alone */
	pid_t pids[16];
	int status;

	for (unsigned i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			worker(i, uids[i % 3], uids[i % 3] == 20003 ? GROUP : 0, count, keys);
	}
	for (unsigned i = 0; i < n; i++) {
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "worker %u: status %x", i,
			status);
	}
}

/* Both keys stay loaded, so that each derivation is one TPM command and nothing else is sent. */
Test(crowd, of_eight_processes_of_three_users_gets_right_answers_at_one_command_each)
{
	uint64_t hmacs, all;

	start(2);
	run_workers(1, 20, 2);
	hmacs = tcti_test_count(tcti, TPM2_CC_HMAC);
	all = tcti_test_count(tcti, 0);
	run_workers(8, 300, 2);
	cr_assert_eq(tcti_test_count(tcti, TPM2_CC_HMAC) - hmacs, 8 * 300);
	cr_assert_eq(tcti_test_count(tcti, 0) - all, 8 * 300);
}

Test(crowd, uses_sixty_keys_in_random_order)
{
	struct command_result result;

	start(KEYS);
	run_workers(4, 250, KEYS);
	cr_assert_eq(scene_stop(&scene, &result), 0);
	cr_assert_eq(result.status, 0);
	cr_assert_null(strstr(result.err, "0x902"));
	cr_assert_null(strstr(result.err, "902"), "%s", result.err);
	command_result_done(&result);
}

struct tally {
	unsigned open, right, honest, wrong, late;
	bool stop;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* In a child: asks until told to stop, through one handle that has to reconnect by itself. */
static void persistent(struct tally *tally, unsigned id)
{
	struct tpmpsk *handle;
	uint64_t seed = (uint64_t)id << 32;

	if (tpmpsk_open(&handle, scene.socket) < 0)
		_exit(3);
	__atomic_add_fetch(&tally->open, 1, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&tally->stop, __ATOMIC_RELAXED)) {
		const struct timespec pause = { .tv_nsec = 1000000 };
		uint64_t before = now_ms();
		int error, r = ask(handle, (unsigned)(seed % 2), seed, &error);

		seed++;
		__atomic_add_fetch(r == 0   ? &tally->right
				   : r == 1 ? &tally->honest
					    : &tally->wrong,
			1, __ATOMIC_RELAXED);
		if (now_ms() - before > TPMPSK_DEADLINE_DEFAULT_MS + 1000)
			__atomic_add_fetch(&tally->late, 1, __ATOMIC_RELAXED);
		if (r == 1)
			nanosleep(&pause, NULL); /* nobody listens: do not spin */
	}
	tpmpsk_close(handle);
	_exit(0);
}

Test(crowd, outlives_a_daemon_that_is_killed_twenty_times)
{
	struct tally *tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[3];
	int status;

	start(2);
	for (unsigned i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			persistent(tally, i);
	}
	while (__atomic_load_n(&tally->open, __ATOMIC_RELAXED) < 3)
		sched_yield();
	for (int round = 0; round < 20; round++) {
		unsigned right = __atomic_load_n(&tally->right, __ATOMIC_RELAXED);
		uint64_t since;

		scene_kill(&scene);
		since = now_ms();
		cr_assert_eq(scene_start(&scene), 0);
		while (__atomic_load_n(&tally->right, __ATOMIC_RELAXED) < right + 20) {
			const struct timespec tick = { .tv_nsec = 1000000 };

			cr_assert_lt(now_ms() - since, 10000, "round %d: no service", round);
			nanosleep(&tick, NULL);
		}
	}
	__atomic_store_n(&tally->stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert_eq(status, 0);
	}
	cr_assert_eq(tally->wrong, 0);
	cr_assert_eq(tally->late, 0);
	munmap(tally, sizeof(*tally));
}
