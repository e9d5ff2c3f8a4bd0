/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connecting, losing the connection, connecting again, forking: against an end that the test plays,
 * so that it can break at the moment that matters.
 */
#include "client-lib/handle.h"
#include "client-lib/transact.h"
#include "tests/client-lib/script.h"
#include "tests/swtpm/command.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct script script;

static void end_script(void)
{
	script_done(&script);
}

/* One right derivation, or the error. */
static int ask(struct tpmpsk *h)
{
	static const uint8_t client[32] = { 1, 2, 3 }, server[32] = { 9, 8, 7 };
	uint8_t psk[32] = { 0 }, expected[32];
	int r = tpmpsk_tls12_session(h, "Client1", 7, client, server, 32, psk);

	script_psk(client, server, expected);
	if (r == 0)
		cr_assert_arr_eq(psk, expected, 32);
	return r;
}

static int ask_status(struct tpmpsk *h, bool idempotent)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	static struct tpmpsk_reply reply;
	size_t len;

	cr_assert_eq(tpmpsk_empty_encode(0, TPMPSK_OP_STATUS, packet, sizeof(packet), &len), 0);
	return tpmpsk_transact(h, packet, len, idempotent, &reply);
}

static struct tpmpsk *start(void (*serve)(struct script *s, int fd, unsigned int number))
{
	struct tpmpsk *h = NULL;

	script_start(&script, serve);
	cr_assert_eq(tpmpsk_open(&h, script.path), 0);
	return h;
}

Test(handle, finds_the_daemon_at_the_path_in_the_environment, .fini = end_script)
{
	struct tpmpsk *h = NULL;

	script_start(&script, script_behave);
	setenv("TPM_PSK_SOCKET", script.path, 1);
	cr_assert_eq(tpmpsk_open(&h, NULL), 0);
	cr_assert_eq(ask(h), 0);
	tpmpsk_close(h);
}

Test(handle, fails_at_once_where_nobody_listens, .fini = end_script)
{
	long long start_ms = command_now_ms();
	struct tpmpsk *h = (struct tpmpsk *)&script;

	script_start(&script, script_behave);
	script_stop(&script);
	cr_assert_eq(tpmpsk_open(&h, script.path), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(tpmpsk_open(&h, "/nonexistent/socket"), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(h, (struct tpmpsk *)&script, "written on failure");
	cr_assert_lt(command_now_ms() - start_ms, 2000);
}

Test(handle, may_be_opened_before_anybody_listens, .fini = end_script)
{
	struct tpmpsk *h = NULL;

	script_start(&script, script_behave);
	cr_assert_eq(tpmpsk_open_later(&h, script.path), 0);
	cr_assert_eq(script.connections, 0, "connects before it is asked");
	cr_assert_eq(ask(h), 0);
	cr_assert_eq(ask(h), 0);
	cr_assert_eq(script.connections, 1);
	tpmpsk_close(h);
	script_stop(&script);
	cr_assert_eq(tpmpsk_open_later(&h, script.path), 0);
	cr_assert_eq(ask(h), TPMPSK_ERR_NO_DAEMON);
	tpmpsk_close(h);
	cr_assert_eq(tpmpsk_open_later(&h, ""), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_open_later(NULL, script.path), TPMPSK_ERR_INVALID);
}

Test(handle, refuses_paths_that_no_socket_can_have)
{
	struct tpmpsk *h;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[108] = 0;
	cr_assert_eq(tpmpsk_open(&h, path), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_open(&h, ""), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_open(NULL, "x"), TPMPSK_ERR_INVALID);
	path[107] = 0;
	cr_assert_eq(tpmpsk_open(&h, path), TPMPSK_ERR_NO_DAEMON);
}

Test(handle, knows_a_listener_of_another_kind)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct tempdir dir;
	struct tpmpsk *h;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(tempdir_init(&dir), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/stream", dir.path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(tpmpsk_open(&h, address.sun_path), TPMPSK_ERR_PROTOCOL);
	close(fd);
	tempdir_done(&dir);
}

Test(handle, takes_over_a_connected_packet_socket_only)
{
	struct tpmpsk *h = NULL;
	int stream[2], packet[2], unconnected = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet), 0);
	cr_assert_eq(tpmpsk_open_fd(&h, -1), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_open_fd(&h, stream[0]), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_open_fd(&h, unconnected), TPMPSK_ERR_INVALID);
	cr_assert_neq(fcntl(stream[0], F_GETFD), -1, "closed on failure");
	cr_assert_eq(tpmpsk_open_fd(&h, packet[0]), 0);
	cr_assert_eq(fcntl(packet[0], F_GETFD), FD_CLOEXEC);
	tpmpsk_close(h);
	cr_assert_eq(fcntl(packet[0], F_GETFD), -1);
}

Test(handle, closing_none_is_allowed)
{
	tpmpsk_close(NULL);
}

Test(handle, bounds_the_deadline, .fini = end_script)
{
	struct tpmpsk *h = start(script_behave);

	cr_assert_eq(tpmpsk_set_deadline(h, 0), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_set_deadline(h, 3600001), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_set_deadline(NULL, 1), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_set_deadline(h, 3600000), 0);
	cr_assert_eq(ask(h), 0);
	tpmpsk_close(h);
}

/* The first connection breaks after it has taken a request. */
static void break_once(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	if (number == 1)
		script_receive(s, fd, &q);
	else
		script_behave(s, fd, number);
}

Test(handle, asks_again_on_a_new_connection_when_the_answer_was_lost, .fini = end_script)
{
	struct tpmpsk *h = start(break_once);

	cr_assert_eq(ask(h), 0);
	cr_assert_eq(script.connections, 2);
	cr_assert_eq(script.requests, 2);
	tpmpsk_close(h);
}

Test(handle, does_not_repeat_what_may_have_been_done, .fini = end_script)
{
	struct tpmpsk *h = start(break_once);

	cr_assert_eq(ask_status(h, false), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(script.requests, 1);
	cr_assert_eq(ask(h), 0, "and the handle lives on");
	tpmpsk_close(h);
}

static void close_at_once(struct script *s, int fd, unsigned int number)
{
	if (number > 1)
		script_behave(s, fd, number);
}

static void wait_hangup(void)
{
	struct pollfd p = { .events = 0 };

	/* The handle's is the one connected packet socket of this process that has hung up. */
	for (p.fd = 3; p.fd < 64; p.fd++) {
		struct sockaddr_un peer;
		socklen_t len = sizeof(peer);

		if (getpeername(p.fd, (struct sockaddr *)&peer, &len) == 0 &&
			strcmp(peer.sun_path, script.path) == 0)
			break;
	}
	cr_assert_eq(poll(&p, 1, SCRIPT_DEADLINE_MS), 1);
}

Test(handle, connects_again_when_the_connection_broke_in_between, .fini = end_script)
{
	struct tpmpsk *h = start(close_at_once);

	wait_hangup();
	cr_assert_eq(ask(h), 0);
	cr_assert_eq(script.connections, 2);
	tpmpsk_close(h);
}

static void break_always(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	(void)number;
	script_receive(s, fd, &q);
}

Test(handle, connects_again_once_for_each_call, .fini = end_script)
{
	struct tpmpsk *h = start(break_always);

	cr_assert_eq(ask(h), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(script.connections, 2);
	cr_assert_eq(ask(h), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(script.connections, 4);
	tpmpsk_close(h);
}

static void leave_for_good(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	(void)number;
	script_receive(s, fd, &q);
	script_stop(s);
}

Test(handle, says_at_once_that_the_daemon_has_gone, .fini = end_script)
{
	struct tpmpsk *h = start(leave_for_good);
	long long start_ms = command_now_ms();

	cr_assert_eq(ask(h), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(ask(h), TPMPSK_ERR_NO_DAEMON);
	cr_assert_lt(command_now_ms() - start_ms, 2000);
	tpmpsk_close(h);
}

static void refuse_connection(struct script *s, int fd, unsigned int number)
{
	const struct script_request none = { 0 };

	(void)s;
	(void)number;
	script_refuse(fd, &none, TPMPSK_STATUS_BUSY, 1234);
}

Test(handle, passes_on_why_the_daemon_takes_no_connection, .fini = end_script)
{
	struct tpmpsk *h = start(refuse_connection);

	wait_hangup(); /* there is nothing to send to any more, and something to read */
	cr_assert_eq(ask(h), TPMPSK_ERR_BUSY);
	cr_assert_eq(tpmpsk_retry_after_ms(), 1234);
	cr_assert_eq(ask(h), TPMPSK_ERR_BUSY);
	cr_assert_eq(script.connections, 2, "one try for each call");
	tpmpsk_close(h);
}

Test(handle, a_full_backlog_costs_no_more_than_the_deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct tempdir dir;
	struct tpmpsk *h = NULL;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), client;
	long long start_ms, took;

	cr_assert_eq(tempdir_init(&dir), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/full", dir.path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 0), 0);
	cr_assert_eq(tpmpsk_open(&h, address.sun_path), 0);
	close(accept(fd, NULL, NULL));
	client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);

	cr_assert_eq(tpmpsk_set_deadline(h, 100), 0);
	start_ms = command_now_ms();
	cr_assert_eq(ask(h), TPMPSK_ERR_DEADLINE);
	took = command_now_ms() - start_ms;
	cr_assert_geq(took, 100);
	cr_assert_lt(took, 2000);
	tpmpsk_close(h);
	tempdir_done(&dir);
}

/* Runs ask() in a forked child and returns what it gave. */
static int ask_in_child(struct tpmpsk *h)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(SCRIPT_DEADLINE_MS / 1000);
		_exit(-ask(h));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

Test(fork, a_child_connects_anew_and_leaves_the_parents_connection_alone, .fini = end_script)
{
	struct tpmpsk *h = start(script_behave);

	cr_assert_eq(ask(h), 0);
	cr_assert_eq(ask_in_child(h), 0);
	cr_assert_eq(script.connections, 2);
	cr_assert_eq(ask(h), 0);
	cr_assert_eq(script.connections, 2);
	tpmpsk_close(h);
}

Test(fork, a_child_cannot_use_a_connection_that_was_handed_in)
{
	struct tpmpsk *h = NULL;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(tpmpsk_open_fd(&h, fds[0]), 0);
	cr_assert_eq(ask_in_child(h), TPMPSK_ERR_NO_DAEMON);
	tpmpsk_close(h);
}

/* Leaves the first connection's request unanswered until the test is over. */
static void stall_first(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	if (number > 1) {
		script_behave(s, fd, number);
		return;
	}
	while (script_receive(s, fd, &q))
		;
}

static void *ask_thread(void *h)
{
	return (void *)(intptr_t)ask(h);
}

Test(fork, a_child_is_not_held_up_by_calls_of_the_parents_threads, .fini = end_script)
{
	struct tpmpsk *h = start(stall_first);
	pthread_t thread;
	void *result;

	cr_assert_eq(tpmpsk_set_deadline(h, 1500), 0);
	cr_assert_eq(pthread_create(&thread, NULL, ask_thread, h), 0);
	while (script.requests == 0)
		sched_yield();
	cr_assert_eq(ask_in_child(h), 0);
	pthread_join(thread, &result);
	cr_assert_eq((intptr_t)result, TPMPSK_ERR_DEADLINE);
	tpmpsk_close(h);
}

Test(fork, a_child_is_not_held_up_by_what_the_parent_had_locked, .fini = end_script)
{
	struct tpmpsk *h = start(script_behave);

	/* As if another thread of the parent stood between two steps of a call. */
	tpmpsk_handle_lock(h);
	h->connecting = true;
	cr_assert_eq(ask_in_child(h), 0);
	h->connecting = false;
	pthread_mutex_unlock(&h->lock);
	tpmpsk_close(h);
}

Test(library, has_a_word_for_every_error)
{
	cr_assert_str_eq(tpmpsk_strerror(0), "ok");
	cr_assert_str_eq(tpmpsk_strerror(TPMPSK_ERR_DENIED), "denied");
	cr_assert_str_eq(tpmpsk_strerror(TPMPSK_ERR_INTERNAL), "internal");
	cr_assert_str_eq(tpmpsk_strerror(TPMPSK_ERR_NO_DAEMON), "no-daemon");
	cr_assert_str_eq(tpmpsk_strerror(TPMPSK_ERR_PROTOCOL), "protocol-error");
	cr_assert_str_eq(tpmpsk_strerror(TPMPSK_ERR_INVALID), "invalid-argument");
	cr_assert_str_eq(tpmpsk_strerror(TPMPSK_ERR_SYSTEM), "system-error");
	cr_assert_str_eq(tpmpsk_strerror(TPMPSK_ERR_AGAIN), "nothing-yet");
	cr_assert_str_eq(tpmpsk_strerror(-14), "unknown-error");
	cr_assert_str_eq(tpmpsk_strerror(1), "unknown-error");
	cr_assert_str_eq(tpmpsk_strerror(-100), "unknown-error");
	cr_assert_str_eq(tpmpsk_version(), TPMPSK_VERSION);
}
