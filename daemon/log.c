/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one process-wide state besides struct server: set once before any thread, read only afterwards. */
static const char *program = "tpm-pskd";
static bool with_priority;

void log_init(const char *name)
{
	program = name;
	with_priority = getenv("JOURNAL_STREAM");
}

__attribute__((format(printf, 3, 0))) static void emit(
	enum log_level level, int r, const char *format, va_list args)
{
	char line[1024];
	size_t len;
	int n;

	/* One write per line, so that lines of two threads never mix; what is too long is cut. */
	n = with_priority ? snprintf(line, sizeof(line), "<%d>", level)
			  : snprintf(line, sizeof(line), "%s: ", program);
	len = (size_t)n;
	n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	if (n < 0)
		return;
	len = strlen(line);
	if (r < 0) {
		snprintf(line + len, sizeof(line) - len - 1, ": %s", strerror(-r));
		len = strlen(line);
	}
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nowhere left to complain */
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	emit(level, 0, format, args);
	va_end(args);
}

void log_line_r(enum log_level level, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	emit(level, r, format, args);
	va_end(args);
}

#define LIMIT_SECONDS 10
#define LIMIT_LINES 5

bool log_allowed(struct log_limit *l)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (l->count == 0 || now.tv_sec - l->since >= LIMIT_SECONDS) {
		if (l->count > LIMIT_LINES)
			log_warning("%u more lines like the next one were left out",
				l->count - LIMIT_LINES);
		*l = (struct log_limit){ .since = now.tv_sec };
	}
	return l->count++ < LIMIT_LINES;
}
