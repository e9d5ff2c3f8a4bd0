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

#define READS_PER_EVENT 16 /* then it is others' turn */

struct unsent {
	struct list link;
	size_t len;
	uint8_t packet[];
};

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

void conn_send(struct server *s, struct conn *c, const uint8_t *packet, size_t len)
{
	if (c->closed)
		return;
	if (list_empty(&c->unsent)) {
		if (send(c->fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return;
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
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

	if (tpmpsk_error_encode(
		    id, opcode, status, retry_after_ms, detail, packet, sizeof(packet), &len) == 0)
		conn_send(s, c, packet, len);
}

static void flush_unsent(struct server *s, struct conn *c)
{
	while (!list_empty(&c->unsent)) {
		struct unsent *u = list_entry(c->unsent.next, struct unsent, link);

		if (send(c->fd, u->packet, u->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
				conn_close(s, c);
			return;
		}
		unsent_free(c, u);
	}
}

static bool has_room(const struct conn *c)
{
	return c->n_unsent == 0 && c->n_jobs < CONN_REQUESTS_MAX;
}

void conn_update_events(struct server *s, struct conn *c)
{
	uint32_t events =
		(has_room(c) ? (uint32_t)EPOLLIN : 0) | (c->n_unsent > 0 ? (uint32_t)EPOLLOUT : 0);
	struct epoll_event ev = { .events = events, .data.ptr = &c->source };

	if (c->closed || events == c->events)
		return;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		conn_close(s, c);
	else
		c->events = events;
}

/* One packet. False: nothing more to read now. */
static bool read_packet(struct server *s, struct conn *c)
{
	/* Without room for ancillary data the kernel drops descriptors that are sent along. MSG_TRUNC: the packet's real size. */
	ssize_t n = recv(c->fd, s->packet, sizeof(s->packet), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		conn_close(s, c);
		return false;
	}
	request_handle(s, c, s->packet, (size_t)n);
	sodium_memzero(s->packet, (size_t)n < sizeof(s->packet) ? (size_t)n : sizeof(s->packet));
	return true;
}

static void on_event(struct server *s, struct source *source, uint32_t events)
{
	struct conn *c = list_entry(source, struct conn, source);

	if (c->closed)
		return;
	if (events & EPOLLOUT)
		flush_unsent(s, c);
	for (int i = 0; i < READS_PER_EVENT && !c->closed && has_room(c); i++)
		if (!read_packet(s, c))
			break;
	/* A peer that hung up while we do not read: nobody is left to answer. */
	if (!c->closed && (events & (EPOLLHUP | EPOLLERR)) && !has_room(c))
		conn_close(s, c);
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

	r = peer_read(c->fd, &c->peer);
	if (r < 0)
		return r;
	c->user = users_get(&s->users, c->peer.uid);
	if (!c->user)
		return -ENOMEM;
	if (s->n_conns >= s->config.limits.connections)
		return refuse(c->fd, "too many connections");
	if (c->user->connections >= s->config.limits.connections_per_user)
		return refuse(c->fd, "too many connections of this user");
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		return -errno;
	return 0;
}

int conn_new(struct server *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->fd = fd;
	r = conn_init(s, c);
	if (r < 0) {
		if (c->user)
			users_put(&s->users, c->user);
		peer_done(&c->peer);
		close(fd);
		free(c);
		return r;
	}
	c->source.on_event = on_event;
	c->events = EPOLLIN;
	list_init(&c->jobs);
	list_init(&c->unsent);
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
	close(c->fd);
	list_for_each_safe (it, next, &c->jobs)
		job_abandon(s, list_entry(it, struct job, conn_link));
	list_for_each_safe (it, next, &c->unsent)
		unsent_free(c, list_entry(it, struct unsent, link));
	c->user->connections--;
	s->n_conns--;
	list_remove(&c->link);
	list_append(&s->dying, &c->link);
	server_resume_accept(s);
}

void conn_free_dying(struct server *s)
{
	struct list *it;

	while ((it = list_pop(&s->dying))) {
		struct conn *c = list_entry(it, struct conn, link);

		users_put(&s->users, c->user);
		peer_done(&c->peer);
		free(c);
	}
}

bool conn_has_rights(struct server *s, struct conn *c, uint8_t purpose)
{
	uint32_t bit = UINT32_C(1) << purpose;

	if (c->rights_generation != keystore_generation(s->keys)) {
		c->rights_generation = keystore_generation(s->keys);
		c->rights_known = c->rights = 0;
	}
	if (!(c->rights_known & bit)) {
		c->rights_known |= bit;
		if (keystore_any_allowed(s->keys, &c->peer, purpose))
			c->rights |= bit;
	}
	return c->rights & bit;
}
