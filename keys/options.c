/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int options_init(struct options *o, size_t argc)
{
	*o = (struct options){ 0 };
	o->hits = calloc(argc + 1, sizeof(*o->hits));
	o->args = calloc(argc + 1, sizeof(*o->args));
	if (!o->hits || !o->args) {
		options_done(o);
		return -ENOMEM;
	}
	return 0;
}

void options_done(struct options *o)
{
	free(o->hits);
	free(o->args);
	*o = (struct options){ 0 };
}

static const struct option *find(
	const struct option *const tables[OPTIONS_TABLES], const char *name, size_t len)
{
	for (size_t i = 0; i < OPTIONS_TABLES; i++)
		for (const struct option *o = tables[i]; o && o->name; o++)
			if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
				return o;
	return NULL;
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] != 0;
}

static void keep(struct options *o, const struct option *option, const char *value)
{
	o->hits[o->n_hits++] = (struct options_hit){ .option = option, .value = value };
}

/* The option at argv[0]; returns how many arguments it took, or -EINVAL. */
static int read_option(struct options *o, const struct option *const tables[OPTIONS_TABLES],
	char **argv, char error[OPTIONS_ERROR_SIZE])
{
	size_t len = strcspn(argv[0], "=");
	const char *inline_value = argv[0][len] ? argv[0] + len + 1 : NULL;
	const struct option *option = find(tables, argv[0], len);
	int used = 1;

	if (!option) {
		snprintf(error, OPTIONS_ERROR_SIZE, "there is no option %.*s", (int)len, argv[0]);
		return -EINVAL;
	}
	if (!option->list && options_get(o, option->name)) {
		snprintf(error, OPTIONS_ERROR_SIZE, "%s is given twice", option->name);
		return -EINVAL;
	}
	if (!option->value && inline_value) {
		snprintf(error, OPTIONS_ERROR_SIZE, "%s takes no value", option->name);
		return -EINVAL;
	}
	if (!option->value || inline_value) {
		keep(o, option, option->value ? inline_value : "");
		return used;
	}
	if (!argv[1] || (option->list && is_option(argv[1]))) {
		snprintf(error, OPTIONS_ERROR_SIZE, "%s needs %s", option->name, option->value);
		return -EINVAL;
	}
	do
		keep(o, option, argv[used++]);
	while (option->list && argv[used] && !is_option(argv[used]));
	return used;
}

int options_read(struct options *o, const struct option *const tables[OPTIONS_TABLES], char **argv,
	bool stop, char error[OPTIONS_ERROR_SIZE], size_t *ret_used)
{
	bool ended = false;
	size_t i = 0;

	while (argv[i]) {
		if (!ended && is_option(argv[i])) {
			int used = 1;

			ended = strcmp(argv[i], "--") == 0;
			if (!ended)
				used = read_option(o, tables, argv + i, error);
			if (used < 0)
				return used;
			i += (size_t)used;
		} else if (stop) {
			break;
		} else {
			o->args[o->n_args++] = argv[i++];
		}
	}
	*ret_used = i;
	return 0;
}

const char *options_next(const struct options *o, const char *name, size_t *pos)
{
	while (*pos < o->n_hits) {
		const struct options_hit *hit = &o->hits[(*pos)++];

		if (strcmp(hit->option->name, name) == 0)
			return hit->value;
	}
	return NULL;
}

const char *options_get(const struct options *o, const char *name)
{
	size_t pos = 0;

	return options_next(o, name, &pos);
}

int options_get_number(const struct options *o, const char *name, uint32_t min, uint32_t max,
	char error[OPTIONS_ERROR_SIZE], uint32_t *ret)
{
	const char *text = options_get(o, name);
	unsigned long long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < min || value > max) {
		snprintf(error, OPTIONS_ERROR_SIZE, "%s is a number from %u to %u", name, min, max);
		return -EINVAL;
	}
	*ret = (uint32_t)value;
	return 0;
}
