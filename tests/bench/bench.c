/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 50
#define COUNT_MIN 10

struct options {
	unsigned rounds;
	size_t n;
	bool check, json;
	const char *only, *json_file;
};

/* What has been measured: one result for each row and round. */
struct run {
	const struct bench *bench;
	unsigned rounds;
	struct bench_result *results;
	bool measured[]; /* by row */
};

uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile_us(const uint64_t *sorted, size_t n, double p)
{
	return (double)sorted[(size_t)(p * (double)(n - 1))] / 1000;
}

void bench_summarise(uint64_t *ns, size_t n, uint64_t total_ns, struct bench_result *ret)
{
	qsort(ns, n, sizeof(*ns), compare_ns);
	*ret = (struct bench_result){
		.per_second = (double)n * 1e9 / (double)total_ns,
		.p50_us = percentile_us(ns, n, 0.5),
		.p99_us = percentile_us(ns, n, 0.99),
	};
}

static size_t index_of(const struct run *r, const struct bench_row *row)
{
	return (size_t)(row - r->bench->rows);
}

static const struct bench_result *results_of(const struct run *r, const struct bench_row *row)
{
	return &r->results[index_of(r, row->same ? row->same : row) * r->rounds];
}

static bool is_measured(const struct run *r, const struct bench_row *row)
{
	return row && r->measured[index_of(r, row->same ? row->same : row)];
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Sorts the values. */
static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare_double);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static struct bench_result medians(const struct run *r, const struct bench_row *row)
{
	const struct bench_result *results = results_of(r, row);
	double per_second[ROUNDS_MAX], p50[ROUNDS_MAX], p99[ROUNDS_MAX], commands[ROUNDS_MAX];

	for (unsigned i = 0; i < r->rounds; i++) {
		per_second[i] = results[i].per_second;
		p50[i] = results[i].p50_us;
		p99[i] = results[i].p99_us;
		commands[i] = results[i].commands;
	}
	return (struct bench_result){
		.per_second = median(per_second, r->rounds),
		.p50_us = median(p50, r->rounds),
		.p99_us = median(p99, r->rounds),
		.commands = median(commands, r->rounds),
	};
}

static double ratio(const struct run *r, const struct bench_row *row)
{
	const struct bench_result *own = results_of(r, row), *base = results_of(r, row->base);
	double ratios[ROUNDS_MAX];

	for (unsigned i = 0; i < r->rounds; i++)
		ratios[i] = own[i].per_second / base[i].per_second;
	return median(ratios, r->rounds);
}

/* How long the slowest one in a hundred takes, in units of what the base's median, or p99, takes. */
static double p99_of_base(const struct run *r, const struct bench_row *row)
{
	const struct bench_result *own = results_of(r, row), *base = results_of(r, row->base);
	double ratios[ROUNDS_MAX];

	for (unsigned i = 0; i < r->rounds; i++)
		ratios[i] =
			own[i].p99_us / (row->p99_of_p99_max > 0 ? base[i].p99_us : base[i].p50_us);
	return median(ratios, r->rounds);
}

/* What the median is above what its two parts take. */
static double above_us(const struct run *r, const struct bench_row *row)
{
	const struct bench_result *own = results_of(r, row), *base = results_of(r, row->base),
				  *besides = results_of(r, row->besides);
	double above[ROUNDS_MAX];

	for (unsigned i = 0; i < r->rounds; i++)
		above[i] = own[i].p50_us - base[i].p50_us - besides[i].p50_us;
	return median(above, r->rounds);
}

static int measure_round(struct run *r, const struct options *o, unsigned round)
{
	for (size_t i = 0; i < r->bench->n_rows; i++) {
		const struct bench_row *row = &r->bench->rows[i];
		double share = row->share > 0 ? row->share : 1;
		size_t n = (size_t)((double)o->n * share);
		int error;

		if (!r->measured[i])
			continue;
		error = row->measure(row->how, n, &r->results[i * r->rounds + round]);
		if (error == -EOPNOTSUPP) {
			fprintf(stderr, "%s: %s: left out\n", r->bench->name, row->name);
			r->measured[i] = false;
			continue;
		}
		if (error < 0) {
			fprintf(stderr, "%s: %s: %s\n", r->bench->name, row->name,
				strerror(-error));
			return error;
		}
	}
	return 0;
}

static double p99_limit(const struct bench_row *row)
{
	return row->p99_of_p99_max > 0 ? row->p99_of_p99_max : row->p99_max;
}

/* How many of a row's targets are missed. */
static unsigned missed(const struct run *r, const struct bench_row *row)
{
	unsigned n = 0;

	if (row->ratio_min > 0 && is_measured(r, row->base))
		n += ratio(r, row) < row->ratio_min;
	if (row->per_second_min > 0)
		n += medians(r, row).per_second < row->per_second_min;
	if (p99_limit(row) > 0 && is_measured(r, row->base))
		n += p99_of_base(r, row) > p99_limit(row);
	if (is_measured(r, row->besides) && is_measured(r, row->base))
		n += above_us(r, row) > row->above_max_us;
	return n;
}

static unsigned all_missed(const struct run *r)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->bench->n_rows; i++)
		if (is_measured(r, &r->bench->rows[i]))
			n += missed(r, &r->bench->rows[i]);
	return n;
}

static void print_row(const struct run *r, const struct bench_row *row, int width)
{
	struct bench_result m = medians(r, row);

	printf("%-*s %10.0f %10.1f %10.1f", width, row->name, m.per_second, m.p50_us, m.p99_us);
	if (r->bench->counts_commands)
		printf(" %12.2f", m.commands);
	if (is_measured(r, row->base) && p99_limit(row) > 0) {
		printf(" %8.2f  p99 of %s of \"%s\", at most %.2f", p99_of_base(r, row),
			row->p99_of_p99_max > 0 ? "p99" : "p50", row->base->name, p99_limit(row));
	} else if (is_measured(r, row->base) && is_measured(r, row->besides)) {
		printf(" %8.1f  us above \"%s\" and \"%s\", at most %.1f", above_us(r, row),
			row->base->name, row->besides->name, row->above_max_us);
	} else if (is_measured(r, row->base)) {
		printf(" %8.2f  of \"%s\"", ratio(r, row), row->base->name);
		if (row->ratio_min > 0)
			printf(", at least %.2f", row->ratio_min);
	}
	if (row->per_second_min > 0)
		printf(", at least %.0f a second", row->per_second_min);
	printf("%s\n", missed(r, row) ? ": MISSED" : "");
}

static void print_table(const struct run *r, const struct options *o)
{
	const struct bench *b = r->bench;
	int width = 0;

	for (size_t i = 0; i < b->n_rows; i++)
		if ((int)strlen(b->rows[i].name) > width)
			width = (int)strlen(b->rows[i].name);
	printf("%u rounds of %zu %s on %ld processors, software TPM\n\n", o->rounds, o->n, b->what,
		sysconf(_SC_NPROCESSORS_ONLN));
	printf("%-*s %10s %10s %10s%s %8s\n", width, "", "per second", "p50 us", "p99 us",
		b->counts_commands ? " TPM commands" : "", "ratio");
	for (size_t i = 0; i < b->n_rows; i++)
		if (is_measured(r, &b->rows[i]))
			print_row(r, &b->rows[i], width);
}

static void add_number(struct json_object *o, const char *name, double value)
{
	json_object_object_add(o, name, json_object_new_double(value));
}

static struct json_object *row_json(const struct run *r, const struct bench_row *row)
{
	struct json_object *o = json_object_new_object();
	struct bench_result m = medians(r, row);

	json_object_object_add(o, "name", json_object_new_string(row->name));
	add_number(o, "per_second", m.per_second);
	add_number(o, "p50_us", m.p50_us);
	add_number(o, "p99_us", m.p99_us);
	if (r->bench->counts_commands)
		add_number(o, "tpm_commands", m.commands);
	if (is_measured(r, row->base)) {
		json_object_object_add(o, "base", json_object_new_string(row->base->name));
		add_number(o, "ratio", ratio(r, row));
		if (row->ratio_min > 0)
			add_number(o, "ratio_min", row->ratio_min);
	}
	if (row->per_second_min > 0)
		add_number(o, "per_second_min", row->per_second_min);
	if (p99_limit(row) > 0 && is_measured(r, row->base)) {
		add_number(o, "p99_of_base", p99_of_base(r, row));
		add_number(o, "p99_max", p99_limit(row));
		json_object_object_add(o, "p99_unit",
			json_object_new_string(row->p99_of_p99_max > 0 ? "p99" : "p50"));
	}
	if (is_measured(r, row->besides) && is_measured(r, row->base)) {
		add_number(o, "above_us", above_us(r, row));
		add_number(o, "above_max_us", row->above_max_us);
	}
	return o;
}

static struct json_object *run_json(const struct run *r, const struct options *o)
{
	struct json_object *all = json_object_new_object(), *rows = json_object_new_array();

	for (size_t i = 0; i < r->bench->n_rows; i++)
		if (is_measured(r, &r->bench->rows[i]))
			json_object_array_add(rows, row_json(r, &r->bench->rows[i]));
	json_object_object_add(all, "bench", json_object_new_string(r->bench->name));
	json_object_object_add(all, "rounds", json_object_new_int64(o->rounds));
	json_object_object_add(all, "count", json_object_new_int64((int64_t)o->n));
	json_object_object_add(
		all, "processors", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_object_add(all, "rows", rows);
	return all;
}

static int report(const struct run *r, const struct options *o)
{
	struct json_object *all = run_json(r, o);
	int error = 0;

	if (o->json)
		puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY));
	else
		print_table(r, o);
	if (o->json_file &&
		json_object_to_file_ext(o->json_file, all, JSON_C_TO_STRING_PRETTY) < 0) {
		fprintf(stderr, "%s: %s\n", o->json_file, json_util_get_last_err());
		error = -EIO;
	}
	json_object_put(all);
	return error;
}

static const char usage[] =
	"usage: %s [--rounds N] [--count N] [--only TEXT] [--check] [--json] [--save FILE]\n"
	"\n"
	"%s\n"
	"\n"
	"  --rounds N   how often each row is measured (5); the table has medians\n"
	"  --count N    %s per row and round (%zu)\n"
	"  --only TEXT  nothing but the rows whose name contains TEXT\n"
	"  --check      exit 1 when a target is missed\n"
	"  --json       print JSON in place of a table\n"
	"  --save FILE  write the JSON to a file as well\n";

static int print_usage(const struct bench *b, FILE *to, int status)
{
	fprintf(to, usage, b->name, b->about, b->what, b->n);
	return status;
}

/* -1: go on; else the exit status. */
static int parse_options(const struct bench *b, int argc, char **argv, struct options *o)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'n' }, { "only", required_argument, NULL, 'o' },
		{ "check", no_argument, NULL, 'c' }, { "json", no_argument, NULL, 'j' },
		{ "save", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' },
		{ 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			o->rounds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			o->n = strtoul(optarg, NULL, 10);
			break;
		case 'o':
			o->only = optarg;
			break;
		case 'c':
			o->check = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 's':
			o->json_file = optarg;
			break;
		case 'h':
			return print_usage(b, stdout, 0);
		default:
			return print_usage(b, stderr, 2);
		}
	}
	if (optind < argc || o->rounds < 1 || o->rounds > ROUNDS_MAX || o->n < COUNT_MIN)
		return print_usage(b, stderr, 2);
	return -1;
}

static struct run *run_new(const struct bench *b, const struct options *o)
{
	struct run *r = calloc(1, sizeof(*r) + b->n_rows * sizeof(r->measured[0]));

	if (!r)
		return NULL;
	r->bench = b;
	r->rounds = o->rounds;
	r->results = calloc(b->n_rows * o->rounds, sizeof(*r->results));
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct bench_row *row = &b->rows[i];

		if (o->only && !strstr(row->name, o->only))
			continue;
		r->measured[index_of(r, row->same ? row->same : row)] = true;
	}
	return r;
}

static void run_free(struct run *r)
{
	if (r)
		free(r->results);
	free(r);
}

int bench_main(const struct bench *b, int argc, char **argv)
{
	struct options o = { .rounds = 5, .n = b->n };
	int status = parse_options(b, argc, argv, &o), r = 0;
	struct run *run;

	if (status >= 0)
		return status;
	run = run_new(b, &o);
	if (!run || !run->results)
		r = -ENOMEM;
	for (unsigned i = 0; r == 0 && i < o.rounds; i++)
		r = measure_round(run, &o, i);
	if (r == 0)
		r = report(run, &o);
	status = r < 0 || (o.check && all_missed(run) > 0);
	run_free(run);
	return status;
}
