/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config.h"

#include "daemon/file.h"
#include "daemon/json.h"
#include "daemon/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define CONFIG_SIZE_MAX 65536
#define MODE_MAX 0777

#define fail(error, r, ...) text_fail(error, JSON_ERROR_SIZE, r, __VA_ARGS__)
#define fail_file(error, r, ...) text_fail(error, CONFIG_ERROR_SIZE, r, __VA_ARGS__)

static const struct config defaults = {
	.socket_mode = 0666,
	.encrypt_sessions = true,
	.window_seconds = 30,
	.replay_entries = 1048576,
	.sandbox = true,
	.limits = { .connections = 1024,
		.connections_per_user = 256,
		.queue = 4096,
		.queue_per_user = 512,
		.deadline_ms = 5000 },
};

/* What has a default that must be allocated. */
static const struct {
	size_t offset;
	const char *value;
} default_strings[] = {
	{ offsetof(struct config, tcti), "device:/dev/tpmrm0" },
	{ offsetof(struct config, socket), TPMPSK_DEFAULT_SOCKET },
	{ offsetof(struct config, keys), "/var/lib/tpm-pskd/keys" },
	{ offsetof(struct config, audit), "stderr" },
};

static int read_mode(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	const char *s =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	unsigned long mode = 0;
	size_t digits = strspn(s, "01234567");

	(void)field;
	if (digits >= 3 && digits <= 4 && s[digits] == '\0')
		mode = strtoul(s, NULL, 8);
	if (mode == 0 || mode > MODE_MAX)
		return fail(
			error, -EBADMSG, "must be an octal mode in quotes, \"0001\" to \"0777\"");
	*(mode_t *)dst = (mode_t)mode;
	return 0;
}

struct admins {
	size_t n;
	struct policy_who *who;
};

static void admins_done(struct admins *a)
{
	for (size_t i = 0; i < a->n; i++)
		policy_who_done(&a->who[i]);
	free(a->who);
	*a = (struct admins){ 0 };
}

static int admins_add(struct admins *a, const char *text, char error[JSON_ERROR_SIZE])
{
	struct policy_who *who = reallocarray(a->who, a->n + 1, sizeof(*who));
	int r;

	if (!who)
		return fail(error, -ENOMEM, "out of memory");
	a->who = who;
	r = policy_who_parse(text, false, &who[a->n], error);
	if (r == 0)
		a->n++;
	return r;
}

static int read_admins(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	struct admins *admins = dst;

	(void)field;
	if (!json_object_is_type(value, json_type_array))
		return fail(error, -EBADMSG, "must be an array of strings");
	admins_done(admins);
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		struct json_object *entry = json_object_array_get_idx(value, i);
		int r;

		if (!json_is_string(entry))
			return fail(error, -EBADMSG, "must be an array of strings");
		r = admins_add(admins, json_object_get_string(entry), error);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What is read, until all of it is checked. */
struct content {
	struct config config;
	struct admins admins;
	struct json_object *limits; /* borrowed */
};

#define FIELD(name, read, min, max)                                                                \
	{                                                                                          \
#name, read, offsetof(struct content, config.name), min, max                       \
	}

static const struct json_field fields[] = {
	FIELD(tcti, json_read_string, 0, 0),
	FIELD(socket, json_read_string, 0, 0),
	FIELD(socket_mode, read_mode, 0, 0),
	FIELD(keys, json_read_string, 0, 0),
	{ "admins", read_admins, offsetof(struct content, admins), 0, 0 },
	FIELD(encrypt_sessions, json_read_bool, 0, 0),
	FIELD(window_seconds, json_read_uint32, 1, 300),
	FIELD(replay_entries, json_read_uint32, 1024, 1u << 26),
	{ "limits", json_read_object, offsetof(struct content, limits), 0, 0 },
	FIELD(sandbox, json_read_bool, 0, 0),
	FIELD(audit, json_read_string, 0, 0),
	{ 0 },
};

#undef FIELD
#define FIELD(name, min, max)                                                                      \
	{                                                                                          \
#name, json_read_uint32, offsetof(struct config_limits, name), min, max            \
	}

static const struct json_field limit_fields[] = {
	FIELD(connections, 1, 65536),
	FIELD(connections_per_user, 1, 65536),
	FIELD(queue, 1, 65536),
	FIELD(queue_per_user, 1, 65536),
	FIELD(deadline_ms, 10, 3600000),
	{ 0 },
};

#undef FIELD

static void content_done(struct content *c)
{
	config_done(&c->config);
	admins_done(&c->admins);
}

/* Puts the directory of file, made absolute, before a path that is relative. */
static int make_absolute(char **path, const char *file)
{
	__attribute__((cleanup(text_freep))) char *copy = strdup(file), *dir = NULL;
	char *absolute;

	if ((*path)[0] == '/')
		return 0;
	if (!copy)
		return -ENOMEM;
	dir = realpath(dirname(copy), NULL);
	if (!dir)
		return -errno;
	if (asprintf(&absolute, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, *path) < 0)
		return -ENOMEM;
	free(*path);
	*path = absolute;
	return 0;
}

static int set_defaults(struct content *c, char error[JSON_ERROR_SIZE])
{
	c->config = defaults;
	for (size_t i = 0; i < sizeof(default_strings) / sizeof(default_strings[0]); i++) {
		char **field = (char **)(void *)((char *)&c->config + default_strings[i].offset);

		*field = strdup(default_strings[i].value);
		if (!*field)
			return fail(error, -ENOMEM, "out of memory");
	}
	/* The number: it needs no entry in the system's table of users. */
	return admins_add(&c->admins, "uid:0", error);
}

static int read_text(const char *text, size_t len, struct content *c, char error[JSON_ERROR_SIZE])
{
	__attribute__((cleanup(json_freep))) struct json_object *object = NULL;
	int r;

	r = json_parse_text(text, len, &object, error);
	if (r < 0)
		return r;
	r = json_read_fields(object, fields, c, text, len, error);
	if (r == 0 && c->limits)
		r = json_read_fields(c->limits, limit_fields, &c->config.limits, text, len, error);
	c->limits = NULL;
	return r;
}

static int finish(struct config *c, const char *file, const char *text, size_t len,
	char error[JSON_ERROR_SIZE])
{
	char **paths[] = { &c->socket, &c->keys, &c->audit };
	bool audit_is_word = strcmp(c->audit, "stderr") == 0 || strcmp(c->audit, "off") == 0 ||
			     strcmp(c->audit, "journal") == 0;
	unsigned line;
	int r = 0;

	for (size_t i = 0; r == 0 && i < (audit_is_word ? 2 : 3); i++)
		r = make_absolute(paths[i], file);
	if (r < 0)
		return fail(error, r, "%s", strerror(-r));
	if (strlen(c->socket) < sizeof(((struct sockaddr_un *)0)->sun_path))
		return 0;
	line = json_line_of(text, len, "socket");
	return fail(error, -ENAMETOOLONG,
		"line %u: field 'socket': longer than the %zu bytes of a socket's path", line,
		sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
}

int config_load(const char *path, struct config *ret, char error[CONFIG_ERROR_SIZE])
{
	__attribute__((cleanup(content_done))) struct content c = { 0 };
	__attribute__((cleanup(text_freep))) char *text = NULL;
	const char *file = path ? path : CONFIG_DEFAULT_PATH;
	char why[JSON_ERROR_SIZE];
	size_t len = 0;
	int r;

	r = set_defaults(&c, why);
	if (r < 0)
		return fail_file(error, r, "%s: %s", file, why);
	r = file_read(AT_FDCWD, file, false, CONFIG_SIZE_MAX, &text, &len);
	if (r < 0 && !(r == -ENOENT && !path))
		return fail_file(error, r, "%s: %s", file, file_why(r));
	if (r == 0) {
		r = read_text(text, len, &c, why);
		if (r == 0)
			r = finish(&c.config, file, text, len, why);
		if (r < 0)
			return fail_file(error, r, "%s: %s", file, why);
	}
	*ret = c.config;
	ret->n_admins = c.admins.n;
	ret->admins = c.admins.who;
	c = (struct content){ 0 };
	return 0;
}

void config_done(struct config *c)
{
	struct admins admins = { c->n_admins, c->admins };

	admins_done(&admins);
	free(c->tcti);
	free(c->socket);
	free(c->keys);
	free(c->audit);
	*c = (struct config){ 0 };
}

bool config_is_admin(const struct config *c, const struct peer *peer)
{
	for (size_t i = 0; i < c->n_admins; i++)
		if (policy_who_matches(&c->admins[i], peer, TPMPSK_ROLE_NONE))
			return true;
	return false;
}
