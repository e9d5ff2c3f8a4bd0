/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection, several threads, answers in any order, late, wrong or not at all: against an end
 * that the test plays.
 */
#include "client-lib/transact.h"
#include "tests/client-lib/script.h"
#include "tests/swtpm/command.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int far; /* the script's end of the connection */
static int near_fd;

static struct tpmpsk *connect_pair(void)
{
	struct tpmpsk *h = NULL;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(tpmpsk_open_fd(&h, fds[0]), 0);
	near_fd = fds[0];
	far = fds[1];
	return h;
}

/* One derivation in a thread of its own; different for each n. */
struct asker {
	pthread_t thread;
	struct tpmpsk *h;
	uint8_t n;
	int result;
	uint8_t psk[32];
	unsigned int retry_after_ms;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	uint8_t client[32] = { a->n }, server[32] = { 0 };

	a->result = tpmpsk_tls12_session(a->h, "Client1", 7, client, server, 32, a->psk);
	a->retry_after_ms = tpmpsk_retry_after_ms();
	return NULL;
}

static void asker_start(struct asker *a, struct tpmpsk *h, uint8_t n)
{
	*a = (struct asker){ .h = h, .n = n };
	cr_assert_eq(pthread_create(&a->thread, NULL, ask, a), 0);
}

static int asker_join(struct asker *a)
{
	pthread_join(a->thread, NULL);
	return a->result;
}

static bool asker_has_answer(const struct asker *a)
{
	const uint8_t client[32] = { a->n }, server[32] = { 0 };
	uint8_t expected[32];

	script_psk(client, server, expected);
	return a->result == 0 && memcmp(a->psk, expected, 32) == 0;
}

Test(transact, threads_overlap_and_get_their_own_answers_in_any_order)
{
	enum { N = 8 };
	struct tpmpsk *h = connect_pair();
	struct script_request requests[N];
	struct asker askers[N];

	for (uint8_t i = 0; i < N; i++)
		asker_start(&askers[i], h, i);
	for (size_t i = 0; i < N; i++) /* all of them are under way before any is answered */
		cr_assert(script_receive(NULL, far, &requests[i]));
	for (size_t i = N; i > 0; i--)
		script_answer(far, &requests[(i * 3) % N]);
	for (size_t i = 0; i < N; i++) {
		asker_join(&askers[i]);
		cr_assert(asker_has_answer(&askers[i]));
	}
	tpmpsk_close(h);
}

Test(transact, another_thread_takes_over_when_the_reader_has_its_answer)
{
	struct tpmpsk *h = connect_pair();
	struct script_request first, second;
	struct asker a, b;

	asker_start(&a, h, 1);
	cr_assert(script_receive(NULL, far, &first));
	asker_start(&b, h, 2);
	cr_assert(script_receive(NULL, far, &second));
	script_answer(far, &first);
	asker_join(&a);
	script_answer(far, &second);
	asker_join(&b);
	cr_assert(asker_has_answer(&a));
	cr_assert(asker_has_answer(&b));
	tpmpsk_close(h);
}

Test(transact, another_thread_takes_over_when_the_reader_gives_up)
{
	struct tpmpsk *h = connect_pair();
	struct script_request first, second;
	struct asker a, b;

	tpmpsk_set_deadline(h, 100);
	asker_start(&a, h, 1);
	cr_assert(script_receive(NULL, far, &first));
	tpmpsk_set_deadline(h, SCRIPT_DEADLINE_MS);
	asker_start(&b, h, 2);
	cr_assert(script_receive(NULL, far, &second));
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_DEADLINE);
	script_answer(far, &second);
	asker_join(&b);
	cr_assert(asker_has_answer(&b));
	tpmpsk_close(h);
}

Test(transact, gives_up_at_the_deadline_and_not_before)
{
	struct tpmpsk *h = connect_pair();
	struct asker a;
	long long start = command_now_ms(), took;

	tpmpsk_set_deadline(h, 150);
	asker_start(&a, h, 1);
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_DEADLINE);
	took = command_now_ms() - start;
	cr_assert_geq(took, 150);
	cr_assert_lt(took, 2000);
	tpmpsk_close(h);
}

Test(transact, sleeps_until_the_deadline_on_a_socket_that_never_waits)
{
	struct tpmpsk *h = connect_pair();
	uint8_t client[32] = { 0 }, psk[32];
	long long start = command_now_ms();
	clock_t cpu = clock();

	cr_assert_eq(fcntl(near_fd, F_SETFL, O_NONBLOCK), 0);
	tpmpsk_set_deadline(h, 300);
	cr_assert_eq(tpmpsk_tls12_session(h, "x", 1, client, client, 32, psk), TPMPSK_ERR_DEADLINE);
	cr_assert_geq(command_now_ms() - start, 300);
	cr_assert_lt(clock() - cpu, CLOCKS_PER_SEC / 20);
	tpmpsk_close(h);
}

Test(transact, drops_the_late_answer_of_a_call_that_gave_up)
{
	struct tpmpsk *h = connect_pair();
	struct script_request first, second;
	struct asker a, b;

	tpmpsk_set_deadline(h, 50);
	asker_start(&a, h, 1);
	cr_assert(script_receive(NULL, far, &first));
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_DEADLINE);
	tpmpsk_set_deadline(h, SCRIPT_DEADLINE_MS);
	asker_start(&b, h, 2);
	cr_assert(script_receive(NULL, far, &second));
	script_answer(far, &first);
	script_answer(far, &second);
	asker_join(&b);
	cr_assert(asker_has_answer(&b));
	tpmpsk_close(h);
}

static void on_alarm(int sig)
{
	(void)sig;
}

Test(transact, no_signal_cuts_a_call_short)
{
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	const struct sigaction action = { .sa_handler = on_alarm };
	struct tpmpsk *h = connect_pair();
	uint8_t client[32] = { 0 }, psk[32];
	long long start = command_now_ms();

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	tpmpsk_set_deadline(h, 100);
	cr_assert_eq(tpmpsk_tls12_session(h, "x", 1, client, client, 32, psk), TPMPSK_ERR_DEADLINE);
	cr_assert_geq(command_now_ms() - start, 100);
	tpmpsk_close(h);
}

Test(transact, a_lost_connection_ends_every_call_on_it_and_raises_no_signal)
{
	struct tpmpsk *h = connect_pair();
	struct script_request q;
	struct asker a, b;

	asker_start(&a, h, 1);
	asker_start(&b, h, 2);
	cr_assert(script_receive(NULL, far, &q));
	cr_assert(script_receive(NULL, far, &q));
	close(far);
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_NO_DAEMON);
	cr_assert_eq(asker_join(&b), TPMPSK_ERR_NO_DAEMON);
	asker_start(&a, h, 1);
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_NO_DAEMON);
	tpmpsk_close(h);
}

Test(transact, what_was_answered_before_the_connection_broke_counts)
{
	struct tpmpsk *h = connect_pair();
	struct script_request q;
	struct asker a, b;

	asker_start(&a, h, 1);
	cr_assert(script_receive(NULL, far, &q));
	asker_start(&b, h, 2); /* its request is unread: the near end sees ECONNRESET first */
	cr_assert_eq(
		poll(&(struct pollfd){ .fd = far, .events = POLLIN }, 1, SCRIPT_DEADLINE_MS), 1);
	script_answer(far, &q);
	close(far);
	asker_join(&a);
	cr_assert(asker_has_answer(&a));
	cr_assert_eq(asker_join(&b), TPMPSK_ERR_NO_DAEMON);
	tpmpsk_close(h);
}

Test(transact, waits_while_the_other_end_does_not_read)
{
	enum { N = 64 };
	struct tpmpsk *h = connect_pair();
	static struct asker askers[N];
	const int least = 1;
	struct pollfd full = { .fd = near_fd, .events = POLLOUT };
	struct script_request q;

	cr_assert_eq(setsockopt(near_fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	tpmpsk_set_deadline(h, SCRIPT_DEADLINE_MS);
	for (uint8_t i = 0; i < N; i++)
		asker_start(&askers[i], h, i);
	while (poll(&full, 1, 0) > 0 && full.revents & POLLOUT)
		sched_yield();
	for (size_t i = 0; i < N; i++) {
		cr_assert(script_receive(NULL, far, &q));
		script_answer(far, &q);
	}
	for (size_t i = 0; i < N; i++) {
		asker_join(&askers[i]);
		cr_assert(asker_has_answer(&askers[i]));
	}
	tpmpsk_close(h);
}

Test(transact, gives_up_at_the_deadline_when_there_is_no_room_to_send)
{
	struct tpmpsk *h = connect_pair();
	struct asker a;
	char junk[512] = { 0 };

	while (send(near_fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	tpmpsk_set_deadline(h, 100);
	asker_start(&a, h, 1);
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_DEADLINE);
	tpmpsk_close(h);
}

/* Sends until no more fits. */
static void fill(int fd, uint32_t id, uint8_t opcode)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	cr_assert_eq(tpmpsk_empty_encode(id, opcode, packet, sizeof(packet), &len), 0);
	while (send(fd, packet, len, MSG_DONTWAIT) > 0)
		;
}

/* Each end waits for the other to read, unless the waiting sender reads, too. */
Test(transact, takes_late_answers_while_there_is_no_room_to_send)
{
	const struct script_request late = { .header = { .opcode = TPMPSK_OP_DERIVE, .id = 9999 } };
	struct tpmpsk *h = connect_pair();
	struct script_request q;
	struct asker a;

	fill(near_fd, 9998, TPMPSK_OP_STATUS);
	fill(far, 9999, TPMPSK_OP_DERIVE | TPMPSK_OP_REPLY);
	tpmpsk_set_deadline(h, 5000);
	asker_start(&a, h, 1);
	script_answer(far, &late); /* blocks until somebody reads */
	do
		cr_assert(script_receive(NULL, far, &q));
	while (q.header.opcode != TPMPSK_OP_DERIVE);
	script_answer(far, &q);
	asker_join(&a);
	cr_assert(asker_has_answer(&a));
	tpmpsk_close(h);
}

Test(transact, passes_on_every_refusal)
{
	struct tpmpsk *h = connect_pair();

	for (unsigned int status = 1; status < TPMPSK_STATUS_COUNT; status++) {
		struct script_request q;
		struct asker a;

		asker_start(&a, h, 1);
		cr_assert(script_receive(NULL, far, &q));
		script_refuse(far, &q, status, 0);
		cr_assert_eq(asker_join(&a), -(int)status);
		cr_assert_eq(a.psk[0] | a.psk[31], 0, "written on failure");
	}
	tpmpsk_close(h);
}

Test(transact, a_status_from_the_future_is_an_internal_error)
{
	struct tpmpsk *h = connect_pair();
	struct script_request q;
	struct asker a;

	asker_start(&a, h, 1);
	cr_assert(script_receive(NULL, far, &q));
	script_refuse(far, &q, (enum tpmpsk_status)TPMPSK_STATUS_COUNT, 0);
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_INTERNAL);
	tpmpsk_close(h);
}

Test(transact, tells_the_thread_that_met_busy_when_to_come_back)
{
	struct tpmpsk *h = connect_pair();
	struct script_request q;
	struct asker a, b;

	asker_start(&a, h, 1);
	cr_assert(script_receive(NULL, far, &q));
	script_refuse(far, &q, TPMPSK_STATUS_BUSY, 250);
	cr_assert_eq(asker_join(&a), TPMPSK_ERR_BUSY);
	cr_assert_eq(a.retry_after_ms, 250);
	asker_start(&b, h, 2);
	cr_assert(script_receive(NULL, far, &q));
	script_refuse(far, &q, TPMPSK_STATUS_DENIED, 0);
	asker_join(&b);
	cr_assert_eq(b.retry_after_ms, 0);
	tpmpsk_close(h);
}

Test(transact, sends_nothing_for_arguments_out_of_range)
{
	struct tpmpsk *h = connect_pair();
	uint8_t random[32] = { 0 }, psk[32], byte;
	char identity[129] = { 0 };

	cr_assert_eq(
		tpmpsk_tls12_session(NULL, "x", 1, random, random, 32, psk), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_tls12_session(h, NULL, 1, random, random, 32, psk), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_tls12_session(h, "x", 0, random, random, 32, psk), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_tls12_session(h, identity, 129, random, random, 32, psk),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_tls12_session(h, "x", 1, NULL, random, 32, psk), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_tls12_session(h, "x", 1, random, NULL, 32, psk), TPMPSK_ERR_INVALID);
	for (size_t n = 0; n < 40; n++)
		if (n != 28 && n != 32)
			cr_assert_eq(tpmpsk_tls12_session(h, "x", 1, random, random, n, psk),
				TPMPSK_ERR_INVALID);
	cr_assert_eq(recv(far, &byte, 1, MSG_DONTWAIT), -1);
	tpmpsk_close(h);
}

/* A right answer that each of the following tests spoils in its own way. */
static size_t good_reply(const struct script_request *q, uint8_t packet[TPMPSK_MESSAGE_MAX + 1])
{
	struct tpmpsk_derived d = { .secret_len = 32, .secret = { 1 } };
	size_t len = 0;

	cr_assert_eq(tpmpsk_derived_encode(q->header.id, &d, packet, TPMPSK_MESSAGE_MAX, &len), 0);
	return len;
}

/* What the caller gets when the answer is this packet. */
static int ask_and_get(size_t (*spoil)(uint8_t *packet, size_t len, size_t n), size_t n)
{
	struct tpmpsk *h = connect_pair();
	uint8_t packet[TPMPSK_MESSAGE_MAX + 1] = { 0 };
	struct script_request q;
	struct asker a;

	asker_start(&a, h, 1);
	cr_assert(script_receive(NULL, far, &q));
	script_send(far, packet, spoil(packet, good_reply(&q, packet), n));
	asker_join(&a);
	tpmpsk_close(h);
	close(far);
	if (a.result < 0)
		cr_assert_eq(a.psk[0], 0, "written on failure");
	return a.result;
}

static size_t cut(uint8_t *packet, size_t len, size_t n)
{
	(void)packet;
	(void)len;
	return n;
}

Test(transact, a_reply_cut_anywhere_is_a_protocol_error)
{
	for (size_t n = 1; n < 8 + 1 + 32 + 1; n++)
		cr_assert_eq(ask_and_get(cut, n), TPMPSK_ERR_PROTOCOL, "%zu bytes", n);
	cr_assert_eq(ask_and_get(cut, 8 + 1 + 32 + 1), 0);
	cr_assert_eq(ask_and_get(cut, 8 + 1 + 32 + 1 + 1), TPMPSK_ERR_PROTOCOL);
	cr_assert_eq(ask_and_get(cut, TPMPSK_MESSAGE_MAX + 1), TPMPSK_ERR_PROTOCOL);
}

static size_t change(uint8_t *packet, size_t len, size_t n)
{
	packet[n] ^= 1;
	return len;
}

Test(transact, a_reply_of_another_version_or_kind_is_a_protocol_error)
{
	cr_assert_eq(ask_and_get(change, 0), TPMPSK_ERR_PROTOCOL, "version");
	cr_assert_eq(ask_and_get(change, 1), TPMPSK_ERR_PROTOCOL, "opcode");
	cr_assert_eq(ask_and_get(change, 3), TPMPSK_ERR_PROTOCOL, "a refusal without its body");
	cr_assert_eq(ask_and_get(change, 8), TPMPSK_ERR_PROTOCOL, "a secret of 33 bytes");
}

static size_t echo_request(uint8_t *packet, size_t len, size_t n)
{
	(void)n;
	packet[1] &= 0x7f;
	return len;
}

Test(transact, a_request_is_no_reply)
{
	cr_assert_eq(ask_and_get(echo_request, 0), TPMPSK_ERR_PROTOCOL);
}

static size_t short_secret(uint8_t *packet, size_t len, size_t n)
{
	(void)len;
	packet[8] = (uint8_t)n;
	packet[9 + n] = 0;
	return 10 + n;
}

Test(transact, a_secret_of_another_size_is_a_protocol_error)
{
	cr_assert_eq(ask_and_get(short_secret, 31), TPMPSK_ERR_PROTOCOL);
	cr_assert_eq(ask_and_get(short_secret, 32), 0);
	cr_assert_eq(ask_and_get(short_secret, 64), TPMPSK_ERR_PROTOCOL);
}

static void *send_too_much(void *arg)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX + 1] = { 0 };
	struct script_request q;
	size_t len;

	cr_assert(script_receive(NULL, far, &q));
	cr_assert_eq(
		tpmpsk_ok_encode(q.header.id, q.header.opcode, packet, sizeof(packet), &len), 0);
	script_send(far, packet, sizeof(packet));
	return arg;
}

Test(transact, a_reply_longer_than_a_message_is_a_protocol_error)
{
	static struct tpmpsk_reply reply;
	struct tpmpsk *h = connect_pair();
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	pthread_t thread;
	size_t len;

	cr_assert_eq(pthread_create(&thread, NULL, send_too_much, NULL), 0);
	cr_assert_eq(tpmpsk_empty_encode(0, TPMPSK_OP_STATUS, packet, sizeof(packet), &len), 0);
	cr_assert_eq(tpmpsk_transact(h, packet, len, true, &reply), TPMPSK_ERR_PROTOCOL);
	pthread_join(thread, NULL);
	tpmpsk_close(h);
}

Test(transact, wipes_what_it_read_when_the_call_fails)
{
	static struct tpmpsk_reply reply;
	struct tpmpsk *h = connect_pair();
	uint8_t packet[TPMPSK_MESSAGE_MAX], zero[TPMPSK_MESSAGE_MAX] = { 0 };
	const struct script_request late = { .header = { .id = 77, .opcode = TPMPSK_OP_DERIVE } };
	size_t len;

	script_answer(far, &late); /* lies in the socket, and is nobody's */
	memset(reply.data, 0xff, sizeof(reply.data));
	tpmpsk_set_deadline(h, 50);
	cr_assert_eq(tpmpsk_empty_encode(0, TPMPSK_OP_STATUS, packet, sizeof(packet), &len), 0);
	cr_assert_eq(tpmpsk_transact(h, packet, len, true, &reply), TPMPSK_ERR_DEADLINE);
	cr_assert_arr_eq(reply.data, zero, sizeof(zero));
	tpmpsk_close(h);
}
