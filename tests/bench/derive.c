/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * derive - what the daemon costs: the raw ESYS loop beside 1 and 8 clients through the daemon, with
 * password and with encrypted sessions.
 */
#include "client-lib/tpmpsk.h"
#include "tests/bench/crew.h"
#include "tests/bench/echo.h"
#include "tests/bench/raw.h"
#include "tests/swtpm/scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_SIZE 81 /* "pre master secret" and two randoms */

struct raw_how {
	bool session, cure;
};

struct daemon_how {
	bool session;
	unsigned clients;
};

static int measure_raw(const void *context, size_t n, struct bench_result *ret)
{
	const struct raw_how *how = context;
	struct swtpm tpm;
	int r;

	r = swtpm_init(&tpm);
	if (r == 0)
		r = raw_run(&(struct raw_options){ .tcti = tpm.tcti,
				    .session = how->session,
				    .cure = how->cure,
				    .n = n,
				    .in_len = INPUT_SIZE },
			ret);
	swtpm_done(&tpm);
	return r;
}

/* The way of a request without what is done with it: client, loop thread, TPM thread, client. */
static int measure_handovers(const void *context, size_t n, struct bench_result *ret)
{
	uint64_t *ns = calloc(n, sizeof(*ns)), start, before;
	struct echo echo;
	int r = ns ? echo_init(&echo, true) : -ENOMEM, fd = -1;

	(void)context;
	if (r == 0)
		r = echo_connect(echo.socket, &fd);
	start = bench_now_ns();
	for (size_t i = 0; r == 0 && i < n; i++) {
		before = bench_now_ns();
		r = echo_call(fd, INPUT_SIZE);
		ns[i] = bench_now_ns() - before;
	}
	if (r == 0)
		bench_summarise(ns, n, bench_now_ns() - start, ret);
	if (fd >= 0)
		close(fd);
	if (ns)
		echo_done(&echo);
	free(ns);
	return r;
}

static int derive_once(struct tpmpsk *handle, size_t i)
{
	uint8_t random[32] = { 0 }, psk[TPMPSK_PSK_SIZE];
	int r;

	memcpy(random, &i, sizeof(i));
	r = tpmpsk_tls12_session(handle, "bench", 5, random, random, sizeof(random), psk);
	if (r == 0)
		return 0;
	fprintf(stderr, "derive: %s\n", tpmpsk_strerror(r));
	return -EIO;
}

static int client(struct crew_worker *w)
{
	const struct scene *scene = w->context;
	struct tpmpsk *handle;
	int r = tpmpsk_open(&handle, scene->socket);

	if (r < 0) {
		fprintf(stderr, "connect: %s\n", tpmpsk_strerror(r));
		return -EIO;
	}
	for (size_t i = 0; r == 0 && i < w->n / 10; i++)
		r = derive_once(handle, i);
	crew_ready(w);
	for (size_t i = 0; r == 0 && i < w->n; i++) {
		uint64_t start = bench_now_ns();

		r = derive_once(handle, i);
		w->ns[i] = bench_now_ns() - start;
	}
	tpmpsk_close(handle);
	return r;
}

static int measure_daemon(const void *context, size_t n, struct bench_result *ret)
{
	const struct daemon_how *how = context;
	const struct scene_options options = {
		.config = how->session ? "{\"audit\":\"off\"}"
				       : "{\"audit\":\"off\",\"encrypt_sessions\":false}",
	};
	struct scene scene;
	int r;

	r = scene_init(&scene, &options);
	if (r == 0 && scene_psk_ok(&scene, "key", "generate", "bench", "--identity", "bench",
			      "--purpose", "tls12-session", "--allow", "user:root", NULL) != 0)
		r = -EIO;
	if (r == 0)
		r = crew_run(how->clients, n, client, &scene, ret);
	scene_done(&scene);
	return r;
}

enum {
	RAW_PASSWORD,
	HANDOVERS,
	DAEMON_PASSWORD_1,
	DAEMON_PASSWORD_1_ADDS,
	DAEMON_PASSWORD_8,
	RAW_STOCK,
	RAW_CURED,
	DAEMON_ENCRYPTED_1,
	DAEMON_ENCRYPTED_8,
	DAEMON_ENCRYPTED_8_STOCK,
	N_ROWS,
};

#define RAW(...)                                                                                   \
	.measure = measure_raw, .how = &(const struct raw_how)                                     \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define DAEMON(...)                                                                                \
	.measure = measure_daemon, .how = &(const struct daemon_how)                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static const struct bench_row rows[N_ROWS] = {
	[RAW_PASSWORD] = { .name = "raw ESYS loop, password", RAW(0) },
	[DAEMON_PASSWORD_1] = { .name = "daemon, 1 client, password",
		DAEMON(.clients = 1),
		.base = &rows[RAW_PASSWORD] },
	[HANDOVERS] = { .name = "hand-overs alone, 1 client", .measure = measure_handovers },
	[DAEMON_PASSWORD_1_ADDS] = { .name = "  the same, what it adds",
		.same = &rows[DAEMON_PASSWORD_1],
		.base = &rows[RAW_PASSWORD],
		.besides = &rows[HANDOVERS],
		.above_max_us = 15 },
	[DAEMON_PASSWORD_8] = { .name = "daemon, 8 clients, password",
		DAEMON(.clients = 8),
		.base = &rows[RAW_PASSWORD],
		.ratio_min = 0.95 },
	[RAW_STOCK] = { .name = "raw ESYS loop, encrypted, stock",
		RAW(.session = true),
		.share = 0.1 },
	[RAW_CURED] = { .name = "raw ESYS loop, encrypted, cured",
		RAW(.session = true, .cure = true),
		.base = &rows[RAW_STOCK] },
	[DAEMON_ENCRYPTED_1] = { .name = "daemon, 1 client, encrypted",
		DAEMON(.session = true, .clients = 1),
		.base = &rows[RAW_CURED] },
	[DAEMON_ENCRYPTED_8] = { .name = "daemon, 8 clients, encrypted",
		DAEMON(.session = true, .clients = 8),
		.base = &rows[RAW_CURED],
		.ratio_min = 0.95 },
	[DAEMON_ENCRYPTED_8_STOCK] = { .name = "  the same, against stock ESYS",
		.same = &rows[DAEMON_ENCRYPTED_8],
		.base = &rows[RAW_STOCK],
		.ratio_min = 8 },
};

int main(int argc, char **argv)
{
	return bench_main(&(const struct bench){ .name = "derive",
				  .about = "Derivations through the daemon beside the raw ESYS "
					   "loop, on software TPMs of its own.",
				  .what = "derivations",
				  .n = 4000,
				  .n_rows = N_ROWS,
				  .rows = rows },
		argc, argv);
}
