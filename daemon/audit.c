/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines are printed by hand and not with json-c: there is one for every derivation, its fields are fixed, and all but the identity are
 * numbers and words of ours.
 */
#include "daemon/audit.h"

#include "proto/message.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_SIZE 1536 /* an identity of control characters takes 6 bytes for each */

int audit_prepare(const char *where, int *ret_fd)
{
	int fd;

	if (strcmp(where, "off") == 0)
		fd = -1;
	else if (strcmp(where, "stderr") == 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	else
		fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW,
			0600);
	if (fd < 0 && strcmp(where, "off") != 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int audit_open(struct audit *a, const char *where)
{
	a->len = 0;
	a->lost = 0;
	a->fd = -1;
	return audit_prepare(where, &a->fd);
}

void audit_switch(struct audit *a, int fd)
{
	audit_close(a);
	a->fd = fd;
}

void audit_close(struct audit *a)
{
	audit_flush(a);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static uint64_t lines_in(const char *text, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

void audit_flush(struct audit *a)
{
	size_t done = 0;

	if (a->len == 0)
		return;
	/* Half a line that a full disk left must not have the next one glued to it. */
	if (a->fd >= 0 && a->torn && write(a->fd, "\n", 1) == 1)
		a->torn = false;
	while (a->fd >= 0 && !a->torn && done < a->len) {
		ssize_t n = write(a->fd, a->buffer + done, a->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* a full disk must not stop the service; the number of lost lines is kept */
		done += (size_t)n;
	}
	if (done > 0)
		a->torn = a->buffer[done - 1] != '\n';
	if (lines_in(a->buffer, done) > 0)
		a->lost -= a->said; /* the first line said it */
	a->said = 0;
	a->lost += lines_in(a->buffer + done, a->len - done);
	a->len = 0;
}

const char *audit_opcode_name(uint8_t opcode)
{
	static const struct {
		uint8_t opcode;
		const char *name;
	} names[] = {
		{ TPMPSK_OP_DERIVE, "derive" },
		{ TPMPSK_OP_STATUS, "status" },
		{ TPMPSK_OP_KEY_IMPORT, "key-import" },
		{ TPMPSK_OP_KEY_GENERATE, "key-generate" },
		{ TPMPSK_OP_KEY_ADOPT, "key-adopt" },
		{ TPMPSK_OP_KEY_LIST, "key-list" },
		{ TPMPSK_OP_KEY_SHOW, "key-show" },
		{ TPMPSK_OP_KEY_ALLOW, "key-allow" },
		{ TPMPSK_OP_KEY_DENY, "key-deny" },
		{ TPMPSK_OP_KEY_REMOVE, "key-remove" },
		{ TPMPSK_OP_RELOAD, "reload" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].opcode == opcode)
			return names[i].name;
	return "request";
}

struct line {
	char text[LINE_MAX_SIZE];
	size_t len;
};

static void add(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, sizeof(l->text) - l->len, format, args);
	va_end(args);
	if (n > 0)
		l->len += (size_t)n;
	if (l->len >= sizeof(l->text))
		l->len = sizeof(l->text) -
			 1; /* cannot happen with the sizes above; a cut line is no overflow */
}

/* Printable ASCII as it is; anything else escaped, each byte for itself, so that a log reader's terminal is safe. */
static void add_identity(struct line *l, const uint8_t *id, size_t len)
{
	add(l, ",\"identity\":\"");
	for (size_t i = 0; i < len; i++) {
		if (id[i] < 0x20 || id[i] >= 0x7f || id[i] == '"' || id[i] == '\\')
			add(l, "\\u%04x", id[i]);
		else
			add(l, "%c", id[i]);
	}
	add(l, "\"");
}

static void add_time(struct line *l)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	add(l, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\"", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000);
}

/* Whether one more refusal may be written. */
static bool take_budget(struct audit_budget *b)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (b->second != now.tv_sec) {
		b->second = now.tv_sec;
		b->lines = 0;
	}
	if (b->lines++ < AUDIT_REFUSALS_PER_SECOND)
		return true;
	b->left_out++;
	return false;
}

void audit_write(struct audit *a, uid_t uid, pid_t pid, const struct audit_event *e)
{
	struct line l = { .len = 0 };

	if (a->fd < 0 || (e->budget && !take_budget(e->budget)))
		return;
	if (sizeof(a->buffer) - a->len < sizeof(l.text))
		audit_flush(a);
	add_time(&l);
	add(&l, ",\"uid\":%u,\"pid\":%d,\"request\":\"%s\"", uid, pid,
		audit_opcode_name(e->opcode));
	if (e->derive) {
		add(&l, ",\"purpose\":\"%s\"", tpmpsk_purpose_name(e->derive->purpose));
		if (e->derive->role != TPMPSK_ROLE_NONE)
			add(&l, ",\"role\":\"%s\"", tpmpsk_role_name(e->derive->role));
		add_identity(&l, e->derive->identity, e->derive->identity_len);
	}
	if (e->key)
		add(&l, ",\"key\":\"%s\"", e->key);
	add(&l, ",\"status\":\"%s\"", tpmpsk_status_name(e->status));
	if (e->queue_us || e->tpm_us)
		add(&l, ",\"queue_us\":%" PRIu64 ",\"tpm_us\":%" PRIu64, e->queue_us, e->tpm_us);
	if (e->budget && e->budget->left_out) {
		add(&l, ",\"left_out\":%" PRIu64, e->budget->left_out);
		e->budget->left_out = 0;
	}
	if (a->lost > a->said) {
		add(&l, ",\"lost\":%" PRIu64, a->lost - a->said);
		a->said = a->lost;
	}
	add(&l, "}\n");
	memcpy(a->buffer + a->len, l.text, l.len);
	a->len += l.len;
}
