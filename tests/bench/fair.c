/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fair - what a user who asks now and then gets while another floods the daemon over 64 connections,
 * on a TPM with a chip's latency. Needs root, to be two users.
 */
#include "client-lib/tpmpsk.h"
#include "tests/bench/crew.h"
#include "tests/bench/pipeline.h"
#include "tests/bench/raw.h"
#include "tests/bench/slow.h"
#include "tests/bench/through.h"
#include "tests/swtpm/scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_US 8000
#define PERIOD_NS UINT64_C(50000000) /* between two questions of the one who is measured */
#define CALM 61001                   /* the users */
#define FLOOD 61002
#define FLOOD_CONNECTIONS 64
#define FLOOD_DEPTH 2 /* requests under way on each; more would only be told `busy` */
#define FLOOD_REQUESTS 100000

struct how {
	unsigned flood_keys;
};

static void sleep_until(uint64_t ns)
{
	const struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		continue;
}

static int ask_calmly(struct crew_worker *w)
{
	const struct scene *scene = w->context;
	struct tpmpsk *handle;
	uint8_t psk[TPMPSK_PSK_SIZE];
	uint64_t due;
	int r;

	if (setgid(CALM) < 0 || setuid(CALM) < 0)
		return -errno;
	r = tpmpsk_open(&handle, scene->socket);
	crew_ready(w);
	due = bench_now_ns();
	for (size_t i = 0; r == 0 && i < w->n; i++) {
		uint8_t random[32] = { (uint8_t)i };
		uint64_t start;

		sleep_until(due);
		due += PERIOD_NS;
		start = bench_now_ns();
		r = tpmpsk_tls12_session(handle, "calm", 4, random, random, sizeof(random), psk);
		w->ns[i] = bench_now_ns() - start;
	}
	if (r < 0)
		fprintf(stderr, "derive: %s\n", tpmpsk_strerror(r));
	tpmpsk_close(handle);
	return r < 0 ? -EIO : 0;
}

static void ask_flood(void *context, size_t number, struct tpmpsk_derive *ret)
{
	const struct how *how = context;

	*ret = (struct tpmpsk_derive){ .purpose = TPMPSK_PURPOSE_TLS12_SESSION };
	ret->identity_len = (uint8_t)snprintf(
		(char *)ret->identity, sizeof(ret->identity), "flood%zu", number % how->flood_keys);
	ret->tls12_session.random_len = 32;
	memcpy(ret->tls12_session.client_random, &number, sizeof(number));
}

static bool check_flood(void *context, size_t number, const struct tpmpsk_derived *answer)
{
	(void)context;
	(void)number;
	return answer->secret_len == TPMPSK_PSK_SIZE;
}

__attribute__((noreturn)) static void flood(const struct scene *scene, const struct how *how)
{
	const struct pipeline_calls calls = { ask_flood, check_flood, (void *)how };
	uint64_t *ns = calloc(FLOOD_REQUESTS, sizeof(*ns)), total;
	struct pipeline p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!ns || setgid(FLOOD) < 0 || setuid(FLOOD) < 0)
		_exit(1);
	if (pipeline_init(&p, scene->socket, FLOOD_CONNECTIONS, FLOOD_DEPTH) == 0 &&
		pipeline_run(&p, &calls, 0, FLOOD_REQUESTS, ns, &total) == 0)
		fprintf(stderr, "the flood was over too early\n");
	_exit(1);
}

/* Until the flood has had the TPM for a while. */
static int wait_for_flood(pid_t pid, const struct slow *slow)
{
	uint64_t before = tcti_test_count(slow->shared, 0);
	long long until = command_now_ms() + COMMAND_DEADLINE_MS;

	while (tcti_test_count(slow->shared, 0) < before + 50) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return -EPIPE;
		if (command_now_ms() > until)
			return -ETIMEDOUT;
		sleep_until(bench_now_ns() + 1000000);
	}
	return 0;
}

static int make_keys(struct scene *scene, unsigned flood_keys)
{
	char name[32], user[32];
	int r;

	snprintf(user, sizeof(user), "uid:%d", CALM);
	r = scene_psk_ok(scene, "key", "generate", "calm", "--identity", "calm", "--purpose",
		"tls12-session", "--allow", user, NULL);
	snprintf(user, sizeof(user), "uid:%d", FLOOD);
	for (unsigned i = 0; r == 0 && i < flood_keys; i++) {
		snprintf(name, sizeof(name), "flood%u", i);
		r = scene_psk_ok(scene, "key", "generate", name, "--identity", name, "--purpose",
			"tls12-session", "--allow", user, NULL);
	}
	return r == 0 ? 0 : -EIO;
}

static int measure_scene(struct scene *scene, struct slow *slow, const struct how *how, size_t n,
	struct bench_result *ret)
{
	pid_t pid;
	int r;

	r = make_keys(scene, how->flood_keys);
	if (r < 0)
		return r;
	slow_set(slow, COMMAND_US);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		flood(scene, how);
	r = wait_for_flood(pid, slow);
	if (r == -EPIPE)
		return r; /* and it is reaped */
	if (r == 0)
		r = crew_run(1, n, ask_calmly, scene, ret);
	/* One that has ended by itself was no flood. */
	if (waitpid(pid, NULL, WNOHANG) == pid)
		return r < 0 ? r : -EIO;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r;
}

static int measure(const void *context, size_t n, struct bench_result *ret)
{
	struct slow slow;
	struct scene scene;
	int r;

	if (getuid() != 0)
		return -EOPNOTSUPP;
	r = slow_init(&slow);
	if (r < 0)
		return r;
	r = scene_init(&scene,
		&(struct scene_options){ .config = "{\"audit\":\"off\"}", .tcti = slow.tcti });
	if (r == 0) {
		r = measure_scene(&scene, &slow, context, n, ret);
		slow_set(&slow, 0);
		scene_done(&scene);
	}
	slow_done(&slow);
	return r;
}

static int measure_command(const void *context, size_t n, struct bench_result *ret)
{
	struct slow_tpm tpm;
	int r;

	(void)context;
	r = slow_tpm_init(&tpm);
	slow_set(&tpm.slow, COMMAND_US);
	if (r == 0)
		r = raw_run(&(struct raw_options){ .tcti = tpm.tcti,
				    .session = true,
				    .cure = true,
				    .n = n,
				    .in_len = THROUGH_INPUT_SIZE },
			ret);
	slow_tpm_done(&tpm);
	return r;
}

enum {
	COMMAND,
	LOADED,
	NOT_LOADED,
	N_ROWS,
};

static const struct bench_row rows[N_ROWS] = {
	[COMMAND] = { .name = "one TPM command, 8 ms", .measure = measure_command },
	[LOADED] = { .name = "every 50 ms, another floods on a loaded key",
		.measure = measure,
		.how = &(const struct how){ 1 },
		.base = &rows[COMMAND],
		.p99_max = 3 },
	[NOT_LOADED] = { .name = "every 50 ms, another floods on 64 keys",
		.measure = measure,
		.how = &(const struct how){ 64 },
		.base = &rows[COMMAND],
		.p99_max = 6 },
};

int main(int argc, char **argv)
{
	return bench_main(
		&(const struct bench){ .name = "fair",
			.about = "How long one user waits while another floods the daemon; "
				 "as root.",
			.what = "derivations",
			.n = 80,
			.n_rows = N_ROWS,
			.rows = rows },
		argc, argv);
}
