/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_FDS_START 3

void notify_state(const char *state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = 0; /* the abstract namespace */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nobody to tell that nobody could be told. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

void notify_reloading(void)
{
	struct timespec t;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
	notify_state(state);
}

/* A number from the environment, meant for this process: 0 when it is missing, none, or for another pid. */
static uint64_t number_for_us(const char *name, const char *pid_name)
{
	const char *value = getenv(name), *pid = getenv(pid_name);
	char *end;
	unsigned long long n;

	if (!value || !pid || strtoll(pid, NULL, 10) != getpid())
		return 0;
	errno = 0;
	n = strtoull(value, &end, 10);
	return errno == 0 && end != value && *end == 0 ? n : 0;
}

uint64_t notify_watchdog_ns(void)
{
	uint64_t us = number_for_us("WATCHDOG_USEC", "WATCHDOG_PID");

	/* Twice as often as wanted. */
	return us < UINT64_MAX / 1000 ? us * 1000 / 2 : 0;
}

int notify_listen_fd(void)
{
	uint64_t n = number_for_us("LISTEN_FDS", "LISTEN_PID");

	if (n == 0)
		return -ENOENT;
	if (n > 1)
		return -EINVAL;
	if (fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return LISTEN_FDS_START;
}
