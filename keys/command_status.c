/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands about the daemon itself.
 */
#include "keys/command.h"
#include "keys/format.h"
#include "keys/metrics.h"
#include "keys/print.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_WIDTH 11

static const struct option json_option[] = {
	{ "--json", NULL, "as JSON, for programs", false },
	{ NULL, NULL, NULL, false },
};

static struct json_object *field(struct json_object *o, const char *name)
{
	return json_object_object_get(o, name);
}

static uint64_t number(struct json_object *o, const char *name)
{
	return json_object_get_uint64(field(o, name));
}

/* One line: a label ("" goes on with the one before) and what there is to say. */
__attribute__((format(printf, 2, 3))) static void line(const char *label, const char *format, ...)
{
	va_list args;

	print_padded(stdout, label, LABEL_WIDTH);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void print_head(struct json_object *status)
{
	_cleanup_(text_freep) char *version = text_of_json(field(status, "version"));
	struct json_object *uptime = field(status, "uptime_seconds");
	char up[FORMAT_SIZE];

	printf("%stpm-pskd %s%s", style(STYLE_TITLE), version, style(STYLE_PLAIN));
	if (uptime)
		printf(", up %s", format_seconds(up, json_object_get_uint64(uptime)));
	puts("\n");
}

static void print_tpm(struct json_object *tpm, bool full)
{
	_cleanup_(text_freep) char *state = text_of_json(field(tpm, "state"));
	_cleanup_(text_freep) char *manufacturer = text_of_json(field(tpm, "manufacturer"));
	_cleanup_(text_freep) char *vendor = text_of_json(field(tpm, "vendor"));
	_cleanup_(text_freep) char *firmware = text_of_json(field(tpm, "firmware"));
	_cleanup_(text_freep) char *tcti = text_of_json(field(tpm, "tcti"));
	bool ready = strcmp(state, "ready") == 0;
	char commands[FORMAT_SIZE], loads[FORMAT_SIZE];

	line("TPM", "%s%s%s", style(ready ? STYLE_GOOD : STYLE_BAD), state, style(STYLE_PLAIN));
	if (!full)
		return;
	line("", "%s %s, firmware %s", manufacturer, vendor, firmware);
	line("", "%s%s", tcti,
		json_object_get_boolean(field(tpm, "shared")) ? ", shared with other programs"
							      : "");
	line("", "%s commands, %s loads of keys; %u of %u slots in use",
		format_count(commands, number(tpm, "commands")),
		format_count(loads, number(tpm, "loads")), (unsigned)number(tpm, "loaded"),
		(unsigned)number(tpm, "slots"));
}

static bool is_alarming(unsigned status)
{
	return status == TPMPSK_STATUS_INTERNAL || status == TPMPSK_STATUS_TPM_UNAVAILABLE ||
	       status == TPMPSK_STATUS_DEADLINE;
}

static void print_counts(struct json_object *counts)
{
	uint64_t refused = 0;
	char text[FORMAT_SIZE];
	bool first = true;

	line("derived", "%s",
		format_count(text, number(counts, tpmpsk_status_name(TPMPSK_STATUS_OK))));
	for (unsigned i = TPMPSK_STATUS_OK + 1; i < TPMPSK_STATUS_COUNT; i++)
		refused += number(counts, tpmpsk_status_name(i));
	print_padded(stdout, "refused", LABEL_WIDTH);
	fputs(format_count(text, refused), stdout);
	for (unsigned i = TPMPSK_STATUS_OK + 1; i < TPMPSK_STATUS_COUNT; i++) {
		uint64_t n = number(counts, tpmpsk_status_name(i));

		if (n == 0)
			continue;
		printf("%s%s%s %s%s", first ? ": " : ", ",
			is_alarming(i) ? style(STYLE_WARNING) : "", format_count(text, n),
			tpmpsk_status_name(i), is_alarming(i) ? style(STYLE_PLAIN) : "");
		first = false;
	}
	putchar('\n');
}

static const char *bound(char buf[FORMAT_SIZE], uint64_t us)
{
	char text[FORMAT_SIZE];

	if (us == UINT64_MAX)
		snprintf(buf, FORMAT_SIZE, "more than 10 s");
	else
		snprintf(buf, FORMAT_SIZE, "up to %.20s", format_us(text, (double)us));
	return buf;
}

static void print_times(
	const struct metrics *m, const char *label, const struct metrics_histogram *h)
{
	uint64_t n = metrics_count(m, h);
	char mean[FORMAT_SIZE], half[FORMAT_SIZE], most[FORMAT_SIZE];

	if (n > 0)
		line(label, "%s on average; half of them %s, 99 %% %s",
			format_us(mean, (double)h->sum_us / (double)n),
			bound(half, metrics_quantile(m, h, 0.5)),
			bound(most, metrics_quantile(m, h, 0.99)));
}

static void print_sessions(struct json_object *sessions)
{
	char entries[FORMAT_SIZE], capacity[FORMAT_SIZE], bytes[FORMAT_SIZE];

	line("sessions", "%s of %s session identities remembered as used, %s",
		format_count(entries, number(sessions, "replay_entries")),
		format_count(capacity, number(sessions, "replay_capacity")),
		format_bytes(bytes, number(sessions, "replay_bytes")));
}

static void print_metrics(struct invocation *call)
{
	char lost[2 * FORMAT_SIZE], left_out[2 * FORMAT_SIZE];
	struct metrics m;

	if (metrics_fetch(call, &m, NULL) < 0)
		return; /* a daemon that does not count these */
	print_times(&m, "waiting", &m.queue);
	print_times(&m, "TPM time", &m.tpm);
	if (m.audit_lost > 0 || m.audit_left_out > 0)
		line("audit", "%s%s%s could not be written, %s left out",
			m.audit_lost > 0 ? style(STYLE_WARNING) : "",
			format_several(lost, m.audit_lost, "line"),
			m.audit_lost > 0 ? style(STYLE_PLAIN) : "",
			format_several(left_out, m.audit_left_out, "refusal"));
	metrics_done(&m);
}

static void print_status(struct invocation *call, struct json_object *status)
{
	bool full = field(status, "keys");
	char keys[FORMAT_SIZE], connections[2 * FORMAT_SIZE], users[2 * FORMAT_SIZE],
		queue[2 * FORMAT_SIZE];

	style_init();
	print_head(status);
	print_tpm(field(status, "tpm"), full);
	if (!full)
		return;
	line("keys", "%s", format_count(keys, number(status, "keys")));
	line("now", "%s of %s, %s",
		format_several(connections, number(status, "connections"), "connection"),
		format_several(users, number(status, "users"), "user"),
		format_several(queue, number(status, "queue"), "request"));
	print_counts(field(status, "counts"));
	print_metrics(call);
	print_sessions(field(status, "sessions"));
}

static enum exit_code run_status(struct invocation *call)
{
	enum exit_code code;
	_cleanup_(json_freep) struct json_object *status = ask_status(call, &code);

	if (!status)
		return code;
	if (options_get(&call->options, "--json"))
		print_json(status);
	else
		print_status(call, status);
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
