/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon has counted, in the text format of Prometheus. Names begin with tpmpsk_, times are in seconds, counters end in _total.
 */
#include "keys/command.h"
#include "keys/metrics.h"
#include "keys/print.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option metrics_options[] = {
	{ "--textfile", "PATH", "write there, for node_exporter's textfile collector", false },
	{ NULL, NULL, NULL, false },
};

static void family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
	family(f, name, type, help);
	fprintf(f, "%s %" PRIu64 "\n", name, value);
}

/* A label's value: what would end it is escaped, and what is not printable is shown as the daemon's other texts are. */
static void label(FILE *f, const char *before, const char *name, const char *value)
{
	_cleanup_(text_freep) char *text = text_escape(value);

	fprintf(f, "%s%s=\"", before, name);
	for (const char *p = text; *p; p++) {
		if (*p == '\\' || *p == '"')
			fputc('\\', f);
		fputc(*p, f);
	}
	fputc('"', f);
}

static const char *text_field(struct json_object *o, const char *name)
{
	const char *text = json_object_get_string(json_object_object_get(o, name));

	return text ? text : "";
}

static void write_info(FILE *f, struct json_object *status, struct json_object *tpm)
{
	family(f, "tpmpsk_build_info", "gauge", "The daemon's version.");
	label(f, "tpmpsk_build_info{", "version", text_field(status, "version"));
	fputs("} 1\n", f);
	family(f, "tpmpsk_tpm_info", "gauge", "The TPM that is, or was last, there.");
	label(f, "tpmpsk_tpm_info{", "manufacturer", text_field(tpm, "manufacturer"));
	label(f, ",", "vendor", text_field(tpm, "vendor"));
	label(f, ",", "firmware", text_field(tpm, "firmware"));
	fputs("} 1\n", f);
	sample(f, "tpmpsk_tpm_up", "gauge", "Whether the TPM can be reached.",
		strcmp(text_field(tpm, "state"), "ready") == 0);
}

/* Numbers of the status, as they are. */
static const struct plain {
	const char *part, *field; /* part: an object inside, NULL for the status itself */
	const char *name, *type, *help;
} plain[] = {
	{ NULL, "keys", "tpmpsk_keys", "gauge", "Keys." },
	{ NULL, "connections", "tpmpsk_connections", "gauge", "Clients connected." },
	{ NULL, "users", "tpmpsk_users", "gauge", "Users connected, or not settled yet." },
	{ NULL, "queue", "tpmpsk_requests", "gauge", "Requests under way." },
	{ "tpm", "commands", "tpmpsk_tpm_commands_total", "counter", "Commands sent to the TPM." },
	{ "tpm", "loads", "tpmpsk_tpm_key_loads_total", "counter", "Keys loaded into the TPM." },
	{ "tpm", "evictions", "tpmpsk_tpm_key_evictions_total", "counter",
		"Keys thrown out of the TPM to make room." },
	{ "tpm", "rebuilds", "tpmpsk_tpm_rebuilds_total", "counter",
		"Times that the TPM had to be set up anew." },
	{ "tpm", "loaded", "tpmpsk_tpm_keys_loaded", "gauge", "Keys that are loaded." },
	{ "tpm", "slots", "tpmpsk_tpm_key_slots", "gauge", "Keys that may be loaded." },
	{ "sessions", "epochs", "tpmpsk_session_epochs", "gauge", "Epochs of keys in memory." },
	{ "sessions", "replay_entries", "tpmpsk_replay_entries", "gauge",
		"Session identities remembered as used." },
	{ "sessions", "replay_capacity", "tpmpsk_replay_entries_limit", "gauge",
		"Session identities that can be remembered." },
	{ "sessions", "replay_bytes", "tpmpsk_replay_bytes", "gauge", "Memory that they take." },
};

static void write_status(FILE *f, struct json_object *status)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		struct json_object *o =
			plain[i].part ? json_object_object_get(status, plain[i].part) : status;
		struct json_object *value = json_object_object_get(o, plain[i].field);

		if (value)
			sample(f, plain[i].name, plain[i].type, plain[i].help,
				json_object_get_uint64(value));
	}
}

static void write_counts(FILE *f, struct json_object *counts)
{
	family(f, "tpmpsk_derivations_total", "counter",
		"Derivations asked for, by how they ended.");
	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++) {
		struct json_object *value = json_object_object_get(counts, tpmpsk_status_name(i));

		fprintf(f, "tpmpsk_derivations_total{status=\"%s\"} %" PRIu64 "\n",
			tpmpsk_status_name(i), json_object_get_uint64(value));
	}
}

/* Microseconds as seconds, exactly. */
static void seconds(FILE *f, uint64_t us)
{
	fprintf(f, "%" PRIu64 ".%06u", us / 1000000, (unsigned)(us % 1000000));
}

static void write_histogram(FILE *f, const struct metrics *m, const struct metrics_histogram *h,
	const char *name, const char *help)
{
	uint64_t sum = 0;

	family(f, name, "histogram", help);
	for (size_t i = 0; i < m->n_bounds; i++) {
		sum += h->counts[i];
		fprintf(f, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
			(double)m->bounds_us[i] / 1000000, sum);
	}
	sum += h->counts[m->n_bounds];
	fprintf(f, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, sum, name);
	seconds(f, h->sum_us);
	fprintf(f, "\n%s_count %" PRIu64 "\n", name, sum);
}

static void row_labels(FILE *f, const char *name, const struct metrics_row *row)
{
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", row->uid);
	fputs(name, f);
	label(f, "{", "uid", row->others ? "others" : uid);
	label(f, ",", "key", row->key);
	label(f, ",", "purpose", row->purpose);
}

static bool is_used(const struct metrics_row *row)
{
	return !row->others || row->counts[TPMPSK_STATUS_OK] + metrics_refused(row) > 0;
}

static void write_row_times(
	FILE *f, const struct metrics *m, const char *name, const char *help, size_t offset)
{
	family(f, name, "counter", help);
	for (size_t i = 0; i < m->n_rows; i++) {
		const struct metrics_row *row = &m->rows[i];
		uint64_t us;

		if (!is_used(row))
			continue;
		memcpy(&us, (const char *)row + offset, sizeof(us));
		row_labels(f, name, row);
		fputs("} ", f);
		seconds(f, us);
		fputc('\n', f);
	}
}

static void write_rows(FILE *f, const struct metrics *m)
{
	static const char name[] = "tpmpsk_user_derivations_total";

	family(f, name, "counter", "Derivations asked for, by user, key and how they ended.");
	for (size_t i = 0; i < m->n_rows; i++) {
		for (unsigned s = 0; s < TPMPSK_STATUS_COUNT; s++) {
			if (m->rows[i].counts[s] == 0)
				continue;
			row_labels(f, name, &m->rows[i]);
			fprintf(f, ",status=\"%s\"} %" PRIu64 "\n", tpmpsk_status_name(s),
				m->rows[i].counts[s]);
		}
	}
	write_row_times(f, m, "tpmpsk_user_queue_seconds_total",
		"Time that derivations waited, by user and key.",
		offsetof(struct metrics_row, queue_us));
	write_row_times(f, m, "tpmpsk_user_tpm_seconds_total",
		"Time that derivations took the TPM, by user and key.",
		offsetof(struct metrics_row, tpm_us));
}

static void write_all(FILE *f, struct json_object *status, const struct metrics *m)
{
	write_info(f, status, json_object_object_get(status, "tpm"));
	sample(f, "tpmpsk_start_time_seconds", "gauge", "When the daemon started, as unix time.",
		m->started);
	write_status(f, status);
	write_counts(f, json_object_object_get(status, "counts"));
	write_histogram(f, m, &m->queue, "tpmpsk_queue_duration_seconds",
		"How long jobs for the TPM waited before it began.");
	write_histogram(
		f, m, &m->tpm, "tpmpsk_tpm_duration_seconds", "How long jobs took the TPM.");
	write_rows(f, m);
	sample(f, "tpmpsk_audit_lost_lines_total", "counter",
		"Lines of the audit that could not be written.", m->audit_lost);
	sample(f, "tpmpsk_audit_left_out_lines_total", "counter",
		"Refusals that the audit left out because there were too many.", m->audit_left_out);
}

static int put_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Beside the file and then in its place, so that whoever reads it finds the old one or the new one. 0 or -errno. */
static int replace_file(const char *path, const char *text, size_t len)
{
	_cleanup_(text_freep) char *temporary = NULL;
	struct stat st;
	int fd, r = 0;

	/* Renaming would put a file in the place of a device or a pipe. */
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return -EINVAL;
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The collector runs as another user. */
	if (fchmod(fd, 0644) < 0)
		r = -errno;
	if (r == 0)
		r = put_all(fd, text, len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	return r;
}

static int write_file(const char *path, struct json_object *status, const struct metrics *m)
{
	_cleanup_(text_freep) char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -errno;
	write_all(f, status, m);
	if (fclose(f) != 0)
		return -ENOMEM;
	return replace_file(path, text, len);
}

static enum exit_code run_metrics(struct invocation *call)
{
	const char *path = options_get(&call->options, "--textfile");
	struct tpmpsk_error_reply refusal;
	enum exit_code code;
	_cleanup_(json_freep) struct json_object *status = ask_status(call, &code);
	struct metrics m;
	int r;

	if (!status)
		return code;
	r = metrics_fetch(call, &m, &refusal);
	if (r < 0)
		return fail_ask(call, r, &refusal);
	if (path) {
		r = write_file(path, status, &m);
		if (r < 0)
			code = fail(call, tpmpsk_strerror(TPMPSK_ERR_SYSTEM), "%s: %s", path,
				strerror(-r));
	} else {
		write_all(stdout, status, &m);
	}
	metrics_done(&m);
	return code;
}

const struct command commands_metrics[] = {
	{ "metrics", NULL, 0, 0, { metrics_options, NULL },
		"Prints what the daemon has counted, for Prometheus",
		"For admins of the daemon. With --textfile the file is replaced as a whole, and "
		"its "
		"name\n"
		"should end in .prom. man tpm-psk-metrics explains each of them.",
		run_metrics },
	{ 0 },
};
