/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands about the daemon itself.
 */
#include "keys/command.h"
#include "keys/print.h"

static const struct option json_option[] = {
	{ "--json", NULL, "as JSON, for programs", false },
	{ NULL, NULL, NULL, false },
};

static enum exit_code run_status(struct invocation *call)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(json_freep) struct json_object *status = NULL;
	struct tpmpsk_text_reply reply;
	enum exit_code code;

	code = ask(call, x,
		tpmpsk_empty_encode(0, TPMPSK_OP_STATUS, x->packet, sizeof(x->packet), &x->len),
		true);
	if (code != EXIT_DONE)
		return code;
	if (tpmpsk_text_reply_decode(&x->reply.body, &reply) < 0 ||
		!(status = reply_json(&reply, json_type_object)))
		return fail_protocol(call);
	if (options_get(&call->options, "--json"))
		print_json(status);
	else
		print_fields(status);
	return EXIT_DONE;
}

static enum exit_code run_reload(struct invocation *call)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();

	return ask(call, x,
		tpmpsk_empty_encode(0, TPMPSK_OP_RELOAD, x->packet, sizeof(x->packet), &x->len),
		false);
}

const struct command commands_status[] = {
	{ "status", NULL, 0, 0, { json_option, NULL },
		"Shows the daemon, its TPM and what it has done",
		"Who is no admin of the daemon sees its version and whether the TPM answers.",
		run_status },
	{ "reload", NULL, 0, 0, { NULL, NULL },
		"Has the daemon read its configuration and keys anew",
		"All or nothing: when a file is wrong, the daemon says which, and the old state "
		"stays in force.",
		run_reload },
	{ 0 },
};
