/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many requests of one thread on one connection: answered in any order, late, wrong, or not at all,
 * by an end that the test plays.
 */
#include "client-lib/async_io.h"
#include "tests/client-lib/poller.h"
#include "tests/swtpm/command.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIRE 64 /* PROTOCOL.md: what the daemon works on for one connection */

static int far; /* the script's end of the connection */
static int near_fd;

static struct tpmpsk_async *connect_pair(void)
{
	struct tpmpsk_async *a = NULL;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(tpmpsk_async_open_fd(&a, fds[0]), 0);
	near_fd = fds[0];
	far = fds[1];
	return a;
}

static struct script_request receive(unsigned int n)
{
	struct script_request q;

	cr_assert(script_receive(NULL, far, &q));
	cr_assert_eq(q.header.opcode, TPMPSK_OP_DERIVE);
	cr_assert_eq(poller_number(&q), n);
	return q;
}

static bool nothing_sent(void)
{
	return !poller_readable(far, 0);
}

Test(async, gives_each_answer_to_its_tag_in_any_order)
{
	enum { N = 16 };
	struct tpmpsk_async *a = connect_pair();
	struct script_request requests[N];

	for (unsigned int i = 0; i < N; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	for (unsigned int i = 0; i < N; i++)
		requests[i] = receive(i);
	for (unsigned int i = 0; i < N; i++)
		script_answer(far, &requests[i * 5 % N]);
	for (unsigned int i = 0; i < N; i++)
		poller_expect_answer(a, i * 5 % N);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

Test(async, holds_requests_until_they_may_go_together)
{
	enum { N = 40 };
	struct tpmpsk_async *a = connect_pair();
	struct script_request q;

	cr_assert_eq(tpmpsk_async_hold(NULL, 1), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_hold(a, 1), 0);
	for (unsigned int i = 0; i < N; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	poller_expect_quiet(a);
	cr_assert(nothing_sent());
	cr_assert_eq(tpmpsk_async_hold(a, 0), 0);
	for (unsigned int i = 0; i < N; i++) {
		q = receive(i);
		script_answer(far, &q);
		poller_expect_answer(a, i);
	}
	cr_assert_eq(poller_submit(a, N), 0);
	q = receive(N);
	/* What is held has its deadline all the same. */
	cr_assert_eq(tpmpsk_async_hold(a, 1), 0);
	cr_assert_eq(tpmpsk_async_set_deadline(a, 1), 0);
	cr_assert_eq(poller_submit(a, N + 1), 0);
	poller_expect_error(a, N + 1, TPMPSK_ERR_DEADLINE);
	cr_assert(nothing_sent());
	script_answer(far, &q);
	poller_expect_answer(a, N);
	tpmpsk_async_close(a);
}

Test(async, the_descriptor_is_readable_only_when_there_is_something_to_do)
{
	struct tpmpsk_async *a = connect_pair();
	struct script_request q;

	poller_expect_quiet(a);
	cr_assert_eq(poller_submit(a, 1), 0);
	poller_expect_quiet(a);
	q = receive(1);
	script_answer(far, &q);
	cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS));
	poller_expect_answer(a, 1);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

Test(async, sends_no_more_than_the_daemon_reads_and_the_rest_in_order)
{
	enum { N = 3 * WIRE };
	struct tpmpsk_async *a = connect_pair();
	struct script_request first, q;

	for (unsigned int i = 0; i < N; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	first = receive(0);
	for (unsigned int i = 1; i < WIRE; i++) {
		q = receive(i);
		script_answer(far, &q);
	}
	cr_assert(nothing_sent());
	for (unsigned int i = 1; i < WIRE; i++)
		poller_expect_answer(a, i);
	script_answer(far, &first);
	poller_expect_answer(a, 0);
	for (unsigned int i = WIRE; i < N; i++) {
		q = receive(i);
		script_answer(far, &q);
		poller_expect_answer(a, i);
	}
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

Test(async, a_full_table_is_busy_until_something_is_collected)
{
	struct tpmpsk_async *a = connect_pair();
	struct script_request q;

	for (unsigned int i = 0; i < TPMPSK_ASYNC_OUTSTANDING_MAX; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	cr_assert_eq(poller_submit(a, 5000), TPMPSK_ERR_BUSY);
	q = receive(0);
	script_answer(far, &q);
	cr_assert_eq(poller_submit(a, 5000), TPMPSK_ERR_BUSY);
	poller_expect_answer(a, 0);
	cr_assert_eq(poller_submit(a, 5000), 0);
	cr_assert_eq(poller_submit(a, 5001), TPMPSK_ERR_BUSY);
	tpmpsk_async_close(a);
}

Test(async, wakes_its_poller_at_each_requests_own_deadline)
{
	struct tpmpsk_async *a = connect_pair();
	long long start = command_now_ms();

	cr_assert_eq(poller_submit(a, 1), 0);
	cr_assert_eq(tpmpsk_async_set_deadline(a, 200), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	cr_assert_eq(tpmpsk_async_set_deadline(a, 100), 0);
	cr_assert_eq(poller_submit(a, 3), 0);
	poller_expect_error(a, 3, TPMPSK_ERR_DEADLINE);
	cr_assert_geq(command_now_ms() - start, 100 - 1);
	poller_expect_error(a, 2, TPMPSK_ERR_DEADLINE);
	cr_assert_geq(command_now_ms() - start, 200 - 1);
	poller_expect_quiet(a);
	cr_assert_lt(command_now_ms() - start, 4000);
	tpmpsk_async_close(a);
}

Test(async, requests_that_were_never_sent_have_a_deadline_as_well)
{
	enum { N = WIRE + 2 };
	struct tpmpsk_async *a = connect_pair();

	cr_assert_eq(tpmpsk_async_set_deadline(a, 50), 0);
	for (unsigned int i = 0; i < N; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	for (unsigned int i = 0; i < N; i++)
		poller_expect_error(a, i, TPMPSK_ERR_DEADLINE);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

Test(async, drops_the_late_answer_of_a_request_that_gave_up_and_uses_its_place)
{
	enum { N = WIRE };
	struct tpmpsk_async *a = connect_pair();
	struct script_request late[N], q;

	cr_assert_eq(tpmpsk_async_set_deadline(a, 50), 0);
	for (unsigned int i = 0; i < N; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	for (unsigned int i = 0; i < N; i++)
		late[i] = receive(i);
	for (unsigned int i = 0; i < N; i++)
		poller_expect_error(a, i, TPMPSK_ERR_DEADLINE);
	cr_assert_eq(tpmpsk_async_set_deadline(a, SCRIPT_DEADLINE_MS), 0);
	cr_assert_eq(poller_submit(a, 1000), 0);
	cr_assert(nothing_sent(), "the daemon still has as many as it reads");
	for (unsigned int i = 0; i < N; i++)
		script_answer(far, &late[i]);
	poller_expect_quiet(a);
	q = receive(1000);
	script_answer(far, &q);
	poller_expect_answer(a, 1000);
	tpmpsk_async_close(a);
}

Test(async, the_late_answer_to_one_request_is_not_taken_for_the_next_ones)
{
	struct tpmpsk_async *a = connect_pair();
	struct script_request late, q;

	cr_assert_eq(tpmpsk_async_set_deadline(a, 20), 0);
	cr_assert_eq(poller_submit(a, 1), 0);
	late = receive(1);
	poller_expect_error(a, 1, TPMPSK_ERR_DEADLINE);
	cr_assert_eq(tpmpsk_async_set_deadline(a, SCRIPT_DEADLINE_MS), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	q = receive(2);
	script_answer(far, &late);
	script_answer(far, &q);
	poller_expect_answer(a, 2);
	tpmpsk_async_close(a);
}

Test(async, what_was_answered_in_time_counts_however_late_it_is_collected)
{
	struct tpmpsk_async *a = connect_pair();
	struct script_request q;
	long long start = command_now_ms();

	cr_assert_eq(tpmpsk_async_set_deadline(a, 50), 0);
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	for (unsigned int i = 0; i < 2; i++) {
		q = receive(i);
		script_answer(far, &q);
	}
	while (command_now_ms() - start < 60) /* the time has to pass */
		poll(NULL, 0, 10);
	poller_expect_answer(a, 0);
	poller_expect_answer(a, 1);
	poller_expect_error(a, 2, TPMPSK_ERR_DEADLINE);
	tpmpsk_async_close(a);
}

Test(async, a_cancelled_request_is_never_collected)
{
	struct tpmpsk_async *a = connect_pair();
	struct script_request q;

	for (unsigned int i = 0; i <= WIRE; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	cr_assert_eq(tpmpsk_async_cancel(a, (void *)1), 0);    /* sent */
	cr_assert_eq(tpmpsk_async_cancel(a, (void *)WIRE), 0); /* queued */
	for (unsigned int i = 0; i < WIRE; i++) {
		q = receive(i);
		script_answer(far, &q);
	}
	for (unsigned int i = 0; i < WIRE; i++)
		if (i != 1)
			poller_expect_answer(a, i);
	poller_expect_quiet(a);
	cr_assert(nothing_sent());
	tpmpsk_async_close(a);
}

Test(async, cancels_what_is_done_and_everything_with_the_tag)
{
	struct tpmpsk_async *a = connect_pair();

	cr_assert_eq(tpmpsk_async_set_deadline(a, 20), 0);
	for (unsigned int i = 0; i < 4; i++)
		cr_assert_eq(poller_submit(a, i / 2), 0);
	close(far);
	poller_expect_error(a, 0, TPMPSK_ERR_NO_DAEMON); /* and with it the others */
	cr_assert_eq(tpmpsk_async_cancel(a, (void *)1), 0);
	cr_assert_eq(tpmpsk_async_cancel(a, (void *)7), 0, "there is none");
	poller_expect_error(a, 0, TPMPSK_ERR_NO_DAEMON);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
}

Test(async, passes_on_every_refusal)
{
	struct tpmpsk_async *a = connect_pair();

	for (unsigned int status = 1; status <= TPMPSK_STATUS_COUNT; status++) {
		struct script_request q;

		cr_assert_eq(poller_submit(a, status), 0);
		q = receive(status);
		script_refuse(far, &q, status, 0);
		poller_expect_error(a, status,
			status < TPMPSK_STATUS_COUNT ? -(int)status : TPMPSK_ERR_INTERNAL);
	}
	tpmpsk_async_close(a);
}

Test(async, says_when_to_come_back)
{
	struct tpmpsk_async *a = connect_pair();
	struct tpmpsk_async_result result;
	struct script_request q;

	cr_assert_eq(poller_submit(a, 1), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	q = receive(1);
	script_refuse(far, &q, TPMPSK_STATUS_BUSY, 250);
	poller_collect(a, &result);
	cr_assert_eq(result.error, TPMPSK_ERR_BUSY);
	cr_assert_eq(result.retry_after_ms, 250);
	q = receive(2);
	script_answer(far, &q);
	poller_collect(a, &result);
	cr_assert_eq(result.retry_after_ms, 0);
	tpmpsk_async_close(a);
}

/* The other end's answer to whatever was asked. */
static void answer(size_t secret_len, const char *name)
{
	struct tpmpsk_derived d = { .secret_len = secret_len, .name_len = strlen(name) };
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	struct script_request q;
	size_t len;

	cr_assert(script_receive(NULL, far, &q));
	memset(d.secret, 0x5a, secret_len);
	memcpy(d.name, name, d.name_len);
	cr_assert_eq(tpmpsk_derived_encode(q.header.id, &d, packet, sizeof(packet), &len), 0);
	script_send(far, packet, len);
}

Test(async, each_purpose_gives_what_its_waiting_call_does)
{
	static const char name[] = "Client1~1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	const uint8_t ekm[48] = { 1 };
	struct tpmpsk_async *a = connect_pair();
	struct tpmpsk_async_result result;

	cr_assert_eq(tpmpsk_async_session_identity_client(a, NULL, "Client1", 7), 0);
	answer(32, name);
	poller_collect(a, &result);
	cr_assert_eq(result.error, 0);
	cr_assert_eq(result.session_identity_size, 7 + TPMPSK_SESSION_SUFFIX_SIZE);
	cr_assert_str_eq(result.session_identity, name);
	cr_assert_eq(result.secret_size, 32);

	cr_assert_eq(
		tpmpsk_async_session_identity_server(a, NULL, name, sizeof(name) - 1, ekm, 32), 0);
	answer(32, "");
	poller_collect(a, &result);
	cr_assert_eq(result.secret_size, 32);

	cr_assert_eq(tpmpsk_async_exporter_kdf(a, NULL, "Client1", 7, ekm, 48, 64), 0);
	answer(64, "");
	poller_collect(a, &result);
	cr_assert_eq(result.secret_size, 64);
	cr_assert_eq(result.secret[63], 0x5a);

	cr_assert_eq(tpmpsk_async_exporter_mac(a, NULL, "Client1", 7, ekm, 16), 0);
	answer(64, "");
	poller_collect(a, &result);
	cr_assert_eq(result.error, TPMPSK_ERR_PROTOCOL, "64 bytes where 32 were asked for");
	tpmpsk_async_close(a);
}

Test(async, sends_nothing_for_arguments_out_of_range)
{
	struct tpmpsk_async *a = connect_pair();
	struct tpmpsk_async_result result;
	const uint8_t random[32] = { 0 };
	char identity[129] = { 0 };

	cr_assert_eq(poller_submit(NULL, 1), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_tls12_session(a, NULL, "x", 0, random, random, 32),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_tls12_session(a, NULL, "x", 1, random, random, 31),
		TPMPSK_ERR_INVALID);
	cr_assert_eq(
		tpmpsk_async_session_identity_client(a, NULL, identity, 78), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_session_identity_server(a, NULL, identity, 129, NULL, 0),
		TPMPSK_ERR_MALFORMED);
	cr_assert_eq(
		tpmpsk_async_exporter_kdf(a, NULL, "x", 1, random, 32, 65), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_exporter_mac(a, NULL, "x", 1, random, 15), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_set_deadline(a, 0), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_set_deadline(a, 3600001), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_collect(a, NULL), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_collect(NULL, &result), TPMPSK_ERR_INVALID);
	cr_assert_eq(tpmpsk_async_cancel(NULL, NULL), TPMPSK_ERR_INVALID);
	cr_assert_lt(tpmpsk_async_fd(NULL), 0);
	cr_assert(nothing_sent());
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
	tpmpsk_async_close(NULL);
}

static bool holds(const struct tpmpsk_async *a, const void *bytes, size_t size)
{
	return memmem(a, sizeof(*a), bytes, size) != NULL;
}

Test(async, keeps_nothing_of_a_request_that_was_collected_or_cancelled)
{
	static const uint8_t ekm[] = "what the TLS exporter gave",
			     secret[32] = { [0 ... 31] = 0x5a };
	struct tpmpsk_async *a = connect_pair();
	struct tpmpsk_async_result result;

	cr_assert_eq(tpmpsk_async_exporter_mac(a, (void *)1, "x", 1, ekm, sizeof(ekm)), 0);
	cr_assert_eq(tpmpsk_async_exporter_mac(a, (void *)2, "x", 1, ekm, sizeof(ekm)), 0);
	cr_assert(holds(a, ekm, sizeof(ekm)));
	answer(32, "");
	poller_collect(a, &result);
	cr_assert_eq(result.error, 0);
	cr_assert_arr_eq(result.secret, secret, sizeof(secret));
	cr_assert(!holds(a, secret, sizeof(secret)));
	cr_assert(holds(a, ekm, sizeof(ekm)), "the other one's");
	cr_assert_eq(tpmpsk_async_cancel(a, (void *)2), 0);
	cr_assert(!holds(a, ekm, sizeof(ekm)));
	tpmpsk_async_close(a);
}

Test(async, waits_for_room_to_send_without_keeping_its_poller_awake)
{
	struct tpmpsk_async *a = connect_pair();
	char junk[512] = { 0 };
	struct script_request q;

	while (send(near_fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	cr_assert_eq(poller_submit(a, 1), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	poller_expect_quiet(a);
	while (recv(far, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS));
	poller_expect_quiet(a);
	for (unsigned int i = 1; i <= 2; i++) {
		q = receive(i);
		script_answer(far, &q);
		poller_expect_answer(a, i);
	}
	tpmpsk_async_close(a);
}

/* A right answer that each of the following tests spoils in its own way; what comes of it. */
static int ask_and_get(size_t (*spoil)(uint8_t *packet, size_t len, size_t n), size_t n)
{
	struct tpmpsk_derived d = { .secret_len = 32, .secret = { 1 } };
	struct tpmpsk_async *a = connect_pair();
	uint8_t packet[TPMPSK_MESSAGE_MAX + 1] = { 0 };
	struct tpmpsk_async_result result;
	struct script_request q;
	size_t len;

	cr_assert_eq(poller_submit(a, 1), 0);
	q = receive(1);
	cr_assert_eq(tpmpsk_derived_encode(q.header.id, &d, packet, TPMPSK_MESSAGE_MAX, &len), 0);
	script_send(far, packet, spoil(packet, len, n));
	poller_collect(a, &result);
	poller_expect_quiet(a);
	tpmpsk_async_close(a);
	close(far);
	cr_assert_eq(result.secret[0], result.error == 0 ? 1 : 0);
	return result.error;
}

static size_t cut(uint8_t *packet, size_t len, size_t n)
{
	(void)packet;
	(void)len;
	return n;
}

Test(async, a_reply_cut_anywhere_is_a_protocol_error)
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

Test(async, a_reply_of_another_version_or_kind_is_a_protocol_error)
{
	cr_assert_eq(ask_and_get(change, 0), TPMPSK_ERR_PROTOCOL, "version");
	cr_assert_eq(ask_and_get(change, 1), TPMPSK_ERR_PROTOCOL, "opcode");
	cr_assert_eq(ask_and_get(change, 3), TPMPSK_ERR_PROTOCOL, "a refusal without its body");
	cr_assert_eq(ask_and_get(change, 8), TPMPSK_ERR_PROTOCOL, "a secret of 33 bytes");
}

Test(async, an_answer_to_nothing_ends_the_connection)
{
	const struct script_request none = { .header = { .opcode = TPMPSK_OP_DERIVE, .id = 1024 } };
	struct tpmpsk_async *a = connect_pair();
	char byte;

	script_answer(far, &none);
	cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS));
	poller_expect_quiet(a);
	cr_assert_eq(recv(far, &byte, 1, MSG_DONTWAIT), 0);
	tpmpsk_async_close(a);
}

Test(async, an_answer_to_what_was_not_sent_yet_is_none)
{
	struct tpmpsk_async *a = connect_pair();
	struct script_request q, forged;

	for (unsigned int i = 0; i <= WIRE; i++)
		cr_assert_eq(poller_submit(a, i), 0);
	for (unsigned int i = 0; i < WIRE; i++)
		q = receive(i);
	cr_assert(nothing_sent());
	forged = q;
	forged.header.id += 1024 + 1; /* the next slot and the next generation */
	script_answer(far, &forged);
	poller_expect_quiet(a);
	q = receive(WIRE);
	cr_assert_eq(q.header.id, forged.header.id);
	script_answer(far, &q);
	poller_expect_answer(a, WIRE);
	tpmpsk_async_close(a);
}

Test(async, an_answer_counts_once)
{
	struct tpmpsk_async *a = connect_pair();
	struct script_request first, second;

	cr_assert_eq(poller_submit(a, 1), 0);
	cr_assert_eq(poller_submit(a, 2), 0);
	first = receive(1);
	second = receive(2);
	script_answer(far, &first);
	script_answer(far, &first);
	script_answer(far, &second);
	poller_expect_answer(a, 1);
	poller_expect_error(a, 2, TPMPSK_ERR_PROTOCOL);
	tpmpsk_async_close(a);
}
