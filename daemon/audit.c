/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines are printed by hand and not with json-c: there is one for every derivation, its fields are fixed, and all but the identity are
 * numbers and words of ours. The journal gets the same line as MESSAGE, and each field once more for itself, so that
 * `journalctl TPM_PSKD_STATUS=denied` finds it.
 */
#include "daemon/audit.h"

#include "daemon/log.h"
#include "proto/message.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_SIZE                                                                              \
	2560 /* an identity of control characters takes 6 bytes for each, twice in the journal's form */
#define MESSAGES_PER_CALL 32

static int open_file(struct audit_place *p)
{
	struct stat st;
	/* O_NONBLOCK: a FIFO has nobody at its other end, perhaps, and the loop must not wait for somebody. */
	int fd = open(p->path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK,
		0600);
	int r = 0;

	if (fd < 0)
		return errno == ENXIO ? -EINVAL : -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		r = -EINVAL;
	if (r < 0) {
		close(fd);
		return r;
	}
	p->fd = fd;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	return 0;
}

int audit_prepare_journal(const char *socket_path, struct audit_place *ret)
{
	struct audit_place p = { .kind = AUDIT_JOURNAL };
	struct stat st;

	if (strlen(socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -ENAMETOOLONG;
	if (stat(socket_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	p.path = strdup(socket_path);
	p.fd = p.path ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	if (p.fd < 0) {
		int r = p.path ? -errno : -ENOMEM;

		free(p.path);
		return r;
	}
	*ret = p;
	return 0;
}

int audit_prepare(const char *where, struct audit_place *ret)
{
	struct audit_place p = { .kind = AUDIT_FILE, .fd = -1 };
	int r = 0;

	if (strcmp(where, "journal") == 0)
		return audit_prepare_journal(AUDIT_JOURNAL_SOCKET, ret);
	if (strcmp(where, "off") == 0) {
		p.kind = AUDIT_OFF;
	} else if (strcmp(where, "stderr") == 0) {
		p.kind = AUDIT_STDERR;
		p.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		r = p.fd < 0 ? -errno : 0;
	} else {
		p.path = strdup(where);
		r = p.path ? open_file(&p) : -ENOMEM;
	}
	if (r < 0) {
		free(p.path);
		return r;
	}
	*ret = p;
	return 0;
}

void audit_place_done(struct audit_place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->path);
	*p = (struct audit_place){ .fd = -1 };
}

int audit_open(struct audit *a, const char *where)
{
	a->len = 0;
	a->lost = 0;
	a->place = (struct audit_place){ .fd = -1 };
	return audit_prepare(where, &a->place);
}

void audit_switch(struct audit *a, struct audit_place *place)
{
	audit_close(a);
	a->place = *place;
	a->gone = false;
	*place = (struct audit_place){ .fd = -1 };
}

void audit_close(struct audit *a)
{
	audit_flush(a);
	audit_place_done(&a->place);
}

static int64_t coarse_second(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/* logrotate moves the file away, and tells us or not: go on in a new one. Until there is one, the old one is better than none. */
static void follow_file(struct audit *a)
{
	struct audit_place fresh = a->place;
	int64_t second = coarse_second();
	struct stat st;
	int r;

	if (a->place.kind != AUDIT_FILE || second == a->looked)
		return;
	a->looked = second;
	if (stat(a->place.path, &st) == 0 && st.st_dev == a->place.dev && st.st_ino == a->place.ino)
		return;
	r = open_file(&fresh);
	if (r < 0) {
		if (!a->gone)
			log_warning_r(
				r, "audit: %s was moved, and cannot be made anew", a->place.path);
		a->gone = true;
		return;
	}
	close(a->place.fd);
	a->place = fresh;
	a->torn = false;
	a->gone = false;
}

static void lose(struct audit *a, uint64_t lines)
{
	a->lost += lines;
	a->lost_ever += lines;
}

static uint64_t lines_in(const char *text, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void flush_lines(struct audit *a)
{
	size_t done = 0;

	/* Half a line that a full disk left must not have the next one glued to it. */
	if (a->torn && write(a->place.fd, "\n", 1) == 1)
		a->torn = false;
	while (!a->torn && done < a->len) {
		ssize_t n = write(a->place.fd, a->buffer + done, a->len - done);

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
	lose(a, lines_in(a->buffer + done, a->len - done));
}

/* The messages from one on, as many as one call takes; returns how many. */
static unsigned gather(struct audit *a, size_t *pos, struct iovec *iov)
{
	unsigned n = 0;

	while (n < MESSAGES_PER_CALL && *pos < a->len) {
		uint16_t len;

		memcpy(&len, a->buffer + *pos, sizeof(len));
		iov[n++] = (struct iovec){ a->buffer + *pos + sizeof(len), len };
		*pos += sizeof(len) + len;
	}
	return n;
}

/* The socket is named anew each time, so that a journal that was restarted is found. */
static void flush_messages(struct audit *a)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool sent_any = false;
	size_t pos = 0;

	strcpy(address.sun_path, a->place.path); /* was measured when it was opened */
	while (pos < a->len) {
		struct mmsghdr messages[MESSAGES_PER_CALL] = { 0 };
		struct iovec iov[MESSAGES_PER_CALL];
		unsigned n = gather(a, &pos, iov);
		int sent;

		for (unsigned i = 0; i < n; i++)
			messages[i].msg_hdr = (struct msghdr){ .msg_name = &address,
				.msg_namelen = sizeof(address),
				.msg_iov = &iov[i],
				.msg_iovlen = 1 };
		sent = sendmmsg(a->place.fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0 && !sent_any) {
			sent_any = true;
			a->lost -= a->said;
		}
		lose(a, n - (unsigned)(sent > 0 ? sent : 0));
	}
}

void audit_flush(struct audit *a)
{
	if (a->len == 0)
		return;
	follow_file(a);
	if (a->place.kind == AUDIT_JOURNAL)
		flush_messages(a);
	else if (a->place.fd >= 0)
		flush_lines(a);
	a->said = 0;
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
		{ TPMPSK_OP_METRICS, "metrics" },
		{ TPMPSK_OP_PUBLIC, "public" },
		{ TPMPSK_OP_KEY_IMPORT, "key-import" },
		{ TPMPSK_OP_KEY_GENERATE, "key-generate" },
		{ TPMPSK_OP_KEY_ADOPT, "key-adopt" },
		{ TPMPSK_OP_KEY_LIST, "key-list" },
		{ TPMPSK_OP_KEY_SHOW, "key-show" },
		{ TPMPSK_OP_KEY_ALLOW, "key-allow" },
		{ TPMPSK_OP_KEY_DENY, "key-deny" },
		{ TPMPSK_OP_KEY_REMOVE, "key-remove" },
		{ TPMPSK_OP_KEY_CSR, "key-csr" },
		{ TPMPSK_OP_KEY_CHECK, "key-check" },
		{ TPMPSK_OP_RELOAD, "reload" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].opcode == opcode)
			return names[i].name;
	return "request";
}

struct text {
	size_t len;
	char text[LINE_MAX_SIZE];
};

struct line {
	struct text json;
	bool journal;
	struct text fields; /* the journal's, behind MESSAGE */
};

static void append(struct text *t, const char *bytes, size_t len)
{
	/* Cannot happen with the sizes above; a cut line is no overflow. */
	if (len > sizeof(t->text) - t->len)
		len = sizeof(t->text) - t->len;
	memcpy(t->text + t->len, bytes, len);
	t->len += len;
}

static void add(struct text *t, const char *s)
{
	append(t, s, strlen(s));
}

/* Printable ASCII as it is; anything else escaped, each byte for itself, so that a log reader's terminal is safe. */
static void add_escaped(struct text *t, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char escape[8];

		if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\') {
			append(t, (const char *)&bytes[i], 1);
			continue;
		}
		snprintf(escape, sizeof(escape), "\\u%04x", bytes[i]);
		add(t, escape);
	}
}

/* ,"queue_us": and TPM_PSKD_QUEUE_US= */
static void add_name(struct line *l, const char *name)
{
	add(&l->json, l->json.len == 0 ? "{\"" : ",\"");
	add(&l->json, name);
	add(&l->json, "\":");
	if (!l->journal)
		return;
	add(&l->fields, "TPM_PSKD_");
	for (; *name; name++) {
		char c = *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;

		append(&l->fields, &c, 1);
	}
	add(&l->fields, "=");
}

static void put_bytes(struct line *l, const char *name, const void *bytes, size_t len)
{
	add_name(l, name);
	add(&l->json, "\"");
	add_escaped(&l->json, bytes, len);
	add(&l->json, "\"");
	if (!l->journal)
		return;
	add_escaped(&l->fields, bytes, len);
	add(&l->fields, "\n");
}

static void put_text(struct line *l, const char *name, const char *text)
{
	put_bytes(l, name, text, strlen(text));
}

static void put_number(struct line *l, const char *name, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	add_name(l, name);
	add(&l->json, digits);
	if (!l->journal)
		return;
	add(&l->fields, digits);
	add(&l->fields, "\n");
}

static void put_time(struct line *l)
{
	struct timespec now;
	char text[96];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000);
	put_text(l, "time", text);
}

static void put_derive(struct line *l, const struct tpmpsk_derive *q)
{
	put_text(l, "purpose", tpmpsk_purpose_name(q->purpose));
	if (q->role != TPMPSK_ROLE_NONE)
		put_text(l, "role", tpmpsk_role_name(q->role));
	put_bytes(l, "identity", q->identity, q->identity_len);
}

/* Whether one more refusal may be written. */
static bool take_budget(struct audit *a, struct audit_budget *b)
{
	int64_t second = coarse_second();

	if (b->second != second) {
		b->second = second;
		b->lines = 0;
	}
	if (b->lines++ < AUDIT_REFUSALS_PER_SECOND)
		return true;
	b->left_out++;
	a->left_out++;
	return false;
}

/* Into the buffer, in the form that the place wants. */
static void keep(struct audit *a, struct line *l, enum tpmpsk_status status)
{
	const char *head = status == TPMPSK_STATUS_OK
				   ? "SYSLOG_IDENTIFIER=tpm-pskd\nPRIORITY=6\nMESSAGE="
				   : "SYSLOG_IDENTIFIER=tpm-pskd\nPRIORITY=5\nMESSAGE=";
	size_t head_len = strlen(head);
	uint16_t len = (uint16_t)(head_len + l->json.len + l->fields.len);
	char *to = a->buffer + a->len;

	if (!l->journal) {
		memcpy(to, l->json.text, l->json.len);
		a->len += l->json.len;
		return;
	}
	memcpy(to, &len, sizeof(len));
	memcpy(to += sizeof(len), head, head_len);
	memcpy(to += head_len, l->json.text, l->json.len);
	memcpy(to + l->json.len, l->fields.text, l->fields.len);
	a->len += sizeof(len) + len;
}

void audit_write(struct audit *a, uid_t uid, pid_t pid, const struct audit_event *e)
{
	struct line l;

	if (a->place.fd < 0 || (e->budget && !take_budget(a, e->budget)))
		return;
	static_assert(AUDIT_BUFFER_SIZE >= 3 * LINE_MAX_SIZE, "room for a line in either form");
	if (sizeof(a->buffer) - a->len < 3 * LINE_MAX_SIZE)
		audit_flush(a);
	l.json.len = l.fields.len = 0;
	l.journal = a->place.kind == AUDIT_JOURNAL;
	put_time(&l);
	put_number(&l, "uid", uid);
	put_number(&l, "pid", (uint64_t)pid);
	if (e->unit && *e->unit)
		put_text(&l, "unit", e->unit);
	put_text(&l, "request", audit_opcode_name(e->opcode));
	if (e->derive)
		put_derive(&l, e->derive);
	if (e->key)
		put_text(&l, "key", e->key);
	put_text(&l, "status", tpmpsk_status_name(e->status));
	if (e->queue_us || e->tpm_us) {
		put_number(&l, "queue_us", e->queue_us);
		put_number(&l, "tpm_us", e->tpm_us);
	}
	if (e->budget && e->budget->left_out) {
		put_number(&l, "left_out", e->budget->left_out);
		e->budget->left_out = 0;
	}
	if (a->lost > a->said) {
		put_number(&l, "lost", a->lost - a->said);
		a->said = a->lost;
	}
	add(&l.json, "}\n");
	keep(a, &l, e->status);
}
