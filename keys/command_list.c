/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that look at keys. A list comes in pages: each goes on behind the last name of the
 * one before, until the daemon says that there is no more.
 */
#include "keys/command.h"
#include "keys/print.h"

#include <string.h>

static const struct option json_option[] = {
	{ "--json", NULL, "as JSON, for programs", false },
	{ NULL, NULL, NULL, false },
};

static const char *const columns[] = { "name", "identity", "purpose", "mode", "allow" };
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static char *cell(struct json_object *key, size_t column)
{
	return text_of_json(json_object_object_get(key, columns[column]));
}

static void print_table(struct json_object *keys)
{
	static const char *const titles[N_COLUMNS] = { "NAME", "IDENTITY", "PURPOSE", "MODE",
		"ALLOW" };
	size_t n = json_object_array_length(keys), width[N_COLUMNS];

	for (size_t c = 0; c < N_COLUMNS; c++) {
		width[c] = strlen(titles[c]);
		for (size_t i = 0; i < n; i++) {
			_cleanup_(text_freep) char *text =
				cell(json_object_array_get_idx(keys, i), c);

			if (text_width(text) > width[c])
				width[c] = text_width(text);
		}
	}
	for (size_t c = 0; c < N_COLUMNS; c++)
		print_padded(stdout, titles[c], c + 1 < N_COLUMNS ? width[c] + 2 : 0);
	putchar('\n');
	for (size_t i = 0; i < n; i++) {
		for (size_t c = 0; c < N_COLUMNS; c++) {
			_cleanup_(text_freep) char *text =
				cell(json_object_array_get_idx(keys, i), c);

			print_padded(stdout, text, c + 1 < N_COLUMNS ? width[c] + 2 : 0);
		}
		putchar('\n');
	}
}

/* Moves a page's keys to the list; false when it does not go forward: such a list has no end. */
static bool append_page(
	struct json_object *keys, struct json_object *page, struct tpmpsk_key_list *next)
{
	for (size_t i = 0; i < json_object_array_length(page); i++) {
		struct json_object *key = json_object_array_get_idx(page, i), *name;

		if (!json_object_object_get_ex(key, "name", &name) ||
			!json_object_is_type(name, json_type_string) ||
			json_object_get_string_len(name) > TPMPSK_KEY_NAME_MAX ||
			strcmp(json_object_get_string(name), next->after) <= 0)
			return false;
		strcpy(next->after, json_object_get_string(name));
		json_object_array_add(keys, json_object_get(key));
	}
	return json_object_array_length(page) > 0;
}

static enum exit_code ask_page(struct invocation *call, struct json_object *keys,
	struct tpmpsk_key_list *next, bool *ret_more)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(json_freep) struct json_object *page = NULL;
	struct tpmpsk_text_reply reply;
	enum exit_code code;

	code = ask(call, x, tpmpsk_key_list_encode(0, next, x->packet, sizeof(x->packet), &x->len),
		true);
	if (code != EXIT_DONE)
		return code;
	if (tpmpsk_text_reply_decode(&x->reply.body, &reply) < 0 ||
		!(page = reply_json(&reply, json_type_array)) ||
		(!append_page(keys, page, next) && reply.more))
		return fail_protocol(call);
	*ret_more = reply.more;
	return EXIT_DONE;
}

enum exit_code ask_keys(struct invocation *call, struct json_object **ret)
{
	struct json_object *keys = json_object_new_array();
	struct tpmpsk_key_list next = { 0 };
	enum exit_code code;
	bool more;

	do
		code = ask_page(call, keys, &next, &more);
	while (code == EXIT_DONE && more);
	if (code == EXIT_DONE)
		*ret = keys;
	else
		json_object_put(keys);
	return code;
}

static enum exit_code run_list(struct invocation *call)
{
	_cleanup_(json_freep) struct json_object *keys = NULL;
	enum exit_code code = ask_keys(call, &keys);

	if (code != EXIT_DONE)
		return code;
	if (options_get(&call->options, "--json"))
		print_json(keys);
	else
		print_table(keys);
	return EXIT_DONE;
}

/* The key's name before what its policy says. */
static void print_key(struct json_object *key)
{
	_cleanup_(json_freep) struct json_object *ordered = json_object_new_object();

	json_object_object_add(
		ordered, "name", json_object_get(json_object_object_get(key, "name")));
	json_object_object_foreach(key, field, value)
		json_object_object_add(ordered, field, json_object_get(value));
	print_fields(ordered);
}

enum exit_code ask_show(struct invocation *call, struct json_object **ret)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	struct tpmpsk_key_name m = { 0 };
	struct tpmpsk_text_reply reply;
	enum exit_code code;

	if (strlen(call->options.args[0]) > TPMPSK_KEY_NAME_MAX)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_MALFORMED),
			"a name has at most %d characters", TPMPSK_KEY_NAME_MAX);
	strcpy(m.name, call->options.args[0]);
	code = ask(call, x,
		tpmpsk_key_name_encode(
			0, TPMPSK_OP_KEY_SHOW, &m, x->packet, sizeof(x->packet), &x->len),
		true);
	if (code != EXIT_DONE)
		return code;
	if (tpmpsk_text_reply_decode(&x->reply.body, &reply) < 0 ||
		!(*ret = reply_json(&reply, json_type_object)))
		return fail_protocol(call);
	return EXIT_DONE;
}

static enum exit_code run_show(struct invocation *call)
{
	_cleanup_(json_freep) struct json_object *key = NULL;
	enum exit_code code = ask_show(call, &key);

	if (code != EXIT_DONE)
		return code;
	if (options_get(&call->options, "--json"))
		print_json(key);
	else
		print_key(key);
	return EXIT_DONE;
}

const struct command commands_list[] = {
	{ "key list", NULL, 0, 0, { json_option, NULL }, "Lists the keys", NULL, run_list },
	{ "key show", "NAME", 1, 1, { json_option, NULL }, "Shows one key", NULL, run_show },
	{ 0 },
};
