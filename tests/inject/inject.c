/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each function stands before that of the library, and calls it unless it is its turn to fail. A call that fails does nothing.
 */
#undef _FORTIFY_SOURCE /* its inline read() and recv() would stand before ours */
#include "tests/inject/inject.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

static struct inject *shared;

__attribute__((constructor)) static void map_shared(void)
{
	const char *path = getenv("TPMPSK_INJECT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	if (map != MAP_FAILED)
		shared = map;
}

/* Counts a call; whether it is to fail, with errno set. */
static bool fails(enum inject_class class)
{
	struct inject *s = shared;
	uint64_t count;

	if (!s)
		return false;
	count = ++s->counts[class];
	if (s->every != 0 && class != INJECT_ALLOC && count % s->every == 0) {
		s->injected++;
		errno = (int)s->error;
		return true;
	}
	if (s->nth == 0 || s->which != class || --s->nth != 0)
		return false;
	s->injected++;
	errno = (int)s->error;
	return true;
}

static void *next(void **function, const char *name)
{
	if (!*function)
		*function = dlsym(RTLD_NEXT, name);
	return *function;
}

/* Calls the next definition of a function; finding it takes no memory. */
#define NEXT(type, name, parameters)                                                               \
	static void *name##_next;                                                                  \
	type(*call) parameters;                                                                    \
	*(void **)&call = next(&name##_next, #name)

PUBLIC void *malloc(size_t size)
{
	NEXT(void *, malloc, (size_t));

	return fails(INJECT_ALLOC) ? NULL : call(size);
}

PUBLIC void *calloc(size_t n, size_t size)
{
	NEXT(void *, calloc, (size_t, size_t));

	return fails(INJECT_ALLOC) ? NULL : call(n, size);
}

PUBLIC void *realloc(void *p, size_t size)
{
	NEXT(void *, realloc, (void *, size_t));

	return fails(INJECT_ALLOC) ? NULL : call(p, size);
}

PUBLIC int posix_memalign(void **ret, size_t align, size_t size)
{
	NEXT(int, posix_memalign, (void **, size_t, size_t));

	return fails(INJECT_ALLOC) ? ENOMEM : call(ret, align, size);
}

PUBLIC ssize_t read(int fd, void *buf, size_t n)
{
	NEXT(ssize_t, read, (int, void *, size_t));

	return fails(INJECT_READ) ? -1 : call(fd, buf, n);
}

PUBLIC ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	NEXT(ssize_t, recv, (int, void *, size_t, int));

	return fails(INJECT_READ) ? -1 : call(fd, buf, n, flags);
}

PUBLIC int recvmmsg(
	int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout)
{
	NEXT(int, recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *));

	return fails(INJECT_READ) ? -1 : call(fd, messages, n, flags, timeout);
}

PUBLIC ssize_t write(int fd, const void *buf, size_t n)
{
	NEXT(ssize_t, write, (int, const void *, size_t));

	/* What the program says on standard error is what the test goes by. */
	return fd != STDERR_FILENO && fails(INJECT_WRITE) ? -1 : call(fd, buf, n);
}

PUBLIC ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	NEXT(ssize_t, send, (int, const void *, size_t, int));

	return fails(INJECT_WRITE) ? -1 : call(fd, buf, n, flags);
}

PUBLIC ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
	socklen_t len)
{
	NEXT(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t));

	return fails(INJECT_WRITE) ? -1 : call(fd, buf, n, flags, to, len);
}

static int open_or_fail(int dir, const char *path, int flags, mode_t mode)
{
	return fails(INJECT_OPEN) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define MODE_OF(flags, mode)                                                                       \
	mode_t mode = 0;                                                                           \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                                                     \
		va_list args;                                                                      \
		va_start(args, flags);                                                             \
		mode = va_arg(args, mode_t);                                                       \
		va_end(args);                                                                      \
	}

PUBLIC int open(const char *path, int flags, ...)
{
	MODE_OF(flags, mode)

	return open_or_fail(AT_FDCWD, path, flags, mode);
}

PUBLIC int openat(int dir, const char *path, int flags, ...)
{
	MODE_OF(flags, mode)

	return open_or_fail(dir, path, flags, mode);
}

PUBLIC int socket(int domain, int type, int protocol)
{
	return fails(INJECT_OPEN) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

PUBLIC int epoll_create1(int flags)
{
	return fails(INJECT_OPEN) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

PUBLIC int eventfd(unsigned count, int flags)
{
	return fails(INJECT_OPEN) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

PUBLIC int rename(const char *from, const char *to)
{
	return fails(INJECT_RENAME) ? -1 : (int)syscall(SYS_rename, from, to);
}

PUBLIC int renameat(int dir, const char *from, int to_dir, const char *to)
{
	return fails(INJECT_RENAME) ? -1 : (int)syscall(SYS_renameat2, dir, from, to_dir, to, 0);
}

PUBLIC int renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return fails(INJECT_RENAME) ? -1
				    : (int)syscall(SYS_renameat2, dir, from, to_dir, to, flags);
}

PUBLIC int unlinkat(int dir, const char *path, int flags)
{
	return fails(INJECT_RENAME) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

PUBLIC int fsync(int fd)
{
	return fails(INJECT_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

PUBLIC int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return fails(INJECT_ACCEPT) ? -1 : (int)syscall(SYS_accept4, fd, address, len, flags);
}

PUBLIC int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	NEXT(int, epoll_wait, (int, struct epoll_event *, int, int));

	return fails(INJECT_EPOLL) ? -1 : call(fd, events, n, timeout);
}

PUBLIC int epoll_ctl(int fd, int op, int other, struct epoll_event *event)
{
	return fails(INJECT_EPOLL) ? -1 : (int)syscall(SYS_epoll_ctl, fd, op, other, event);
}
