/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/swtpm/swtpm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * Commands of the control channel, swtpm_ioctls(3): big-endian code and parameters; the answer
 * starts with a code.
 */
#define CONTROL_GET_CAPABILITY 1
#define CONTROL_INIT 2

static int control_connect(const struct swtpm *t)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, t->control, sizeof(t->control));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/*
 * Sends one command and waits for its answer, whose last four bytes are the code for INIT and flags
 * otherwise.
 */
static int control(const struct swtpm *t, uint8_t code, size_t parameters, uint8_t answer[8])
{
	uint8_t request[8] = { 0, 0, 0, code };
	struct pollfd p = { .events = POLLIN };
	ssize_t n = -1;

	p.fd = control_connect(t);
	if (p.fd < 0)
		return p.fd;
	memset(answer, 0, 8);
	if (send(p.fd, request, 4 + parameters, MSG_NOSIGNAL) == (ssize_t)(4 + parameters) &&
		poll(&p, 1, COMMAND_DEADLINE_MS) > 0)
		n = recv(p.fd, answer, 8, 0);
	close(p.fd);
	return n >= 4 ? 0 : -EIO;
}

static int wait_ready(const struct swtpm *t)
{
	long long until = command_now_ms() + COMMAND_DEADLINE_MS;
	uint8_t answer[8];

	/*
	 * The control channel answers from the main loop only: by then the data socket listens as
	 * well.
	 */
	while (control(t, CONTROL_GET_CAPABILITY, 0, answer) < 0) {
		struct pollfd p = { .fd = command_pidfd(t->process), .events = POLLIN };

		if (command_now_ms() > until)
			return -ETIMEDOUT;
		if (poll(&p, 1, 2) > 0)
			return -ECHILD;
	}
	return 0;
}

int swtpm_start(struct swtpm *t)
{
	char state[96], server[96], ctrl[96];
	const char *const argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server",
		server, "--ctrl", ctrl, "--flags", "not-need-init,startup-clear", NULL };
	int r;

	swtpm_stop(t);
	unlink(t->socket);
	unlink(t->control);
	snprintf(state, sizeof(state), "dir=%s/state", t->dir.path);
	snprintf(server, sizeof(server), "type=unixio,path=%s", t->socket);
	snprintf(ctrl, sizeof(ctrl), "type=unixio,path=%s", t->control);
	r = command_start(&t->process, argv, NULL);
	if (r < 0)
		return r;
	r = wait_ready(t);
	if (r < 0) {
		char *err = command_err(t->process);

		fprintf(stderr, "swtpm did not start: %s\n", err ? err : "");
		free(err);
		swtpm_kill(t);
	}
	return r;
}

static int make_state(struct swtpm *t)
{
	char path[SWTPM_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/state", t->dir.path);
	return mkdir(path, 0700) < 0 ? -errno : 0;
}

int swtpm_init(struct swtpm *t)
{
	int r;

	*t = (struct swtpm){ 0 };
	r = tempdir_init(&t->dir);
	if (r < 0)
		return r;
	snprintf(t->socket, sizeof(t->socket), "%s/tpm", t->dir.path);
	snprintf(t->control, sizeof(t->control), "%s/tpm.ctrl", t->dir.path);
	snprintf(t->tcti, sizeof(t->tcti), "swtpm:path=%s/tpm", t->dir.path);
	r = make_state(t);
	if (r == 0)
		r = swtpm_start(t);
	if (r < 0)
		swtpm_done(t);
	return r;
}

void swtpm_stop(struct swtpm *t)
{
	struct command_result result;

	if (!t->process)
		return;
	if (command_stop(t->process, SIGTERM, COMMAND_DEADLINE_MS, &result) == 0)
		command_result_done(&result);
	swtpm_kill(t);
}

void swtpm_kill(struct swtpm *t)
{
	command_free(t->process);
	t->process = NULL;
}

void swtpm_done(struct swtpm *t)
{
	swtpm_kill(t);
	tempdir_done(&t->dir);
	*t = (struct swtpm){ 0 };
}

int swtpm_reset(struct swtpm *t)
{
	uint8_t answer[8];
	int r = control(t, CONTROL_INIT, 4, answer);

	if (r < 0)
		return r;
	return memcmp(answer, "\0\0\0\0", 4) == 0 ? 0 : -EIO;
}

int swtpm_replace(struct swtpm *t)
{
	char from[SWTPM_PATH_SIZE], to[SWTPM_PATH_SIZE];
	int r;

	swtpm_stop(t);
	snprintf(from, sizeof(from), "%s/state", t->dir.path);
	snprintf(to, sizeof(to), "%s/old.%lld", t->dir.path, command_now_ms());
	if (rename(from, to) < 0)
		return -errno;
	r = make_state(t);
	return r < 0 ? r : swtpm_start(t);
}
