/* SPDX-License-Identifier: BSD-2-Clause */
/* A TPM that is killed and comes back again and again while eight clients go on asking. */
#include "tests/hostile/measure.h"
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include "client-lib/tpmpsk.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 8
#define RESUME_MS 2000
#define MEMORY_KIB 512 /* that may come and go without anything being lost */

static struct scene scene;
static const uint8_t secret[32] = "a secret of thirty-two bytes ...";

static struct tally {
	_Atomic unsigned open, right, unavailable, other, wrong, longest_ms;
	_Atomic bool stop;
} *tally;

static void import(const char *name)
{
	char file[256];
	FILE *f;

	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret), f), sizeof(secret));
	fclose(f);
	cr_assert_eq(scene_psk_ok(&scene, "key", "import", name, "--identity", name, "--purpose",
			     "tls12-session", "--allow", "uid:0", "--secret-file", file, NULL),
		0);
}

static void set_up(void)
{
	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .config = "{\"audit\":\"off\"}" }), 0);
	import("a");
	import("b");
	tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(tally, MAP_FAILED);
}

static void tear_down(void)
{
	scene_done(&scene);
	munmap(tally, sizeof(*tally));
}

TestSuite(storm, .init = set_up, .fini = tear_down, .timeout = 600);

static int ask(struct tpmpsk *handle, uint64_t seed)
{
	struct tpmpsk_derive q;
	uint8_t want[32], got[TPMPSK_PSK_SIZE];
	int r;

	raw_derive(&q, seed % 2 ? "a" : "b", seed);
	r = tpmpsk_tls12_session(handle, q.identity, q.identity_len, q.tls12_session.client_random,
		q.tls12_session.server_random, TPMPSK_RANDOM_SIZE, got);
	if (r < 0)
		return r;
	raw_expected(&q, secret, sizeof(secret), want);
	return memcmp(want, got, sizeof(want)) == 0 ? 0 : 1;
}

/* In a child. */
static void client(unsigned id)
{
	struct tpmpsk *handle;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (tpmpsk_open(&handle, scene.socket) < 0)
		_exit(3);
	tally->open++;
	for (uint64_t seed = (uint64_t)id << 32; !tally->stop; seed++) {
		long long before = command_now_ms();
		int r = ask(handle, seed);
		unsigned ms = (unsigned)(command_now_ms() - before);

		if (r == 0)
			tally->right++;
		else if (r == TPMPSK_ERR_TPM_UNAVAILABLE)
			tally->unavailable++;
		else if (r > 0)
			tally->wrong++;
		else
			tally->other++;
		if (ms > tally->longest_ms)
			tally->longest_ms = ms;
		if (r != 0)
			usleep(1000); /* there is no TPM: do not spin */
	}
	tpmpsk_close(handle);
	_exit(0);
}

/* Both keys are loaded, and nothing else is. */
static void settle(void)
{
	struct tpmpsk *handle;

	cr_assert_eq(tpmpsk_open(&handle, scene.socket), 0);
	for (uint64_t seed = 0; seed < 4; seed++)
		cr_assert_eq(ask(handle, seed), 0);
	tpmpsk_close(handle);
}

static unsigned kill_and_start(unsigned round)
{
	long long since;
	unsigned right;

	usleep(1000 * randombytes_uniform(30));
	swtpm_kill(&scene.tpm);
	usleep(1000 * randombytes_uniform(30));
	cr_assert_eq(swtpm_start(&scene.tpm), 0);
	since = command_now_ms();
	right = tally->right;
	while (tally->right < right + CLIENTS) {
		cr_assert_lt(command_now_ms() - since, patience(RESUME_MS), "round %u: no service", round);
		usleep(500);
	}
	return (unsigned)(command_now_ms() - since);
}

static void start_clients(pid_t pids[CLIENTS])
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			client(i);
	}
	while (tally->open < CLIENTS)
		sched_yield();
}

static void stop_clients(const pid_t pids[CLIENTS])
{
	int status;

	tally->stop = true;
	for (unsigned i = 0; i < CLIENTS; i++) {
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert_eq(status, 0);
	}
}

Test(storm, of_restarts_costs_nobody_a_wrong_answer_or_a_deadline)
{
	pid_t pids[CLIENTS], daemon = command_pid(scene.daemon);
	unsigned n = rounds(8), longest = 0;
	int objects, sessions, descriptors;
	long memory;

	settle();
	objects = handles_in(scene.tpm.tcti, 0x80);
	sessions = handles_in(scene.tpm.tcti, 0x02);
	descriptors = idle_descriptors_of(daemon);
	cr_assert_geq(objects, 2);
	cr_assert_eq(sessions, 1);
	start_clients(pids);
	/* The first one is not counted: what it takes is taken once. */
	kill_and_start(0);
	memory = memory_of(daemon);
	for (unsigned i = 1; i <= n; i++) {
		unsigned ms = kill_and_start(i);

		longest = ms > longest ? ms : longest;
	}
	stop_clients(pids);
	settle();
	printf("# %u restarts: %u right, %u tpm-unavailable, resumed within %u ms, longest call "
	       "%u ms, memory %ld to %ld KiB\n",
		n, tally->right, tally->unavailable, longest, tally->longest_ms, memory,
		memory_of(daemon));
	cr_assert_eq(tally->wrong, 0);
	cr_assert_eq(tally->other, 0, "%u ended neither right nor with tpm-unavailable",
		tally->other);
	cr_assert_lt(tally->longest_ms, patience(TPMPSK_DEADLINE_DEFAULT_MS));
	cr_assert_eq(handles_in(scene.tpm.tcti, 0x80), objects);
	cr_assert_eq(handles_in(scene.tpm.tcti, 0x02), sessions);
	cr_assert_eq(idle_descriptors_of(daemon), descriptors);
	cr_assert_leq(memory_of(daemon), memory + MEMORY_KIB);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}
