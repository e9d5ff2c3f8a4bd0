/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * through - derivations through a daemon of their own, asked for by clients that each ask one thing
 * after the other, by libtpmpsk. To be the `measure` of a bench's rows.
 */
#ifndef TPMPSK_TESTS_BENCH_THROUGH_H
#define TPMPSK_TESTS_BENCH_THROUGH_H

#include "tests/bench/bench.h"

#include <stdbool.h>
#include <stdint.h>

#define THROUGH_INPUT_SIZE 81 /* bytes of the HMAC's input: "pre master secret" and two randoms */

struct through {
	bool session;        /* encrypted; else password authorisation */
	unsigned clients;    /* processes with a connection each */
	unsigned threads;    /* of each client, on one handle; 0: it has no threads */
	uint32_t latency_us; /* added to each TPM command */
	const char *tcti;    /* NULL: a software TPM of its own */
};

/* how is a struct through. */
int through_measure(const void *how, size_t n, struct bench_result *ret);

#endif
