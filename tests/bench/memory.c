/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory - what the daemon holds in memory: with one key and one client, for each further connection
 * and each further key; and how it starts with ten thousand keys.
 *
 * Resident, as the kernel counts it in /proc/PID/smaps, pages of libraries that other processes have
 * mapped as well included. Needs the right to read that.
 */
#include "client-lib/tpmpsk.h"
#include "tests/bench/bench.h"
#include "tests/bench/manykeys.h"
#include "tests/bench/pipeline.h"

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define KEYS 10000
#define CONNECTIONS 1000
#define MAPPINGS_MAX 64
#define MAPPINGS_SHOWN 8
#define CONFIG "{\"audit\":\"off\",\"limits\":{\"connections\":2048,\"connections_per_user\":2048}}"

struct figure {
	const char *name, *unit;
	double value, max; /* max < 0: for information only */
};

enum {
	START,
	START_ANONYMOUS,
	CONNECTION,
	KEY,
	KEYS_TIME,
	KEYS_COMMANDS,
	N_FIGURES,
};

/* What one file has in memory, over all its mappings. */
struct mapping {
	char name[128];
	long rss_kb, anonymous_kb;
};

struct memory {
	long rss_kb, anonymous_kb;
	size_t n;
	struct mapping mappings[MAPPINGS_MAX];
};

static struct mapping *mapping_of(struct memory *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->mappings[i].name, name) == 0)
			return &m->mappings[i];
	if (m->n == MAPPINGS_MAX)
		return NULL;
	snprintf(m->mappings[m->n].name, sizeof(m->mappings[0].name), "%s", name);
	return &m->mappings[m->n++];
}

static int read_memory(pid_t pid, struct memory *ret)
{
	char path[64], line[512], name[256] = "";
	struct mapping *now = NULL;
	FILE *f;
	long kb;

	*ret = (struct memory){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, " kB") == NULL && strchr(line, '-') && strchr(line, ':')) {
			name[0] = '\0';
			(void)!sscanf(line, "%*s %*s %*s %*s %*s %255s", name);
			now = mapping_of(ret, name[0] ? name : "[anonymous]");
		} else if (now && sscanf(line, "Rss: %ld kB", &kb) == 1) {
			now->rss_kb += kb;
			ret->rss_kb += kb;
		} else if (now && sscanf(line, "Anonymous: %ld kB", &kb) == 1) {
			now->anonymous_kb += kb;
			ret->anonymous_kb += kb;
		}
	}
	fclose(f);
	return ret->rss_kb > 0 ? 0 : -EIO;
}

static int compare_mapping(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	return x->rss_kb > y->rss_kb ? -1 : x->rss_kb < y->rss_kb;
}

static void show_memory(struct memory *m)
{
	qsort(m->mappings, m->n, sizeof(m->mappings[0]), compare_mapping);
	printf("with one key and one client, KiB resident (of which anonymous)\n");
	for (size_t i = 0; i < m->n && i < MAPPINGS_SHOWN; i++)
		printf("%8ld (%6ld)  %s\n", m->mappings[i].rss_kb, m->mappings[i].anonymous_kb,
			m->mappings[i].name);
	printf("%8ld (%6ld)  in all\n\n", m->rss_kb, m->anonymous_kb);
}

static void ask(void *context, size_t number, struct tpmpsk_derive *ret)
{
	(void)context;
	manykeys_ask(0, number, ret);
}

static bool check(void *context, size_t number, const struct tpmpsk_derived *answer)
{
	(void)context;
	return manykeys_check(0, number, answer);
}

/* So many connections, each of which has asked once. */
static int connect_clients(struct manykeys *m, struct pipeline *p, unsigned n)
{
	const struct pipeline_calls calls = { ask, check, NULL };
	uint64_t *ns = calloc(n, sizeof(*ns)), total;
	int r = ns ? pipeline_init(p, m->scene.socket, n, 1) : -ENOMEM;

	if (r == 0)
		r = pipeline_run(p, &calls, 0, n, ns, &total);
	free(ns);
	return r;
}

/* The daemon with so many connections in all. */
static int measure_connections(struct manykeys *m, unsigned connections, struct memory *ret)
{
	struct pipeline p[CONNECTIONS / 100 + 1];
	unsigned n = 0, have = 0;
	int r = 0;

	for (; r == 0 && have < connections; n++) {
		unsigned want = connections - have < 100 ? connections - have : 100;

		r = connect_clients(m, &p[n], want);
		if (r < 0)
			break;
		have += want;
	}
	if (r == 0)
		r = read_memory(command_pid(m->scene.daemon), ret);
	while (n > 0)
		pipeline_done(&p[--n]);
	return r;
}

static int measure_one_key(struct figure *f, struct memory *ret_one)
{
	struct manykeys m;
	struct memory many;
	int r;

	r = manykeys_init(&m, 1, true, CONFIG);
	if (r < 0)
		return r;
	r = scene_start(&m.scene);
	if (r == 0)
		r = measure_connections(&m, 1, ret_one);
	if (r == 0)
		r = measure_connections(&m, CONNECTIONS, &many);
	if (r == 0) {
		f[START].value = (double)ret_one->rss_kb;
		f[START_ANONYMOUS].value = (double)ret_one->anonymous_kb;
		f[CONNECTION].value =
			1024. * (double)(many.rss_kb - ret_one->rss_kb) / (CONNECTIONS - 1);
	}
	manykeys_done(&m);
	return r;
}

static int start_and_count(struct manykeys *m, uint64_t *ret_commands, double *ret_ms)
{
	uint64_t before = tcti_test_count(m->slow.shared, 0), start = bench_now_ns();
	int r = scene_start(&m->scene);

	*ret_ms = (double)(bench_now_ns() - start) / 1e6;
	*ret_commands = tcti_test_count(m->slow.shared, 0) - before;
	return r;
}

static int measure_many_keys(struct figure *f, const struct memory *one)
{
	struct manykeys m;
	struct memory many;
	uint64_t commands_many = 0, commands_one = 0;
	double ms;
	int r;

	r = manykeys_init(&m, KEYS, true, CONFIG);
	if (r < 0)
		return r;
	r = start_and_count(&m, &commands_many, &f[KEYS_TIME].value);
	if (r == 0)
		r = measure_connections(&m, 1, &many);
	manykeys_done(&m);
	if (r == 0)
		r = manykeys_init(&m, 1, true, CONFIG);
	if (r < 0)
		return r;
	r = start_and_count(&m, &commands_one, &ms);
	manykeys_done(&m);
	if (r == 0) {
		f[KEY].value = 1024. * (double)(many.rss_kb - one->rss_kb) / (KEYS - 1);
		f[KEYS_COMMANDS].value = (double)commands_many - (double)commands_one;
	}
	return r;
}

static bool missed(const struct figure *f)
{
	return f->max >= 0 && f->value > f->max;
}

static int save(const struct figure *f, const char *path)
{
	struct json_object *all = json_object_new_object(), *figures = json_object_new_array();
	int r = 0;

	for (size_t i = 0; i < N_FIGURES; i++) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "name", json_object_new_string(f[i].name));
		json_object_object_add(o, "unit", json_object_new_string(f[i].unit));
		json_object_object_add(o, "value", json_object_new_double(f[i].value));
		if (f[i].max >= 0)
			json_object_object_add(o, "max", json_object_new_double(f[i].max));
		json_object_array_add(figures, o);
	}
	json_object_object_add(all, "bench", json_object_new_string("memory"));
	json_object_object_add(all, "figures", figures);
	if (json_object_to_file_ext(path, all, JSON_C_TO_STRING_PRETTY) < 0)
		r = -EIO;
	json_object_put(all);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "save", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' }, { "check", no_argument, NULL, 'c' },
		{ 0 } };
	struct figure f[N_FIGURES] = {
		[START] = { "one key, one client, resident", "KiB", 0, 8192 },
		[START_ANONYMOUS] = { "  of which anonymous", "KiB", 0, -1 },
		[CONNECTION] = { "each further connection", "bytes", 0, 4096 },
		[KEY] = { "each further key", "bytes", 0, 1024 },
		[KEYS_TIME] = { "start with 10,000 keys", "ms", 0, 1000 },
		[KEYS_COMMANDS] = { "TPM commands at it more than with one", "", 0, 0 },
	};
	struct rlimit limit;
	struct memory one;
	const char *path = NULL;
	bool check_all = false;
	unsigned n_missed = 0;
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			path = optarg;
		else if (option == 'c')
			check_all = true;
		else if (option != 'r') /* memory is what it is: one round */
			return 2;
	}
	setenv("TSS2_LOG", "all+none", 1);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	r = sodium_init() < 0 ? -EIO : measure_one_key(f, &one);
	if (r == 0)
		r = measure_many_keys(f, &one);
	if (r < 0) {
		fprintf(stderr, "memory: %s\n", strerror(-r));
		return 1;
	}
	show_memory(&one);
	for (size_t i = 0; i < N_FIGURES; i++) {
		printf("%-40s %10.0f %s", f[i].name, f[i].value, f[i].unit);
		if (f[i].max >= 0)
			printf(", at most %.0f", f[i].max);
		printf("%s\n", missed(&f[i]) ? ": MISSED" : "");
		n_missed += missed(&f[i]);
	}
	if (path && save(f, path) < 0)
		return 1;
	return check_all && n_missed > 0;
}
