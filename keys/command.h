/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command - what the commands of tpm-psk share: the table's entry, one invocation, asking the
 * daemon.
 *
 * Memory that may hold a secret comes from sodium_malloc() and is wiped by sodium_free(). Calls
 * block until the daemon has answered or the deadline has passed.
 */
#ifndef TPMPSK_KEYS_COMMAND_H
#define TPMPSK_KEYS_COMMAND_H

#include "client-lib/transact.h"
#include "keys/options.h"

#include <json-c/json.h>
#include <stdbool.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* refused or failed */
	EXIT_USAGE = 2,
};

struct invocation;

struct command {
	const char *name; /* "key import" */
	const char *args; /* "NAME", as the synopsis has them */
	size_t min_args, max_args;
	const struct option *options[2]; /* NULL for none */
	const char *summary;
	const char *notes; /* the rest of its help; NULL for none */
	enum exit_code (*run)(struct invocation *call);
	uint32_t timeout_ms; /* to wait for the daemon without --timeout; 0: the usual time */
};

extern const struct command commands_key[];         /* command_key.c; each ends with a NULL name */
extern const struct command commands_list[];        /* command_list.c */
extern const struct command commands_bench[];       /* command_bench.c */
extern const struct command commands_certificate[]; /* command_certificate.c */
extern const struct command commands_derive[];      /* command_derive.c */
extern const struct command commands_doctor[];      /* command_doctor.c */
extern const struct command commands_metrics[];     /* command_metrics.c */
extern const struct command commands_reference[];   /* command_reference.c */
extern const struct command commands_status[];      /* command_status.c */
extern const struct command commands_top[];         /* command_top.c */

struct invocation {
	const struct command *command;
	struct options options;
	struct tpmpsk *handle; /* connected at the first ask() */
};

/* A packet on its way out and the reply, in locked memory that is wiped when freed. */
struct exchange {
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;
	struct tpmpsk_reply reply;
};

struct exchange *exchange_new(void);
void exchange_freep(struct exchange **x);

/*
 * Sends x->packet and waits for an ok; anything else is told on standard error. encoded is what the
 * encoder returned. idempotent: see tpmpsk_transact().
 */
enum exit_code ask(struct invocation *call, struct exchange *x, int encoded, bool idempotent);

/* What the daemon says of the key named by the first argument; the caller puts the object. */
enum exit_code ask_show(struct invocation *call, struct json_object **ret);

/* All keys that the daemon has, an array; the caller puts it. */
enum exit_code ask_keys(struct invocation *call, struct json_object **ret);

/* The same as ask() without a word: 0 or TPMPSK_ERR_*, and what the daemon said in x->reply.error. */
int ask_quietly(struct invocation *call, struct exchange *x, int encoded, bool idempotent)
	__attribute__((warn_unused_result));
/* Tells what ask_quietly() returned; e may be NULL. */
enum exit_code fail_ask(
	const struct invocation *call, int error, const struct tpmpsk_error_reply *e);

/* What the daemon says of itself, or NULL: told. The caller puts the object. */
struct json_object *ask_status(struct invocation *call, enum exit_code *ret_code);

/* "tpm-psk: COMMAND NAME: WORD: why" on standard error; returns EXIT_FAILED or EXIT_USAGE. */
enum exit_code fail(const struct invocation *call, const char *word, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
enum exit_code usage(const struct invocation *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The daemon's answer makes no sense. */
enum exit_code fail_protocol(const struct invocation *call);

/* The text of a reply as JSON; NULL when it is none of the type. The caller puts the object. */
struct json_object *reply_json(const struct tpmpsk_text_reply *text, enum json_type type);
#endif
