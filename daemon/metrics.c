/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics.h"

#include <string.h>

#define ROW_SIZE_MAX 640 /* of one row's text: two long names, all statuses, numbers of 20 digits */

static void add_number(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_uint64(value));
}

static struct json_object *bounds(void)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < STATS_BOUNDS; i++)
		json_object_array_add(array, json_object_new_uint64(stats_bounds_us[i]));
	return array;
}

static struct json_object *histogram(const struct stats_histogram *h)
{
	struct json_object *o = json_object_new_object(), *counts = json_object_new_array();

	for (size_t i = 0; i <= STATS_BOUNDS; i++)
		json_object_array_add(counts, json_object_new_uint64(h->counts[i]));
	json_object_object_add(o, "counts", counts);
	add_number(o, "sum_us", h->sum_us);
	return o;
}

/* Only those that occurred: most rows have one. */
static struct json_object *row_counts(const struct stats_row *row)
{
	struct json_object *o = json_object_new_object();

	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++)
		if (row->counts[i] > 0)
			add_number(o, tpmpsk_status_name(i), row->counts[i]);
	return o;
}

static struct json_object *describe_row(const struct server *s, const struct stats_row *row)
{
	const struct key *k = *row->key ? keystore_by_name(s->keys, row->key) : NULL;
	struct json_object *o = json_object_new_object();

	if (row->others)
		json_object_object_add(o, "others", json_object_new_boolean(true));
	else
		add_number(o, "uid", row->uid);
	if (*row->key)
		json_object_object_add(o, "key", json_object_new_string(row->key));
	if (k)
		json_object_object_add(o, "purpose",
			json_object_new_string(tpmpsk_purpose_name(k->policy.purpose)));
	json_object_object_add(o, "counts", row_counts(row));
	add_number(o, "queue_us", row->queue_us);
	add_number(o, "tpm_us", row->tpm_us);
	return o;
}

/* As many rows as fit behind what is in the page; returns the number of the first that is not in it. */
static size_t add_rows(const struct server *s, struct json_object *page, size_t from)
{
	struct json_object *rows = json_object_new_array();
	size_t used = strlen(json_object_to_json_string_ext(page, JSON_C_TO_STRING_PLAIN));
	size_t i;

	for (i = from; i < s->stats.n_rows && used + ROW_SIZE_MAX < TPMPSK_TEXT_MAX; i++) {
		struct json_object *row = describe_row(s, &s->stats.rows[i]);

		used += strlen(json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN)) + 1;
		json_object_array_add(rows, row);
	}
	json_object_object_add(page, "rows", rows);
	return i;
}

void metrics_request(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_metrics m;
	struct json_object *page;
	size_t next;

	if (tpmpsk_metrics_decode(r, &m) < 0) {
		conn_send_error(s, c, h->id, h->opcode, TPMPSK_STATUS_MALFORMED, 0, "metrics");
		return;
	}
	page = json_object_new_object();
	if (m.from == 0) {
		add_number(page, "started", s->started_unix);
		add_number(page, "uptime_us", (clock_ns() - s->started_ns) / 1000);
		add_number(page, "audit_left_out", s->audit.left_out);
		add_number(page, "audit_lost", s->audit.lost_ever);
		json_object_object_add(page, "bounds_us", bounds());
		json_object_object_add(page, "queue", histogram(&s->stats.queue));
		json_object_object_add(page, "tpm", histogram(&s->stats.tpm));
	}
	next = add_rows(s, page, m.from);
	add_number(page, "next", next);
	manage_answer_text(s, c, h, next < s->stats.n_rows, page);
	json_object_put(page);
}
