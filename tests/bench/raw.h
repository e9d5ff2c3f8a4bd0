/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw - what the TPM and tpm2-tss give without a daemon: one process, one key kept loaded, HMAC
 * after HMAC. The yardstick of the bench.
 *
 * Connects to the TPM by itself, makes a key, leaves nothing behind. Blocks for as long as it
 * measures. Returns 0, -EIO or -ENOMEM, having said on standard error what failed.
 */
#ifndef TPMPSK_TESTS_BENCH_RAW_H
#define TPMPSK_TESTS_BENCH_RAW_H

#include "tests/bench/bench.h"

#include <stdbool.h>
#include <stddef.h>

struct raw_options {
	const char *tcti;
	bool session;  /* salted and encrypted, as the daemon's; else password authorisation */
	bool cure;     /* with one OpenSSL library context for all (daemon/ossl_lib_ctx.h) */
	size_t n;      /* HMACs to measure; a tenth more run first, unmeasured */
	size_t in_len; /* bytes of input, at most 1024 */
};

int raw_run(const struct raw_options *options, struct bench_result *ret)
	__attribute__((warn_unused_result));

#endif
