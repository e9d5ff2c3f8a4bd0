/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zipf - ten thousand keys, asked for by a Zipf law (s = 1): the daemon, with 1, 16 and 256 requests
 * outstanding, beside a loop that loads the key, uses it and flushes it; on a TPM as fast as swtpm
 * is, and on one where a load costs ten HMACs.
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

#define KEYS 10000
#define SEQUENCE_MAX 100000

/* With these, a load costs ten times what an HMAC does: what swtpm takes by itself added. */
#define DEAR_HMAC_US 150
#define DEAR_LOAD_US 2500

struct how {
	unsigned connections, depth;
	bool dear; /* loads cost ten HMACs */
};

/* Made by the first row that needs them: they are the same for all. */
static struct manykeys keys;
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
	if (n + n / 10 > SEQUENCE_MAX)
		return -E2BIG;
	if (keys.n > 0)
		return 0;
	if (sodium_init() < 0)
		return -EIO;
	draw();
	return manykeys_init(&keys, KEYS, "{\"audit\":\"off\"}");
}

static void set_latency(bool dear)
{
	slow_set(&keys.slow, dear ? DEAR_HMAC_US : 0);
	keys.slow.shared->load_us = dear ? DEAR_LOAD_US : 0;
}

static void ask(void *context, size_t number, struct tpmpsk_derive *ret)
{
	(void)context;
	manykeys_ask(sequence[number], number, ret);
}

static bool check(void *context, size_t number, const struct tpmpsk_derived *answer)
{
	(void)context;
	return manykeys_check(sequence[number], number, answer);
}

static int drive(const struct how *how, size_t n, uint64_t *ns, struct bench_result *ret)
{
	const struct pipeline_calls calls = { ask, check, NULL };
	struct pipeline p;
	uint64_t total;
	int r;

	r = pipeline_init(&p, keys.scene.socket, how->connections, how->depth);
	if (r < 0)
		return r;
	set_latency(how->dear);
	r = pipeline_run(&p, &calls, 0, n / 10, ns, &total);
	if (r == 0)
		r = pipeline_run(&p, &calls, n / 10, n, ns, &total);
	if (r == 0)
		bench_summarise(ns, n, total, ret);
	set_latency(false);
	pipeline_done(&p);
	return r;
}

static int measure_daemon(const void *context, size_t n, struct bench_result *ret)
{
	uint64_t *ns = calloc(n, sizeof(*ns));
	int r;

	if (!ns)
		return -ENOMEM;
	r = prepare(n);
	if (r == 0)
		r = scene_start(&keys.scene);
	if (r == 0) {
		r = drive(context, n, ns, ret);
		if (r == 0)
			r = scene_stop(&keys.scene, NULL);
		scene_kill(&keys.scene);
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
	DEAR_ONE,
	DEAR_SIXTEEN,
	DEAR_MANY,
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
	[DEAR_ONE] = { .name = "dear loads, tpm-pskd, 1 outstanding",
		HOW(measure_daemon, 1, 1, true),
		.share = DEAR_SHARE,
		.base = &rows[DEAR_LOOP],
		.ratio_min = 1 },
	[DEAR_SIXTEEN] = { .name = "dear loads, tpm-pskd, 16 outstanding",
		HOW(measure_daemon, 16, 1, true),
		.share = DEAR_SHARE,
		.base = &rows[DEAR_LOOP],
		.ratio_min = 1 },
	[DEAR_MANY] = { .name = "dear loads, tpm-pskd, 256 outstanding",
		HOW(measure_daemon, 64, 4, true),
		.share = DEAR_SHARE,
		.base = &rows[DEAR_LOOP],
		.ratio_min = 1.5 },
};

int main(int argc, char **argv)
{
	int status;

	/* Before the first ESYS call: making keys has it complain, on purpose (daemon/tpm_create.c). */
	setenv("TSS2_LOG", "all+none", 1);
	status = bench_main(&(const struct bench){ .name = "zipf",
				    .about = "Ten thousand keys, asked for by a Zipf law.",
				    .what = "derivations",
				    .n = 2000,
				    .n_rows = N_ROWS,
				    .rows = rows },
		argc, argv);

	manykeys_done(&keys);
	return status;
}
