/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inject - what a test and the module share that makes a program's system calls fail.
 *
 * LD_PRELOAD=PATH/inject.so TPMPSK_INJECT=FILE: the module maps FILE, counts calls by class, and fails the one that `nth` counts down to
 * zero. The test changes FILE while the program runs.
 */
#ifndef TPMPSK_TESTS_INJECT_INJECT_H
#define TPMPSK_TESTS_INJECT_INJECT_H

#include <stdint.h>

enum inject_class {
	INJECT_ALLOC,  /* malloc, calloc, realloc, strdup, posix_memalign */
	INJECT_READ,   /* read, recv, recvmmsg */
	INJECT_WRITE,  /* write, send, sendto, sendmmsg */
	INJECT_OPEN,   /* open, openat, socket, eventfd, epoll_create1, signalfd */
	INJECT_RENAME, /* rename, renameat, renameat2, unlinkat */
	INJECT_FSYNC,
	INJECT_ACCEPT,
	INJECT_EPOLL, /* epoll_wait, epoll_ctl */
	INJECT_CLASSES,
};

struct inject {
	_Atomic uint64_t counts[INJECT_CLASSES];
	_Atomic uint64_t injected;
	_Atomic uint32_t started; /* by the test, for allocations: the program is through with its start */
	/* Set by the test; nth last. */
	_Atomic uint32_t error;
	_Atomic uint32_t every; /* not 0: each so-manieth call of every class fails, over and over */
	_Atomic uint32_t which;
	_Atomic uint32_t nth; /* 0: none fails */
};

#endif
