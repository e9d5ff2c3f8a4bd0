/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * swtpm - a software TPM of a test's own, on a Unix socket in the test's own directory.
 *
 * Serves one client at a time, keeps its state in a directory across restarts, and dies with the
 * test. Tests only; returns 0 or -errno; waits have deadlines.
 */
#ifndef TPMPSK_TESTS_SWTPM_SWTPM_H
#define TPMPSK_TESTS_SWTPM_SWTPM_H

#include "tests/swtpm/command.h"
#include "tests/swtpm/tempdir.h"

#define SWTPM_PATH_SIZE 64

struct swtpm {
	struct tempdir dir;
	struct command *process; /* NULL: not running */
	char socket[SWTPM_PATH_SIZE];
	char control[SWTPM_PATH_SIZE];
	char tcti[SWTPM_PATH_SIZE]; /* "swtpm:path=SOCKET" */
};

/* A new TPM with a seed of its own, running. */
int swtpm_init(struct swtpm *t) __attribute__((warn_unused_result));
/* Ends it and removes its state. Takes a zeroed struct. */
void swtpm_done(struct swtpm *t);

/* Ends it as a machine that shuts down does; no effect when it is not running. */
void swtpm_stop(struct swtpm *t);
/* kill -9 */
void swtpm_kill(struct swtpm *t);
/* Starts it on the same state and the same socket: what a power cycle leaves. */
int swtpm_start(struct swtpm *t) __attribute__((warn_unused_result));
/*
 * Resets the running TPM: sessions and transient objects are gone, and it wants a TPM2_Startup.
 * Clients stay connected.
 */
int swtpm_reset(struct swtpm *t) __attribute__((warn_unused_result));
/* Stops it, throws its state away and starts another TPM, with another seed, in its place. */
int swtpm_replace(struct swtpm *t) __attribute__((warn_unused_result));

#endif
