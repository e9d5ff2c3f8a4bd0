/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/through.h"

#include "client-lib/tpmpsk.h"
#include "tests/bench/crew.h"
#include "tests/bench/slow.h"
#include "tests/swtpm/scene.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define THREADS_MAX 64

struct job {
	const struct through *how;
	const struct scene *scene;
};

/* One thread's part of what a client does. */
struct part {
	struct tpmpsk *handle;
	pthread_barrier_t *warm, *start; /* NULL without threads */
	size_t n;
	uint64_t *ns;
	int result;
};

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

static int warm_up(const struct part *p)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n / 10; i++)
		r = derive_once(p->handle, i);
	return r;
}

static int measure(const struct part *p)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		uint64_t start = bench_now_ns();

		r = derive_once(p->handle, i);
		p->ns[i] = bench_now_ns() - start;
	}
	return r;
}

static void *thread(void *context)
{
	struct part *p = context;

	p->result = warm_up(p);
	pthread_barrier_wait(p->warm);
	pthread_barrier_wait(p->start);
	if (p->result == 0)
		p->result = measure(p);
	return NULL;
}

static int run_threads(struct crew_worker *w, struct tpmpsk *handle, unsigned n_threads)
{
	pthread_t threads[THREADS_MAX];
	struct part parts[THREADS_MAX];
	pthread_barrier_t warm, start;
	size_t each = w->n / n_threads;
	int r = 0;

	if (n_threads > THREADS_MAX || each < 1 || each * n_threads != w->n)
		return -EINVAL;
	pthread_barrier_init(&warm, NULL, n_threads + 1);
	pthread_barrier_init(&start, NULL, n_threads + 1);
	for (unsigned i = 0; i < n_threads; i++) {
		parts[i] = (struct part){ handle, &warm, &start, each, w->ns + i * each, 0 };
		r = pthread_create(&threads[i], NULL, thread, &parts[i]);
		if (r != 0)
			return -r; /* the process ends, and they with it */
	}
	pthread_barrier_wait(&warm);
	crew_ready(w);
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < n_threads; i++) {
		pthread_join(threads[i], NULL);
		r = parts[i].result < 0 ? parts[i].result : r;
	}
	pthread_barrier_destroy(&warm);
	pthread_barrier_destroy(&start);
	return r;
}

static int client(struct crew_worker *w)
{
	const struct job *job = w->context;
	struct part p = { .n = w->n, .ns = w->ns };
	int r = tpmpsk_open(&p.handle, job->scene->socket);

	if (r < 0) {
		fprintf(stderr, "connect: %s\n", tpmpsk_strerror(r));
		return -EIO;
	}
	if (job->how->threads > 0) {
		r = run_threads(w, p.handle, job->how->threads);
	} else {
		r = warm_up(&p);
		crew_ready(w);
		if (r == 0)
			r = measure(&p);
	}
	tpmpsk_close(p.handle);
	return r;
}

/* Has the key loaded, before anything takes as long as a chip does. */
static int derive_first(const char *socket)
{
	struct tpmpsk *handle;
	int r = tpmpsk_open(&handle, socket);

	if (r < 0)
		return -EIO;
	r = derive_once(handle, 0);
	tpmpsk_close(handle);
	return r;
}

static int measure_scene(struct scene *scene, const struct through *how, struct slow *slow,
	size_t n, struct bench_result *ret)
{
	const struct job job = { how, scene };
	int r;

	if (scene_psk_ok(scene, "key", "generate", "bench", "--identity", "bench", "--purpose",
		    "tls12-session", "--allow", "user:root", NULL) != 0)
		return -EIO;
	r = derive_first(scene->socket);
	if (r < 0)
		return r;
	slow_set(slow, how->latency_us);
	return crew_run(how->clients, n, client, &job, ret);
}

int through_measure(const void *context, size_t n, struct bench_result *ret)
{
	const struct through *how = context;
	struct scene_options options = {
		.config = how->session ? "{\"audit\":\"off\"}"
				       : "{\"audit\":\"off\",\"encrypt_sessions\":false}",
		.tcti = how->tcti,
	};
	struct slow slow = { 0 };
	struct scene scene;
	int r = 0;

	if (how->latency_us > 0) {
		r = slow_init(&slow);
		options.tcti = slow.tcti;
	}
	if (r == 0)
		r = scene_init(&scene, &options);
	if (r == 0) {
		r = measure_scene(&scene, how, &slow, n, ret);
		slow_set(&slow, 0);
		/* A daemon that is killed leaves in a TPM that outlives it what was loaded. */
		if (how->tcti && r == 0)
			r = scene_stop(&scene, NULL);
		scene_done(&scene);
	}
	slow_done(&slow);
	return r;
}
