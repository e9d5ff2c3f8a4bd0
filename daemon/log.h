/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log - what the daemon tells its operator, one line at a time on standard error.
 *
 * With $JOURNAL_STREAM set, lines start with the journal's priority, "<4>". No secret, and no rejected input that may be one, is ever
 * passed to these. Any thread.
 */
#ifndef TPMPSK_DAEMON_LOG_H
#define TPMPSK_DAEMON_LOG_H

#include <stdbool.h>
#include <time.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
};

void log_init(const char *name);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "STEP: reason of -r" */
void log_line_r(enum log_level level, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A line that clients can cause: at most five in ten seconds, then one that says how many were left out. */
struct log_limit {
	time_t since;
	unsigned count;
};
bool log_allowed(struct log_limit *l);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_error_r(r, ...) log_line_r(LOG_LEVEL_ERROR, r, __VA_ARGS__)
#define log_warning_r(r, ...) log_line_r(LOG_LEVEL_WARNING, r, __VA_ARGS__)

#endif
