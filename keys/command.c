/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/command.h"
#include "keys/print.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One line, with where help is at its end when that is what helps. */
__attribute__((format(printf, 3, 0))) static void tell(
	const struct invocation *call, const char *word, const char *format, va_list args)
{
	bool misused = strcmp(word, "usage") == 0;
	const struct options *o = &call->options;
	_cleanup_(text_freep) char *subject =
		text_escape(call->command->args && o->n_args > 0 ? o->args[0] : "");
	_cleanup_(text_freep) char *why = NULL;
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	why = text_escape(text);
	fprintf(stderr, "tpm-psk: %s%s%s: %s%s%s", call->command->name, *subject ? " " : "",
		subject, word, *why ? ": " : "", why);
	if (misused)
		fprintf(stderr, " (see tpm-psk %s --help)", call->command->name);
	fputc('\n', stderr);
}

enum exit_code fail(const struct invocation *call, const char *word, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(call, word, format, args);
	va_end(args);
	return EXIT_FAILED;
}

enum exit_code usage(const struct invocation *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(call, "usage", format, args);
	va_end(args);
	return EXIT_USAGE;
}

enum exit_code fail_protocol(const struct invocation *call)
{
	return fail(call, tpmpsk_strerror(TPMPSK_ERR_PROTOCOL), "the answer makes no sense");
}

struct exchange *exchange_new(void)
{
	struct exchange *x = sodium_malloc(sizeof(*x));

	if (!x) {
		fputs("tpm-psk: no memory\n", stderr);
		exit(EXIT_FAILED);
	}
	memset(x, 0, sizeof(*x));
	return x;
}

void exchange_freep(struct exchange **x)
{
	sodium_free(*x);
}

static const char *socket_path(const struct invocation *call)
{
	const char *path = options_get(&call->options, "--socket");

	if (!path)
		path = getenv("TPM_PSK_SOCKET");
	return path && *path ? path : TPMPSK_DEFAULT_SOCKET;
}

static bool derives(const struct invocation *call)
{
	return strcmp(call->command->name, "derive") == 0 ||
	       (strcmp(call->command->name, "bench") == 0 &&
		       options_get(&call->options, "--identity"));
}

/* What a status means for the person who typed, where the daemon does not say it better. */
static const char *reason(const struct invocation *call, int error)
{
	switch (error) {
	case TPMPSK_ERR_DENIED:
		return derives(call) ? "not on the list of such a key"
				     : "not one of the daemon's admins";
	case TPMPSK_ERR_UNKNOWN_IDENTITY:
		return derives(call) ? "no key of this purpose and role has this identity" : "";
	case TPMPSK_ERR_INVALID:
		return "an identity or the socket's path is too long";
	case TPMPSK_ERR_DEADLINE:
		return "no answer in time (see --timeout)";
	case TPMPSK_ERR_TPM_UNAVAILABLE:
		return "the daemon cannot reach its TPM";
	case TPMPSK_ERR_SHUTTING_DOWN:
		return "the daemon is stopping";
	case TPMPSK_ERR_PROTOCOL:
		return "who answers there is no tpm-pskd of this version";
	default:
		return "";
	}
}

enum exit_code fail_ask(
	const struct invocation *call, int error, const struct tpmpsk_error_reply *e)
{
	const char *word = tpmpsk_strerror(error);

	if (error == TPMPSK_ERR_NO_DAEMON)
		return fail(call, word, "cannot talk to a tpm-pskd at %s", socket_path(call));
	if (e && e->retry_after_ms > 0)
		return fail(call, word, "%s%stry again in %u ms", e->detail, *e->detail ? "; " : "",
			e->retry_after_ms);
	return fail(call, word, "%s", e && *e->detail ? e->detail : reason(call, error));
}

static int connect_daemon(struct invocation *call, uint32_t timeout_ms)
{
	int r = tpmpsk_open(&call->handle, socket_path(call));

	return r < 0 ? r : tpmpsk_set_deadline(call->handle, timeout_ms);
}

int ask_quietly(struct invocation *call, struct exchange *x, int encoded, bool idempotent)
{
	uint32_t timeout_ms =
		call->command->timeout_ms ? call->command->timeout_ms : TPMPSK_DEADLINE_DEFAULT_MS;
	char error[OPTIONS_ERROR_SIZE];
	int r = 0;

	x->reply.error = (struct tpmpsk_error_reply){ 0 };
	if (encoded < 0)
		return TPMPSK_ERR_MALFORMED;
	if (options_get_number(&call->options, "--timeout", 1, 3600000, error, &timeout_ms) < 0)
		return TPMPSK_ERR_INVALID;
	if (!call->handle)
		r = connect_daemon(call, timeout_ms);
	if (r < 0)
		return r;
	return tpmpsk_transact(call->handle, x->packet, x->len, idempotent, &x->reply);
}

enum exit_code ask(struct invocation *call, struct exchange *x, int encoded, bool idempotent)
{
	char error[OPTIONS_ERROR_SIZE];
	uint32_t timeout_ms;
	int r;

	if (encoded < 0)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_MALFORMED),
			"more than a message of %d bytes can hold", TPMPSK_MESSAGE_MAX);
	if (options_get_number(&call->options, "--timeout", 1, 3600000, error, &timeout_ms) < 0)
		return usage(call, "%s", error);
	r = ask_quietly(call, x, encoded, idempotent);
	return r < 0 ? fail_ask(call, r, &x->reply.error) : EXIT_DONE;
}

struct json_object *ask_status(struct invocation *call, enum exit_code *ret_code)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	struct json_object *status = NULL;
	struct tpmpsk_text_reply reply;

	*ret_code = ask(call, x,
		tpmpsk_empty_encode(0, TPMPSK_OP_STATUS, x->packet, sizeof(x->packet), &x->len),
		true);
	if (*ret_code != EXIT_DONE)
		return NULL;
	if (tpmpsk_text_reply_decode(&x->reply.body, &reply) == 0)
		status = reply_json(&reply, json_type_object);
	if (!status)
		*ret_code = fail_protocol(call);
	return status;
}

struct json_object *reply_json(const struct tpmpsk_text_reply *text, enum json_type type)
{
	struct json_object *object = json_tokener_parse(text->text);

	if (object && json_object_is_type(object, type))
		return object;
	json_object_put(object);
	return NULL;
}
