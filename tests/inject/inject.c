/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each function stands before that of the library, and calls it unless it is its turn to fail. A call that fails does nothing.
 */
#undef _FORTIFY_SOURCE /* its inline read() and recv() would stand before ours */
#include "tests/inject/inject.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/*
 * Libraries whose own allocations do not fail, because the ones of Debian 12 end the process then: libseccomp 2.5.4 frees twice what it
 * has; json-c 0.16 and libtasn1 4.19 go on with what they did not get (what daemon/json.c does about what json-c loses in silence has a
 * test of its own). libcrypto 3.0 uses a context that it could not set up; once it is set up, it fails in order.
 */
static const struct {
	const char *name;
	bool at_start; /* only then */
} spared[] = {
	{ "/libseccomp.so", false },
	{ "/libjson-c.so", false },
	{ "/libtasn1.so", false },
	{ "/libcrypto.so", true },
};
#define N_SPARED (sizeof(spared) / sizeof(spared[0]))
static struct range {
	uintptr_t start, end;
} ranges[N_SPARED];

static int note_ranges(struct dl_phdr_info *info, size_t size, void *unused)
{
	size_t which = 0;

	(void)size;
	(void)unused;
	while (which < N_SPARED && !strstr(info->dlpi_name, spared[which].name))
		which++;
	for (unsigned i = 0; which < N_SPARED && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && p->p_flags & PF_X)
			ranges[which] = (struct range){ start, start + p->p_memsz };
	}
	return 0;
}

__attribute__((constructor)) static void find_spared(void)
{
	dl_iterate_phdr(note_ranges, NULL);
}

static bool is_spared(uintptr_t caller)
{
	for (size_t i = 0; i < N_SPARED; i++)
		if (caller >= ranges[i].start && caller < ranges[i].end)
			return !spared[i].at_start || (shared && !shared->started);
	return false;
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

#define ALLOCATION_FAILS()                                                                         \
	(!is_spared((uintptr_t)__builtin_return_address(0)) && fails(INJECT_ALLOC))

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

	return ALLOCATION_FAILS() ? NULL : call(size);
}

PUBLIC void *calloc(size_t n, size_t size)
{
	NEXT(void *, calloc, (size_t, size_t));

	return ALLOCATION_FAILS() ? NULL : call(n, size);
}

PUBLIC void *realloc(void *p, size_t size)
{
	NEXT(void *, realloc, (void *, size_t));

	return ALLOCATION_FAILS() ? NULL : call(p, size);
}

/* libc's would call malloc() for whoever it is that called it. */
PUBLIC char *strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	NEXT(void *, malloc, (size_t));
	char *copy = ALLOCATION_FAILS() ? NULL : call(size);

	return copy ? memcpy(copy, s, size) : NULL;
}

PUBLIC int posix_memalign(void **ret, size_t align, size_t size)
{
	NEXT(int, posix_memalign, (void **, size_t, size_t));

	return ALLOCATION_FAILS() ? ENOMEM : call(ret, align, size);
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

PUBLIC int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
	NEXT(int, sendmmsg, (int, struct mmsghdr *, unsigned, int));

	return fails(INJECT_WRITE) ? -1 : call(fd, messages, n, flags);
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
