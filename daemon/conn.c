/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/conn.h"

#include "daemon/job.h"
#include "daemon/request.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Refusing costs little, but somebody who asks for nothing else would get a whole processor of it, and take another one to ask. A user is
 * refused so often in so long a time at most; then its connections are not read from until that time is over.
 */
#define REFUSALS_MAX 200
#define REFUSALS_NS UINT64_C(10000000)

struct unsent {
	struct list link;
	size_t len;
	uint8_t packet[];
};

struct outlet *outlet_ref(struct outlet *o)
{
	atomic_fetch_add(&o->refs, 1);
	return o;
}

void outlet_unref(struct outlet *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) > 1)
		return;
	close(o->fd);
	free(o);
}

/* Takes over fd on success. */
static struct outlet *outlet_new(int fd)
{
	struct outlet *o = malloc(sizeof(*o));

	if (o)
		*o = (struct outlet){ .refs = 1, .fd = fd };
	return o;
}

static void unsent_free(struct conn *c, struct unsent *u)
{
	list_remove(&u->link);
	c->n_unsent--;
	sodium_memzero(u->packet, u->len);
	free(u);
}

static void keep_unsent(struct server *s, struct conn *c, const uint8_t *packet, size_t len)
{
	struct unsent *u = malloc(sizeof(*u) + len);

	if (!u) {
		conn_close(s, c); /* an answer cannot be lost silently */
		return;
	}
	u->len = len;
	memcpy(u->packet, packet, len);
	list_append(&c->unsent, &u->link);
	c->n_unsent++;
}

/* What the kernel said to a packet that did not go: whether there will be room for it later. */
static bool is_for_later(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS;
}

/* In one system call, which wakes the client once. */
static void send_replies(struct server *s, struct conn *c)
{
	struct mmsghdr messages[SERVER_REPLIES] = { 0 };
	struct iovec iovs[SERVER_REPLIES];
	struct replies *r = &s->replies;
	int sent = 0;

	for (unsigned i = 0; i < r->n; i++) {
		iovs[i] = (struct iovec){ r->of[i].packet, r->of[i].len };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iovs[i], .msg_iovlen = 1 };
	}
	if (r->n > 0 && !c->closed && list_empty(&c->unsent)) {
		sent = sendmmsg(c->outlet->fd, messages, r->n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && !is_for_later(errno))
			conn_close(s, c);
	}
	for (unsigned i = 0; i < r->n; i++) {
		if ((int)i >= sent && !c->closed)
			keep_unsent(s, c, r->of[i].packet, r->of[i].len);
		sodium_memzero(r->of[i].packet, r->of[i].len);
	}
	r->n = 0;
}

/* True: taken, and to leave with others. False: it has to leave by itself; what was taken before has left. */
static bool put_off(struct server *s, struct conn *c, const uint8_t *packet, size_t len)
{
	struct replies *r = &s->replies;

	if (r->to != c)
		return false;
	if (len <= sizeof(r->of[0].packet)) {
		memcpy(r->of[r->n].packet, packet, len);
		r->of[r->n++].len = len;
		if (r->n < SERVER_REPLIES)
			return true;
	}
	send_replies(s, c);
	return len <= sizeof(r->of[0].packet);
}

void conn_send(struct server *s, struct conn *c, const uint8_t *packet, size_t len)
{
	if (c->closed || put_off(s, c, packet, len) || c->closed)
		return;
	if (list_empty(&c->unsent)) {
		if (send(c->outlet->fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return;
		if (!is_for_later(errno)) {
			conn_close(s, c);
			return;
		}
	}
	keep_unsent(s, c, packet, len);
	if (!c->closed)
		conn_update_events(s, c);
}

void conn_send_error(struct server *s, struct conn *c, uint32_t id, uint8_t opcode,
	enum tpmpsk_status status, uint32_t retry_after_ms, const char *detail)
{
	uint8_t packet[TPMPSK_HEADER_SIZE + 5 + TPMPSK_DETAIL_MAX];
	size_t len;

	c->user->refused++;
	if (tpmpsk_error_encode(
		    id, opcode, status, retry_after_ms, detail, packet, sizeof(packet), &len) == 0)
		conn_send(s, c, packet, len);
}

static void flush_unsent(struct server *s, struct conn *c)
{
	while (!list_empty(&c->unsent)) {
		struct unsent *u = list_entry(c->unsent.next, struct unsent, link);

		if (send(c->outlet->fd, u->packet, u->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (!is_for_later(errno))
				conn_close(s, c);
			return;
		}
		unsent_free(c, u);
	}
}

static bool is_paused(const struct conn *c)
{
	return !list_empty(&c->pause_link);
}

static size_t room(const struct conn *c)
{
	return c->n_unsent > 0 || c->n_jobs >= CONN_REQUESTS_MAX ? 0
								 : CONN_REQUESTS_MAX - c->n_jobs;
}

void conn_update_events(struct server *s, struct conn *c)
{
	uint32_t events = (room(c) > 0 && !is_paused(c) ? (uint32_t)EPOLLIN : 0) |
			  (c->n_unsent > 0 ? (uint32_t)EPOLLOUT : 0);
	struct epoll_event ev = { .events = events, .data.ptr = &c->source };

	if (c->closed || events == c->events)
		return;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->outlet->fd, &ev) < 0)
		conn_close(s, c);
	else
		c->events = events;
}

/* How many packets may be read now: as there is room, and no more per user and round, over however many connections. */
static size_t share(const struct server *s, const struct conn *c)
{
	size_t left = SERVER_PACKETS;

	if (c->user->round != s->round) {
		c->user->round = s->round;
		c->user->packets = 0;
	}
	left = c->user->packets < left ? left - c->user->packets : 0;
	return room(c) < left ? room(c) : left;
}

/* Handles what has arrived, in one system call however many packets those are. */
static void read_packets(struct server *s, struct conn *c)
{
	struct mmsghdr messages[SERVER_PACKETS] = { 0 };
	struct iovec iovs[SERVER_PACKETS];
	size_t want = share(s, c);
	int n;

	if (want == 0)
		return; /* others' turn; epoll will say again that there is something */
	for (size_t i = 0; i < want; i++) {
		iovs[i] = (struct iovec){ s->packets[i], sizeof(s->packets[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iovs[i], .msg_iovlen = 1 };
	}
	/* Without room for ancillary data the kernel drops descriptors that are sent along. MSG_TRUNC: a packet's real size. */
	n = recvmmsg(c->outlet->fd, messages, (unsigned)want, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		conn_close(s, c);
	c->user->packets += n > 0 ? (unsigned)n : 0;
	s->replies.to = c;
	for (int i = 0; i < n; i++) {
		size_t len = messages[i].msg_len;

		if (len == 0) {
			send_replies(s, c); /* to what it asked before */
			conn_close(s, c);
		}
		if (!c->closed)
			request_handle(s, c, s->packets[i], len);
		sodium_memzero(
			s->packets[i], len < sizeof(s->packets[i]) ? len : sizeof(s->packets[i]));
	}
	send_replies(s, c);
	s->replies.to = NULL;
}

/* Whether the user has been refused too often just now: then the connection rests for a while. */
static bool pause_if_refused(struct server *s, struct conn *c)
{
	struct user *u = c->user;
	uint64_t now;

	if (u->refused <= REFUSALS_MAX)
		return false;
	now = clock_ns();
	if (now - u->refused_ns >= REFUSALS_NS) {
		u->refused_ns = now;
		u->refused = 0;
		return false;
	}
	list_append(&s->paused, &c->pause_link);
	if (s->resume_ns == 0)
		s->resume_ns = u->refused_ns + REFUSALS_NS;
	return true;
}

uint64_t conn_resume_paused(struct server *s, uint64_t now_ns)
{
	struct list *it;

	if (s->resume_ns == 0 || now_ns < s->resume_ns)
		return s->resume_ns;
	s->resume_ns = 0;
	while ((it = list_pop(&s->paused)))
		conn_update_events(s, list_entry(it, struct conn, pause_link));
	return 0;
}

static void on_event(struct server *s, struct source *source, uint32_t events)
{
	struct conn *c = list_entry(source, struct conn, source);

	if (c->closed)
		return;
	if (events & EPOLLOUT)
		flush_unsent(s, c);
	if (!c->closed && room(c) > 0 && !is_paused(c) && !pause_if_refused(s, c))
		read_packets(s, c);
	else if (!c->closed && (events & (EPOLLHUP | EPOLLERR)))
		conn_close(s, c); /* hung up while we do not read: nobody is left to answer */
	if (!c->closed)
		conn_update_events(s, c);
}

static int refuse(int fd, const char *detail)
{
	uint8_t packet[TPMPSK_HEADER_SIZE + 5 + TPMPSK_DETAIL_MAX];
	size_t len;

	/* An answer to no request in particular: id 0, opcode 0. */
	if (tpmpsk_error_encode(
		    0, 0, TPMPSK_STATUS_BUSY, 1000, detail, packet, sizeof(packet), &len) == 0)
		(void)send(fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return -EUSERS;
}

static int conn_init(struct server *s, struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &c->source };
	int r;

	r = peer_read(c->outlet->fd, &c->peer);
	if (r < 0)
		return r;
	c->user = users_get(&s->users, c->peer.uid);
	if (!c->user)
		return -ENOMEM;
	if (s->n_conns >= s->config.limits.connections)
		return refuse(c->outlet->fd, "too many connections");
	if (c->user->connections >= s->config.limits.connections_per_user)
		return refuse(c->outlet->fd, "too many connections of this user");
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->outlet->fd, &ev) < 0)
		return -errno;
	return 0;
}

int conn_new(struct server *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct outlet *outlet = outlet_new(fd);
	int r;

	if (!c || !outlet) {
		close(fd);
		free(c);
		free(outlet);
		return -ENOMEM;
	}
	c->outlet = outlet;
	r = conn_init(s, c);
	if (r < 0) {
		if (c->user)
			users_put(&s->users, c->user);
		peer_done(&c->peer);
		outlet_unref(c->outlet);
		free(c);
		return r;
	}
	unit_read(c->peer.pid, outlet->unit);
	c->source.on_event = on_event;
	c->events = EPOLLIN;
	list_init(&c->jobs);
	list_init(&c->unsent);
	list_init(&c->pause_link);
	queue_flow_init(&c->flow, &c->user->account);
	list_append(&s->conns, &c->link);
	c->user->connections++;
	s->n_conns++;
	return 0;
}

void conn_close(struct server *s, struct conn *c)
{
	struct list *it, *next;

	if (c->closed)
		return;
	c->closed = true;
	/* A job at the TPM may keep the descriptor open for a while; nobody else is to notice. */
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->outlet->fd, NULL);
	shutdown(c->outlet->fd, SHUT_RDWR);
	list_for_each_safe (it, next, &c->jobs)
		job_abandon(s, list_entry(it, struct job, conn_link));
	list_for_each_safe (it, next, &c->unsent)
		unsent_free(c, list_entry(it, struct unsent, link));
	c->user->connections--;
	s->n_conns--;
	list_remove(&c->pause_link);
	list_remove(&c->link);
	list_append(&s->dying, &c->link);
}

void conn_free_dying(struct server *s)
{
	struct list *it;

	while ((it = list_pop(&s->dying))) {
		struct conn *c = list_entry(it, struct conn, link);

		users_put(&s->users, c->user);
		peer_done(&c->peer);
		outlet_unref(c->outlet);
		free(c);
	}
}
