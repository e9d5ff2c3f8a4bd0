/* SPDX-License-Identifier: BSD-2-Clause */
/* One user who opens ten thousand connections. */
#include "tests/hostile/measure.h"
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER 20002
#define ATTEMPTS 10000
#define PATIENCE_MS 5000 /* for one answer, on a machine that is busy with the swarm as well */
#define MEMORY_KIB 512

static struct scene scene;
static const uint8_t secret[32] = "a secret of thirty-two bytes ...";

static struct tally {
	_Atomic unsigned attempts, open;
	_Atomic bool leave;
} *tally;

static void set_up(void)
{
	char file[256];
	FILE *f;

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .config = "{\"audit\":\"off\"}" }), 0);
	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret), f), sizeof(secret));
	fclose(f);
	cr_assert_eq(scene_psk_ok(&scene, "key", "import", "a", "--identity", "a", "--purpose",
			     "tls12-session", "--allow", "uid:0", "--secret-file", file, NULL),
		0);
	tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(tally, MAP_FAILED);
}

static void tear_down(void)
{
	scene_done(&scene);
	munmap(tally, sizeof(*tally));
}

TestSuite(swarm, .init = set_up, .fini = tear_down, .timeout = 300);

/* In a child: holds on to every connection, refused or not, until it is told to leave. */
static void swarm(void)
{
	const struct rlimit limit = { ATTEMPTS + 100, ATTEMPTS + 100 };

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(2);
	raw_become(STRANGER, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* behind the change of user, which takes it back */
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		if (raw_connect(scene.socket) >= 0)
			tally->open++;
		tally->attempts++;
	}
	while (!tally->leave)
		usleep(1000);
	_exit(0);
}

/* Somebody else, over a new connection each time. */
static void is_served(void)
{
	long long before = command_now_ms();
	int fd = raw_connect(scene.socket);

	cr_assert_geq(fd, 0);
	cr_assert_eq(raw_ask(fd, "a", 1), TPMPSK_STATUS_OK);
	close(fd);
	cr_assert_lt(command_now_ms() - before, patience(PATIENCE_MS));
}

static void come_and_go(int descriptors)
{
	long long until;
	unsigned served = 0;
	pid_t pid;
	int status;

	*tally = (struct tally){ 0 };
	pid = fork();
	if (pid == 0)
		swarm();
	while (tally->attempts < ATTEMPTS && waitpid(pid, &status, WNOHANG) == 0) {
		is_served();
		served++;
	}
	cr_assert_eq(tally->attempts, ATTEMPTS);
	cr_assert_eq(tally->open, ATTEMPTS);
	cr_assert_gt(served, 0);
	is_served();
	/* No more are held than one user may have, once the daemon is through with those it accepts and turns away. */
	cr_assert_leq(idle_descriptors_of(command_pid(scene.daemon)), descriptors + 256);
	tally->leave = true;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	until = command_now_ms() + patience(COMMAND_DEADLINE_MS);
	while (descriptors_of(command_pid(scene.daemon)) != descriptors) {
		cr_assert_lt(command_now_ms(), until);
		usleep(1000);
	}
	is_served();
}

Test(swarm, of_one_user_keeps_nobody_out_and_leaves_nothing_behind)
{
	pid_t daemon = command_pid(scene.daemon);
	int descriptors;
	long before, memory;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	is_served();
	descriptors = idle_descriptors_of(daemon);
	before = memory_of(daemon);
	come_and_go(descriptors);
	memory = memory_of(daemon);
	for (unsigned i = 0; i < rounds(2); i++)
		come_and_go(descriptors);
	printf("# memory %ld KiB, after one swarm %ld, after %u more %ld\n", before, memory,
		rounds(2), memory_of(daemon));
	cr_assert_leq(memory, before + MEMORY_KIB);
	cr_assert_leq(memory_of(daemon), memory + MEMORY_KIB);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}
