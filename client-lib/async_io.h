/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * async_io - what a struct tpmpsk_async is: connection, timer, and the table of its requests. Not
 * exported.
 *
 * Nothing here waits. The descriptor that the caller polls is an epoll descriptor over the socket
 * and a timer, so it stays the same when the connection is another one. It is readable when the
 * socket is, and when the timer has run out: at the nearest deadline, when to connect again, or at
 * once because there is something to collect that no packet on the socket stands for. The handle's
 * one thread. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef TPMPSK_CLIENT_LIB_ASYNC_IO_H
#define TPMPSK_CLIENT_LIB_ASYNC_IO_H

#include "client-lib/async_table.h"

#include <stdbool.h>

struct tpmpsk_async {
	unsigned int forks; /* tells the process that opened it from its forked child */
	char *path;         /* NULL: came as a descriptor, there is no way to connect again */
	int epoll_fd;
	int timer_fd;
	int fd;            /* -1: not connected */
	bool ended;        /* the other end has closed; what it said before is still to be read */
	bool awaits_room;  /* to send */
	bool held;         /* requests are sent when it ends */
	unsigned int wire; /* sent and not answered, also for those that gave up */
	int64_t reconnect_ns; /* not before; 0: at once */
	int64_t armed_ns;     /* what the timer is set to; 0: nothing */
	unsigned int deadline_ms;
	struct tpmpsk_table table;
};

/* Connected from here on; on failure fd stays the caller's. 0 or TPMPSK_ERR_SYSTEM. */
int tpmpsk_async_use_socket(struct tpmpsk_async *a, int fd) __attribute__((warn_unused_result));

/* Sends what may be sent now, connecting where there is need. Ends what can't be sent. */
void tpmpsk_async_flush(struct tpmpsk_async *a, int64_t now);

/* Reads until a request is done or there is nothing left to read, and ends what is overdue. */
void tpmpsk_async_receive(struct tpmpsk_async *a, int64_t now);

/* Sets the timer to what comes next: the last thing that a call does. */
void tpmpsk_async_arm(struct tpmpsk_async *a, int64_t now);

#endif
