/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/handle.h"

#include "client-lib/connect.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FORK_RESETTING UINT_MAX

static int connection_new(int fd, struct tpmpsk_connection **ret)
{
	struct tpmpsk_connection *c = calloc(1, sizeof(*c));

	if (!c)
		return TPMPSK_ERR_SYSTEM;
	c->fd = fd;
	c->refs = 1;
	*ret = c;
	return 0;
}

void tpmpsk_connection_unref(struct tpmpsk_connection *c)
{
	if (!c || --c->refs > 0)
		return;
	close(c->fd);
	free(c);
}

void tpmpsk_connection_lose(struct tpmpsk *h, struct tpmpsk_connection *c, int error)
{
	if (c->lost)
		return;
	c->lost = error;
	shutdown(c->fd, SHUT_RDWR);
	if (h->connection == c) {
		h->connection = NULL;
		tpmpsk_connection_unref(c);
	}
}

/* Connects with the lock let go: others with an earlier deadline must be able to give up. */
static int handle_connect(struct tpmpsk *h, const struct timespec *deadline)
{
	int fd = -1, r;

	h->connecting = true;
	pthread_mutex_unlock(&h->lock);
	r = tpmpsk_connect(h->path, deadline, &fd);
	pthread_mutex_lock(&h->lock);
	h->connecting = false;
	pthread_cond_broadcast(&h->connected);
	if (r < 0)
		return r;
	r = connection_new(fd, &h->connection);
	if (r < 0)
		close(fd);
	return r;
}

int tpmpsk_handle_connection(
	struct tpmpsk *h, const struct timespec *deadline, struct tpmpsk_connection **ret)
{
	while (!h->connection) {
		int r = 0;

		if (!h->path)
			return TPMPSK_ERR_NO_DAEMON;
		if (!h->connecting)
			r = handle_connect(h, deadline);
		else if (pthread_cond_clockwait(
				 &h->connected, &h->lock, CLOCK_MONOTONIC, deadline) != 0)
			r = TPMPSK_ERR_DEADLINE;
		if (r < 0)
			return r;
	}
	h->connection->refs++;
	*ret = h->connection;
	return 0;
}

/*
 * What the parent's threads left of lock, condition and calls is unusable here: their threads do
 * not exist in this process. The descriptor is closed without a shutdown, which would reach the
 * parent's.
 */
static void handle_reset(struct tpmpsk *h)
{
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->connected, NULL);
	h->connecting = false;
	if (h->connection) {
		close(h->connection->fd);
		free(h->connection);
		h->connection = NULL;
	}
}

static void handle_notice_fork(struct tpmpsk *h)
{
	unsigned int now = tpmpsk_forks();
	unsigned int seen = atomic_load(&h->forks);

	while (seen != now) {
		if (seen != FORK_RESETTING &&
			atomic_compare_exchange_strong(&h->forks, &seen, FORK_RESETTING)) {
			handle_reset(h);
			atomic_store(&h->forks, now);
			return;
		}
		sched_yield(); /* another thread of the child is at it */
		seen = atomic_load(&h->forks);
	}
}

void tpmpsk_handle_lock(struct tpmpsk *h)
{
	handle_notice_fork(h);
	pthread_mutex_lock(&h->lock);
}

static int handle_new(struct tpmpsk **ret)
{
	struct tpmpsk *h;
	int r = tpmpsk_forks_watch();

	if (r < 0)
		return r;
	h = calloc(1, sizeof(*h));
	if (!h)
		return TPMPSK_ERR_SYSTEM;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->connected, NULL);
	atomic_init(&h->deadline_ms, TPMPSK_DEADLINE_DEFAULT_MS);
	atomic_init(&h->forks, tpmpsk_forks());
	*ret = h;
	return 0;
}

void tpmpsk_close(struct tpmpsk *h)
{
	if (!h)
		return;
	handle_notice_fork(h);
	tpmpsk_connection_unref(h->connection);
	pthread_cond_destroy(&h->connected);
	pthread_mutex_destroy(&h->lock);
	free(h->path);
	free(h);
}

static int handle_connect_first(struct tpmpsk *h)
{
	struct timespec deadline = tpmpsk_deadline_in(TPMPSK_DEADLINE_DEFAULT_MS);
	int r;

	pthread_mutex_lock(&h->lock);
	r = handle_connect(h, &deadline);
	pthread_mutex_unlock(&h->lock);
	return r;
}

int tpmpsk_open_later(struct tpmpsk **ret_handle, const char *path)
{
	struct tpmpsk *h = NULL;
	int r;

	if (!ret_handle)
		return TPMPSK_ERR_INVALID;
	path = tpmpsk_socket_path(path);
	if (!path)
		return TPMPSK_ERR_INVALID;
	r = handle_new(&h);
	if (r < 0)
		return r;
	h->path = strdup(path);
	if (!h->path) {
		tpmpsk_close(h);
		return TPMPSK_ERR_SYSTEM;
	}
	*ret_handle = h;
	return 0;
}

int tpmpsk_open(struct tpmpsk **ret_handle, const char *path)
{
	struct tpmpsk *h = NULL;
	int r;

	if (!ret_handle)
		return TPMPSK_ERR_INVALID;
	r = tpmpsk_open_later(&h, path);
	if (r == 0)
		r = handle_connect_first(h);
	if (r < 0) {
		tpmpsk_close(h);
		return r;
	}
	*ret_handle = h;
	return 0;
}

int tpmpsk_open_fd(struct tpmpsk **ret_handle, int fd)
{
	struct tpmpsk *h = NULL;
	int r;

	if (!ret_handle || !tpmpsk_take_socket(fd))
		return TPMPSK_ERR_INVALID;
	r = handle_new(&h);
	if (r == 0)
		r = connection_new(fd, &h->connection);
	if (r < 0) {
		tpmpsk_close(h);
		return r;
	}
	*ret_handle = h;
	return 0;
}

int tpmpsk_set_deadline(struct tpmpsk *h, unsigned int ms)
{
	if (!h || ms < 1 || ms > TPMPSK_DEADLINE_MAX_MS)
		return TPMPSK_ERR_INVALID;
	atomic_store(&h->deadline_ms, ms);
	return 0;
}
