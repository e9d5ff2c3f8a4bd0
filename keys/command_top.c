/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A view of who has what derived at the moment: each interval, what was counted in it. The first view is over all the time since the
 * daemon started.
 */
#include "keys/command.h"
#include "keys/format.h"
#include "keys/metrics.h"
#include "keys/print.h"
#include "keys/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEAD_LINES 5
#define USER_WIDTH 13
#define NUMBERS_WIDTH 48 /* of the columns behind the key */
#define COLUMNS_MIN 40
#define COLUMNS_MAX 200

static const struct option top_options[] = {
	{ "--interval", "S", "seconds between two views, 1 to 3600 (2)", false },
	{ "--once", NULL, "print what is counted in one interval, and end", false },
	{ "--batch", NULL, "print one view after the other, for a file or a pipe", false },
	{ NULL, NULL, NULL, false },
};

enum order { BY_DERIVATIONS, BY_REFUSALS, BY_WAIT, BY_TPM, N_ORDERS };

static const char *const order_names[N_ORDERS] = { "derivations", "refusals", "waiting",
	"TPM time" };

/* One user with one key, in the interval. */
struct entry {
	const struct metrics_row *row;
	double derived, refused; /* a second */
	double wait_us, tpm_us;  /* of one derivation */
	double share;            /* of the TPM's time */
};

struct view {
	struct metrics now, before; /* before: without rows at first */
	double seconds;             /* between the two */
	size_t n;
	struct entry *entries;
	enum order order;
	size_t columns, rows; /* rows 0: all there are */
	char error[160];      /* why there is nothing new; "" */
	char version[64];
	bool tpm_ready;
	uint64_t connections, queue;
};

static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* The same user and key a while ago; rows mostly keep their places. */
static const struct metrics_row *row_before(
	const struct metrics *m, size_t at, const struct metrics_row *row)
{
	for (size_t i = 0; i < m->n_rows; i++) {
		const struct metrics_row *r = &m->rows[(at + i) % m->n_rows];

		if (r->others == row->others && r->uid == row->uid && strcmp(r->key, row->key) == 0)
			return r;
	}
	return NULL;
}

static void fill_entry(const struct view *v, size_t i, struct entry *e)
{
	static const struct metrics_row nothing;
	const struct metrics_row *row = &v->now.rows[i];
	const struct metrics_row *old = row_before(&v->before, i, row);
	uint64_t derived, tpm_us;

	if (!old)
		old = &nothing;
	derived = since(row->counts[TPMPSK_STATUS_OK], old->counts[TPMPSK_STATUS_OK]);
	tpm_us = since(row->tpm_us, old->tpm_us);
	*e = (struct entry){ .row = row };
	e->derived = (double)derived / v->seconds;
	e->refused = (double)since(metrics_refused(row), metrics_refused(old)) / v->seconds;
	e->share = (double)tpm_us / 1e6 / v->seconds;
	if (derived > 0) {
		e->wait_us = (double)since(row->queue_us, old->queue_us) / (double)derived;
		e->tpm_us = (double)tpm_us / (double)derived;
	}
}

static double rank(const struct entry *e, enum order order)
{
	const double by[N_ORDERS] = { e->derived, e->refused, e->wait_us, e->share };

	return by[order];
}

static int compare(const void *a, const void *b, void *context)
{
	const struct entry *x = a, *y = b;
	enum order order = *(const enum order *)context;
	double difference = rank(y, order) - rank(x, order);
	uint64_t seen_x = x->row->counts[TPMPSK_STATUS_OK],
		 seen_y = y->row->counts[TPMPSK_STATUS_OK];

	if (difference == 0)
		difference = y->derived + y->refused - x->derived - x->refused;
	if (difference == 0 && seen_x != seen_y)
		return seen_x < seen_y ? 1 : -1;
	return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static void fill_entries(struct view *v)
{
	free(v->entries);
	v->entries = calloc(v->now.n_rows + 1, sizeof(*v->entries));
	v->n = 0;
	for (size_t i = 0; v->entries && i < v->now.n_rows; i++) {
		const struct metrics_row *row = &v->now.rows[i];

		if (row->others && row->counts[TPMPSK_STATUS_OK] + metrics_refused(row) == 0)
			continue;
		fill_entry(v, i, &v->entries[v->n++]);
	}
	if (v->n > 0)
		qsort_r(v->entries, v->n, sizeof(*v->entries), compare, &v->order);
}

static int take_status(struct invocation *call, struct view *v)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(json_freep) struct json_object *status = NULL;
	_cleanup_(text_freep) char *version = NULL, *state = NULL;
	struct tpmpsk_text_reply reply;
	int r;

	r = ask_quietly(call, x,
		tpmpsk_empty_encode(0, TPMPSK_OP_STATUS, x->packet, sizeof(x->packet), &x->len),
		true);
	if (r < 0)
		return r;
	if (tpmpsk_text_reply_decode(&x->reply.body, &reply) < 0 ||
		!(status = reply_json(&reply, json_type_object)))
		return TPMPSK_ERR_PROTOCOL;
	version = text_of_json(json_object_object_get(status, "version"));
	state = text_of_json(
		json_object_object_get(json_object_object_get(status, "tpm"), "state"));
	snprintf(v->version, sizeof(v->version), "%s", version);
	v->tpm_ready = strcmp(state, "ready") == 0;
	v->connections = json_object_get_uint64(json_object_object_get(status, "connections"));
	v->queue = json_object_get_uint64(json_object_object_get(status, "queue"));
	return 0;
}

/* A new sample; the one before it becomes what it is compared with. 0 or TPMPSK_ERR_*. */
static int take_sample(struct invocation *call, struct view *v)
{
	struct metrics fresh;
	int r;

	r = take_status(call, v);
	if (r == 0)
		r = metrics_fetch(call, &fresh, NULL);
	if (r < 0) {
		snprintf(v->error, sizeof(v->error), "%s%s", tpmpsk_strerror(r),
			r == TPMPSK_ERR_NO_DAEMON ? ": waiting for the daemon to come back"
			: r == TPMPSK_ERR_DENIED  ? ": this is for the daemon's admins"
						  : "");
		return r;
	}
	v->error[0] = '\0';
	metrics_done(&v->before);
	v->before = v->now;
	v->now = fresh;
	/* A daemon that was restarted counts from nothing. */
	if (v->before.started != v->now.started || v->now.uptime_us <= v->before.uptime_us)
		metrics_done(&v->before);
	v->seconds = (double)(v->now.uptime_us - v->before.uptime_us) / 1e6;
	fill_entries(v);
	return 0;
}

static double mean_us(const struct view *v, const struct metrics_histogram *now,
	const struct metrics_histogram *before)
{
	uint64_t n = since(metrics_count(&v->now, now), metrics_count(&v->before, before));

	return n > 0 ? (double)since(now->sum_us, before->sum_us) / (double)n : 0;
}

/* A line that is no wider than the view. */
static void put_line(FILE *f, const struct view *v, enum style s, const char *text)
{
	const char *p = text;

	for (size_t column = 0; *p && column < v->columns; column++)
		for (p++; ((unsigned char)*p & 0xc0) == 0x80; p++)
			continue;
	fprintf(f, "%s%.*s%s\n", style(s), (int)(p - text), text, style(STYLE_PLAIN));
}

static void draw_head(FILE *f, const struct view *v)
{
	char text[512], up[FORMAT_SIZE], derived[FORMAT_SIZE], refused[FORMAT_SIZE],
		wait[FORMAT_SIZE], tpm[FORMAT_SIZE], clients[2 * FORMAT_SIZE],
		queue[2 * FORMAT_SIZE];
	double all_derived = 0, all_refused = 0;
	/* Everything that occupies the TPM, and not only what is done for users. */
	double busy = (double)since(v->now.tpm.sum_us, v->before.tpm.sum_us) / 1e6 / v->seconds;

	for (size_t i = 0; i < v->n; i++) {
		all_derived += v->entries[i].derived;
		all_refused += v->entries[i].refused;
	}
	snprintf(text, sizeof(text), "tpm-pskd %s, up %s; TPM %s, %.0f %% busy", v->version,
		format_seconds(up, v->now.uptime_us / 1000000),
		v->tpm_ready ? "ready" : "UNAVAILABLE", busy * 100);
	put_line(f, v, v->tpm_ready ? STYLE_TITLE : STYLE_BAD, text);
	snprintf(text, sizeof(text), "%s derivations/s, %s refused/s; %s, %s",
		format_rate(derived, all_derived), format_rate(refused, all_refused),
		format_several(clients, v->connections, "client"),
		format_several(queue, v->queue, "request"));
	put_line(f, v, STYLE_PLAIN, text);
	snprintf(text, sizeof(text), "on average, jobs wait %s and take the TPM %s%s",
		format_us(wait, mean_us(v, &v->now.queue, &v->before.queue)),
		format_us(tpm, mean_us(v, &v->now.tpm, &v->before.tpm)),
		v->before.n_bounds == 0 ? "  (since the start)" : "");
	put_line(f, v, STYLE_PLAIN, text);
	if (*v->error)
		put_line(f, v, STYLE_BAD, v->error);
	else
		put_line(f, v, STYLE_PLAIN, "");
}

/* Text cut and filled up to a width. */
static void put_cell(FILE *f, const char *text, size_t width, bool right)
{
	size_t have = text_width(text);
	const char *p = text;

	for (size_t n = 0; *p && n < width; n++)
		for (p++; ((unsigned char)*p & 0xc0) == 0x80; p++)
			continue;
	fprintf(f, "%*s%.*s%*s", (int)(right && have < width ? width - have : 0), "",
		(int)(p - text), text, (int)(!right && have < width ? width - have : 0), "");
}

static size_t key_width(const struct view *v)
{
	size_t rest = USER_WIDTH + 1 + NUMBERS_WIDTH;

	return v->columns > rest + 8 ? v->columns - rest : 8;
}

static void draw_entry(FILE *f, const struct view *v, const struct entry *e)
{
	_cleanup_(text_freep) char *user = metrics_user(e->row);
	_cleanup_(text_freep) char *key = text_escape(*e->row->key ? e->row->key : "-");
	char derived[FORMAT_SIZE], refused[FORMAT_SIZE], wait[FORMAT_SIZE] = "-",
							 tpm[FORMAT_SIZE] = "-", share[FORMAT_SIZE];
	_cleanup_(text_freep) char *text = NULL;
	bool idle = e->derived == 0 && e->refused == 0;
	size_t size;
	FILE *row = open_memstream(&text, &size);

	if (!row)
		return;
	if (e->derived > 0) {
		format_us(wait, e->wait_us);
		format_us(tpm, e->tpm_us);
	}
	snprintf(share, sizeof(share), "%.0f %%", e->share * 100);
	put_cell(row, user, USER_WIDTH, false);
	putc(' ', row);
	put_cell(row, key, key_width(v), false);
	put_cell(row, format_rate(derived, e->derived), 10, true);
	put_cell(row, format_rate(refused, e->refused), 10, true);
	put_cell(row, wait, 11, true);
	put_cell(row, tpm, 11, true);
	put_cell(row, share, 6, true);
	fclose(row);
	put_line(f, v, idle ? STYLE_FAINT : e->refused > 0 ? STYLE_WARNING : STYLE_PLAIN, text);
}

static void draw_titles(FILE *f, const struct view *v)
{
	_cleanup_(text_freep) char *text = NULL;
	size_t size;
	FILE *row = open_memstream(&text, &size);

	if (!row)
		return;
	put_cell(row, "USER", USER_WIDTH, false);
	putc(' ', row);
	put_cell(row, "KEY", key_width(v), false);
	fprintf(row, "%10s%10s%11s%11s%6s", "DERIVED/S", "REFUSED/S", "WAIT", "TPM", "SHARE");
	fclose(row);
	put_line(f, v, STYLE_TITLE, text);
}

/* How many rows of the table there is room for, and whether a last line has to say that there are more. */
static size_t visible(const struct view *v, bool *ret_cut)
{
	size_t room = v->rows > HEAD_LINES + 1 ? v->rows - HEAD_LINES - 1 : 1;

	*ret_cut = v->rows > 0 && v->n > room;
	return *ret_cut ? room : v->n;
}

static void draw(FILE *f, const struct view *v, bool interactive)
{
	char text[160];
	bool cut;
	size_t n = visible(v, &cut);

	if (v->now.n_bounds == 0) {
		put_line(f, v, STYLE_BAD, *v->error ? v->error : "nothing yet");
		return;
	}
	draw_head(f, v);
	draw_titles(f, v);
	for (size_t i = 0; i < n; i++)
		draw_entry(f, v, &v->entries[i]);
	if (v->n == 0)
		put_line(f, v, STYLE_FAINT, "nobody has asked for anything yet");
	if (!interactive)
		return;
	snprintf(text, sizeof(text), "%s%zu of %zu  by %s  (q quits, s sorts by something else)",
		cut ? "..." : "", n, v->n, order_names[v->order]);
	put_line(f, v, STYLE_FAINT, text);
}

static char *draw_page(const struct view *v, bool interactive)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	draw(f, v, interactive);
	fclose(f);
	return text;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until a key or the next sample is due. */
static enum exit_code watch(struct invocation *call, struct view *v, uint32_t interval)
{
	int64_t due = now_ms() + (int64_t)interval * 1000;

	if (screen_open() < 0)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_SYSTEM), "%s", strerror(errno));
	for (;;) {
		_cleanup_(text_freep) char *page = NULL;
		int64_t left = due - now_ms();
		int key;

		screen_size(&v->columns, &v->rows);
		page = draw_page(v, true);
		if (page)
			screen_draw(page);
		key = screen_wait(left > 0 ? (int)left : 0);
		if (key == SCREEN_END || key == 'q' || key == 'Q')
			break;
		if (key == 's') {
			v->order = (v->order + 1) % N_ORDERS;
			fill_entries(v);
		}
		if (key == ' ' || now_ms() >= due) {
			due = now_ms() + (int64_t)interval * 1000;
			(void)take_sample(call, v);
		}
	}
	screen_close();
	return EXIT_DONE;
}

static enum exit_code print_views(
	struct invocation *call, struct view *v, uint32_t interval, bool once)
{
	const char *columns = getenv("COLUMNS");
	unsigned long n = columns ? strtoul(columns, NULL, 10) : 0;

	v->columns = n >= COLUMNS_MIN && n <= COLUMNS_MAX ? n : 80;
	do {
		_cleanup_(text_freep) char *page = NULL;
		int r;

		poll(NULL, 0, (int)interval * 1000);
		r = take_sample(call, v);
		/* One that was restarted is waited for; --once has to say so. */
		if (r < 0 && (once || r != TPMPSK_ERR_NO_DAEMON))
			return fail_ask(call, r, NULL);
		page = draw_page(v, false);
		if (page)
			printf("%s%s", page, once ? "" : "\n");
	} while (fflush(stdout) == 0 && !once);
	return EXIT_DONE;
}

static enum exit_code run_top(struct invocation *call)
{
	bool once = options_get(&call->options, "--once");
	bool batch = options_get(&call->options, "--batch");
	char error[OPTIONS_ERROR_SIZE];
	struct view v = { .columns = 80 };
	enum exit_code code;
	uint32_t interval = 2;
	int r;

	if (options_get_number(&call->options, "--interval", 1, 3600, error, &interval) < 0)
		return usage(call, "%s", error);
	if (once && batch)
		return usage(call, "one of --once and --batch");
	if (!once && !batch && !screen_possible())
		return usage(call, "this is no terminal: --once or --batch do without");
	r = take_sample(call, &v);
	if (r < 0)
		return fail_ask(call, r, NULL);
	if (once || batch) {
		code = print_views(call, &v, interval, once);
	} else {
		style_init();
		code = watch(call, &v, interval);
	}
	metrics_done(&v.now);
	metrics_done(&v.before);
	free(v.entries);
	return code;
}

const struct command commands_top[] = {
	{ "top", NULL, 0, 0, { top_options, NULL },
		"Shows who has what derived at the moment, by user and key",
		"For admins of the daemon. q quits, s sorts by something else, the space bar looks "
		"at "
		"once.\n"
		"DERIVED/S and REFUSED/S are in a second, WAIT and TPM what one derivation waited "
		"and "
		"took\n"
		"the TPM, SHARE is of the TPM's time.",
		run_top },
	{ 0 },
};
