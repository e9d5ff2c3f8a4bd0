/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads, one connection. Every call hangs in its connection's list from before its
 * request is sent until it has its answer or gives up. Whoever waits while nobody reads becomes the
 * reader: it receives, without the lock, into its own reply's buffer, and hands a packet that is
 * not its own to the call with that id. When the reader leaves, it wakes one of the others, which
 * takes over. A packet that no call waits for is the late answer to one that gave up: wiped and
 * forgotten.
 */
#include "client-lib/transact.h"

#include "client-lib/connect.h"
#include "client-lib/handle.h"
#include "client-lib/requests.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ATTEMPTS 2           /* the connection there is, and a new one */
#define RECV_LIMIT_MIN_MS 50 /* shorter ones the kernel keeps too badly */
#define SEND_RECHECK_MS 50   /* how long a blocked sender goes without looking for a reader */

struct tpmpsk_call {
	struct tpmpsk_call *next;
	struct tpmpsk_connection *connection;
	struct tpmpsk_reply *reply;
	pthread_cond_t wake;
	uint32_t id;
	uint8_t opcode;
	bool sent;
	bool waiting;
	bool answered;
};

static _Thread_local unsigned int retry_after_ms;

unsigned int tpmpsk_retry_after_ms(void)
{
	return retry_after_ms;
}

static void call_link(struct tpmpsk_call *call)
{
	call->next = call->connection->calls;
	call->connection->calls = call;
}

static void call_unlink(struct tpmpsk_call *call)
{
	struct tpmpsk_call **p = &call->connection->calls;

	while (*p != call)
		p = &(*p)->next;
	*p = call->next;
}

static struct tpmpsk_call *call_by_id(struct tpmpsk_connection *c, uint32_t id)
{
	struct tpmpsk_call *call = c->calls;

	while (call && (call->id != id || !call->sent || call->answered))
		call = call->next;
	return call;
}

static void lose(struct tpmpsk *h, struct tpmpsk_connection *c, int error)
{
	tpmpsk_connection_lose(h, c, error);
	for (struct tpmpsk_call *call = c->calls; call; call = call->next)
		pthread_cond_signal(&call->wake);
}

/* The reader's role is free: somebody who waits for an answer has to take it. */
static void wake_next_reader(struct tpmpsk_connection *c)
{
	for (struct tpmpsk_call *call = c->calls; call && !c->reading; call = call->next) {
		if (call->waiting && !call->answered) {
			pthread_cond_signal(&call->wake);
			return;
		}
	}
}

/* Finds the call that a packet answers, if it still waits. 0, or what ends the connection. */
static int match(
	struct tpmpsk_connection *c, const uint8_t *data, size_t len, struct tpmpsk_call **ret)
{
	struct tpmpsk_header header;
	struct tpmpsk_reader r;
	struct tpmpsk_call *call;

	if (tpmpsk_reply_open(data, len, &r, &header) < 0)
		return TPMPSK_ERR_PROTOCOL;
	if (tpmpsk_reply_is_refusal(&header))
		return tpmpsk_reply_status(&header, &r, &c->refusal);
	call = call_by_id(c, header.id);
	if (call ? header.opcode != (call->opcode | TPMPSK_OP_REPLY)
		 : !(header.opcode & TPMPSK_OP_REPLY))
		return TPMPSK_ERR_PROTOCOL;
	*ret = call;
	return 0;
}

/* Gives the packet in the reader's buffer to whom it is for; it stays in no other place. */
static void deliver(struct tpmpsk *h, struct tpmpsk_call *reader, size_t len)
{
	uint8_t *data = reader->reply->data;
	struct tpmpsk_call *call = NULL;
	int r = match(reader->connection, data, len, &call);

	if (r < 0)
		lose(h, reader->connection, r);
	if (call) {
		call->reply->len = len;
		call->answered = true;
	}
	if (call && call != reader) {
		memcpy(call->reply->data, data, len);
		pthread_cond_signal(&call->wake);
	}
	if (call != reader)
		explicit_bzero(data, len < TPMPSK_MESSAGE_MAX ? len : TPMPSK_MESSAGE_MAX);
}

/*
 * Whether recv(2) may wait by itself, which saves the poll(2) before it. The kernel keeps to a
 * socket's limit no better than to an eighth more; so the limit is half of a deadline, and what
 * then remains is waited for with poll(2), which is exact.
 */
static bool may_wait_in_recv(struct tpmpsk *h, struct tpmpsk_connection *c, int left_ms)
{
	int limit_ms = (int)(atomic_load(&h->deadline_ms) / 2);
	struct timeval limit = { .tv_sec = limit_ms / 1000, .tv_usec = limit_ms % 1000 * 1000 };

	if (c->never_waits || limit_ms < RECV_LIMIT_MIN_MS || left_ms < limit_ms + limit_ms / 4)
		return false;
	if (c->limit_ms != limit_ms &&
		setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return false;
	c->limit_ms = limit_ms;
	return true;
}

/*
 * One packet into buf; the length it really had, 0 at the end, -EAGAIN (nothing came), -EINTR (to
 * be tried again, or there only is room to send), -errno. A peer that closed without reading all
 * shows as ECONNRESET once, ahead of what it had sent: that is read first.
 */
static ssize_t receive(int fd, short events, bool waits, int left_ms, uint8_t *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = events };
	ssize_t n;

	if (!waits && poll(&p, 1, left_ms) <= 0)
		return -EINTR;
	n = recv(fd, buf, size, (waits ? 0 : MSG_DONTWAIT) | MSG_TRUNC);
	if (n < 0)
		return errno == ECONNRESET || (errno == EAGAIN && !waits) ? -EINTR : -errno;
	return n;
}

/* Reads for everybody, once. */
static void read_one(
	struct tpmpsk *h, struct tpmpsk_call *call, short events, const struct timespec *deadline)
{
	struct tpmpsk_connection *c = call->connection;
	int left_ms = tpmpsk_deadline_left(deadline);
	bool waits = events == POLLIN && may_wait_in_recv(h, c, left_ms);
	ssize_t n;

	c->reading = true;
	pthread_mutex_unlock(&h->lock);
	n = receive(c->fd, events, waits, left_ms, call->reply->data, sizeof(call->reply->data));
	pthread_mutex_lock(&h->lock);
	c->reading = false;
	if (n == -EAGAIN) /* a socket that came as a descriptor may be one that doesn't wait */
		c->never_waits = tpmpsk_deadline_left(deadline) > left_ms - c->limit_ms / 2;
	else if (n > 0)
		deliver(h, call, (size_t)n);
	else if (n != -EINTR)
		lose(h, c, TPMPSK_ERR_NO_DAEMON);
}

/*
 * The daemon does not read for now. It may be waiting for us to take the replies of calls that gave
 * up, so somebody has to read meanwhile: the reader there is, but that one may leave.
 */
static void wait_for_room(
	struct tpmpsk *h, struct tpmpsk_call *call, const struct timespec *deadline)
{
	struct pollfd p = { .fd = call->connection->fd, .events = POLLOUT };
	int left = tpmpsk_deadline_left(deadline);

	if (!call->connection->reading) {
		read_one(h, call, POLLIN | POLLOUT, deadline);
		return;
	}
	pthread_mutex_unlock(&h->lock);
	poll(&p, 1, left < SEND_RECHECK_MS ? left : SEND_RECHECK_MS);
	pthread_mutex_lock(&h->lock);
}

/* Waits for the answer or for the connection's end. */
static int await_reply(struct tpmpsk *h, struct tpmpsk_call *call, const struct timespec *deadline)
{
	struct tpmpsk_connection *c = call->connection;

	call->waiting = true;
	while (!call->answered) {
		if (c->lost)
			return c->lost;
		if (tpmpsk_deadline_left(deadline) == 0)
			return TPMPSK_ERR_DEADLINE;
		if (!c->reading)
			read_one(h, call, POLLIN, deadline);
		else
			pthread_cond_clockwait(&call->wake, &h->lock, CLOCK_MONOTONIC, deadline);
	}
	return 0;
}

static int send_request(struct tpmpsk *h, struct tpmpsk_call *call, const uint8_t *packet,
	size_t len, const struct timespec *deadline)
{
	struct tpmpsk_connection *c = call->connection;

	while (!c->lost) {
		if (send(c->fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
			call->sent = true;
			return 0;
		}
		if (errno == ENOMEM || errno == ENOBUFS)
			return TPMPSK_ERR_SYSTEM;
		if (errno == EPIPE) /* what the daemon said before it closed is still to be read */
			return await_reply(h, call, deadline);
		if (tpmpsk_deadline_left(deadline) == 0)
			return TPMPSK_ERR_DEADLINE;
		if (errno == EAGAIN)
			wait_for_room(h, call, deadline);
		else if (errno != EINTR && errno != ECONNRESET)
			lose(h, c, TPMPSK_ERR_NO_DAEMON);
	}
	return c->lost;
}

static void set_id(struct tpmpsk *h, struct tpmpsk_call *call, uint8_t *packet)
{
	if (++h->next_id == 0)
		h->next_id = 1;
	call->id = h->next_id;
	tpmpsk_request_set_id(packet, call->id);
}

static void note_refusal(const struct tpmpsk_connection *c, struct tpmpsk_reply *reply)
{
	reply->error = c->refusal;
	retry_after_ms = c->refusal.retry_after_ms;
}

/* On one connection. *ret_again: it was lost, and the request may be sent on another one. */
static int attempt(struct tpmpsk *h, uint8_t *packet, size_t len, bool idempotent,
	const struct timespec *deadline, struct tpmpsk_reply *reply, bool *ret_again)
{
	struct tpmpsk_call call = {
		.reply = reply, .wake = PTHREAD_COND_INITIALIZER, .opcode = packet[1]
	};
	int r;

	*ret_again = false;
	r = tpmpsk_handle_connection(h, deadline, &call.connection);
	if (r < 0)
		return r;
	set_id(h, &call, packet);
	call_link(&call);
	r = send_request(h, &call, packet, len, deadline);
	if (r == 0)
		r = await_reply(h, &call, deadline);
	call_unlink(&call);
	wake_next_reader(call.connection);
	if (r < 0)
		note_refusal(call.connection, reply);
	*ret_again = r < 0 && call.connection->lost == TPMPSK_ERR_NO_DAEMON &&
		     (idempotent || !call.sent);
	tpmpsk_connection_unref(call.connection);
	pthread_cond_destroy(&call.wake);
	return r;
}

/* What the daemon said. */
static int read_reply(struct tpmpsk_reply *reply)
{
	struct tpmpsk_header header;
	int r = tpmpsk_reply_open(reply->data, reply->len, &reply->body, &header);

	if (r == 0)
		r = tpmpsk_reply_status(&header, &reply->body, &reply->error);
	if (r == TPMPSK_ERR_BUSY)
		retry_after_ms = reply->error.retry_after_ms;
	return r;
}

int tpmpsk_transact(
	struct tpmpsk *h, uint8_t *packet, size_t len, bool idempotent, struct tpmpsk_reply *ret)
{
	struct timespec deadline;
	int cancel_state, r, left = ATTEMPTS;
	bool again;

	retry_after_ms = 0;
	if (!h || len < TPMPSK_HEADER_SIZE || len > TPMPSK_MESSAGE_MAX)
		return TPMPSK_ERR_INVALID;
	memset(&ret->error, 0, sizeof(ret->error));
	ret->len = 0;
	deadline = tpmpsk_deadline_in(atomic_load(&h->deadline_ms));

	/* A thread cancelled in poll(2) would take the reader's role with it. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	tpmpsk_handle_lock(h);
	do
		r = attempt(h, packet, len, idempotent, &deadline, ret, &again);
	while (again && --left > 0);
	pthread_mutex_unlock(&h->lock);
	pthread_setcancelstate(cancel_state, NULL);

	if (r == 0)
		r = read_reply(ret);
	if (r < 0)
		explicit_bzero(ret->data, sizeof(ret->data));
	return r;
}
