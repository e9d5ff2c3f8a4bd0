/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config.h"

#include "tests/swtpm/tempdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tempdir dir;
static struct config c;
static char error[CONFIG_ERROR_SIZE], path[128];

static void setup(void)
{
	cr_assert_eq(tempdir_init(&dir), 0);
	snprintf(path, sizeof(path), "%s/tpm-pskd.json", dir.path);
}

static void teardown(void)
{
	config_done(&c);
	tempdir_done(&dir);
}

TestSuite(config, .init = setup, .fini = teardown);

static int load(const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	cr_assert_eq(fclose(f), 0);
	config_done(&c);
	return config_load(path, &c, error);
}

static void accepts(const char *text)
{
	cr_assert_eq(load(text), 0, "%s: %s", text, error);
}

static void rejects(const char *text, const char *why)
{
	char expected[CONFIG_ERROR_SIZE];

	cr_assert_lt(load(text), 0, "%s", text);
	snprintf(expected, sizeof(expected), "%s: %s", path, why);
	cr_assert_str_eq(error, expected);
	cr_assert_null(c.tcti);
}

Test(config, has_a_default_for_every_field)
{
	accepts("{}");
	cr_assert_str_eq(c.tcti, "device:/dev/tpmrm0");
	cr_assert_str_eq(c.socket, TPMPSK_DEFAULT_SOCKET);
	cr_assert_eq(c.socket_mode, 0666);
	cr_assert_str_eq(c.keys, "/var/lib/tpm-pskd/keys");
	cr_assert(config_is_admin(&c, &(struct peer){ .uid = 0, .gid = 5 }));
	cr_assert_not(config_is_admin(&c, &(struct peer){ .uid = 1, .gid = 0 }));
	cr_assert(c.encrypt_sessions);
	cr_assert_eq(c.window_seconds, 30);
	cr_assert_eq(c.replay_entries, 1048576);
	cr_assert_eq(c.limits.connections, 1024);
	cr_assert_eq(c.limits.connections_per_user, 256);
	cr_assert_eq(c.limits.queue, 4096);
	cr_assert_eq(c.limits.queue_per_user, 512);
	cr_assert_eq(c.limits.deadline_ms, 5000);
	cr_assert_str_eq(c.audit, "stderr");
}

Test(config, reads_every_field)
{
	accepts("/* all */ { \"tcti\": \"swtpm:path=/x\", \"socket\": \"/a/b\", \"socket_mode\": "
		"\"0660\", \"keys\": \"/k\",\n"
		"\"admins\": [\"uid:7\", \"group:root\"], \"encrypt_sessions\": false, "
		"\"window_seconds\": 300,\n"
		"\"replay_entries\": 1024, \"limits\": { \"connections\": 65536, "
		"\"connections_per_user\": 1, \"queue\": 2,\n"
		"\"queue_per_user\": 3, \"deadline_ms\": 10 }, // end\n \"audit\": \"off\" }");
	cr_assert_str_eq(c.tcti, "swtpm:path=/x");
	cr_assert_str_eq(c.socket, "/a/b");
	cr_assert_eq(c.socket_mode, 0660);
	cr_assert_str_eq(c.keys, "/k");
	cr_assert_eq(c.n_admins, 2);
	cr_assert(config_is_admin(&c, &(struct peer){ .uid = 7, .gid = 5 }));
	cr_assert(config_is_admin(&c, &(struct peer){ .uid = 8, .gid = 0 }));
	cr_assert_not(config_is_admin(&c, &(struct peer){ .uid = 0, .gid = 5 }));
	cr_assert_not(c.encrypt_sessions);
	cr_assert_eq(c.window_seconds, 300);
	cr_assert_eq(c.replay_entries, 1024);
	cr_assert_eq(c.limits.connections, 65536);
	cr_assert_eq(c.limits.connections_per_user, 1);
	cr_assert_eq(c.limits.queue, 2);
	cr_assert_eq(c.limits.queue_per_user, 3);
	cr_assert_eq(c.limits.deadline_ms, 10);
	cr_assert_str_eq(c.audit, "off");
}

Test(config, takes_relative_paths_as_relative_to_the_file)
{
	char expected[128];

	accepts("{ \"socket\": \"s/socket\", \"keys\": \"../keys\", \"audit\": \"audit.log\" }");
	snprintf(expected, sizeof(expected), "%s/s/socket", dir.path);
	cr_assert_str_eq(c.socket, expected);
	snprintf(expected, sizeof(expected), "%s/../keys", dir.path);
	cr_assert_str_eq(c.keys, expected);
	snprintf(expected, sizeof(expected), "%s/audit.log", dir.path);
	cr_assert_str_eq(c.audit, expected);
	/* The same when the file itself was named by a relative path. */
	cr_assert_eq(chdir(dir.path), 0);
	config_done(&c);
	cr_assert_eq(config_load("tpm-pskd.json", &c, error), 0, "%s", error);
	cr_assert_str_eq(c.audit, expected);
	cr_assert_eq(chdir("/"), 0);
}

Test(config, names_file_line_and_field)
{
	rejects("{\n\n\"sockets\": 1 }", "line 3: field 'sockets': no such field");
	rejects("{ \"limits\": {\n\"queues\": 1 } }", "line 2: field 'queues': no such field");
	rejects("{ \"limits\": 1 }", "line 1: field 'limits': must be an object");
	rejects("{ \"limits\": {\n\"connections\": 0 } }",
		"line 2: field 'connections': must be a whole number from 1 to 65536");
	rejects("{ \"limits\": { \"queue\": 65537 } }",
		"line 1: field 'queue': must be a whole number from 1 to 65536");
	rejects("{ \"limits\": { \"deadline_ms\": 9 } }",
		"line 1: field 'deadline_ms': must be a whole number from 10 to 3600000");
	rejects("{ \"window_seconds\": 301 }",
		"line 1: field 'window_seconds': must be a whole number from 1 to 300");
	rejects("{ \"replay_entries\": 67108865 }",
		"line 1: field 'replay_entries': must be a whole number from 1024 to 67108864");
	rejects("{ \"encrypt_sessions\": \"no\" }",
		"line 1: field 'encrypt_sessions': must be true or false");
	rejects("{ \"tcti\": \"\" }", "line 1: field 'tcti': is empty");
	rejects("{ \"keys\": \"/a\",\n\"keys\": \"/b\" }",
		"line 2: field 'keys': stands here twice");
	rejects("{ \"a\" }", "line 1: object property name separator ':' expected");
}

Test(config, rejects_bad_socket_modes)
{
	static const char *const modes[] = { "\"\"", "\"66\"", "\"0888\"", "\"1777\"", "\"06660\"",
		"\"00666\"", "\"0000\"", "438", "\"rw\"" };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char text[100];

		snprintf(text, sizeof(text), "{ \"socket_mode\": %s }", modes[i]);
		rejects(text, "line 1: field 'socket_mode': must be an octal mode in quotes, "
			      "\"0001\" to \"0777\"");
	}
	accepts("{ \"socket_mode\": \"600\" }");
	cr_assert_eq(c.socket_mode, 0600);
}

Test(config, rejects_admins_who_do_not_exist_or_have_a_role)
{
	rejects("{ \"admins\": [\"user:no-such-user-8a6f\"] }",
		"line 1: field 'admins': 'user:no-such-user-8a6f': there is no such user");
	rejects("{ \"admins\": [\"uid:0\", \"uid:1:client\"] }",
		"line 1: field 'admins': 'uid:1:client': there are no roles here");
	rejects("{ \"admins\": \"user:root\" }",
		"line 1: field 'admins': must be an array of strings");
	accepts("{ \"admins\": [] }");
	cr_assert_not(config_is_admin(&c, &(struct peer){ .uid = 0 }));
}

Test(config, rejects_a_socket_path_that_no_socket_can_have)
{
	char text[256], name[120];

	memset(name, 'x', sizeof(name));
	name[108] = '\0';
	name[0] = '/';
	snprintf(text, sizeof(text), "{ \"socket\": \"%s\" }", name);
	rejects(text, "line 1: field 'socket': longer than the 107 bytes of a socket's path");
	name[107] = '\0';
	snprintf(text, sizeof(text), "{ \"socket\": \"%s\" }", name);
	accepts(text);
}

Test(config, needs_a_file_that_was_asked_for)
{
	char expected[CONFIG_ERROR_SIZE];

	cr_assert_eq(config_load(path, &c, error), -ENOENT);
	snprintf(expected, sizeof(expected), "%s: No such file or directory", path);
	cr_assert_str_eq(error, expected);
}

Test(config, reads_regular_files_only_and_does_not_wait_for_others)
{
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(config_load(path, &c, error), -EINVAL);
	cr_assert(strstr(error, "is not a regular file"));
	cr_assert_lt(config_load(dir.path, &c, error), 0);
}

Test(config, rejects_a_file_that_is_too_long)
{
	char *text = malloc(65538);

	memset(text, ' ', 65537);
	memcpy(text, "{}", 2);
	text[65537] = '\0';
	rejects(text, "is too long");
	text[65536] = '\0';
	accepts(text);
	free(text);
}

/* What a package puts into /etc is what holds without it. */
Test(config, is_shipped_as_its_defaults)
{
	const char *source = getenv("TPMPSK_SOURCE");
	struct config shipped;

	snprintf(path, sizeof(path), "%s/daemon/tpm-pskd.json", source ? source : ".");
	cr_assert_eq(config_load(path, &shipped, error), 0, "%s", error);
	snprintf(path, sizeof(path), "%s/tpm-pskd.json", dir.path);
	accepts("{}");
	cr_expect_str_eq(shipped.tcti, c.tcti);
	cr_expect_str_eq(shipped.socket, "/run/tpm-pskd/socket");
	cr_expect_eq(shipped.socket_mode, c.socket_mode);
	cr_expect_str_eq(shipped.keys, c.keys);
	cr_expect_eq(shipped.n_admins, c.n_admins);
	cr_expect(config_is_admin(&shipped, &(struct peer){ .uid = 0 }));
	cr_expect_eq(shipped.encrypt_sessions, c.encrypt_sessions);
	cr_expect_eq(shipped.window_seconds, c.window_seconds);
	cr_expect_eq(shipped.replay_entries, c.replay_entries);
	cr_expect_eq(memcmp(&shipped.limits, &c.limits, sizeof(c.limits)), 0);
	cr_expect_str_eq(shipped.audit, c.audit);
	config_done(&shipped);
}
