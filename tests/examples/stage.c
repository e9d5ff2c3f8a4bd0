/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/examples/stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct scene stage;
static struct command_result result;

static void import(const char *name, const char *identity, const char *hex, unsigned int uid)
{
	const struct command_options options = { .input = hex };
	struct command_result r = { 0 };
	char allow[32];

	snprintf(allow, sizeof(allow), "uid:%u", uid);
	cr_assert_eq(
		scene_psk(&stage, &options, &r, "key", "import", name, "--identity", identity,
			"--purpose", "tls12-session", "--allow", allow, "--hex-file", "-", NULL),
		0);
	cr_assert_eq(r.status, 0, "%s", r.err);
	command_result_done(&r);
}

void stage_begin(void)
{
	char admin[64];

	snprintf(admin, sizeof(admin), "{\"admins\": [\"uid:%u\"]}", getuid());
	cr_assert_eq(scene_init(&stage, &(struct scene_options){ .config = admin }), 0);
	import("client1", "Client1", STAGE_SECRET, getuid());
	import("other", "Other", STAGE_OTHER_SECRET, getuid());
	import("foreign", "Foreign", STAGE_OTHER_SECRET, 4711);
}

void stage_end(void)
{
	command_result_done(&result);
	scene_done(&stage);
}

/* PROGRAM [--socket PATH] ARGUMENTS… */
static void fill(const char *argv[STAGE_ARGUMENTS_MAX], const char *path, const char *program,
	va_list arguments)
{
	size_t n = 0;

	argv[n++] = path;
	if (strncmp(program, "examples/", 9) == 0) {
		argv[n++] = "--socket";
		argv[n++] = stage.socket;
	}
	do {
		cr_assert_lt(n, STAGE_ARGUMENTS_MAX);
		argv[n] = va_arg(arguments, const char *);
	} while (argv[n++]);
}

/* A copy of the program that every user can reach, wherever the build folder is. */
static void copy_for_strangers(const char *program, char *path, size_t cap)
{
	char build[512];
	const char *const argv[] = { "sh", "-c",
		"cd \"$1\" && cp --parents \"$3\" client-lib/libtpmpsk.so.0 "
		"client-lib/libtpmpsk-gnutls.so.0 \"$2\"",
		"sh", build, stage.dir.path, program, NULL };
	struct command_result r = { 0 };

	scene_built("", build, sizeof(build));
	cr_assert_eq(command_run(argv, NULL, &r), 0);
	cr_assert_eq(r.status, 0, "%s", r.err);
	command_result_done(&r);
	snprintf(path, cap, "%s/%s", stage.dir.path, program);
}

void stage_serve(
	struct stage_server *s, const struct command_options *options, const char *program, ...)
{
	const char *argv[STAGE_ARGUMENTS_MAX];
	char path[512], line[128];
	va_list arguments;
	int r;

	if (options && options->as_user)
		copy_for_strangers(program, path, sizeof(path));
	else
		scene_built(program, path, sizeof(path));
	va_start(arguments, program);
	fill(argv, path, program, arguments);
	va_end(arguments);
	cr_assert_eq(command_start(&s->process, argv, options), 0);
	r = command_read_line(s->process, line, sizeof(line), COMMAND_DEADLINE_MS);
	cr_assert_eq(r, 0, "%s: %s", program, command_err(s->process));
	cr_assert_eq(sscanf(line, "listening on %63s", s->address), 1);
}

void stage_leave(struct stage_server *s)
{
	command_free(s->process);
	s->process = NULL;
}

void stage_server_psk(struct stage_server *s, char hex[STAGE_HEX_SIZE])
{
	char line[128];

	cr_assert_eq(command_read_line(s->process, line, sizeof(line), COMMAND_DEADLINE_MS), 0);
	cr_assert_eq(sscanf(line, "psk %64[0-9a-f]", hex), 1, "%s", line);
	cr_assert_eq(strlen(hex), 64);
}

const struct command_result *stage_run(const char *program, ...)
{
	const char *argv[STAGE_ARGUMENTS_MAX];
	char path[512];
	va_list arguments;

	scene_built(program, path, sizeof(path));
	va_start(arguments, program);
	fill(argv, path, program, arguments);
	va_end(arguments);
	command_result_done(&result);
	memset(&result, 0, sizeof(result));
	cr_assert_eq(command_run(argv, NULL, &result), 0);
	return &result;
}

void stage_client_psk(const struct command_result *r, char hex[STAGE_HEX_SIZE])
{
	const char *line = strstr(r->out, "psk ");

	cr_assert_eq(r->status, 0, "%s", r->err);
	cr_assert(line);
	cr_assert_eq(sscanf(line, "psk %64[0-9a-f]", hex), 1);
	cr_assert_eq(strlen(hex), 64);
}
