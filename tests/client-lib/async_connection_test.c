/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An asynchronous handle's connection: lost, made again, refused, out of reach, or the parent
 * process's; against an end that the test plays.
 */
#include "tests/client-lib/poller.h"
#include "tests/swtpm/command.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 100 /* more than there may be on the wire */

static struct script script;

static void end_script(void)
{
	script_done(&script);
}

TestSuite(async_connection, .fini = end_script);

static struct tpmpsk_async *start(void (*serve)(struct script *s, int fd, unsigned int number))
{
	struct tpmpsk_async *a = NULL;

	script_start(&script, serve);
	cr_assert_eq(tpmpsk_async_open(&a, script.path), 0);
	return a;
}

static struct tpmpsk_async *start_pair(int *ret_far)
{
	struct tpmpsk_async *a = NULL;
	int fds[2];

	script_start(&script, script_behave);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(tpmpsk_async_open_fd(&a, fds[0]), 0);
	*ret_far = fds[1];
	return a;
}

static void submit_all(struct tpmpsk_async *a)
{
	for (unsigned int i = 0; i < N; i++)
		cr_assert_eq(poller_submit(a, i), 0);
}

Test(async_connection, finds_the_daemon_at_the_path_in_the_environment)
{
	struct tpmpsk_async *a = NULL;

	script_start(&script, script_behave);
	setenv("TPM_PSK_SOCKET", script.path, 1);
	cr_assert_eq(tpmpsk_async_open(&a, NULL), 0);
	cr_assert_eq(poller_submit(a, 1), 0);
	poller_expect_answer(a, 1);
	tpmpsk_async_close(a);
}

Test(async_connection, opens_nothing_where_nobody_listens)
{
	struct tpmpsk_async *a = (struct tpmpsk_async *)&script;
	char path[109];

	script_start(&script, script_behave);
	script_stop(&script);
	memset(path, 'x', sizeof(path));
	path[108] = 0;
	cr_assert_eq(tpmpsk_async_open(&a, script.path), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(tpmpsk_async_open(&a, path), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_open(NULL, script.path), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_open_fd(&a, script.listen_fd), TPMPSK_ERR_INVALID);
	cr_assert_eq(a, (struct tpmpsk_async *)&script, "written on failure");
}

/* The first connection is closed with requests unanswered; the later ones are served. */
static void fail_first(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	if (number > 1) {
		script_behave(s, fd, number);
		return;
	}
	for (unsigned int i = 0; i < 10; i++)
		if (script_receive(s, fd, &q) && i == 0)
			script_answer(fd, &q);
}

Test(async_connection, asks_again_on_a_new_connection_behind_the_same_descriptor)
{
	struct tpmpsk_async *a = start(fail_first);
	int fd = tpmpsk_async_fd(a);

	submit_all(a);
	for (unsigned int i = 0; i < N; i++)
		poller_expect_answer(a, i);
	poller_expect_quiet(a);
	cr_assert_eq(tpmpsk_async_fd(a), fd);
	cr_assert_eq(atomic_load(&script.connections), 2);
	tpmpsk_async_close(a);
}

static void fail_always(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	(void)number;
	script_receive(s, fd, &q);
}

Test(async_connection, asks_again_once_only)
{
	struct tpmpsk_async *a = start(fail_always);

	submit_all(a);
	for (unsigned int i = 0; i < N; i++)
		poller_expect_error(a, i, TPMPSK_ERR_NO_DAEMON);
	poller_expect_quiet(a);
	cr_assert_eq(atomic_load(&script.connections), 2);
	tpmpsk_async_close(a);
}

static void serve_one(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	(void)number;
	if (script_receive(s, fd, &q))
		script_answer(fd, &q);
}

Test(async_connection, a_connection_lost_while_idle_is_made_again_when_it_is_needed)
{
	struct tpmpsk_async *a = start(serve_one);

	for (unsigned int i = 1; i <= 5; i++) {
		cr_assert_eq(poller_submit(a, i), 0);
		poller_expect_answer(a, i);
		cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS));
		poller_expect_quiet(a);
		cr_assert_eq(atomic_load(&script.connections), i);
	}
	tpmpsk_async_close(a);
}

Test(async_connection, what_is_held_goes_out_on_a_new_connection)
{
	struct tpmpsk_async *a = start(serve_one);

	cr_assert_eq(poller_submit(a, 1), 0);
	poller_expect_answer(a, 1);
	cr_assert_eq(tpmpsk_async_hold(a, 1), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS), "the connection's end");
	poller_expect_quiet(a);
	cr_assert_eq(atomic_load(&script.connections), 1);
	cr_assert_eq(tpmpsk_async_hold(a, 0), 0);
	poller_expect_answer(a, 2);
	cr_assert_eq(atomic_load(&script.connections), 2);
	tpmpsk_async_close(a);
}

Test(async_connection, nobody_has_to_look_for_a_connection_that_was_lost_while_idle)
{
	struct tpmpsk_async *a = start(serve_one);

	for (unsigned int i = 1; i <= 5; i++) {
		cr_assert_eq(poller_submit(a, i), 0);
		poller_expect_answer(a, i);
		cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS));
	}
	tpmpsk_async_close(a);
}

Test(async_connection, every_request_ends_when_the_daemon_has_gone)
{
	struct tpmpsk_async *a = start(fail_always);

	script_stop(&script);
	submit_all(a);
	for (unsigned int i = 0; i < N; i++)
		poller_expect_error(a, i, TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(poller_submit(a, 1), 0);
	poller_expect_error(a, 1, TPMPSK_ERR_NO_DAEMON);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

Test(async_connection, without_a_path_a_lost_connection_is_the_end)
{
	struct script_request q;
	int far;
	struct tpmpsk_async *a = start_pair(&far);

	cr_assert_eq(poller_submit(a, 1), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	cr_assert(script_receive(NULL, far, &q));
	script_answer(far, &q);
	close(far); /* with the second one unread */
	poller_expect_answer(a, 1);
	poller_expect_error(a, 2, TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(poller_submit(a, 3), 0);
	poller_expect_error(a, 3, TPMPSK_ERR_NO_DAEMON);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

Test(async_connection, an_end_that_does_not_take_requests_is_none)
{
	int far;
	struct tpmpsk_async *a = start_pair(&far);

	cr_assert_eq(shutdown(far, SHUT_RD), 0);
	cr_assert_eq(poller_submit(a, 1), 0);
	poller_expect_error(a, 1, TPMPSK_ERR_NO_DAEMON);
	poller_expect_quiet(a);
	close(far);
	tpmpsk_async_close(a);
}

/* "No more connections", as the daemon says it. */
static void refuse_connection(struct script *s, int fd, unsigned int number)
{
	const struct script_request none = { .header = { .opcode = 0, .id = 0 } };

	(void)s;
	(void)number;
	script_refuse(fd, &none, TPMPSK_STATUS_BUSY, 70);
}

Test(async_connection, passes_on_why_the_daemon_takes_no_connection)
{
	struct tpmpsk_async *a = start(refuse_connection);
	struct tpmpsk_async_result result;

	submit_all(a);
	for (unsigned int i = 0; i < N; i++) {
		poller_collect(a, &result);
		cr_assert_eq(result.error, TPMPSK_ERR_BUSY);
		cr_assert_eq(result.retry_after_ms, 70);
	}
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

/* Connects until no more fits; the connections stay with the process. */
static void fill_backlog(const struct sockaddr_un *address)
{
	int fd, r;

	do {
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	} while (r == 0);
	cr_assert_eq(errno, EAGAIN);
	close(fd);
}

Test(async_connection, a_full_backlog_is_waited_for_without_blocking)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct tpmpsk_async *a = NULL;
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	long long start_ms;
	int fd;

	script_start(&script, script_behave);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/full", script.dir.path);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(tpmpsk_async_open(&a, address.sun_path), 0);
	close(accept(listener, NULL, NULL));
	fill_backlog(&address);
	start_ms = command_now_ms();
	cr_assert_eq(poller_submit(a, 1), 0);
	poller_expect_quiet(a);
	cr_assert_eq(tpmpsk_async_set_deadline(a, 100), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	poller_expect_error(a, 2, TPMPSK_ERR_DEADLINE);
	cr_assert_lt(command_now_ms() - start_ms, 4000);
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		close(fd);
	cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS));
	poller_expect_quiet(a);
	cr_assert(poller_readable(listener, 0), "not connected");
	tpmpsk_async_close(a);
	close(listener);
}

/* Everything that a child may try; 0 when each was refused. */
static int use_in_child(struct tpmpsk_async *a)
{
	struct tpmpsk_async_result result;

	if (poller_submit(a, 9) != TPMPSK_ERR_INVALID ||
		tpmpsk_async_collect(a, &result) != TPMPSK_ERR_INVALID ||
		tpmpsk_async_cancel(a, (void *)1) != TPMPSK_ERR_INVALID ||
		tpmpsk_async_set_deadline(a, 1) != TPMPSK_ERR_INVALID || tpmpsk_async_fd(a) >= 0)
		return 1;
	tpmpsk_async_close(a);
	return 0;
}

Test(async_connection, a_child_may_only_close_and_leaves_the_parents_handle_alone)
{
	int far, status;
	struct tpmpsk_async *a = start_pair(&far);
	struct script_request q;
	pid_t pid;

	cr_assert_eq(poller_submit(a, 1), 0);
	pid = fork();
	if (pid == 0)
		_exit(use_in_child(a));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert(script_receive(NULL, far, &q));
	cr_assert_eq(poller_number(&q), 1);
	script_answer(far, &q);
	poller_expect_answer(a, 1);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

/* An epoll set watches what is open, not what has a number: the child keeps the socket open. */
Test(async_connection, a_lost_connection_that_a_child_holds_keeps_nobody_awake)
{
	int far, hold[2];
	struct tpmpsk_async *a = start_pair(&far);
	char byte;
	pid_t pid;

	cr_assert_eq(pipe2(hold, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		_exit((int)read(hold[0], &byte, 1));
	}
	cr_assert_eq(poller_submit(a, 1), 0);
	cr_assert_eq(shutdown(far, SHUT_RDWR), 0);
	poller_expect_error(a, 1, TPMPSK_ERR_NO_DAEMON);
	poller_expect_quiet(a);
	close(hold[1]);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	tpmpsk_async_close(a);
	close(hold[0]);
	close(far);
}
