/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tempdir - a directory for one test, gone with the test.
 *
 * The path is short, so that socket names inside fit into sockaddr_un. A small guard process
 * outlives a test that crashes or is killed, removes the directory and ends. Tests only; returns 0
 * or -errno.
 */
#ifndef TPMPSK_TESTS_SWTPM_TEMPDIR_H
#define TPMPSK_TESTS_SWTPM_TEMPDIR_H

#include <sys/types.h>

#define TEMPDIR_PATH_SIZE 32

struct tempdir {
	char path[TEMPDIR_PATH_SIZE];
	pid_t guard;
	int guard_fd; /* a byte from us, or our death, is the guard's sign to clean up */
};

/* The directory has mode 0755: tests with other uids must reach sockets in it. */
int tempdir_init(struct tempdir *d) __attribute__((warn_unused_result));
/* Removes the directory and all in it, and waits until that is done. Takes a zeroed struct. */
void tempdir_done(struct tempdir *d);

#endif
