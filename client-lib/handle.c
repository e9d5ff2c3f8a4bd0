/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEADLINE_MAX_MS 3600000
#define FORK_RESETTING UINT_MAX

/*
 * A forked child has the parent's descriptor and, where another thread was in a call, its locked
 * mutex. Counting forks costs a call nothing, where asking for the process id would be a system
 * call. _Fork() goes unnoticed, and after it only async-signal-safe functions may be called anyway.
 */
static atomic_uint forks;
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;
static int forks_error;

static void count_fork(void)
{
	atomic_fetch_add(&forks, 1);
}

static void watch_forks(void)
{
	forks_error = pthread_atfork(NULL, NULL, count_fork);
}

struct timespec tpmpsk_deadline_in(unsigned int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

int tpmpsk_deadline_left(const struct timespec *deadline)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)(deadline->tv_sec - now.tv_sec) * 1000000000 + deadline->tv_nsec -
	     now.tv_nsec;
	return ns > 0 ? (int)((ns + 999999) / 1000000) : 0;
}

/* What errno of socket(2) and connect(2) means to the caller. */
static int connect_error(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return TPMPSK_ERR_SYSTEM;
	case EAGAIN: /* the listener's backlog stayed full */
		return TPMPSK_ERR_DEADLINE;
	case EPROTOTYPE: /* a listener, but not of packets */
		return TPMPSK_ERR_PROTOCOL;
	default:
		return TPMPSK_ERR_NO_DAEMON;
	}
}

static int connect_until(int fd, const struct sockaddr_un *address, const struct timespec *deadline)
{
	for (;;) {
		int left = tpmpsk_deadline_left(deadline);
		struct timeval wait = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };

		if (left == 0)
			return -EAGAIN;
		/*
		 * A blocking connect(2) with a limit: without blocking, a full backlog could only
		 * be waited for by asking again and again.
		 */
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
			return -errno;
		if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static int connect_to(const char *path, const struct timespec *deadline, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return connect_error(errno);
	r = connect_until(fd, &address, deadline);
	if (r < 0) {
		close(fd);
		return connect_error(-r);
	}
	*ret_fd = fd;
	return 0;
}

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
	r = connect_to(h->path, deadline, &fd);
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
	unsigned int now = atomic_load(&forks);
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

	pthread_once(&forks_once, watch_forks);
	if (forks_error != 0)
		return TPMPSK_ERR_SYSTEM;
	h = calloc(1, sizeof(*h));
	if (!h)
		return TPMPSK_ERR_SYSTEM;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->connected, NULL);
	atomic_init(&h->deadline_ms, TPMPSK_DEADLINE_DEFAULT_MS);
	atomic_init(&h->forks, atomic_load(&forks));
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

static int handle_open(struct tpmpsk *h, const char *path)
{
	struct timespec deadline = tpmpsk_deadline_in(TPMPSK_DEADLINE_DEFAULT_MS);
	int r;

	h->path = strdup(path);
	if (!h->path)
		return TPMPSK_ERR_SYSTEM;
	pthread_mutex_lock(&h->lock);
	r = handle_connect(h, &deadline);
	pthread_mutex_unlock(&h->lock);
	return r;
}

int tpmpsk_open(struct tpmpsk **ret_handle, const char *path)
{
	struct tpmpsk *h = NULL;
	int r;

	if (!ret_handle)
		return TPMPSK_ERR_INVALID;
	if (!path)
		path = secure_getenv("TPM_PSK_SOCKET");
	if (!path)
		path = TPMPSK_DEFAULT_SOCKET;
	if (path[0] == 0 || strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return TPMPSK_ERR_INVALID;
	r = handle_new(&h);
	if (r == 0)
		r = handle_open(h, path);
	if (r < 0) {
		tpmpsk_close(h);
		return r;
	}
	*ret_handle = h;
	return 0;
}

static bool is_connected_packet_socket(int fd)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	int type = 0;
	socklen_t type_len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 &&
	       type == SOCK_SEQPACKET && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0;
}

int tpmpsk_open_fd(struct tpmpsk **ret_handle, int fd)
{
	struct tpmpsk *h = NULL;
	int r;

	if (!ret_handle || !is_connected_packet_socket(fd) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
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
	if (!h || ms < 1 || ms > DEADLINE_MAX_MS)
		return TPMPSK_ERR_INVALID;
	atomic_store(&h->deadline_ms, ms);
	return 0;
}
