/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options - the command line of tpm-psk, read by tables.
 *
 * An option is `--name`, `--name VALUE` or `--name=VALUE`; a list takes every argument up to the
 * next option and may be repeated. `--` ends the options, and "-" alone is an argument. What is
 * kept are pointers into argv. Errors are one sentence for the person who typed.
 */
#ifndef TPMPSK_KEYS_OPTIONS_H
#define TPMPSK_KEYS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_ERROR_SIZE 200
#define OPTIONS_TABLES 3

struct option {
	const char *name;  /* "--identity"; NULL ends a table */
	const char *value; /* "ID", what it takes; NULL for one that takes none */
	const char *help;
	bool list;
};

struct options_hit {
	const struct option *option;
	const char *value;
};

struct options {
	size_t n_hits, n_args;
	struct options_hit *hits; /* each option found, in order */
	const char **args;        /* what is no option */
};

/* Room for what argc arguments can hold. 0 or -ENOMEM. */
int options_init(struct options *o, size_t argc) __attribute__((warn_unused_result));
void options_done(struct options *o);

/*
 * Reads argv, which ends with NULL, by up to OPTIONS_TABLES tables, some of which may be NULL.
 * stop: end before the first argument that is no option. *ret_used counts what was read. 0 or
 * -EINVAL.
 */
int options_read(struct options *o, const struct option *const tables[OPTIONS_TABLES], char **argv,
	bool stop, char error[OPTIONS_ERROR_SIZE], size_t *ret_used)
	__attribute__((warn_unused_result));

/* The value, "" for one that takes none, or NULL when it was not given. */
const char *options_get(const struct options *o, const char *name);
/* The next value of a list; *pos starts at 0. NULL at the end. */
const char *options_next(const struct options *o, const char *name, size_t *pos);
/* A decimal number; *ret stays as it is when the option was not given. 0 or -EINVAL. */
int options_get_number(const struct options *o, const char *name, uint32_t min, uint32_t max,
	char error[OPTIONS_ERROR_SIZE], uint32_t *ret) __attribute__((warn_unused_result));

#endif
