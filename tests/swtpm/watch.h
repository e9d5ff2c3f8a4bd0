/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch - the TCTI for tests in front of a scene's TPM, with a directory for what it shares with
 * the test.
 *
 * The directory is the test's own, too, and must outlive the scene: the daemon has the file open
 * until it ends. Tests only; returns 0 or -errno.
 */
#ifndef TPMPSK_TESTS_SWTPM_WATCH_H
#define TPMPSK_TESTS_SWTPM_WATCH_H

#include "tests/swtpm/tempdir.h"
#include "tests/tcti/tcti_test.h"

#define WATCH_NAME_SIZE 512

/* name is for scene_options.tcti. */
int watch_init(struct tempdir *dir, struct tcti_test **ret_tcti, char name[WATCH_NAME_SIZE])
	__attribute__((warn_unused_result));
/* Takes a zeroed directory and NULL. */
void watch_done(struct tempdir *dir, struct tcti_test *tcti);

#endif
