/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of what is allowed, by what it is needed for; all else fails with EPERM. Some newer calls fail with ENOSYS instead: on that, the
 * C library falls back to the older call, which can be looked into and is on the list.
 */
#include "daemon/sandbox_calls.h"

#ifndef WITH_SECCOMP

int sandbox_restrict_calls(bool network)
{
	(void)network;
	return 0;
}

#else

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names and not numbers: not every machine has all of them, and those that it lacks are left out. */
static const char *const allowed[] = {
	/* The loop, and what it reads and writes. */
	"read",
	"readv",
	"pread64",
	"preadv",
	"write",
	"writev",
	"pwrite64",
	"close",
	"lseek",
	"fcntl",
	"dup",
	"dup2",
	"dup3",
	"pipe2",
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"eventfd2",
	"signalfd4",
	/* Clients, the service manager, and a TPM behind a socket. */
	"connect",
	"accept",
	"accept4",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"shutdown",
	"getsockopt",
	"setsockopt",
	"getsockname",
	"getpeername",
	/* Keys, configuration and audit. Which files is Landlock's to say. */
	"open",
	"openat",
	"stat",
	"fstat",
	"lstat",
	"newfstatat",
	"statx",
	"statfs",
	"fstatfs",
	"access",
	"faccessat",
	"readlink",
	"readlinkat",
	"getcwd",
	"getdents64",
	"rename",
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	"fsync",
	"fdatasync",
	"ftruncate",
	"flock",
	"umask",
	/* Memory. mmap and mprotect have rules of their own. */
	"munmap",
	"mremap",
	"madvise",
	"brk",
	"mlock",
	"mlock2",
	"munlock",
	"membarrier",
	/* Threads, signals and the end. clone has a rule of its own. */
	"futex",
	"set_robust_list",
	"rseq",
	"set_tid_address",
	"sched_yield",
	"sched_getaffinity",
	"gettid",
	"getpid",
	"getppid",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigaltstack",
	"restart_syscall",
	"exit",
	"exit_group",
	/* Time and chance. */
	"clock_gettime",
	"clock_getres",
	"clock_nanosleep",
	"nanosleep",
	"gettimeofday",
	"time",
	"getrandom",
	/* What a process may know about itself. */
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getresuid",
	"getresgid",
	"getgroups",
	"getrlimit",
	"getrusage",
	"sysinfo",
	"uname",
};

static const char *const unknown[] = { "clone3", "faccessat2", "openat2", "close_range",
	"epoll_pwait2", "futex_waitv", "fchmodat2" };

static int add(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);

		if (number != __NR_SCMP_ERROR)
			r = seccomp_rule_add(filter, action, number, 0);
	}
	return r;
}

struct rule {
	int number;
	struct scmp_arg_cmp arg;
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Calls that do many things, of which some are needed. */
static int add_rules(scmp_filter_ctx filter, bool network, pid_t pid)
{
	const struct rule rules[] = {
		{ SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX) },
		{ SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX) },
		/* A thread, which the C library starts with this flag among others, but no process. */
		{ SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) },
		/* Nothing is written that is then executed: a library's code comes from its file. */
		{ SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, 0) },
		{ SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_WRITE) },
		{ SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC) },
		{ SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS) },
		{ SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONREAD) },
		{ SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONBIO) },
		{ SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME) },
		{ SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0) }, /* asks, and sets nothing */
		{ SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)pid) }, /* abort(3) */
	};
	const struct rule of_network[] = {
		{ SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET) },
		{ SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6) },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < COUNT(rules); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rules[i].number, 1, rules[i].arg);
	for (size_t i = 0; r == 0 && network && i < COUNT(of_network); i++)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, of_network[i].number, 1, of_network[i].arg);
	return r;
}

int sandbox_restrict_calls(bool network)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!filter)
		return -ENOMEM;
	r = add(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));
	if (r == 0)
		r = add(filter, SCMP_ACT_ERRNO(ENOSYS), unknown, COUNT(unknown));
	if (r == 0)
		r = add_rules(filter, network, getpid());
	/* Many short calls: a tree of comparisons rather than a row. */
	if (r == 0)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r == -EINVAL || r == -ENOSYS || r == -ECANCELED)
		return 0; /* a kernel without */
	return r < 0 ? r : 1;
}

#endif
