/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/connect.h"

#include "client-lib/tpmpsk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * A forked child has the parent's descriptors and, where another thread was in a call, its locked
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

int tpmpsk_forks_watch(void)
{
	pthread_once(&forks_once, watch_forks);
	return forks_error == 0 ? 0 : TPMPSK_ERR_SYSTEM;
}

unsigned int tpmpsk_forks(void)
{
	return atomic_load(&forks);
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

const char *tpmpsk_socket_path(const char *path)
{
	if (!path)
		path = secure_getenv("TPM_PSK_SOCKET");
	if (!path)
		path = TPMPSK_DEFAULT_SOCKET;
	if (path[0] == 0 || strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return NULL;
	return path;
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

static int connect_now(int fd, const struct sockaddr_un *address)
{
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : -errno;
}

int tpmpsk_connect(const char *path, const struct timespec *deadline, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (deadline ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return connect_error(errno);
	r = deadline ? connect_until(fd, &address, deadline) : connect_now(fd, &address);
	if (r < 0) {
		close(fd);
		return connect_error(-r);
	}
	*ret_fd = fd;
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

bool tpmpsk_take_socket(int fd)
{
	return is_connected_packet_socket(fd) && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}
