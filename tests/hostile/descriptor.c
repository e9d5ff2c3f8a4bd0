/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose connection it is when its descriptor goes from hand to hand: that of who connected, whoever asks with it. */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWNER 20001 /* is on the key's list */
#define OTHER 20002 /* is not */

static struct scene scene;

static void set_up(void)
{
	if (geteuid() != 0)
		cr_skip_test("acts as several users");
	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .config = "{\"audit\":\"off\"}" }), 0);
	cr_assert_eq(scene_psk_ok(&scene, "key", "generate", "web", "--identity", "Client1",
			     "--purpose", "tls12-session", "--allow", "uid:20001", NULL),
		0);
}

static void tear_down(void)
{
	scene_done(&scene);
}

TestSuite(descriptor, .init = set_up, .fini = tear_down, .timeout = 120);

static void pass(int via, int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	*c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(via, &m, 0) != 1)
		_exit(90);
}

static int take(int via)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(via, &m, 0) != 1 || !(c = CMSG_FIRSTHDR(&m)))
		_exit(91);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* What a process of that user is answered; fd < 0: on a connection of its own. */
static int ask_as(uid_t uid, int fd)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		raw_become(uid, 0);
		_exit(raw_ask(fd < 0 ? raw_connect(scene.socket) : fd, "Client1", 1));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(descriptor, passed_to_another_users_process_keeps_the_rights_of_who_connected)
{
	int pair[2], status, fd;
	pid_t owner;

	cr_assert_eq(ask_as(OTHER, -1), TPMPSK_STATUS_DENIED);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	owner = fork();
	if (owner == 0) {
		raw_become(OWNER, 0);
		pass(pair[1], raw_connect(scene.socket));
		_exit(0);
	}
	fd = take(pair[0]);
	cr_assert_eq(waitpid(owner, &status, 0), owner);
	/* Who connected has gone, and still it is that one's. */
	cr_expect_eq(ask_as(OTHER, fd), TPMPSK_STATUS_OK);
	close(fd);
	/* And the other way round: rights are not gained by taking over somebody's connection. */
	fd = raw_connect_as(scene.socket, OTHER, 0, NULL);
	cr_assert_geq(fd, 0);
	cr_expect_eq(ask_as(OWNER, fd), TPMPSK_STATUS_DENIED);
	close(fd);
}

Test(descriptor, in_a_forked_child_is_the_same_connection)
{
	int fd = raw_connect_as(scene.socket, OWNER, 0, NULL), status;
	pid_t pid;

	cr_assert_geq(fd, 0);
	pid = fork();
	if (pid == 0) {
		int first = raw_ask(fd, "Client1", 2);

		close(fd);
		_exit(first);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(WEXITSTATUS(status), TPMPSK_STATUS_OK);
	/* The child's end of it is not the connection's. */
	cr_expect_eq(raw_ask(fd, "Client1", 3), TPMPSK_STATUS_OK);
	close(fd);
}
