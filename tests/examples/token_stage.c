/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/examples/token_stage.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32

struct scene token_stage;
static struct command_result result;

const char *token_file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", token_stage.dir.path, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(token_file(name), "w");

	cr_assert(f);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
}

static void write_secrets(void)
{
	write_file("kdf", KDF_SECRET);
	write_file("mac", MAC_SECRET);
	write_file("wrong", WRONG_SECRET);
}

static void import(const char *name, const char *identity, const char *purpose, unsigned int uid)
{
	char allow[32];

	snprintf(allow, sizeof(allow), "uid:%u", uid);
	cr_assert_eq(
		scene_psk_ok(&token_stage, "key", "import", name, "--identity", identity,
			"--purpose", purpose, "--allow", allow, "--secret-file",
			token_file(strcmp(purpose, "exporter-kdf") == 0 ? "kdf" : "mac"), NULL),
		0);
}

void token_stage_begin(void)
{
	char admin[64];

	snprintf(admin, sizeof(admin), "{\"admins\": [\"uid:%u\"]}", getuid());
	cr_assert_eq(scene_init(&token_stage, &(struct scene_options){ .config = admin }), 0);
	write_secrets();
	import("kdf", "Client1", "exporter-kdf", getuid());
	import("mac", "Client1", "exporter-mac", getuid());
	import("foreign", "Foreign", "exporter-kdf", 4711);
}

void token_stage_begin_in_software(void)
{
	token_stage = (struct scene){ .notify_fd = -1 };
	cr_assert_eq(tempdir_init(&token_stage.dir), 0);
	write_secrets();
}

void token_stage_end(void)
{
	command_result_done(&result);
	scene_done(&token_stage);
}

/* Where the key is, for either program; the arguments point to what is static. */
static size_t place_arguments(enum place place, const char *jwt, const char **argv)
{
	static char path[128];
	size_t n = 0;

	argv[n++] = place == IN_DAEMON ? "--socket" : "--secret-file";
	if (place == IN_DAEMON)
		argv[n++] = token_stage.socket;
	else
		argv[n++] = strcpy(path, token_file(place == NOT_THE_KEY ? "wrong"
						    : jwt                ? "mac"
									 : "kdf"));
	if (jwt) {
		argv[n++] = "--jwt";
		argv[n++] = jwt;
	}
	return n;
}

static void append(const char **argv, size_t n, va_list arguments)
{
	do {
		cr_assert_lt(n, ARGUMENTS_MAX);
		argv[n] = va_arg(arguments, const char *);
	} while (argv[n++]);
}

void token_serve(struct token_server *s, enum place place, const char *jwt, ...)
{
	const char *argv[ARGUMENTS_MAX];
	char path[512], line[128];
	va_list arguments;
	size_t n = 0;

	scene_built(TOKEN_SERVER, path, sizeof(path));
	argv[n++] = path;
	argv[n++] = "--listen";
	argv[n++] = "127.0.0.1:0";
	n += place_arguments(place, jwt, argv + n);
	va_start(arguments, jwt);
	append(argv, n, arguments);
	va_end(arguments);
	cr_assert_eq(command_start(&s->process, argv, NULL), 0);
	cr_assert_eq(command_read_line(s->process, line, sizeof(line), COMMAND_DEADLINE_MS), 0,
		"%s", command_err(s->process));
	cr_assert_eq(sscanf(line, "listening on %63s", s->address), 1);
	cr_assert_eq(command_read_line(s->process, line, sizeof(line), COMMAND_DEADLINE_MS), 0);
	cr_assert_eq(sscanf(line, "pin %63s", s->pin), 1);
}

void token_leave(struct token_server *s)
{
	command_free(s->process);
	s->process = NULL;
}

void token_assert_err(const struct token_server *s, const char *text)
{
	cr_assert_eq(command_wait_err(s->process, text, COMMAND_DEADLINE_MS), 0, "no '%s' in %s",
		text, command_err(s->process));
}

static const struct command_result *run(const char *const argv[])
{
	command_result_done(&result);
	memset(&result, 0, sizeof(result));
	cr_assert_eq(command_run(argv, NULL, &result), 0);
	return &result;
}

const struct command_result *token_ask(
	const struct token_server *s, enum place place, const char *jwt, ...)
{
	const char *argv[ARGUMENTS_MAX];
	char path[512];
	va_list arguments;
	size_t n = 0;

	scene_built(TOKEN_CLIENT, path, sizeof(path));
	argv[n++] = path;
	argv[n++] = "--connect";
	argv[n++] = s->address;
	argv[n++] = "--pin";
	argv[n++] = s->pin;
	argv[n++] = "--client";
	argv[n++] = "Client1";
	n += place_arguments(place, jwt, argv + n);
	va_start(arguments, jwt);
	append(argv, n, arguments);
	va_end(arguments);
	return run(argv);
}

const struct command_result *token_run(const char *program, ...)
{
	const char *argv[ARGUMENTS_MAX];
	char path[512];
	va_list arguments;

	if (strncmp(program, "examples/", 9) == 0) {
		scene_built(program, path, sizeof(path));
		program = path;
	}
	argv[0] = program;
	va_start(arguments, program);
	append(argv, 1, arguments);
	va_end(arguments);
	return run(argv);
}

void token_said(const struct command_result *r, const char *words, char rest[PEER_JWT_SIZE])
{
	const char *line = strstr(r->out, words);

	cr_assert_eq(r->status, 0, "%s", r->err);
	cr_assert(line && (line == r->out || line[-1] == '\n'), "%s", r->out);
	line += strlen(words);
	cr_assert_lt(strcspn(line, "\n"), PEER_JWT_SIZE);
	snprintf(rest, PEER_JWT_SIZE, "%.*s", (int)strcspn(line, "\n"), line);
}

void token_assert_ok(const struct command_result *r)
{
	cr_assert_eq(r->status, 0, "%s", r->err);
	cr_assert(strcmp(r->out, "ok\n") == 0, "%s", r->out);
}

void token_assert_refused(const struct command_result *r, const char *text)
{
	cr_assert_eq(r->status, 1, "%d: %s", r->status, r->err);
	cr_assert(strstr(r->err, text), "%s", r->err);
	cr_assert_not(strstr(r->out, "ok"), "%s", r->out);
}
