/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crew - processes that do the same work at the same time, and what they measure together.
 *
 * The clock runs from the moment at which all of them are ready to the end of the last one. A
 * worker is a child process: it inherits what its parent had, and nothing it does comes back but
 * its latencies. Blocks until all have ended.
 */
#ifndef TPMPSK_TESTS_BENCH_CREW_H
#define TPMPSK_TESTS_BENCH_CREW_H

#include "tests/bench/bench.h"

struct crew_worker {
	unsigned index;
	size_t n;     /* operations to measure */
	uint64_t *ns; /* their latencies, for the worker to fill */
	const void *context;
	int ready_fd, go_fd;
};

/*
 * What a worker does: prepare, warm up, crew_ready(), measure. 0 or -errno, having said on standard
 * error what failed.
 */
typedef int crew_work(struct crew_worker *w);

/* Waits for the others. */
void crew_ready(struct crew_worker *w);

/* n operations, spread evenly over the workers. 0 or -errno; -EPIPE: a worker failed. */
int crew_run(unsigned workers, size_t n, crew_work *work, const void *context,
	struct bench_result *ret) __attribute__((warn_unused_result));

#endif
