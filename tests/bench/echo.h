/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo - a process that answers each packet with one of the same size and does nothing else.
 *
 * What a question to another process costs when there is no work in it: the floor below what any
 * daemon could reach. Same kind of socket as the daemon's, same kind of loop. The process dies with
 * the one that started it. 0 or -errno.
 */
#ifndef TPMPSK_TESTS_BENCH_ECHO_H
#define TPMPSK_TESTS_BENCH_ECHO_H

#include "tests/swtpm/tempdir.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ECHO_PACKET_MAX 256

struct echo {
	struct tempdir dir;
	char socket[64];
	pid_t pid; /* 0: not running */
};

/* hands_over: to a second thread, which answers, as the loop thread does to the TPM thread. */
int echo_init(struct echo *e, bool hands_over) __attribute__((warn_unused_result));
/* Takes a zeroed struct. */
void echo_done(struct echo *e);

/* A connected socket. */
int echo_connect(const char *socket, int *ret_fd) __attribute__((warn_unused_result));
/* Sends size bytes of no meaning and waits for as many. */
int echo_call(int fd, size_t size) __attribute__((warn_unused_result));

#endif
