/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench - rows that are measured beside one another, and the table that comes of it.
 *
 * A round measures every row once, one after the other, so that a machine whose speed drifts is the
 * same for all of them. A row's figures are the medians over the rounds; the ratio of two rows is
 * the median of the ratios taken round by round. A bench is a table of rows and a main() that calls
 * bench_main(), which owns the command line. Single-threaded.
 */
#ifndef TPMPSK_TESTS_BENCH_BENCH_H
#define TPMPSK_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_result {
	double per_second;
	double p50_us, p99_us;
	double commands; /* of the TPM, for each operation; where the bench counts them */
};

struct bench_row {
	const char *name;
	/*
	 * Measures n operations. 0, or -errno having said on standard error what failed;
	 * -EOPNOTSUPP: not on this machine, the row is left out.
	 */
	int (*measure)(const void *how, size_t n, struct bench_result *ret);
	const void *how;
	double share; /* of the bench's number of operations, where all would take long; 0: all */
	/* No measure: the figures of this row once more, for another comparison. */
	const struct bench_row *same;
	const struct bench_row *base; /* what its operations a second are divided by, or NULL */
	double ratio_min;             /* targets; 0: for information only */
	double per_second_min;
	double p99_max;        /* in units of the base's p50 */
	double p99_of_p99_max; /* in units of the base's p99 */
	/* What the median is above the sum of the base's and this row's: at most so many us. */
	const struct bench_row *besides;
	double above_max_us;
};

struct bench {
	const char *name;  /* the program's */
	const char *about; /* what it measures, for --help */
	const char *what;  /* is counted: "derivations" */
	bool counts_commands;
	size_t n; /* per row and round, unless --count says otherwise */
	size_t n_rows;
	const struct bench_row *rows;
};

/* The whole program; returns its exit status. */
int bench_main(const struct bench *b, int argc, char **argv);

/* Nanoseconds on the monotonic clock. */
uint64_t bench_now_ns(void);

/* From the latency of each operation, which it sorts, and the time for all. */
void bench_summarise(uint64_t *ns, size_t n, uint64_t total_ns, struct bench_result *ret);

#endif
