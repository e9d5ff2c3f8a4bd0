/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poller - what a program's event loop does with an asynchronous handle, for tests.
 *
 * Requests are told apart by a number, which is their tag and in their random; script_psk() says
 * what their PSK is. Every wait has a deadline; what goes wrong in here fails the test.
 */
#ifndef TPMPSK_TESTS_CLIENT_LIB_POLLER_H
#define TPMPSK_TESTS_CLIENT_LIB_POLLER_H

#include "client-lib/tpmpsk.h"
#include "tests/client-lib/script.h"

#include <stdbool.h>

/* Submits request n (0 to 65535). */
int poller_submit(struct tpmpsk_async *a, unsigned int n);
/* The number of a request that the other end has received. */
unsigned int poller_number(const struct script_request *q);

bool poller_readable(int fd, int timeout_ms);
/* Waits until something can be collected, never but on the descriptor. */
void poller_collect(struct tpmpsk_async *a, struct tpmpsk_async_result *ret);
/* The next one is request n's, and right. */
void poller_expect_answer(struct tpmpsk_async *a, unsigned int n);
/* The next one is request n's, with this error and no secret. */
void poller_expect_error(struct tpmpsk_async *a, unsigned int n, int error);
/* There is nothing to collect, and the descriptor says so. */
void poller_expect_quiet(struct tpmpsk_async *a);

#endif
