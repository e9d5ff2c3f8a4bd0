/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/names.h"

#include "daemon/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOKUP_SIZE_MAX (1u << 20) /* bytes of one user's or group's entry */

struct question {
	uint8_t kind;
	char name[NAMES_MAX]; /* ends with a NUL */
};

struct answer {
	int32_t result;
	uint32_t id;
};

/* To the process that looks up names; -1: there is none. Like the log's, it is set once at start. */
static int server_fd = -1;

/* The same signature for users and groups. 0 and the id, -ENOENT, -EAGAIN (buf is too small) or -ENOMEM. */
static int lookup_user(const char *name, char *buf, size_t size, uint32_t *ret)
{
	struct passwd pw, *found = NULL;
	int e = getpwnam_r(name, &pw, buf, size, &found);

	if (!found)
		return e == ERANGE ? -EAGAIN : e == ENOMEM ? -ENOMEM : -ENOENT;
	*ret = pw.pw_uid;
	return 0;
}

static int lookup_group(const char *name, char *buf, size_t size, uint32_t *ret)
{
	struct group gr, *found = NULL;
	int e = getgrnam_r(name, &gr, buf, size, &found);

	if (!found)
		return e == ERANGE ? -EAGAIN : e == ENOMEM ? -ENOMEM : -ENOENT;
	*ret = gr.gr_gid;
	return 0;
}

static int lookup_here(enum names_kind kind, const char *name, uint32_t *ret)
{
	int r = -EAGAIN;

	for (size_t size = 1024; r == -EAGAIN && size <= LOOKUP_SIZE_MAX; size *= 4) {
		__attribute__((cleanup(text_freep))) char *buf = malloc(size);

		if (!buf)
			return -ENOMEM;
		r = kind == NAMES_USER ? lookup_user(name, buf, size, ret)
				       : lookup_group(name, buf, size, ret);
	}
	return r == -EAGAIN ? -ENOENT : r;
}

/* The other process: answers until nobody is left to ask. */
static __attribute__((noreturn)) void serve(int fd)
{
	struct question q;

	for (;;) {
		struct answer a = { .result = -ENOENT };
		ssize_t n = recv(fd, &q, sizeof(q), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(EXIT_SUCCESS);
		if (n == (ssize_t)sizeof(q) && memchr(q.name, '\0', sizeof(q.name)))
			a.result = lookup_here(q.kind, q.name, &a.id);
		if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) < 0)
			_exit(EXIT_FAILURE);
	}
}

/* It keeps its user, which name services may look at, and nothing else. */
static void become_server(int fd, pid_t parent)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	const struct rlimit no_core = { 0, 0 };

	/* What ends the daemon is not for us: we go when it has gone, and when it can ask no more. */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	(void)prctl(PR_SET_NAME, "tpm-pskd-names");
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	/* The socket that the service manager hands over is the daemon's; what it writes to is for complaints of modules, too. */
	if (fd != STDERR_FILENO + 1 && dup3(fd, STDERR_FILENO + 1, O_CLOEXEC) < 0)
		_exit(EXIT_FAILURE);
	(void)syscall(SYS_close_range, STDERR_FILENO + 2, ~0u, 0);
	serve(STDERR_FILENO + 1);
}

int names_start(void)
{
	const struct timeval timeout = { .tv_sec = NAMES_TIMEOUT_S };
	const pid_t parent = getpid();
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become_server(fds[1], parent);
	close(fds[1]);
	if (pid < 0 || setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0) {
		int r = -errno;

		close(fds[0]);
		return r;
	}
	server_fd = fds[0];
	return 0;
}

/* Once an answer is late, the next one could be to the question before: nobody is asked any more. */
static int give_up(void)
{
	close(server_fd);
	server_fd = -2;
	return -EIO;
}

int names_lookup(enum names_kind kind, const char *name, uint32_t *ret)
{
	struct question q = { .kind = (uint8_t)kind };
	struct answer a;
	ssize_t n;

	if (strlen(name) >= sizeof(q.name))
		return -ENOENT;
	if (server_fd == -1)
		return lookup_here(kind, name, ret);
	if (server_fd < 0)
		return -EIO;
	memcpy(q.name, name, strlen(name));
	if (send(server_fd, &q, sizeof(q), MSG_NOSIGNAL) < 0)
		return give_up();
	do
		n = recv(server_fd, &a, sizeof(a), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(a))
		return give_up();
	if (a.result == 0)
		*ret = a.id;
	return a.result;
}
