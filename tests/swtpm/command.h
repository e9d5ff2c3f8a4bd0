/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command - programs that a test runs: in the foreground with everything they say captured, or in
 * the background with their lines read as they come.
 *
 * Every wait has a deadline. A program dies with the thread that started it. Standard error goes to
 * a file in memory, so that no program ever blocks on a reader; standard output of a background
 * program is a pipe. Tests only; 0 or -errno.
 */
#ifndef TPMPSK_TESTS_SWTPM_COMMAND_H
#define TPMPSK_TESTS_SWTPM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define COMMAND_DEADLINE_MS                                                                        \
	30000 /* for what should take a moment, on a loaded machine under ASan */
#define COMMAND_STDIN_MAX 60000

struct command_options {
	const char *input;      /* what the program reads on standard input; NULL: nothing */
	size_t input_len;       /* 0: the length of the string */
	const char *const *env; /* "NAME=value" added to the environment, NULL at the end */
	bool as_user;           /* with uid, gid and exactly these supplementary groups */
	uid_t uid;
	gid_t gid;
	size_t n_groups;
	const gid_t *groups;
	int deadline_ms; /* 0: COMMAND_DEADLINE_MS */
	int pass_fd;     /* > 2: the program finds this descriptor open under the same number */
};

struct command_result {
	int status; /* exit code, or 128 + signal as the shell has it */
	size_t out_len;
	char *out; /* NUL behind the last byte */
	size_t err_len;
	char *err;
};

/*
 * argv[0] without a slash is searched in $PATH. -ETIMEDOUT kills the program first. options may be
 * NULL.
 */
int command_run(const char *const argv[], const struct command_options *options,
	struct command_result *ret) __attribute__((warn_unused_result));
void command_result_done(struct command_result *r);

struct command;

int command_start(struct command **ret, const char *const argv[],
	const struct command_options *options) __attribute__((warn_unused_result));
/* Kills it if it still runs, and reaps it. Takes NULL. */
void command_free(struct command *c);

pid_t command_pid(const struct command *c);
/* A descriptor that polls readable once the program has ended. */
int command_pidfd(const struct command *c);

/*
 * The next line of standard output without its newline. -ENODATA when the program has closed it,
 * -ETIMEDOUT, -EMSGSIZE when the line does not fit.
 */
int command_read_line(struct command *c, char *buf, size_t cap, int deadline_ms)
	__attribute__((warn_unused_result));
/* Waits until standard error contains the text; -ENODATA when the program ended without it. */
int command_wait_err(struct command *c, const char *text, int deadline_ms)
	__attribute__((warn_unused_result));
/* What stands on standard error so far; malloc'ed. */
char *command_err(const struct command *c);

/* Sends a signal (0: none), waits for the end and collects the rest. c is still to be freed. */
int command_stop(struct command *c, int sig, int deadline_ms, struct command_result *ret)
	__attribute__((warn_unused_result));

/* Milliseconds on the monotonic clock. */
long long command_now_ms(void);

#endif
