/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connect - the way to the daemon: its path, a connected socket, how long to wait, and whether this
 * still is the process that connected. Shared by the calls that wait and those that don't. Not
 * exported.
 *
 * Any thread; only tpmpsk_connect() with a deadline blocks. Returns 0 or TPMPSK_ERR_*.
 */
#ifndef TPMPSK_CLIENT_LIB_CONNECT_H
#define TPMPSK_CLIENT_LIB_CONNECT_H

#include <stdbool.h>
#include <time.h>

#define TPMPSK_DEADLINE_MAX_MS 3600000

/*
 * The path itself; for NULL, the one in the environment or the one built in. NULL when no socket
 * can have it.
 */
const char *tpmpsk_socket_path(const char *path);

/*
 * Blocks until the deadline while the listener's backlog is full. Without a deadline (NULL) it does
 * not block, and the socket never will; TPMPSK_ERR_DEADLINE then means to try again later.
 */
int tpmpsk_connect(const char *path, const struct timespec *deadline, int *ret_fd)
	__attribute__((warn_unused_result));

/* Whether fd is what tpmpsk_open_fd() takes; it is close-on-exec then. */
bool tpmpsk_take_socket(int fd);

/* Deadlines are absolute, on CLOCK_MONOTONIC. */
struct timespec tpmpsk_deadline_in(unsigned int ms);
/* Milliseconds left, rounded up; 0 when it has passed. */
int tpmpsk_deadline_left(const struct timespec *deadline);

/* From the first call on, forks are counted. TPMPSK_ERR_SYSTEM. */
int tpmpsk_forks_watch(void) __attribute__((warn_unused_result));
/* Another number than before: this process is a forked child of the one that asked before. */
unsigned int tpmpsk_forks(void);

#endif
