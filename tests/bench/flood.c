/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/flood.h"

#include "daemon/session_identity.h"
#include "proto/message.h"
#include "tests/bench/echo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNDER_WAY 64

static size_t forge(const char *identity, uint32_t id, uint8_t *packet, size_t cap)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_SERVER };
	struct session_identity session = { .version = SESSION_EPOCH,
		.base_len = strlen(identity) };
	struct timespec now;
	size_t len = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	session.unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	memcpy(session.nonce, &id, sizeof(id));
	memcpy(session.tag, &id, sizeof(id));
	memcpy(q.identity, identity, session.base_len);
	q.identity_len = session_identity_print(&session, q.identity, q.identity);
	return tpmpsk_derive_encode(id, &q, packet, cap, &len) == 0 ? len : 0;
}

/* Whether the answer is the refusal that a forged one gets. */
static bool is_refused(int fd)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_header h;
	struct tpmpsk_reader r;
	ssize_t n = recv(fd, packet, sizeof(packet), 0);

	if (n <= 0)
		return false;
	tpmpsk_reader_init(&r, packet, (size_t)n);
	return tpmpsk_header_decode(&r, &h) == 0 && h.status == TPMPSK_STATUS_FORGED;
}

__attribute__((noreturn)) static void be_flood(
	const char *socket, const char *identity, int ready_fd)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	unsigned under_way = 0;
	bool said = false;
	int fd;

	if (setgid(FLOOD_UID) < 0 || setuid(FLOOD_UID) < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid(2), which resets it */
	if (echo_connect(socket, &fd) < 0)
		_exit(1);
	for (uint32_t id = 1;; id++) {
		size_t len = forge(identity, id, packet, sizeof(packet));

		if (send(fd, packet, len, MSG_NOSIGNAL) != (ssize_t)len)
			_exit(1);
		if (++under_way < UNDER_WAY)
			continue;
		if (!is_refused(fd))
			_exit(1);
		under_way--;
		if (!said)
			said = write(ready_fd, "", 1) == 1;
	}
}

int flood_init(struct flood *f, const char *socket, const char *identity)
{
	int ready[2];
	char byte;

	*f = (struct flood){ 0 };
	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	f->pid = fork();
	if (f->pid == 0) {
		close(ready[0]);
		be_flood(socket, identity, ready[1]);
	}
	close(ready[1]);
	if (f->pid > 0 && read(ready[0], &byte, 1) != 1) {
		flood_done(f);
		f->pid = -1;
	}
	close(ready[0]);
	if (f->pid > 0)
		return 0;
	f->pid = 0;
	return -ECHILD;
}

void flood_done(struct flood *f)
{
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	*f = (struct flood){ 0 };
}
