/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/swtpm/scene.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ARGUMENTS_MAX 40

void scene_built(const char *name, char *buf, size_t cap)
{
	const char *build = getenv("TPMPSK_BUILD");

	snprintf(buf, cap, "%s/%s", build ? build : ".", name);
}

static int notify_open(struct scene *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, s->notify, sizeof(s->notify));
	s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->notify_fd < 0)
		return -errno;
	if (bind(s->notify_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

/* Whether a datagram with the line READY=1 is waiting; takes all there are. */
static bool notify_ready(struct scene *s)
{
	bool ready = false;
	char text[1024];
	ssize_t n;

	while ((n = recv(s->notify_fd, text, sizeof(text) - 1, 0)) >= 0) {
		text[n] = '\0';
		ready |= strncmp(text, "READY=1", 7) == 0 || strstr(text, "\nREADY=1");
	}
	return ready;
}

static void complain(const struct scene *s, const char *what)
{
	char *err = s->daemon ? command_err(s->daemon) : NULL;

	fprintf(stderr, "tpm-pskd: %s\n%s", what, err ? err : "");
	free(err);
}

static int wait_ready(struct scene *s)
{
	long long until = command_now_ms() + COMMAND_DEADLINE_MS;

	while (!notify_ready(s)) {
		struct pollfd p[2] = { { .fd = s->notify_fd, .events = POLLIN },
			{ .fd = command_pidfd(s->daemon), .events = POLLIN } };
		long long left = until - command_now_ms();

		if (left <= 0 || poll(p, 2, (int)left) == 0) {
			complain(s, "is not ready in time");
			return -ETIMEDOUT;
		}
		if (p[1].revents && !p[0].revents) {
			complain(s, "ended before it was ready");
			return -ECHILD;
		}
	}
	return 0;
}

static struct json_object *usual_config(const struct scene *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "tcti", json_object_new_string(s->tcti));
	json_object_object_add(o, "socket", json_object_new_string(s->socket));
	json_object_object_add(o, "keys", json_object_new_string(s->keys));
	return o;
}

int scene_configure(struct scene *s, const char *fields)
{
	struct json_object *config = usual_config(s);
	struct json_object *more = fields ? json_tokener_parse(fields) : NULL;
	int r = 0;

	if (fields && !json_object_is_type(more, json_type_object))
		r = -EINVAL;
	if (r == 0 && more) {
		json_object_object_foreach(more, name, value)
			json_object_object_add(config, name, json_object_get(value));
	}
	if (r == 0 && json_object_to_file_ext(s->config, config, JSON_C_TO_STRING_PRETTY) < 0)
		r = -EIO;
	json_object_put(more);
	json_object_put(config);
	return r;
}

static int prepare(struct scene *s, const struct scene_options *o)
{
	const char *pattern = o && o->tcti ? o->tcti : "%s", *hole = strstr(pattern, "%s");
	int r, before = hole ? (int)(hole - pattern) : (int)strlen(pattern);

	r = hole ? swtpm_init(&s->tpm) : 0;
	if (r == 0)
		r = tempdir_init(&s->dir);
	if (r < 0)
		return r;
	if (asprintf(&s->tcti, "%.*s%s%s", before, pattern, hole ? s->tpm.tcti : "",
		    hole ? hole + 2 : "") < 0) {
		s->tcti = NULL;
		return -ENOMEM;
	}
	snprintf(s->config, sizeof(s->config), "%s/tpm-pskd.json", s->dir.path);
	snprintf(s->socket, sizeof(s->socket), "%s/socket", s->dir.path);
	snprintf(s->keys, sizeof(s->keys), "%s/keys", s->dir.path);
	snprintf(s->notify, sizeof(s->notify), "%s/notify", s->dir.path);
	if (mkdir(s->keys, 0700) < 0)
		return -errno;
	r = notify_open(s);
	return r < 0 ? r : scene_configure(s, o ? o->config : NULL);
}

int scene_init(struct scene *s, const struct scene_options *options)
{
	int r;

	*s = (struct scene){ .notify_fd = -1, .env = options ? options->env : NULL };
	r = prepare(s, options);
	if (r == 0 && !(options && options->no_daemon))
		r = scene_start(s);
	if (r < 0)
		scene_done(s);
	return r;
}

void scene_done(struct scene *s)
{
	scene_kill(s);
	if (s->notify_fd >= 0)
		close(s->notify_fd);
	free(s->tcti);
	tempdir_done(&s->dir);
	swtpm_done(&s->tpm);
	*s = (struct scene){ .notify_fd = -1 };
}

static int launch(struct scene *s)
{
	char program[4096], notify[SWTPM_PATH_SIZE + 16];
	const char *const argv[] = { program, "--config", s->config, NULL };
	const char *env[16] = { notify };
	struct command_options options = { .env = env };

	scene_kill(s);
	scene_built("daemon/tpm-pskd", program, sizeof(program));
	snprintf(notify, sizeof(notify), "NOTIFY_SOCKET=%s", s->notify);
	for (size_t i = 0; i < 14 && s->env && s->env[i]; i++)
		env[i + 1] = s->env[i];
	notify_ready(s); /* what a predecessor said does not count */
	return command_start(&s->daemon, argv, &options);
}

int scene_start(struct scene *s)
{
	int r = launch(s);

	if (r == 0)
		r = wait_ready(s);
	if (r < 0)
		scene_kill(s);
	return r;
}

int scene_start_fails(struct scene *s, struct command_result *ret)
{
	int r = launch(s);

	if (r == 0)
		r = command_stop(s->daemon, 0, COMMAND_DEADLINE_MS, ret);
	scene_kill(s);
	return r;
}

int scene_stop(struct scene *s, struct command_result *ret)
{
	struct command_result result;
	int r;

	if (!s->daemon)
		return -ECHILD;
	r = command_stop(s->daemon, SIGTERM, COMMAND_DEADLINE_MS, &result);
	if (r < 0)
		complain(s, "does not stop");
	scene_kill(s);
	if (r < 0)
		return r;
	if (ret) {
		*ret = result;
		return 0;
	}
	if (result.status != 0) {
		fprintf(stderr, "tpm-pskd: exit status %d\n%s", result.status, result.err);
		r = -EPROTO;
	}
	command_result_done(&result);
	return r;
}

void scene_kill(struct scene *s)
{
	command_free(s->daemon);
	s->daemon = NULL;
}

int scene_reload(struct scene *s)
{
	if (!s->daemon)
		return -ECHILD;
	notify_ready(s);
	if (kill(command_pid(s->daemon), SIGHUP) < 0)
		return -errno;
	return wait_ready(s);
}

static int psk(struct scene *s, const struct command_options *options, struct command_result *ret,
	va_list args)
{
	char program[4096];
	const char *argv[ARGUMENTS_MAX + 4] = { program, "--socket", s->socket };
	size_t n = 3;

	scene_built("keys/tpm-psk", program, sizeof(program));
	while (n < ARGUMENTS_MAX + 3 && (argv[n] = va_arg(args, const char *)))
		n++;
	return argv[n] ? -E2BIG : command_run(argv, options, ret);
}

int scene_psk(
	struct scene *s, const struct command_options *options, struct command_result *ret, ...)
{
	va_list args;
	int r;

	va_start(args, ret);
	r = psk(s, options, ret, args);
	va_end(args);
	return r;
}

int scene_psk_ok(struct scene *s, ...)
{
	struct command_result result = { 0 };
	va_list args;
	int r;

	va_start(args, s);
	r = psk(s, NULL, &result, args);
	va_end(args);
	if (r == 0 && result.status != 0) {
		fprintf(stderr, "tpm-psk: exit status %d: %s", result.status, result.err);
		r = result.status;
	}
	command_result_done(&result);
	return r;
}
