/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many handshakes a second this TPM allows: clients in threads, each with a connection of its own, ask for one secret after the other.
 * For an admin it makes keys of its own and removes them again, also when it is interrupted.
 */
#include "keys/command.h"
#include "keys/format.h"
#include "keys/print.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 64

static const struct option bench_options[] = {
	{ "--seconds", "N", "for how long to measure each line of the table, 1 to 60 (3)", false },
	{ "--clients", "N", "how many clients at the same time, 1 to 64 (16)", false },
	{ "--identity", "ID", "use this key instead of making some; for who is no admin", false },
	{ "--purpose", "P", "its purpose: tls12-session or session-identity", false },
	{ NULL, NULL, NULL, false },
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* One line of the table. */
struct run {
	const char *socket; /* NULL: where the library looks */
	const char *identity;
	uint8_t purpose;
	unsigned clients, seconds;
	atomic_bool go, stop;
	atomic_uint ready;
};

struct client {
	struct run *run;
	pthread_t thread;
	int error;
	size_t n, room;
	uint32_t *us;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int derive(struct tpmpsk *handle, const struct run *run)
{
	uint8_t psk[TPMPSK_PSK_SIZE], random[2 * TPMPSK_RANDOM_SIZE];
	char session[TPMPSK_SESSION_IDENTITY_SIZE];
	size_t size, len = strlen(run->identity);
	int r;

	if (run->purpose == TPMPSK_PURPOSE_SESSION_IDENTITY) {
		r = tpmpsk_session_identity_client(handle, run->identity, len, session, &size, psk);
	} else {
		randombytes_buf(random, sizeof(random));
		r = tpmpsk_tls12_session(handle, run->identity, len, random,
			random + TPMPSK_RANDOM_SIZE, TPMPSK_RANDOM_SIZE, psk);
	}
	sodium_memzero(psk, sizeof(psk));
	return r;
}

static int keep(struct client *c, uint64_t us)
{
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 4096;
		uint32_t *wider = reallocarray(c->us, room, sizeof(*wider));

		if (!wider)
			return TPMPSK_ERR_SYSTEM;
		c->us = wider;
		c->room = room;
	}
	c->us[c->n++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	return 0;
}

static void *work(void *context)
{
	struct client *c = context;
	struct run *run = c->run;
	struct tpmpsk *handle = NULL;
	uint64_t before, now;

	c->error = tpmpsk_open(&handle, run->socket);
	/* The first one loads the key, or has the epoch's secret fetched. */
	if (c->error == 0)
		c->error = derive(handle, run);
	atomic_fetch_add(&run->ready, 1);
	while (!atomic_load(&run->go))
		sched_yield();
	before = now_us();
	while (c->error == 0 && !atomic_load(&run->stop)) {
		c->error = derive(handle, run);
		now = now_us();
		if (c->error == 0)
			c->error = keep(c, now - before);
		before = now;
	}
	tpmpsk_close(handle);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void print_result(const struct client *clients, const struct run *run, double seconds)
{
	char rate[FORMAT_SIZE], half[FORMAT_SIZE], most[FORMAT_SIZE];
	size_t n = 0, at = 0;
	uint32_t *all;

	for (unsigned i = 0; i < run->clients; i++)
		n += clients[i].n;
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return;
	for (unsigned i = 0; i < run->clients; i++) {
		if (clients[i].n > 0)
			memcpy(all + at, clients[i].us, clients[i].n * sizeof(*all));
		at += clients[i].n;
	}
	qsort(all, n, sizeof(*all), compare);
	printf("%8u%14s%14s%14s\n", run->clients, format_rate(rate, (double)n / seconds),
		format_us(half, n > 0 ? all[n / 2] : 0),
		format_us(most, n > 0 ? all[n - 1 - n / 100] : 0));
	fflush(stdout);
	free(all);
}

/* Waits for the clients, lets them work, and stops them. The time that they worked in seconds. */
static double measure(struct run *run)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	uint64_t begin, end;

	while (atomic_load(&run->ready) < run->clients)
		nanosleep(&moment, NULL);
	begin = now_us();
	end = begin + (uint64_t)run->seconds * 1000000;
	atomic_store(&run->go, true);
	while (!interrupted && now_us() < end)
		nanosleep(&moment, NULL);
	atomic_store(&run->stop, true);
	return (double)(now_us() - begin) / 1e6;
}

/* 0 or TPMPSK_ERR_*. */
static int run_line(struct run *run)
{
	struct client *clients = calloc(run->clients, sizeof(*clients));
	unsigned started = 0;
	double seconds;
	int error = 0;

	if (!clients)
		return TPMPSK_ERR_SYSTEM;
	for (; started < run->clients; started++) {
		clients[started].run = run;
		if (pthread_create(&clients[started].thread, NULL, work, &clients[started]) != 0)
			break;
	}
	if (started < run->clients)
		error = TPMPSK_ERR_SYSTEM;
	run->clients = started;
	seconds = measure(run);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(clients[i].thread, NULL);
		if (error == 0)
			error = clients[i].error;
	}
	if (error == 0)
		print_result(clients, run, seconds);
	for (unsigned i = 0; i < started; i++)
		free(clients[i].us);
	free(clients);
	return error;
}

/* One client, then many. */
static enum exit_code run_lines(struct invocation *call, const char *identity, uint8_t purpose,
	const char *mode, unsigned clients, unsigned seconds)
{
	const unsigned counts[] = { 1, clients };

	for (size_t i = 0; i < (clients > 1 ? 2 : 1) && !interrupted; i++) {
		struct run run = { .socket = options_get(&call->options, "--socket"),
			.identity = identity,
			.purpose = purpose,
			.clients = counts[i],
			.seconds = seconds };
		int r;

		printf("%-18s%-8s", tpmpsk_purpose_name(purpose), mode);
		fflush(stdout);
		r = run_line(&run);
		if (r < 0) {
			putchar('\n');
			return fail_ask(call, r, NULL);
		}
	}
	return EXIT_DONE;
}

static enum exit_code make_key(
	struct invocation *call, const char *name, uint8_t purpose, const char *mode)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	struct tpmpsk_key_new *m = calloc(1, sizeof(*m));
	enum exit_code code;

	if (!m)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_SYSTEM), "no memory");
	snprintf(m->name, sizeof(m->name), "%s", name);
	snprintf(m->policy, sizeof(m->policy),
		"{\"identity\":\"%s\",\"purpose\":\"%s\",\"allow\":[\"uid:%u\"]%s%s%s}", name,
		tpmpsk_purpose_name(purpose), geteuid(), *mode ? ",\"mode\":\"" : "", mode,
		*mode ? "\"" : "");
	code = ask(call, x,
		tpmpsk_key_new_encode(
			0, TPMPSK_OP_KEY_GENERATE, m, x->packet, sizeof(x->packet), &x->len),
		false);
	free(m);
	return code;
}

static enum exit_code remove_key(struct invocation *call, const char *name)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	struct tpmpsk_key_name m = { 0 };

	snprintf(m.name, sizeof(m.name), "%s", name);
	return ask(call, x,
		tpmpsk_key_name_encode(
			0, TPMPSK_OP_KEY_REMOVE, &m, x->packet, sizeof(x->packet), &x->len),
		false);
}

static enum exit_code run_own_keys(struct invocation *call, unsigned clients, unsigned seconds)
{
	static const struct {
		uint8_t purpose;
		const char *mode;
	} lines[] = {
		{ TPMPSK_PURPOSE_TLS12_SESSION, "" },
		{ TPMPSK_PURPOSE_SESSION_IDENTITY, "strict" },
		{ TPMPSK_PURPOSE_SESSION_IDENTITY, "epoch" },
	};
	enum exit_code code = EXIT_DONE;

	for (size_t i = 0;
		i < sizeof(lines) / sizeof(lines[0]) && code == EXIT_DONE && !interrupted; i++) {
		enum exit_code removed;
		char name[40];

		snprintf(name, sizeof(name), "bench-%08x", randombytes_random());
		code = make_key(call, name, lines[i].purpose, lines[i].mode);
		if (code != EXIT_DONE)
			break;
		code = run_lines(call, name, lines[i].purpose, lines[i].mode, clients, seconds);
		removed = remove_key(call, name);
		if (code == EXIT_DONE)
			code = removed;
	}
	return code;
}

/* "model name : X" of the first processor, "" when it cannot be read. */
static void read_processor(char *text, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	*text = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		const char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(text, size, "%s", value + 2);
		break;
	}
	if (f)
		fclose(f);
}

static void print_machine(struct json_object *status, unsigned seconds)
{
	struct json_object *tpm = json_object_object_get(status, "tpm");
	_cleanup_(text_freep) char *manufacturer =
		text_of_json(json_object_object_get(tpm, "manufacturer"));
	_cleanup_(text_freep) char *vendor = text_of_json(json_object_object_get(tpm, "vendor"));
	_cleanup_(text_freep) char *firmware =
		text_of_json(json_object_object_get(tpm, "firmware"));
	_cleanup_(text_freep) char *tcti = text_of_json(json_object_object_get(tpm, "tcti"));
	char processor[200], date[32] = "";
	time_t now = time(NULL);
	struct utsname system;
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	read_processor(processor, sizeof(processor));
	printf("tpm-psk bench, version " TPMPSK_VERSION ", %s\n", date);
	if (json_object_object_get(tpm, "tcti"))
		printf("TPM        %s %s, firmware %s\n           %s\n", manufacturer, vendor,
			firmware, tcti);
	printf("machine    %s, %ld of them\n", *processor ? processor : "processor unknown",
		sysconf(_SC_NPROCESSORS_ONLN));
	if (uname(&system) == 0)
		printf("system     %s %s, %s\n", system.sysname, system.release, system.machine);
	printf("measured   %u s a line; a client asks for one secret after the other\n\n", seconds);
	printf("%-18s%-8s%8s%14s%14s%14s\n", "PURPOSE", "MODE", "CLIENTS", "HANDSHAKES/S",
		"HALF TAKE", "99 % TAKE");
}

static enum exit_code read_options(
	struct invocation *call, uint32_t *clients, uint32_t *seconds, uint8_t *purpose)
{
	const char *identity = options_get(&call->options, "--identity");
	const char *name = options_get(&call->options, "--purpose");
	char error[OPTIONS_ERROR_SIZE];

	if (options_get_number(&call->options, "--seconds", 1, 60, error, seconds) < 0 ||
		options_get_number(&call->options, "--clients", 1, CLIENTS_MAX, error, clients) < 0)
		return usage(call, "%s", error);
	if (!name != !identity)
		return usage(call, "--identity and --purpose go together");
	*purpose = name ? (uint8_t)tpmpsk_purpose_by_name(name) : 0;
	if (name && *purpose != TPMPSK_PURPOSE_TLS12_SESSION &&
		*purpose != TPMPSK_PURPOSE_SESSION_IDENTITY)
		return usage(call, "--purpose is tls12-session or session-identity");
	return EXIT_DONE;
}

static enum exit_code run_bench(struct invocation *call)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const char *identity = options_get(&call->options, "--identity");
	_cleanup_(json_freep) struct json_object *status = NULL;
	uint32_t clients = 16, seconds = 3;
	enum exit_code code;
	uint8_t purpose = 0;

	code = read_options(call, &clients, &seconds, &purpose);
	if (code != EXIT_DONE)
		return code;
	status = ask_status(call, &code);
	if (!status)
		return code;
	if (!identity && !json_object_object_get(status, "keys"))
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_DENIED),
			"only an admin may make keys: give --identity and --purpose of one you may "
			"use");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	print_machine(status, seconds);
	if (identity)
		code = run_lines(call, identity, purpose, "", clients, seconds);
	else
		code = run_own_keys(call, clients, seconds);
	if (interrupted)
		return fail(call, "interrupted", "the table is not complete");
	if (code == EXIT_DONE)
		puts("\nEach side of a handshake asks its own TPM once. This table is of use to the\n"
		     "maintainers, too: please send it to them.");
	return code;
}

const struct command commands_bench[] = {
	{ "bench", NULL, 0, 0, { bench_options, NULL },
		"Measures how many handshakes a second the TPM allows",
		"For admins of the daemon: it makes keys of its own, called bench-..., and removes "
		"them "
		"again.\n"
		"Other users' requests are served meanwhile, and slow it down.",
		run_bench },
	{ 0 },
};
