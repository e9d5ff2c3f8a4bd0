/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/swtpm/tempdir.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

/*
 * Children that die with the test may still be writing a last file: again, until the directory is
 * gone.
 */
static void remove_tree(const char *path)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	struct stat st;

	for (int i = 0; i < 200; i++) {
		nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
		if (lstat(path, &st) < 0)
			return;
		nanosleep(&pause, NULL);
	}
}

static void guard_main(int fd, const char *path)
{
	char byte;

	setsid(); /* an interrupt from the terminal is for the test, not for its guard */
	signal(SIGPIPE, SIG_IGN);
	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(1);
	close_range(1, ~0u, 0);
	while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
		continue; /* a byte: tempdir_done(); nothing more: the test is dead */
	remove_tree(path);
	_exit(0);
}

int tempdir_init(struct tempdir *d)
{
	int fds[2], r;

	*d = (struct tempdir){ .path = "/tmp/tpmpsk.XXXXXX", .guard_fd = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	if (!mkdtemp(d->path) || chmod(d->path, 0755) < 0) {
		r = -errno;
		goto fail;
	}
	d->guard = fork();
	if (d->guard < 0) {
		r = -errno;
		rmdir(d->path);
		goto fail;
	}
	if (d->guard == 0)
		guard_main(fds[0], d->path);
	close(fds[0]);
	d->guard_fd = fds[1];
	return 0;
fail:
	close(fds[0]);
	close(fds[1]);
	*d = (struct tempdir){ 0 };
	return r;
}

void tempdir_done(struct tempdir *d)
{
	if (d->guard <= 0)
		return;
	/* Its mount namespace is the one we started in, whatever the test has done since. */
	send(d->guard_fd, "", 1, MSG_NOSIGNAL);
	waitpid(d->guard, NULL, 0);
	remove_tree(d->path); /* for a guard that was killed */
	close(d->guard_fd);
	*d = (struct tempdir){ 0 };
}
