/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flood - a process of another user that sends forged session identities as fast as it can.
 *
 * Each has the right shape, the present time and a tag that is made up, so that nothing but the tag
 * tells it from a real one. It keeps as many under way on one connection as the daemon reads. The
 * process dies with the one that started it. Root only. 0 or -errno.
 */
#ifndef TPMPSK_TESTS_BENCH_FLOOD_H
#define TPMPSK_TESTS_BENCH_FLOOD_H

#include <sys/types.h>

#define FLOOD_UID 65533

struct flood {
	pid_t pid; /* 0: not running */
};

/* Ready when it returns: the first answer was a refusal as forged. */
int flood_init(struct flood *f, const char *socket, const char *identity)
	__attribute__((warn_unused_result));
/* Takes a zeroed struct. */
void flood_done(struct flood *f);

#endif
