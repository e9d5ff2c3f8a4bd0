/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(int fd, bool own)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (own && (st.st_mode & S_IWOTH))
		return -EPERM;
	return 0;
}

/* Up to max bytes, whatever fstat(2) would say: a file can grow. */
static int read_all(int fd, char *buf, size_t max, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, buf + len, max + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
		if (n == 0)
			break;
	}
	buf[len] = '\0';
	*ret_len = len;
	return 0;
}

int file_read(int dir, const char *name, bool own, size_t max, char **ret, size_t *ret_len)
{
	char *buf = NULL;
	size_t len = 0;
	int fd, r;

	/* Not blocking: opening a FIFO that somebody put here must not wait for its other end. */
	fd = openat(
		dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (own ? O_NOFOLLOW : 0));
	if (fd < 0)
		return -errno;
	r = check(fd, own);
	if (r == 0) {
		buf = malloc(max + 1);
		r = buf ? read_all(fd, buf, max, &len) : -ENOMEM;
	}
	close(fd);
	if (r < 0) {
		free(buf);
		return r;
	}
	*ret = buf;
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int file_write_new(int dir, const char *name, const void *data, size_t len)
{
	int fd, r;

	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, name, 0);
	return r;
}

const char *file_why(int r)
{
	switch (r) {
	case -ELOOP:
		return "is a symbolic link";
	case -EPERM:
		return "everybody may write to it";
	case -EINVAL:
		return "is not a regular file";
	case -EFBIG:
		return "is too long";
	case -ENOSPC:
	case -EDQUOT:
		return "the disk is full";
	default:
		return strerror(-r);
	}
}
