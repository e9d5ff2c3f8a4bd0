/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * derive - what the daemon costs: the raw ESYS loop beside 1 and 8 clients through the daemon, in one run, with password and with
 * encrypted sessions.
 *
 * Each round measures every row once, one after the other, so that a machine whose speed drifts is the same for all of them; a row's
 * figures are the medians over the rounds, and the ratios are taken round by round. Prints a table; --check exits 1 when a ratio is
 * below its target.
 */
#include "client-lib/tpmpsk.h"
#include "tests/bench/raw.h"
#include "tests/swtpm/scene.h"

#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 50
#define CLIENTS_MAX 64
#define INPUT_SIZE 81 /* "pre master secret" and two randoms */

struct row {
	const char *name;
	bool session, cure; /* of the raw loop */
	unsigned clients;   /* 0: the raw loop */
	int base;           /* the row it is compared with, -1 for none */
	double target;      /* at least this ratio; 0: for information */
	double per_second[ROUNDS_MAX], p50[ROUNDS_MAX], p99[ROUNDS_MAX];
};

enum {
	RAW_PASSWORD,
	DAEMON_PASSWORD_1,
	DAEMON_PASSWORD_8,
	RAW_STOCK,
	RAW_CURED,
	DAEMON_ENCRYPTED_1,
	DAEMON_ENCRYPTED_8,
	DAEMON_ENCRYPTED_8_STOCK, /* the same measurement, against stock ESYS */
	N_ROWS,
};

static struct row rows[N_ROWS] = {
	[RAW_PASSWORD] = { .name = "raw ESYS loop, password", .base = -1 },
	[DAEMON_PASSWORD_1] = { .name = "daemon, 1 client, password",
		.clients = 1,
		.base = RAW_PASSWORD },
	[DAEMON_PASSWORD_8] = { .name = "daemon, 8 clients, password",
		.clients = 8,
		.base = RAW_PASSWORD,
		.target = 0.85 },
	[RAW_STOCK] = { .name = "raw ESYS loop, encrypted, stock", .session = true, .base = -1 },
	[RAW_CURED] = { .name = "raw ESYS loop, encrypted, cured",
		.session = true,
		.cure = true,
		.base = RAW_STOCK },
	[DAEMON_ENCRYPTED_1] = { .name = "daemon, 1 client, encrypted",
		.session = true,
		.clients = 1,
		.base = RAW_CURED },
	[DAEMON_ENCRYPTED_8] = { .name = "daemon, 8 clients, encrypted",
		.session = true,
		.clients = 8,
		.base = RAW_CURED,
		.target = 0.85 },
	[DAEMON_ENCRYPTED_8_STOCK] = { .name = "  the same, against stock ESYS",
		.session = true,
		.clients = 8,
		.base = RAW_STOCK,
		.target = 8 },
};

struct shared {
	atomic_uint ready;
	atomic_bool go;
	atomic_uint failed;
	uint64_t ns[]; /* clients * n latencies */
};

static void client(const char *socket, struct shared *shared, uint64_t *ns, size_t n)
{
	uint8_t random[TPMPSK_PSK_SIZE] = { 0 }, psk[TPMPSK_PSK_SIZE];
	struct tpmpsk *handle;

	if (tpmpsk_open(&handle, socket) < 0)
		_exit(1);
	for (size_t i = 0; i < n + n / 10; i++) {
		uint64_t start;

		if (i == n / 10) {
			atomic_fetch_add(&shared->ready, 1);
			while (!atomic_load(&shared->go))
				usleep(100);
		}
		start = raw_now_ns();
		memcpy(random, &i, sizeof(i));
		if (tpmpsk_tls12_session(handle, "bench", 5, random, random, 32, psk) < 0) {
			atomic_fetch_add(&shared->failed, 1);
			atomic_fetch_add(&shared->ready, 1);
			_exit(1);
		}
		if (i >= n / 10)
			ns[i - n / 10] = raw_now_ns() - start;
	}
	tpmpsk_close(handle);
	_exit(0);
}

static int run_clients(const char *socket, unsigned clients, size_t n, struct raw_result *ret)
{
	size_t each = n / clients, total = each * clients,
	       size = sizeof(struct shared) + total * sizeof(uint64_t);
	struct shared *shared =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[CLIENTS_MAX];
	uint64_t start, end;
	int failed;

	if (shared == MAP_FAILED)
		return -1;
	for (unsigned i = 0; i < clients; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			client(socket, shared, shared->ns + i * each, each);
	}
	while (atomic_load(&shared->ready) < clients)
		usleep(1000);
	start = raw_now_ns();
	atomic_store(&shared->go, true);
	for (unsigned i = 0; i < clients; i++)
		waitpid(pids[i], NULL, 0);
	end = raw_now_ns();
	failed = atomic_load(&shared->failed) ? -1 : 0;
	ret->per_second = (double)total * 1e9 / (double)(end - start);
	ret->p50_us = raw_percentile(shared->ns, total, 0.5);
	ret->p99_us = raw_percentile(shared->ns, total, 0.99);
	munmap(shared, size);
	return failed;
}

static int run_daemon(const struct row *row, size_t n, struct raw_result *ret)
{
	const struct scene_options options = {
		.config = row->session ? "{\"audit\":\"off\"}"
				       : "{\"audit\":\"off\",\"encrypt_sessions\":false}",
	};
	struct scene scene;
	int r;

	r = scene_init(&scene, &options);
	if (r == 0)
		r = scene_psk_ok(&scene, "key", "generate", "bench", "--identity", "bench",
			"--purpose", "tls12-session", "--allow", "user:root", NULL);
	if (r == 0)
		r = run_clients(scene.socket, row->clients, n, ret);
	scene_done(&scene);
	return r;
}

static int run_raw(const struct row *row, size_t n, struct raw_result *ret)
{
	struct swtpm tpm;
	int r;

	r = swtpm_init(&tpm);
	if (r == 0)
		r = raw_run(&(struct raw_options){ .tcti = tpm.tcti,
				    .session = row->session,
				    .cure = row->cure,
				    .n = row->session && !row->cure ? n / 10 : n,
				    .in_len = INPUT_SIZE },
			ret);
	swtpm_done(&tpm);
	return r;
}

static int run_round(unsigned round, size_t n)
{
	for (unsigned i = 0; i < N_ROWS; i++) {
		struct row *row = &rows[i];
		struct raw_result result;
		int r;

		if (i == DAEMON_ENCRYPTED_8_STOCK) {
			const struct row *same = &rows[DAEMON_ENCRYPTED_8];

			result = (struct raw_result){ same->per_second[round], same->p50[round],
				same->p99[round] };
			r = 0;
		} else {
			r = row->clients ? run_daemon(row, n, &result) : run_raw(row, n, &result);
		}
		if (r != 0) {
			fprintf(stderr, "derive: %s: failed\n", row->name);
			return -1;
		}
		row->per_second[round] = result.per_second;
		row->p50[round] = result.p50_us;
		row->p99[round] = result.p99_us;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const double *values, unsigned n)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double ratio(const struct row *row, unsigned rounds)
{
	double ratios[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++)
		ratios[i] = row->per_second[i] / rows[row->base].per_second[i];
	return median(ratios, rounds);
}

/* Returns how many ratios are below their target. */
static unsigned print_table(unsigned rounds)
{
	unsigned below = 0;

	printf("%-34s %10s %10s %10s %8s  %s\n", "", "ops/s", "p50 us", "p99 us", "ratio",
		"to (target)");
	for (unsigned i = 0; i < N_ROWS; i++) {
		const struct row *row = &rows[i];

		printf("%-34s %10.0f %10.1f %10.1f", row->name, median(row->per_second, rounds),
			median(row->p50, rounds), median(row->p99, rounds));
		if (row->base >= 0)
			printf(" %8.2f  %s", ratio(row, rounds), rows[row->base].name);
		if (row->target > 0) {
			printf(" (%.2f)", row->target);
			below += ratio(row, rounds) < row->target;
		}
		printf("\n");
	}
	return below;
}

static const char usage[] =
	"usage: derive [--rounds N] [--count N] [--check]\n"
	"\n"
	"Measures derivations through the daemon beside the raw ESYS loop, on software TPMs of its "
	"own.\n"
	"\n"
	"  --rounds N   how often each row is measured (5); the table has medians\n"
	"  --count N    derivations per row and round (4000)\n"
	"  --check      exit 1 when a ratio is below its target\n";

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'n' }, { "check", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	unsigned rounds = 5, below;
	unsigned long n = 4000;
	bool check = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'r')
			rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'n')
			n = strtoul(optarg, NULL, 10);
		else if (option == 'c')
			check = true;
		else
			return fputs(usage, option == 'h' ? stdout : stderr), option == 'h' ? 0 : 2;
	}
	if (optind < argc || rounds < 1 || rounds > ROUNDS_MAX || n < 100)
		return fputs(usage, stderr), 2;
	for (unsigned i = 0; i < rounds; i++)
		if (run_round(i, n) < 0)
			return 1;
	printf("%u rounds of %lu derivations on %ld processors, software TPM\n\n", rounds, n,
		sysconf(_SC_NPROCESSORS_ONLN));
	below = print_table(rounds);
	return check && below > 0;
}
