/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/metrics.h"

#include "keys/print.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 65536 /* more than any daemon has: a list that does not end is no list */

static uint64_t number(struct json_object *o, const char *name)
{
	return json_object_get_uint64(json_object_object_get(o, name));
}

static void copy_text(struct json_object *o, const char *name, char *to, size_t size)
{
	const char *text = json_object_get_string(json_object_object_get(o, name));

	snprintf(to, size, "%s", text ? text : "");
}

static void take_row(struct json_object *o, struct metrics_row *row)
{
	struct json_object *counts = json_object_object_get(o, "counts");

	*row = (struct metrics_row){
		.others = json_object_get_boolean(json_object_object_get(o, "others")),
		.uid = (uint32_t)number(o, "uid"),
		.queue_us = number(o, "queue_us"),
		.tpm_us = number(o, "tpm_us"),
	};
	copy_text(o, "key", row->key, sizeof(row->key));
	copy_text(o, "purpose", row->purpose, sizeof(row->purpose));
	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++)
		row->counts[i] = number(counts, tpmpsk_status_name(i));
}

static bool take_histogram(
	struct json_object *page, const char *name, size_t n_bounds, struct metrics_histogram *h)
{
	struct json_object *o = json_object_object_get(page, name);
	struct json_object *counts = json_object_object_get(o, "counts");

	if (!json_object_is_type(counts, json_type_array) ||
		json_object_array_length(counts) != n_bounds + 1)
		return false;
	for (size_t i = 0; i <= n_bounds; i++)
		h->counts[i] = json_object_get_uint64(json_object_array_get_idx(counts, i));
	h->sum_us = number(o, "sum_us");
	return true;
}

static bool take_totals(struct json_object *page, struct metrics *m)
{
	struct json_object *bounds = json_object_object_get(page, "bounds_us");

	if (!json_object_is_type(bounds, json_type_array) ||
		json_object_array_length(bounds) == 0 ||
		json_object_array_length(bounds) > METRICS_BOUNDS_MAX)
		return false;
	m->n_bounds = json_object_array_length(bounds);
	for (size_t i = 0; i < m->n_bounds; i++)
		m->bounds_us[i] = json_object_get_uint64(json_object_array_get_idx(bounds, i));
	m->started = number(page, "started");
	m->uptime_us = number(page, "uptime_us");
	m->audit_left_out = number(page, "audit_left_out");
	m->audit_lost = number(page, "audit_lost");
	return take_histogram(page, "queue", m->n_bounds, &m->queue) &&
	       take_histogram(page, "tpm", m->n_bounds, &m->tpm);
}

/* Adds a page's rows; *from becomes the next page's. */
static bool take_page(struct json_object *page, struct metrics *m, uint32_t *from)
{
	struct json_object *rows = json_object_object_get(page, "rows");
	size_t n = json_object_is_type(rows, json_type_array) ? json_object_array_length(rows) : 0;
	uint64_t next = number(page, "next");

	if (!json_object_is_type(rows, json_type_array) || next > ROWS_MAX || next - *from != n)
		return false;
	if (*from == 0 && !take_totals(page, m))
		return false;
	m->rows = reallocarray(m->rows, m->n_rows + n + 1, sizeof(*m->rows));
	if (!m->rows) {
		fputs("tpm-psk: no memory\n", stderr);
		exit(EXIT_FAILED);
	}
	for (size_t i = 0; i < n; i++)
		take_row(json_object_array_get_idx(rows, i), &m->rows[m->n_rows++]);
	*from = (uint32_t)next;
	return true;
}

int metrics_fetch(
	struct invocation *call, struct metrics *ret, struct tpmpsk_error_reply *ret_refusal)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	struct tpmpsk_metrics next = { 0 };
	struct tpmpsk_text_reply reply = { .more = 1 };
	struct metrics m = { 0 };
	int r = 0;

	while (r == 0 && reply.more) {
		struct json_object *page = NULL;

		r = ask_quietly(call, x,
			tpmpsk_metrics_encode(0, &next, x->packet, sizeof(x->packet), &x->len),
			true);
		if (r == 0 && (tpmpsk_text_reply_decode(&x->reply.body, &reply) < 0 ||
				      !(page = reply_json(&reply, json_type_object)) ||
				      !take_page(page, &m, &next.from)))
			r = TPMPSK_ERR_PROTOCOL;
		json_object_put(page);
	}
	if (r < 0) {
		if (ret_refusal)
			*ret_refusal = x->reply.error;
		metrics_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void metrics_done(struct metrics *m)
{
	free(m->rows);
	*m = (struct metrics){ 0 };
}

uint64_t metrics_refused(const struct metrics_row *row)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++)
		if (i != TPMPSK_STATUS_OK)
			sum += row->counts[i];
	return sum;
}

uint64_t metrics_count(const struct metrics *m, const struct metrics_histogram *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= m->n_bounds; i++)
		sum += h->counts[i];
	return sum;
}

uint64_t metrics_quantile(const struct metrics *m, const struct metrics_histogram *h, double part)
{
	uint64_t all = metrics_count(m, h), sum = 0;

	if (all == 0)
		return 0;
	for (size_t i = 0; i < m->n_bounds; i++) {
		sum += h->counts[i];
		if ((double)sum >= part * (double)all)
			return m->bounds_us[i];
	}
	return UINT64_MAX;
}

char *metrics_user(const struct metrics_row *row)
{
	const struct passwd *user = row->others ? NULL : getpwuid(row->uid);
	char text[32];

	if (row->others)
		return text_escape("(others)");
	if (user)
		return text_escape(user->pw_name);
	snprintf(text, sizeof(text), "%u", row->uid);
	return text_escape(text);
}
