/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * many - many keys and many connections.
 *
 * Ten thousand keys, asked for by a Zipf law (s = 1): the daemon, with 1, 16 and 256 requests
 * outstanding, beside a loop that loads the key, uses it and flushes it; on a TPM as fast as swtpm
 * is, and on one where a load costs ten HMACs. Then what it costs that there are keys and
 * connections which nobody uses.
 *
 * Each answer is checked, so an answer `deadline` or `busy` ends the bench.
 */
#include "tests/bench/manykeys.h"
#include "tests/bench/pipeline.h"
#include "tests/bench/raw.h"
#include "tests/bench/through.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define KEYS 10000
#define SEQUENCE_MAX 100000

/* With these, a load costs ten times what an HMAC does: what swtpm takes by itself added. */
#define DEAR_HMAC_US 150
#define DEAR_LOAD_US 2500

#define CONFIG "{\"audit\":\"off\",\"limits\":{\"connections\":2048,\"connections_per_user\":2048}}"
#define IDLE_MAX 1000

struct how {
	unsigned connections, depth;
	bool dear;       /* loads cost ten HMACs */
	unsigned in_use; /* so many keys, one after the other; 0: by the Zipf law */
	bool few;        /* there are only ten keys */
	unsigned idle;   /* so many connections besides, which ask for nothing */
};

/* Made by the first row that needs them: they are the same for all. */
static struct manykeys keys, ten;
static uint16_t sequence[SEQUENCE_MAX]; /* which key is asked for */

static int compare_weight(const void *key, const void *element)
{
	const double *x = key, *sum = element;

	/* sum[-1] <= x < sum[0]; there is an element in front of the first one. */
	return *x < sum[-1] ? -1 : *x >= sum[0];
}

/* The same sequence each time. */
static void draw(void)
{
	static double sums[KEYS + 1];
	const double *sum;
	uint64_t state = 1;

	for (size_t i = 0; i < KEYS; i++)
		sums[i + 1] = sums[i] + 1. / (double)(i + 1);
	for (size_t i = 0; i < SEQUENCE_MAX; i++) {
		double x;

		state = state * 6364136223846793005u + 1442695040888963407u;
		x = (double)(state >> 11) / (double)(UINT64_C(1) << 53) * sums[KEYS];
		sum = bsearch(&x, &sums[1], KEYS, sizeof(sums[0]), compare_weight);
		sequence[i] = (uint16_t)(sum ? sum - &sums[1] : 0);
	}
}

static int prepare(size_t n)
{
	int r;

	if (n + n / 10 + PIPELINE_CONNECTIONS_MAX * PIPELINE_DEPTH_MAX > SEQUENCE_MAX)
		return -E2BIG;
	if (keys.n > 0)
		return 0;
	if (sodium_init() < 0)
		return -EIO;
	draw();
	r = manykeys_init(&keys, KEYS, false, CONFIG);
	return r < 0 ? r : manykeys_init(&ten, 10, false, CONFIG);
}

static void set_latency(bool dear)
{
	slow_set(&keys.slow, dear ? DEAR_HMAC_US : 0);
	keys.slow.shared->load_us = dear ? DEAR_LOAD_US : 0;
}

static size_t key_of(const struct how *how, size_t number)
{
	return how->in_use > 0 ? number % how->in_use : sequence[number];
}

static void ask(void *context, size_t number, struct tpmpsk_derive *ret)
{
	manykeys_ask(key_of(context, number), number, ret);
}

static bool check(void *context, size_t number, const struct tpmpsk_derived *answer)
{
	return manykeys_check(key_of(context, number), number, answer);
}

static int drive(
	const struct how *how, const char *socket, size_t n, uint64_t *ns, struct bench_result *ret)
{
	struct pipeline_calls calls = { ask, check, (void *)how };
	size_t tail = how->connections * how->depth;
	struct pipeline p;
	uint64_t total;
	int r;

	r = pipeline_init(&p, socket, how->connections, how->depth);
	if (r < 0)
		return r;
	set_latency(how->dear);
	r = pipeline_run(&p, &calls, 0, n / 10, ns, &total);
	calls.tail = tail;
	if (r == 0)
		r = pipeline_run(&p, &calls, n / 10, n, ns, &total);
	if (r == 0)
		bench_summarise(ns, n + tail, total / n * (n + tail), ret);
	set_latency(false);
	pipeline_done(&p);
	return r;
}

static int connect_idle(const char *socket, struct pipeline *idle, unsigned n, unsigned *ret_done)
{
	int r = 0;

	for (*ret_done = 0; r == 0 && n > 0; n -= n < 100 ? n : 100) {
		r = pipeline_init(&idle[*ret_done], socket, n < 100 ? n : 100, 1);
		if (r == 0)
			++*ret_done;
	}
	return r;
}

static int measure_daemon(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct scene *scene = how->few ? &ten.scene : &keys.scene;
	struct pipeline idle[IDLE_MAX / 100];
	uint64_t *ns = calloc(n + how->connections * how->depth, sizeof(*ns));
	unsigned n_idle = 0;
	int r;

	if (!ns)
		return -ENOMEM;
	r = prepare(n);
	if (r == 0)
		r = scene_start(scene);
	if (r == 0) {
		r = connect_idle(scene->socket, idle, how->idle, &n_idle);
		if (r == 0)
			r = drive(how, scene->socket, n, ns, ret);
		while (n_idle > 0)
			pipeline_done(&idle[--n_idle]);
		if (r == 0)
			r = scene_stop(scene, NULL);
		scene_kill(scene);
	}
	free(ns);
	return r;
}

/* Load, HMAC, flush, by one process that has the TPM for itself. */
static int measure_loop(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct raw_options options = {
		.way = RAW_LOAD, .session = true, .cure = true, .in_len = THROUGH_INPUT_SIZE
	};
	uint64_t *ns = calloc(n, sizeof(*ns)), start, before;
	struct raw *raw = NULL;
	int r = ns ? prepare(n) : -ENOMEM;

	if (r == 0) {
		options.tcti = keys.scene.tcti;
		r = raw_open(&raw, &options);
	}
	if (r == 0)
		set_latency(how->dear);
	start = bench_now_ns();
	for (size_t i = 0; r == 0 && i < n; i++) {
		before = bench_now_ns();
		r = raw_take(raw, &keys.files[sequence[n / 10 + i]].objects[0]);
		if (r == 0)
			r = raw_hmac(raw);
		ns[i] = bench_now_ns() - before;
	}
	if (r == 0)
		bench_summarise(ns, n, bench_now_ns() - start, ret);
	if (keys.n > 0)
		set_latency(false);
	raw_close(raw);
	free(ns);
	return r;
}

/* What a load costs: the loop without it, with one key. */
static int measure_hmac(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct slow_tpm tpm;
	int r;

	r = slow_tpm_init(&tpm);
	slow_set(&tpm.slow, how->dear ? DEAR_HMAC_US : 0);
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
	HMAC,
	LOOP,
	ONE,
	SIXTEEN,
	MANY,
	DEAR_HMAC,
	DEAR_LOOP,
	DEAR_MANY,
	KEYS_10,
	KEYS_10000,
	IDLE_1,
	IDLE_1000,
	N_ROWS,
};

#define HOW(MEASURE, ...)                                                                          \
	.measure = MEASURE, .how = &(const struct how)                                             \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define DEAR_SHARE 0.5

static const struct bench_row rows[N_ROWS] = {
	[HMAC] = { .name = "one key kept loaded, raw ESYS loop", HOW(measure_hmac, 0) },
	[LOOP] = { .name = "load, HMAC, flush, raw ESYS loop",
		HOW(measure_loop, 0),
		.base = &rows[HMAC] },
	[ONE] = { .name = "tpm-pskd, 1 outstanding",
		HOW(measure_daemon, 1, 1),
		.base = &rows[LOOP],
		.ratio_min = 1 },
	[SIXTEEN] = { .name = "tpm-pskd, 16 outstanding",
		HOW(measure_daemon, 16, 1),
		.base = &rows[LOOP],
		.ratio_min = 1 },
	[MANY] = { .name = "tpm-pskd, 256 outstanding",
		HOW(measure_daemon, 64, 4),
		.base = &rows[LOOP],
		.ratio_min = 1.2 },
	[DEAR_HMAC] = { .name = "dear loads, one key kept loaded, raw ESYS loop",
		HOW(measure_hmac, .dear = true),
		.share = DEAR_SHARE },
	[DEAR_LOOP] = { .name = "dear loads, load, HMAC, flush, raw ESYS loop",
		HOW(measure_loop, .dear = true),
		.share = DEAR_SHARE,
		.base = &rows[DEAR_HMAC] },
	[DEAR_MANY] = { .name = "dear loads, tpm-pskd, 256 outstanding",
		HOW(measure_daemon, 64, 4, true),
		.share = DEAR_SHARE,
		.base = &rows[DEAR_LOOP],
		.ratio_min = 1.5 },
	[KEYS_10] = { .name = "10 keys, all in use",
		HOW(measure_daemon, 8, 1, .in_use = 10, .few = true) },
	[KEYS_10000] = { .name = "10,000 keys, ten in use",
		HOW(measure_daemon, 8, 1, .in_use = 10),
		.base = &rows[KEYS_10],
		.ratio_min = 0.95 },
	[IDLE_1] = { .name = "1 idle connection",
		HOW(measure_daemon, 8, 1, .in_use = 1, .few = true, .idle = 1),
		.share = 2 },
	[IDLE_1000] = { .name = "1,000 idle connections",
		HOW(measure_daemon, 8, 1, .in_use = 1, .few = true, .idle = 1000),
		.share = 2,
		.base = &rows[IDLE_1],
		.ratio_min = 0.95 },
};

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	int status;

	/* Before the first ESYS call: making keys has it complain, on purpose (daemon/tpm_create.c). */
	setenv("TSS2_LOG", "all+none", 1);
	raise_descriptor_limit();
	status = bench_main(&(const struct bench){ .name = "zipf",
				    .about = "Ten thousand keys, asked for by a Zipf law.",
				    .what = "derivations",
				    .n = 2000,
				    .n_rows = N_ROWS,
				    .rows = rows },
		argc, argv);

	manykeys_done(&keys);
	manykeys_done(&ten);
	return status;
}
