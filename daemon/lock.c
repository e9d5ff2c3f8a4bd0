/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whoever has the lock may remove the file. So who opened the file before that and locks it afterwards has locked something that is not
 * there any more, and must look again.
 */
#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 100

static int name_of(const char *path, char name[PATH_MAX])
{
	int n = snprintf(name, PATH_MAX, "%s.lock", path);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool is_at(int fd, const char *name)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && lstat(name, &there) == 0 && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

int lock_take(const char *path, int *ret_fd)
{
	char name[PATH_MAX];
	int r = name_of(path, name);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < TRIES; i++) {
		int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			r = errno == EWOULDBLOCK ? -EBUSY : -errno;
			close(fd);
			return r;
		}
		if (is_at(fd, name)) {
			*ret_fd = fd;
			return 0;
		}
		close(fd);
	}
	return -EBUSY;
}

void lock_release(const char *path, int fd)
{
	char name[PATH_MAX];

	if (fd < 0)
		return;
	if (name_of(path, name) == 0 && is_at(fd, name))
		unlink(name);
	close(fd);
}
