/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scene - a daemon under test: a software TPM, a directory with configuration, keys and socket, and
 * the built tpm-pskd.
 *
 * Everything is the test's own and goes with it. Programs are those of $TPMPSK_BUILD. "Ready" is
 * what the daemon says on $NOTIFY_SOCKET; nothing here guesses with a pause. Tests only; returns 0
 * or -errno; waits have deadlines. On failure, what the daemon said goes to the test's standard
 * error.
 */
#ifndef TPMPSK_TESTS_SWTPM_SCENE_H
#define TPMPSK_TESTS_SWTPM_SCENE_H

#include "tests/swtpm/command.h"
#include "tests/swtpm/swtpm.h"

struct scene_options {
	const char *config;     /* a JSON object: fields of tpm-pskd.json over the usual ones */
	/* With %s where the TCTI of the scene's swtpm goes; without, there is none; NULL: "%s". */
	const char *tcti;
	const char *const *env; /* additions to the daemon's environment, NULL at the end */
	bool no_daemon;         /* prepare everything, start nothing */
};

struct scene {
	struct swtpm tpm;
	struct tempdir dir; /* 0755; below it: tpm-pskd.json, socket, keys/ (0700) */
	char config[SWTPM_PATH_SIZE];
	char socket[SWTPM_PATH_SIZE];
	char keys[SWTPM_PATH_SIZE];
	char notify[SWTPM_PATH_SIZE];
	char *tcti;
	const char *const *env;
	struct command *daemon; /* NULL: not running */
	int notify_fd;
};

/* options may be NULL. Unless no_daemon, the daemon is ready when this returns 0. */
int scene_init(struct scene *s, const struct scene_options *options)
	__attribute__((warn_unused_result));
void scene_done(struct scene *s);

/*
 * Writes tpm-pskd.json anew: the usual fields, and those of a JSON object (may be NULL) over them.
 */
int scene_configure(struct scene *s, const char *fields) __attribute__((warn_unused_result));

/* -ECHILD when the daemon exits before it is ready. */
int scene_start(struct scene *s) __attribute__((warn_unused_result));
/* Starts the daemon and waits for its exit: for configurations it must refuse. */
int scene_start_fails(struct scene *s, struct command_result *ret)
	__attribute__((warn_unused_result));
/*
 * SIGTERM. ret (may be NULL) gets exit status and standard error; with NULL, an exit code but 0 is
 * -EPROTO.
 */
int scene_stop(struct scene *s, struct command_result *ret) __attribute__((warn_unused_result));
/* kill -9 */
void scene_kill(struct scene *s);
/*
 * SIGHUP, and wait until the daemon is ready again, whether it took the new files or kept the old.
 */
int scene_reload(struct scene *s) __attribute__((warn_unused_result));

/* "tpm-psk --socket SOCKET ARGUMENTS…"; options may be NULL; NULL ends the arguments. */
int scene_psk(struct scene *s, const struct command_options *options, struct command_result *ret,
	...) __attribute__((warn_unused_result, sentinel));
/*
 * The same for a test that wants nothing but success: prints what went wrong and returns the exit
 * status.
 */
int scene_psk_ok(struct scene *s, ...) __attribute__((warn_unused_result, sentinel));

/* The path of a file in the build folder ("examples/psk-server"). */
void scene_built(const char *name, char *buf, size_t cap);

#endif
