/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/audit.h"

#include "proto/message.h"
#include "tests/swtpm/tempdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct tempdir dir;
static char path[4096];

static void setup(void)
{
	cr_assert_eq(tempdir_init(&dir), 0);
	snprintf(path, sizeof(path), "%s/audit", dir.path);
}

static void teardown(void)
{
	tempdir_done(&dir);
}

TestSuite(audit, .init = setup, .fini = teardown);

static struct json_object *only_line(void)
{
	struct json_object *o = json_object_from_file(path);

	cr_assert_not_null(o);
	return o;
}

static const char *text(struct json_object *o, const char *name)
{
	return json_object_get_string(json_object_object_get(o, name));
}

Test(audit, writes_one_json_object_a_line)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct tpmpsk_derive q = {
		.purpose = TPMPSK_PURPOSE_TLS12_SESSION, .identity = "Client1", .identity_len = 7
	};
	struct json_object *o;

	cr_assert_eq(audit_open(a, path), 0);
	audit_write(a, 1001, 77,
		&(struct audit_event){ .opcode = TPMPSK_OP_DERIVE,
			.derive = &q,
			.key = "web",
			.queue_us = 5,
			.tpm_us = 90 });
	audit_close(a);
	o = only_line();
	cr_assert_str_eq(text(o, "request"), "derive");
	cr_assert_str_eq(text(o, "identity"), "Client1");
	cr_assert_str_eq(text(o, "purpose"), "tls12-session");
	cr_assert_str_eq(text(o, "key"), "web");
	cr_assert_str_eq(text(o, "status"), "ok");
	cr_assert_eq(json_object_get_int(json_object_object_get(o, "uid")), 1001);
	cr_assert_eq(json_object_get_int(json_object_object_get(o, "tpm_us")), 90);
	json_object_put(o);
	free(a);
}

Test(audit, escapes_every_byte_a_client_may_send)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_TLS12_SESSION };
	char raw[4096];
	ssize_t n;
	int fd;

	cr_assert_eq(audit_open(a, path), 0);
	for (int half = 0; half < 2; half++) {
		q.identity_len = TPMPSK_IDENTITY_MAX;
		for (size_t i = 0; i < TPMPSK_IDENTITY_MAX; i++)
			q.identity[i] = (uint8_t)(half * TPMPSK_IDENTITY_MAX + (int)i);
		audit_write(a, 1001, 77,
			&(struct audit_event){ .opcode = TPMPSK_OP_DERIVE, .derive = &q });
	}
	audit_close(a);
	free(a);
	fd = open(path, O_RDONLY);
	n = read(fd, raw, sizeof(raw));
	close(fd);
	cr_assert_gt(n, 0);
	cr_assert_lt(n, (ssize_t)sizeof(raw));
	for (ssize_t i = 0; i < n; i++)
		cr_assert(raw[i] == '\n' || (raw[i] >= 0x20 && raw[i] < 0x7f));
	raw[n - 1] = 0;
	for (char *line = raw; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		struct json_object *o = json_tokener_parse(line);

		cr_assert_not_null(o);
		json_object_put(o);
	}
}

Test(audit, counts_the_lines_a_full_disk_swallows)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct audit_place place;
	struct json_object *o;

	cr_assert_eq(audit_open(a, "/dev/full"), 0);
	for (int i = 0; i < 3; i++)
		audit_write(a, 1001, 77, &(struct audit_event){ .opcode = TPMPSK_OP_STATUS });
	audit_flush(a);
	cr_assert_eq(audit_prepare(path, &place), 0);
	audit_switch(a, &place);
	audit_write(a, 1001, 77, &(struct audit_event){ .opcode = TPMPSK_OP_STATUS });
	audit_close(a);
	o = only_line();
	cr_assert_eq(json_object_get_int(json_object_object_get(o, "lost")), 3);
	json_object_put(o);
	free(a);
}

Test(audit, can_be_off)
{
	struct audit *a = calloc(1, sizeof(*a));

	cr_assert_eq(audit_open(a, "off"), 0);
	audit_write(a, 1001, 77, &(struct audit_event){ .opcode = TPMPSK_OP_STATUS });
	cr_assert_eq(a->len, 0);
	audit_close(a);
	free(a);
}

static void write_one(struct audit *a)
{
	audit_write(a, 1001, 77, &(struct audit_event){ .opcode = TPMPSK_OP_STATUS });
}

Test(audit, keeps_the_count_of_lost_lines_until_it_is_written)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct audit_place place;
	struct json_object *o;

	cr_assert_eq(audit_open(a, "/dev/full"), 0);
	for (int i = 0; i < 3; i++)
		write_one(a);
	audit_flush(a);
	/* This one says so, and is lost as well. */
	write_one(a);
	audit_flush(a);
	write_one(a);
	write_one(a);
	cr_assert_eq(audit_prepare(path, &place), 0);
	audit_switch(a, &place);
	cr_assert_eq(a->lost, 6);
	write_one(a);
	audit_close(a);
	o = only_line();
	cr_assert_eq(json_object_get_int(json_object_object_get(o, "lost")), 6);
	json_object_put(o);
	cr_assert_eq(a->lost, 0);
	free(a);
}

/* The lines of the file, without their newlines; returns how many. */
static size_t read_lines(char *raw, size_t cap, char **lines, size_t max)
{
	FILE *f = fopen(path, "r");
	size_t n = 0, len;
	char *next;

	cr_assert_not_null(f);
	len = fread(raw, 1, cap - 1, f);
	fclose(f);
	raw[len] = '\0';
	cr_assert(len == 0 || raw[len - 1] == '\n');
	for (char *line = raw; *line; line = next) {
		next = strchr(line, '\n');
		*next++ = '\0';
		cr_assert_lt(n, max);
		lines[n++] = line;
	}
	return n;
}

static uint64_t number(const char *line, const char *name)
{
	struct json_object *o = json_tokener_parse(line);
	uint64_t n;

	cr_assert_not_null(o, "%s", line);
	n = json_object_get_uint64(json_object_object_get(o, name));
	json_object_put(o);
	return n;
}

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(audit, glues_no_line_to_the_half_that_a_full_disk_left)
{
	struct audit *a = calloc(1, sizeof(*a));
	char raw[4096], *lines[8];
	struct rlimit before;
	size_t len;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	cr_assert_eq(audit_open(a, path), 0);
	write_one(a);
	len = a->len;
	write_one(a);
	write_one(a);
	limit_files(len + len / 2);
	audit_flush(a);
	/* Still full. */
	write_one(a);
	audit_flush(a);
	limit_files(before.rlim_cur);
	write_one(a);
	write_one(a);
	audit_close(a);
	cr_assert_eq(read_lines(raw, sizeof(raw), lines, 8), 4);
	cr_assert_eq(number(lines[0], "lost"), 0);
	cr_assert_eq(strlen(lines[1]), len / 2);
	cr_assert_eq(number(lines[2], "lost"), 3);
	cr_assert_eq(number(lines[3], "lost"), 0);
	free(a);
}

static void refuse(struct audit *a, uid_t uid, struct audit_budget *b)
{
	audit_write(a, uid, 77,
		&(struct audit_event){
			.opcode = TPMPSK_OP_DERIVE, .status = TPMPSK_STATUS_DENIED, .budget = b });
}

/* A second may end while this goes on: then what was left out is in a line, and it begins anew. */
Test(audit, leaves_out_what_is_refused_too_often_and_counts_it)
{
	static char raw[8 * 1024 * 1024], *lines[65536];
	struct audit *a = calloc(1, sizeof(*a));
	struct audit_budget b = { 0 }, other = { 0 };
	uint64_t written = 0, said = 0;
	size_t n;

	cr_assert_eq(audit_open(a, path), 0);
	while (b.left_out < 3) {
		refuse(a, 1001, &b);
		cr_assert_lt(++written, 60000);
	}
	cr_assert_gt(written, AUDIT_REFUSALS_PER_SECOND);
	/* Another user's are written, and so is what was not refused. */
	refuse(a, 1002, &other);
	write_one(a);
	b.second--;
	refuse(a, 1001, &b);
	cr_assert_eq(b.left_out, 0);
	audit_close(a);
	n = read_lines(raw, sizeof(raw), lines, 65536);
	for (size_t i = 0; i < n; i++)
		said += number(lines[i], "left_out");
	cr_assert_eq(n + said, written + 3);
	cr_assert_eq(number(lines[n - 1], "left_out"), 3);
	cr_assert_eq(number(lines[n - 2], "uid"), 1001);
	cr_assert_eq(number(lines[n - 3], "uid"), 1002);
	free(a);
}

Test(audit, goes_on_in_a_new_file_when_the_old_one_was_moved)
{
	struct audit *a = calloc(1, sizeof(*a));
	char moved[sizeof(path) + 8], raw[4096], *lines[8];

	snprintf(moved, sizeof(moved), "%s.1", path);
	cr_assert_eq(audit_open(a, path), 0);
	write_one(a);
	audit_flush(a);
	cr_assert_eq(rename(path, moved), 0);
	a->looked = 0;
	write_one(a);
	write_one(a);
	audit_flush(a);
	cr_assert_eq(read_lines(raw, sizeof(raw), lines, 8), 2);
	/* Within a second it is not looked at again: what is written goes where the lines before went. */
	a->looked += 1;
	audit_close(a);
	free(a);
}

Test(audit, goes_on_in_the_old_file_while_there_can_be_no_new_one)
{
	struct audit *a = calloc(1, sizeof(*a));
	char moved[sizeof(path) + 8], raw[4096], *lines[8];

	snprintf(moved, sizeof(moved), "%s.1", path);
	cr_assert_eq(audit_open(a, path), 0);
	cr_assert_eq(rename(path, moved), 0);
	/* A link is not followed, whoever put it there. */
	cr_assert_eq(symlink("/dev/null", path), 0);
	a->looked = 0;
	write_one(a);
	audit_flush(a);
	cr_assert(a->gone);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(rename(moved, path), 0);
	cr_assert_eq(read_lines(raw, sizeof(raw), lines, 8), 1);
	audit_close(a);
	free(a);
}

/* A socket like the journal's; what arrives there, one message each. */
static int journal_open(char socket_path[sizeof(path) + 8])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(socket_path, sizeof(path) + 8, "%s.j", path);
	strncpy(address.sun_path, socket_path, sizeof(address.sun_path) - 1);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

Test(audit, gives_the_journal_each_line_and_its_fields)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_CLIENT,
		.identity = "C\n=1",
		.identity_len = 4 };
	struct audit *a = calloc(1, sizeof(*a));
	char message[8192], where[sizeof(path) + 8];
	int fd = journal_open(where);
	struct audit_place place;
	ssize_t n;

	cr_assert_eq(audit_open(a, "off"), 0);
	cr_assert_eq(audit_prepare_journal(where, &place), 0);
	audit_switch(a, &place);
	audit_write(a, 1001, 77,
		&(struct audit_event){ .opcode = TPMPSK_OP_DERIVE,
			.derive = &q,
			.key = "web",
			.unit = "nginx.service",
			.tpm_us = 90 });
	write_one(a);
	audit_flush(a);
	n = recv(fd, message, sizeof(message) - 1, 0);
	cr_assert_gt(n, 0);
	message[n] = '\0';
	for (const char *const *field = (const char *const[]){ "\nTPM_PSKD_UID=1001\n",
		     "\nTPM_PSKD_UNIT=nginx.service\n", "\nTPM_PSKD_KEY=web\n",
		     "\nTPM_PSKD_PURPOSE=session-identity\n", "\nTPM_PSKD_ROLE=client\n",
		     "\nTPM_PSKD_IDENTITY=C\\u000a=1\n", "\nTPM_PSKD_STATUS=ok\n",
		     "\nTPM_PSKD_TPM_US=90\n", "SYSLOG_IDENTIFIER=tpm-pskd\n",
		     "\nMESSAGE={\"time\":", NULL };
		*field; field++)
		cr_expect(strstr(message, *field), "%s not in %s", *field, message);
	n = recv(fd, message, sizeof(message) - 1, 0);
	cr_assert_gt(n, 0);
	message[n] = '\0';
	cr_expect(strstr(message, "TPM_PSKD_REQUEST=status\n"));
	close(fd);
	audit_close(a);
	free(a);
}

Test(audit, finds_a_journal_that_was_restarted_and_counts_what_it_missed)
{
	struct audit *a = calloc(1, sizeof(*a));
	char message[8192], where[sizeof(path) + 8];
	int fd = journal_open(where);
	struct audit_place place;
	ssize_t n;

	cr_assert_eq(audit_open(a, "off"), 0);
	cr_assert_eq(audit_prepare_journal(where, &place), 0);
	audit_switch(a, &place);
	close(fd);
	for (int i = 0; i < 70; i++)
		write_one(a);
	audit_flush(a);
	cr_assert_eq(a->lost, 70);
	cr_assert_eq(unlink(where), 0);
	fd = journal_open(where);
	write_one(a);
	audit_flush(a);
	n = recv(fd, message, sizeof(message) - 1, 0);
	cr_assert_gt(n, 0);
	message[n] = '\0';
	cr_expect(strstr(message, "TPM_PSKD_LOST=70\n"), "%s", message);
	cr_expect_eq(a->lost, 0);
	cr_expect_eq(a->lost_ever, 70);
	close(fd);
	audit_close(a);
	free(a);
}
