/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipeline - a client that keeps many requests under way on many connections, from one thread.
 *
 * libtpmpsk's calls wait for their answers; this one packs and unpacks packets itself, several with
 * each system call, so that what it measures is the daemon. Requests are numbered; making one and
 * looking at its answer is the caller's. Blocks, but not for ever: an answer that does not come is
 * -ETIMEDOUT.
 */
#ifndef TPMPSK_TESTS_BENCH_PIPELINE_H
#define TPMPSK_TESTS_BENCH_PIPELINE_H

#include "proto/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIPELINE_CONNECTIONS_MAX 128
#define PIPELINE_DEPTH_MAX 64

struct pipeline_calls {
	/* Fills a derive request. */
	void (*ask)(void *context, size_t number, struct tpmpsk_derive *ret);
	/* Whether this is the right answer to it. */
	bool (*check)(void *context, size_t number, const struct tpmpsk_derived *answer);
	void *context;
	/*
	 * So many requests more, which are answered after the clock was stopped, and which keep the
	 * queue as full until then as it was before.
	 */
	size_t tail;
};

struct pipeline {
	unsigned connections;
	unsigned depth; /* requests under way on each */
	int epoll_fd;
	int fds[PIPELINE_CONNECTIONS_MAX];
};

/* 0 or -errno. */
int pipeline_init(struct pipeline *p, const char *socket, unsigned connections, unsigned depth)
	__attribute__((warn_unused_result));
void pipeline_done(struct pipeline *p);

/*
 * Requests first to first + n + tail - 1. ns[i] becomes the latency of request first + i, and
 * *ret_total_ns the time until n were answered. -EPROTO: a refusal or a wrong answer.
 */
int pipeline_run(struct pipeline *p, const struct pipeline_calls *calls, size_t first, size_t n,
	uint64_t *ns, uint64_t *ret_total_ns) __attribute__((warn_unused_result));

#endif
