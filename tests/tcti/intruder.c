/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/tcti/intruder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of a call that gives a descriptor. */
static int closed(int fd)
{
	return fd < 0 ? -errno : close(fd);
}

static int of(long r)
{
	return r < 0 ? -errno : 0;
}

static int create(const char *path)
{
	int r = closed(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));

	if (r == 0)
		unlink(path);
	return r;
}

/* Without the C library, which would run what it has registered. */
static int child(long pid)
{
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	return pid > 0 ? of(waitpid((pid_t)pid, NULL, 0)) : -errno;
}

static int clone3_process(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return child(syscall(SYS_clone3, &args, sizeof(args)));
}

static void *nothing(void *context)
{
	return context;
}

static int thread(void)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, nothing, NULL);

	if (r == 0)
		pthread_join(t, NULL);
	return -r;
}

static int peek(void)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { (void *)0x1000, 1 };

	return of(process_vm_readv(getppid(), &local, 1, &remote, 1, 0));
}

static int code(void)
{
	void *p = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -errno : munmap(p, 4096);
}

static int code_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (p == MAP_FAILED)
		return -errno;
	r = of(mprotect(p, 4096, PROT_READ | PROT_EXEC));
	munmap(p, 4096);
	return r;
}

static int dumpable(void)
{
	int r = of(prctl(PR_SET_DUMPABLE, 1));

	if (r == 0)
		prctl(PR_SET_DUMPABLE, 0);
	return r;
}

static int cores(void)
{
	const struct rlimit some = { 0, 0 };

	return of(setrlimit(RLIMIT_CORE, &some));
}

static int change_mode(const char *path)
{
	struct stat st;

	/* The mode that it has, if that can be known. */
	return of(chmod(path, stat(path, &st) == 0 ? st.st_mode & 07777 : 0640));
}

int intruder_try(enum intruder_attempt what, const char *path)
{
	static char *const none[] = { NULL };

	switch (what) {
	case INTRUDER_NOTHING:
		break;
	case INTRUDER_READ:
		return closed(open(path, O_RDONLY | O_CLOEXEC));
	case INTRUDER_CREATE:
		return create(path);
	case INTRUDER_LIST:
		return closed(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	case INTRUDER_EXECVE:
		return of(execve("/nonexistent/program", none, none));
	case INTRUDER_FORK:
		return child(syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, 0));
	case INTRUDER_CLONE3:
		return clone3_process();
	case INTRUDER_THREAD:
		return thread();
	case INTRUDER_INET:
		return closed(socket(AF_INET, SOCK_STREAM, 0));
	case INTRUDER_INET6:
		return closed(socket(AF_INET6, SOCK_STREAM, 0));
	case INTRUDER_NETLINK:
		return closed(socket(AF_NETLINK, SOCK_RAW, 0));
	case INTRUDER_UNIX:
		return closed(socket(AF_UNIX, SOCK_STREAM, 0));
	case INTRUDER_PTRACE:
		return of(ptrace(PTRACE_PEEKDATA, 1, NULL, NULL));
	case INTRUDER_PEEK:
		return peek();
	case INTRUDER_SIGNAL:
		return of(kill(1, 0));
	case INTRUDER_CODE:
		return code();
	case INTRUDER_CODE_LATER:
		return code_later();
	case INTRUDER_ROOT:
		return of(syscall(SYS_setuid, 0));
	case INTRUDER_UNSHARE:
		return of(unshare(CLONE_FILES));
	case INTRUDER_DUMPABLE:
		return dumpable();
	case INTRUDER_KEYRING:
		return of(syscall(
			SYS_keyctl, 0L, -3L, 0L, 0L, 0L)); /* the session keyring's number */
	case INTRUDER_LIMIT:
		return cores();
	case INTRUDER_CHMOD:
		return change_mode(path);
	}
	return 0;
}
