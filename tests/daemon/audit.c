/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/audit.h"

#include "proto/message.h"
#include "tests/swtpm/tempdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
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
	struct json_object *o;
	int fd;

	cr_assert_eq(audit_open(a, "/dev/full"), 0);
	for (int i = 0; i < 3; i++)
		audit_write(a, 1001, 77, &(struct audit_event){ .opcode = TPMPSK_OP_STATUS });
	audit_flush(a);
	cr_assert_eq(audit_prepare(path, &fd), 0);
	audit_switch(a, fd);
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
