/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/async_io.h"

#include "client-lib/connect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define ON_WIRE_MAX 64 /* the daemon reads no more of one connection before it has answered some */
#define BATCH_MAX 16   /* packets in one system call */
#define LOSSES_MAX 2   /* of the connection there was, and of a new one */
#define RECONNECT_NS 10000000 /* after the daemon's backlog was full */

static void finish_all(struct tpmpsk_async *a, int error, unsigned int retry_after_ms)
{
	struct tpmpsk_slot *s;

	while ((s = TAILQ_FIRST(&a->table.by_deadline)))
		tpmpsk_table_finish(&a->table, s, error, retry_after_ms);
}

/*
 * A forked child may have the socket open still, and then closing it here does not take it out of
 * the epoll set.
 */
static void disconnect(struct tpmpsk_async *a)
{
	epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, a->fd, NULL);
	close(a->fd);
	a->fd = -1;
	a->ended = false;
	a->awaits_room = false;
	a->wire = 0;
}

/* A request survives one lost connection, unless it is worth asking only once. */
static void lose(struct tpmpsk_async *a)
{
	struct tpmpsk_slot *s, *next;

	disconnect(a);
	for (s = TAILQ_FIRST(&a->table.by_deadline); s; s = next) {
		next = TAILQ_NEXT(s, by_deadline);
		if (++s->losses == LOSSES_MAX || (s->request.once && s->state == TPMPSK_SLOT_SENT))
			tpmpsk_table_finish(&a->table, s, TPMPSK_ERR_NO_DAEMON, 0);
	}
	tpmpsk_table_unsend(&a->table);
}

/* The other end is there, but not for us. */
static void give_up(struct tpmpsk_async *a, int error, unsigned int retry_after_ms)
{
	disconnect(a);
	finish_all(a, error, retry_after_ms);
}

int tpmpsk_async_use_socket(struct tpmpsk_async *a, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return TPMPSK_ERR_SYSTEM;
	a->fd = fd;
	return 0;
}

static int reconnect(struct tpmpsk_async *a)
{
	int fd, r;

	if (!a->path)
		return TPMPSK_ERR_NO_DAEMON;
	r = tpmpsk_connect(a->path, NULL, &fd);
	if (r < 0)
		return r;
	r = tpmpsk_async_use_socket(a, fd);
	if (r < 0)
		close(fd);
	return r;
}

static bool connected(struct tpmpsk_async *a, int64_t now)
{
	int r;

	if (a->fd >= 0)
		return true;
	if (now < a->reconnect_ns)
		return false;
	a->reconnect_ns = 0;
	r = reconnect(a);
	if (r == TPMPSK_ERR_DEADLINE) /* the backlog is full, and nothing tells when it is not */
		a->reconnect_ns = now + RECONNECT_NS;
	else if (r < 0)
		finish_all(a, r, 0);
	return r == 0;
}

static void await_room(struct tpmpsk_async *a, bool wanted)
{
	struct epoll_event event = { .events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN };

	if (a->fd < 0 || a->awaits_room == wanted)
		return;
	epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, a->fd, &event);
	a->awaits_room = wanted;
}

/*
 * The first requests of the queue in one system call, so that the daemon is woken once for all of
 * them. How many were sent, or -errno of the first one.
 */
static int send_some(struct tpmpsk_async *a)
{
	struct mmsghdr messages[BATCH_MAX] = { 0 };
	struct iovec iovs[BATCH_MAX];
	struct tpmpsk_slot *s;
	unsigned int n = 0;
	int sent;

	TAILQ_FOREACH (s, &a->table.queued, link) {
		if (n == BATCH_MAX || a->wire + n == ON_WIRE_MAX)
			break;
		tpmpsk_request_set_id(s->request.packet, s->id);
		iovs[n] = (struct iovec){ s->request.packet, s->request.len };
		messages[n].msg_hdr = (struct msghdr){ .msg_iov = &iovs[n], .msg_iovlen = 1 };
		n++;
	}
	do
		sent = sendmmsg(a->fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && (errno == EINTR || errno == ECONNRESET));
	if (sent < 0)
		return -errno;
	for (int i = 0; i < sent; i++)
		tpmpsk_table_sent(&a->table, TAILQ_FIRST(&a->table.queued));
	a->wire += (unsigned int)sent;
	return sent;
}

void tpmpsk_async_flush(struct tpmpsk_async *a, int64_t now)
{
	struct tpmpsk_slot *s;
	int r = 0;

	if (a->held)
		return;
	while (r == 0 && (s = TAILQ_FIRST(&a->table.queued)) && a->wire < ON_WIRE_MAX &&
		!a->ended && connected(a, now)) {
		r = send_some(a);
		if (r > 0) {
			r = 0;
		} else if (r == -EPIPE) {
			a->ended = true;
		} else if (r == -ENOMEM || r == -ENOBUFS) {
			tpmpsk_table_finish(&a->table, s, TPMPSK_ERR_SYSTEM, 0);
			r = 0;
		} else if (r < 0 && r != -EAGAIN) {
			lose(a);
			r = 0;
		}
	}
	await_room(a, r == -EAGAIN);
}

static void take_answer(
	struct tpmpsk_async *a, const struct tpmpsk_header *header, struct tpmpsk_reader *body)
{
	struct tpmpsk_slot *s = tpmpsk_table_by_id(&a->table, header->id);
	struct tpmpsk_error_reply error;
	int r;

	if (!s)
		return; /* it gave up or was cancelled */
	r = tpmpsk_reply_status(header, body, &error);
	if (r == 0)
		r = tpmpsk_request_take(&s->request, body, &s->derived);
	tpmpsk_table_finish(&a->table, s, r, r == TPMPSK_ERR_BUSY ? error.retry_after_ms : 0);
}

static void take_packet(struct tpmpsk_async *a, const uint8_t *data, size_t len)
{
	struct tpmpsk_error_reply refusal = { 0 };
	struct tpmpsk_header header;
	struct tpmpsk_reader body;
	int r = tpmpsk_reply_open(data, len, &body, &header);

	if (r == 0 && tpmpsk_reply_is_refusal(&header))
		r = tpmpsk_reply_status(&header, &body, &refusal);
	else if (r == 0 && (header.opcode != (TPMPSK_OP_DERIVE | TPMPSK_OP_REPLY) || a->wire == 0))
		r = TPMPSK_ERR_PROTOCOL;
	if (r < 0) {
		give_up(a, r, r == TPMPSK_ERR_BUSY ? refusal.retry_after_ms : 0);
		return;
	}
	a->wire--;
	take_answer(a, &header, &body);
}

/*
 * One packet, or the connection's end; false when there is neither. A peer that closed without
 * reading all shows as ECONNRESET once, ahead of what it had sent. One that does not take what we
 * send has no more to say, whether or not it says so.
 */
static bool receive(struct tpmpsk_async *a)
{
	uint8_t data[TPMPSK_MESSAGE_MAX];
	ssize_t n;

	if (a->fd < 0)
		return false;
	do
		n = recv(a->fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0 && errno == EAGAIN && !a->ended)
		return false;
	if (n > 0) {
		take_packet(a, data, (size_t)n);
		explicit_bzero(data, (size_t)n < sizeof(data) ? (size_t)n : sizeof(data));
	} else {
		lose(a);
	}
	return true;
}

static void expire(struct tpmpsk_async *a, int64_t now)
{
	struct tpmpsk_slot *s;

	while ((s = TAILQ_FIRST(&a->table.by_deadline)) && s->deadline_ns <= now)
		tpmpsk_table_finish(&a->table, s, TPMPSK_ERR_DEADLINE, 0);
}

/* What came before anybody looked came in time: nothing expires while there is more to read. */
void tpmpsk_async_receive(struct tpmpsk_async *a, int64_t now)
{
	bool more = true;

	while (more && TAILQ_EMPTY(&a->table.done))
		more = receive(a);
	if (!more)
		expire(a, now);
}

/* When the descriptor has to become readable without the socket; 0: never. */
static int64_t next_event_ns(const struct tpmpsk_async *a)
{
	const struct tpmpsk_slot *first = TAILQ_FIRST(&a->table.by_deadline);

	if (!TAILQ_EMPTY(&a->table.done) || a->ended)
		return 1; /* long ago */
	if (first && a->reconnect_ns > 0 && a->reconnect_ns < first->deadline_ns)
		return a->reconnect_ns;
	return first ? first->deadline_ns : 0;
}

/*
 * The timer is never read: setting it anew makes it unreadable. While it would only run out too
 * early it is left alone, so that a request that is answered in time costs no call for it.
 */
void tpmpsk_async_arm(struct tpmpsk_async *a, int64_t now)
{
	int64_t next = next_event_ns(a);
	struct itimerspec when = { .it_value = { next / 1000000000, next % 1000000000 } };
	bool has_run_out = a->armed_ns > 0 && a->armed_ns <= now;
	bool is_due = next > 0 && next <= now;
	bool too_late = next > 0 && (a->armed_ns == 0 || next < a->armed_ns);

	if (has_run_out ? is_due : !too_late)
		return;
	timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
	a->armed_ns = next;
}
