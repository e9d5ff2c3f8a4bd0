/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slow - a software TPM that is as slow as a chip: the TCTI of tests/tcti/tcti_test.h, and the file
 * by which it is told how slow. As fast as it is, at first. 0 or -errno.
 */
#ifndef TPMPSK_TESTS_BENCH_SLOW_H
#define TPMPSK_TESTS_BENCH_SLOW_H

#include "tests/swtpm/swtpm.h"
#include "tests/tcti/tcti_test.h"

#include <stdint.h>

struct slow {
	struct tempdir dir;
	char file[TEMPDIR_PATH_SIZE + 8];
	char tcti[512]; /* for scene_options.tcti */
	struct tcti_test *shared;
};

int slow_init(struct slow *s) __attribute__((warn_unused_result));
/* Takes a zeroed struct. */
void slow_done(struct slow *s);

/* What is added to each command from now on. Does nothing to a zeroed struct. */
void slow_set(struct slow *s, uint32_t latency_us);

/* Both together. */
struct slow_tpm {
	struct swtpm tpm;
	struct slow slow;
	char tcti[512];
};

int slow_tpm_init(struct slow_tpm *t) __attribute__((warn_unused_result));
/* Takes a zeroed struct. */
void slow_tpm_done(struct slow_tpm *t);

#endif
