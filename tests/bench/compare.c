/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare - the daemon beside what a user would pick instead: ESYS in the process itself, the
 * broker tpm2-abrmd, loading the key for each use, doing everything anew for each handshake, and
 * the command of tpm2-tools.
 *
 * Each on software TPMs of its own, and each as well off as it can be: processes that load and flush
 * the key share one connection and take turns by a lock in memory, which is a resource manager that
 * costs nothing.
 */
#include "tests/bench/broker.h"
#include "tests/bench/crew.h"
#include "tests/bench/raw.h"
#include "tests/bench/slow.h"
#include "tests/bench/through.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct how {
	enum raw_way way;
	bool session, cure;
	unsigned processes;
	uint32_t latency_us; /* added to each TPM command */
};

static struct raw_options raw_options(const struct how *how, const char *tcti, size_t n)
{
	return (struct raw_options){ .tcti = tcti,
		.way = how->way,
		.session = how->session,
		.cure = how->cure,
		.n = n,
		.in_len = THROUGH_INPUT_SIZE };
}

static int measure_raw(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct raw_options options;
	struct slow_tpm tpm;
	int r;

	r = slow_tpm_init(&tpm);
	slow_set(&tpm.slow, how->latency_us);
	options = raw_options(how, tpm.tcti, n);
	if (r == 0)
		r = raw_run(&options, ret);
	slow_tpm_done(&tpm);
	return r;
}

/* n HMACs, and a tenth more before the clock runs. */
static int measure_worker(struct crew_worker *w, struct raw *raw, pthread_mutex_t *turn)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->n + w->n / 10; i++) {
		uint64_t start;

		if (i == w->n / 10)
			crew_ready(w);
		start = bench_now_ns();
		if (turn)
			pthread_mutex_lock(turn);
		r = raw_hmac(raw);
		if (turn)
			pthread_mutex_unlock(turn);
		if (i >= w->n / 10)
			w->ns[i - w->n / 10] = bench_now_ns() - start;
	}
	return r;
}

static int broker_client(struct crew_worker *w)
{
	struct raw_options options = raw_options(w->context, BROKER_TCTI, w->n);
	struct raw *raw;
	int r;

	r = raw_open(&raw, &options);
	if (r < 0)
		return r;
	r = measure_worker(w, raw, NULL);
	raw_close(raw);
	return r;
}

static int measure_broker(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct broker broker;
	int r;

	r = broker_init(&broker, how->latency_us);
	if (r == 0)
		r = crew_run(how->processes, n, broker_client, how, ret);
	broker_done(&broker);
	return r;
}

struct shared_raw {
	const struct how *how;
	struct raw *raw;
	pthread_mutex_t *turn;
};

static int sharing_client(struct crew_worker *w)
{
	const struct shared_raw *s = w->context;
	int r = 0;

	if (s->how->session) {
		pthread_mutex_lock(s->turn);
		r = raw_session_start(s->raw);
		pthread_mutex_unlock(s->turn);
	}
	return r < 0 ? r : measure_worker(w, s->raw, s->turn);
}

static int mutex_new(pthread_mutex_t **ret)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t *m =
		mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		return -errno;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(m, &attr);
	pthread_mutexattr_destroy(&attr);
	*ret = m;
	return 0;
}

static int measure_sharing(const void *context, size_t n, struct bench_result *ret)
{
	struct shared_raw s = { .how = context };
	struct raw_options options;
	struct slow_tpm tpm;
	int r;

	r = mutex_new(&s.turn);
	if (r < 0)
		return r;
	r = slow_tpm_init(&tpm);
	options = raw_options(context, tpm.tcti, n);
	options.session = false; /* each has its own */
	if (r == 0)
		r = raw_open(&s.raw, &options);
	slow_set(&tpm.slow, s.how->latency_us);
	if (r == 0)
		r = crew_run(s.how->processes, n, sharing_client, &s, ret);
	slow_set(&tpm.slow, 0);
	raw_close(s.raw);
	slow_tpm_done(&tpm);
	munmap(s.turn, sizeof(*s.turn));
	return r;
}

/* A program of tpm2-tools, with its arguments and NULL at the end. */
static int tool(const char *const argv[])
{
	struct command_result result;
	int r;

	r = command_run(argv, NULL, &result);
	if (r < 0)
		return r;
	if (result.status != 0) {
		fprintf(stderr, "%s: %s", argv[0], result.err);
		r = -EIO;
	}
	command_result_done(&result);
	return r;
}

#define KEY "0x81000001" /* persistent: the command would leave what it loads in the TPM */

struct files {
	char parent[64], pub[64], priv[64], key[64], in[64];
};

static int make_files(const struct swtpm *tpm, struct files *f)
{
	const char *const primary[] = { "tpm2_createprimary", "-Q", "-T", tpm->tcti, "-G", "ecc",
		"-c", f->parent, NULL };
	const char *const create[] = { "tpm2_create", "-Q", "-T", tpm->tcti, "-C", f->parent, "-G",
		"hmac", "-u", f->pub, "-r", f->priv, NULL };
	const char *const load[] = { "tpm2_load", "-Q", "-T", tpm->tcti, "-C", f->parent, "-u",
		f->pub, "-r", f->priv, "-c", f->key, NULL };
	const char *const flush[] = { "tpm2_flushcontext", "-Q", "-T", tpm->tcti, "-t", NULL };
	const char *const keep[] = { "tpm2_evictcontrol", "-Q", "-T", tpm->tcti, "-c", f->key, KEY,
		NULL };
	const char *const *const all[] = { primary, flush, create, flush, load, flush, keep,
		flush };
	uint8_t in[THROUGH_INPUT_SIZE] = { 0 };
	FILE *file = fopen(f->in, "we");
	int r = 0;

	if (!file)
		return -errno;
	if (fwrite(in, sizeof(in), 1, file) != 1)
		r = -EIO;
	fclose(file);
	for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++)
		r = tool(all[i]);
	return r;
}

static int run_tpm2_hmac(
	const struct swtpm *tpm, const struct files *f, size_t n, struct bench_result *ret)
{
	const char *const argv[] = { "tpm2_hmac", "-T", tpm->tcti, "-c", KEY, "--hex", f->in,
		NULL };
	uint64_t *ns = calloc(n, sizeof(*ns)), start = bench_now_ns();
	int r = ns ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		uint64_t before = bench_now_ns();

		r = tool(argv);
		ns[i] = bench_now_ns() - before;
	}
	if (r == 0)
		bench_summarise(ns, n, bench_now_ns() - start, ret);
	free(ns);
	return r;
}

static int measure_tpm2_hmac(const void *context, size_t n, struct bench_result *ret)
{
	struct files f;
	struct swtpm tpm;
	int r;

	(void)context;
	r = swtpm_init(&tpm);
	if (r < 0)
		return r;
	snprintf(f.parent, sizeof(f.parent), "%s/parent.ctx", tpm.dir.path);
	snprintf(f.pub, sizeof(f.pub), "%s/key.pub", tpm.dir.path);
	snprintf(f.priv, sizeof(f.priv), "%s/key.priv", tpm.dir.path);
	snprintf(f.key, sizeof(f.key), "%s/key.ctx", tpm.dir.path);
	snprintf(f.in, sizeof(f.in), "%s/in", tpm.dir.path);
	r = make_files(&tpm, &f);
	if (r == 0)
		r = run_tpm2_hmac(&tpm, &f, n, ret);
	swtpm_done(&tpm);
	return r;
}

enum {
	RAW_PASSWORD,
	DAEMON_PASSWORD,
	ABRMD_PASSWORD,
	DAEMON_OF_ABRMD_PASSWORD,
	LOAD_PASSWORD,
	DAEMON_OF_LOAD_PASSWORD,
	WHOLE_PASSWORD,
	DAEMON_OF_WHOLE_PASSWORD,
	COMMAND,
	DAEMON_OF_COMMAND,
	STOCK,
	CURED,
	DAEMON_ENCRYPTED,
	DAEMON_OF_STOCK,
	ABRMD_ENCRYPTED,
	DAEMON_OF_ABRMD_ENCRYPTED,
	LOAD_ENCRYPTED,
	DAEMON_OF_LOAD_ENCRYPTED,
	WHOLE_ENCRYPTED,
	DAEMON_OF_WHOLE_ENCRYPTED,
	RAW_SLOW,
	DAEMON_SLOW,
	ABRMD_SLOW,
	DAEMON_OF_ABRMD_SLOW,
	LOAD_SLOW,
	DAEMON_OF_LOAD_SLOW,
	WHOLE_SLOW,
	DAEMON_OF_WHOLE_SLOW,
	N_ROWS,
};

#define CHIP_US 8000
#define HOW(MEASURE, ...)                                                                          \
	.measure = MEASURE, .how = &(const struct how)                                             \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define DAEMON(...)                                                                                \
	.measure = through_measure, .how = &(const struct through)                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static const struct bench_row rows[N_ROWS] = {
	[RAW_PASSWORD] = { .name = "raw ESYS loop, password", HOW(measure_raw, RAW_KEPT) },
	[DAEMON_PASSWORD] = { .name = "tpm-pskd, 4 processes, password",
		DAEMON(.clients = 4),
		.base = &rows[RAW_PASSWORD] },
	[ABRMD_PASSWORD] = { .name = "tpm2-abrmd, 4 processes, password",
		HOW(measure_broker, RAW_KEPT, .processes = 4),
		.share = 0.25 },
	[DAEMON_OF_ABRMD_PASSWORD] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_PASSWORD],
		.base = &rows[ABRMD_PASSWORD],
		.ratio_min = 5 },
	[LOAD_PASSWORD] = { .name = "load, HMAC, flush, 4 processes, password",
		HOW(measure_sharing, RAW_LOAD, .processes = 4),
		.share = 0.25 },
	[DAEMON_OF_LOAD_PASSWORD] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_PASSWORD],
		.base = &rows[LOAD_PASSWORD],
		.ratio_min = 5 },
	[WHOLE_PASSWORD] = { .name = "everything for each, password",
		HOW(measure_raw, RAW_WHOLE),
		.share = 0.05 },
	[DAEMON_OF_WHOLE_PASSWORD] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_PASSWORD],
		.base = &rows[WHOLE_PASSWORD] },
	[COMMAND] = { .name = "tpm2_hmac, the command",
		.measure = measure_tpm2_hmac,
		.share = 0.025 },
	[DAEMON_OF_COMMAND] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_PASSWORD],
		.base = &rows[COMMAND] },
	[STOCK] = { .name = "raw ESYS loop, encrypted, stock",
		HOW(measure_raw, RAW_KEPT, .session = true),
		.share = 0.1 },
	[CURED] = { .name = "raw ESYS loop, encrypted, cured",
		HOW(measure_raw, RAW_KEPT, .session = true, .cure = true),
		.base = &rows[STOCK] },
	[DAEMON_ENCRYPTED] = { .name = "tpm-pskd, 4 processes, encrypted",
		DAEMON(.clients = 4, .session = true),
		.base = &rows[CURED] },
	[DAEMON_OF_STOCK] = { .name = "  tpm-pskd against stock ESYS",
		.same = &rows[DAEMON_ENCRYPTED],
		.base = &rows[STOCK] },
	[ABRMD_ENCRYPTED] = { .name = "tpm2-abrmd, 4 processes, encrypted",
		HOW(measure_broker, RAW_KEPT, .session = true, .processes = 4),
		.share = 0.1 },
	[DAEMON_OF_ABRMD_ENCRYPTED] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_ENCRYPTED],
		.base = &rows[ABRMD_ENCRYPTED],
		.ratio_min = 8 },
	/* Three, because a TPM holds so many sessions and nobody swaps them. */
	[LOAD_ENCRYPTED] = { .name = "load, HMAC, flush, 3 processes, encrypted",
		HOW(measure_sharing, RAW_LOAD, .session = true, .processes = 3),
		.share = 0.1 },
	[DAEMON_OF_LOAD_ENCRYPTED] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_ENCRYPTED],
		.base = &rows[LOAD_ENCRYPTED],
		.ratio_min = 5 },
	[WHOLE_ENCRYPTED] = { .name = "everything for each, encrypted",
		HOW(measure_raw, RAW_WHOLE, .session = true),
		.share = 0.025 },
	[DAEMON_OF_WHOLE_ENCRYPTED] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_ENCRYPTED],
		.base = &rows[WHOLE_ENCRYPTED],
		.ratio_min = 30 },
	/* What it is on a chip, where the commands count and nothing else. */
	[RAW_SLOW] = { .name = "raw ESYS loop, password, 8 ms a command",
		HOW(measure_raw, RAW_KEPT, .latency_us = CHIP_US),
		.share = 0.05 },
	[DAEMON_SLOW] = { .name = "tpm-pskd, 4 processes, 8 ms a command",
		DAEMON(.clients = 4, .session = true, .latency_us = CHIP_US),
		.share = 0.05,
		.base = &rows[RAW_SLOW],
		.ratio_min = 0.99 },
	[ABRMD_SLOW] = { .name = "tpm2-abrmd, 4 processes, password, 8 ms a command",
		HOW(measure_broker, RAW_KEPT, .processes = 4, .latency_us = CHIP_US),
		.share = 0.02 },
	[DAEMON_OF_ABRMD_SLOW] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_SLOW],
		.base = &rows[ABRMD_SLOW] },
	[LOAD_SLOW] = { .name = "load, HMAC, flush, 4 processes, 8 ms a command",
		HOW(measure_sharing, RAW_LOAD, .processes = 4, .latency_us = CHIP_US),
		.share = 0.02 },
	[DAEMON_OF_LOAD_SLOW] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_SLOW],
		.base = &rows[LOAD_SLOW] },
	[WHOLE_SLOW] = { .name = "everything for each, encrypted, 8 ms a command",
		HOW(measure_raw, RAW_WHOLE, .session = true, .latency_us = CHIP_US),
		.share = 0.01 },
	[DAEMON_OF_WHOLE_SLOW] = { .name = "  tpm-pskd against it",
		.same = &rows[DAEMON_SLOW],
		.base = &rows[WHOLE_SLOW] },
};

int main(int argc, char **argv)
{
	return bench_main(
		&(const struct bench){ .name = "compare",
			.about = "tpm-pskd beside what one would use instead, on software "
				 "TPMs of their own.",
			.what = "HMACs",
			.n = 1600,
			.n_rows = N_ROWS,
			.rows = rows },
		argc, argv);
}
