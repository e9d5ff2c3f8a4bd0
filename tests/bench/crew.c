/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two pipes on which nothing is ever written. Each worker holds the first one's writing end until
 * it is ready or dead, so the parent reads its end when all are; the parent holds the second one's,
 * and letting go of it is the start.
 */
#include "tests/bench/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <signal.h>

#define WORKERS_MAX 1024

/* In memory that the workers share with their parent. */
struct shared {
	uint64_t end[WORKERS_MAX];
	uint64_t ns[];
};

static void wait_end_of_file(int fd)
{
	char nothing;

	while (read(fd, &nothing, 1) < 0 && errno == EINTR)
		;
}

void crew_ready(struct crew_worker *w)
{
	close(w->ready_fd);
	wait_end_of_file(w->go_fd);
}

__attribute__((noreturn)) static void be_worker(
	struct crew_worker *w, crew_work *work, uint64_t *ret_end)
{
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = work(w);
	*ret_end = bench_now_ns();
	_exit(r < 0);
}

static int reap(const pid_t *pids, unsigned n)
{
	int r = 0;

	for (unsigned i = 0; i < n; i++) {
		int status;

		if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
			r = -EPIPE;
	}
	return r;
}

static int run(struct shared *shared, unsigned workers, size_t each, crew_work *work,
	const void *context, uint64_t *ret_total)
{
	int ready[2], go[2], r;
	pid_t pids[WORKERS_MAX];
	uint64_t start, end = 0;
	unsigned n;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(go, O_CLOEXEC) < 0) {
		r = -errno;
		close(ready[0]);
		close(ready[1]);
		return r;
	}
	for (n = 0; n < workers; n++) {
		struct crew_worker w = { n, each, shared->ns + n * each, context, ready[1], go[0] };

		pids[n] = fork();
		if (pids[n] < 0)
			break;
		if (pids[n] == 0) {
			close(ready[0]);
			close(go[1]);
			be_worker(&w, work, &shared->end[n]);
		}
	}
	close(ready[1]);
	wait_end_of_file(ready[0]);
	start = bench_now_ns();
	close(go[1]);
	r = reap(pids, n);
	close(ready[0]);
	close(go[0]);
	for (unsigned i = 0; i < n; i++)
		end = shared->end[i] > end ? shared->end[i] : end;
	*ret_total = end - start;
	return n < workers ? -EAGAIN : r;
}

int crew_run(
	unsigned workers, size_t n, crew_work *work, const void *context, struct bench_result *ret)
{
	size_t each = n / workers, size;
	struct shared *shared;
	uint64_t total;
	int r;

	if (workers < 1 || workers > WORKERS_MAX || each < 1)
		return -EINVAL;
	size = sizeof(*shared) + each * workers * sizeof(shared->ns[0]);
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	r = run(shared, workers, each, work, context, &total);
	if (r == 0)
		bench_summarise(shared->ns, each * workers, total, ret);
	munmap(shared, size);
	return r;
}
