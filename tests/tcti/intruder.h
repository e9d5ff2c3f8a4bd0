/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * intruder - what somebody who runs code inside the daemon would try, from inside the daemon.
 *
 * The TCTI for tests does it when a test asks for it, on the thread that talks to the TPM. Each attempt undoes what it achieved.
 */
#ifndef TPMPSK_TESTS_TCTI_INTRUDER_H
#define TPMPSK_TESTS_TCTI_INTRUDER_H

enum intruder_attempt {
	INTRUDER_NOTHING,
	INTRUDER_READ,   /* opens a file */
	INTRUDER_CREATE, /* makes a file */
	INTRUDER_LIST,   /* opens a directory */
	INTRUDER_EXECVE, /* runs a program that does not exist */
	INTRUDER_FORK,   /* a process that ends at once */
	INTRUDER_CLONE3, /* the same, by the newer call */
	INTRUDER_THREAD, /* a thread */
	INTRUDER_INET,   /* socket(AF_INET) */
	INTRUDER_INET6,
	INTRUDER_NETLINK,
	INTRUDER_UNIX,       /* socket(AF_UNIX) */
	INTRUDER_PTRACE,     /* asks about process 1 as its tracer, which nobody is */
	INTRUDER_PEEK,       /* process_vm_readv(2) of the parent */
	INTRUDER_SIGNAL,     /* whether process 1 takes signals from us */
	INTRUDER_CODE,       /* memory that is written and executed */
	INTRUDER_CODE_LATER, /* memory that was written and then is executed */
	INTRUDER_ROOT,       /* setuid(0) */
	INTRUDER_UNSHARE,    /* unshare(2), of what changes nothing */
	INTRUDER_DUMPABLE,   /* prctl(PR_SET_DUMPABLE, 1) */
	INTRUDER_KEYRING,    /* asks for the session keyring */
	INTRUDER_LIMIT,      /* setrlimit(2) */
	INTRUDER_CHMOD,      /* of a file */
};

/* 0 or -errno. path: of the file, where there is one. */
int intruder_try(enum intruder_attempt what, const char *path);

#endif
