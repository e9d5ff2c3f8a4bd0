/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/client-lib/shake_loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 64

/* What is left to be done. */
struct run {
	size_t started, finished, n; /* handshakes; of a server, n is 0 */
	uint64_t *ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int shake_loop_init(struct shake_loop *l)
{
	struct epoll_event event = { .events = EPOLLIN };

	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return -errno;
	/* Its own data is NULL. */
	if (l->async &&
		epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, tpmpsk_async_fd(l->async), &event) < 0)
		return -errno;
	for (unsigned i = 0; i < l->n_connections; i++) {
		event.events = EPOLLIN | EPOLLET;
		event.data.ptr = &l->connections[i];
		if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->connections[i].fd, &event) < 0)
			return -errno;
	}
	return 0;
}

static void note_waiting(struct shake_loop *l, struct shake_loop_connection *c)
{
	bool waits = tpmpsk_gnutls_handshake_waits(c->handshake);

	if (waits != c->waits)
		l->waiting += waits ? 1 : -1u;
	c->waits = waits;
	if (l->waiting > l->most_waiting)
		l->most_waiting = l->waiting;
}

static void end_session(struct shake_loop_connection *c)
{
	tpmpsk_gnutls_handshake_end(c->handshake);
	c->handshake = NULL;
	if (c->session)
		gnutls_deinit(c->session);
	c->session = NULL;
}

static void hang_up(struct shake_loop_connection *c)
{
	end_session(c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void shake_loop_done(struct shake_loop *l)
{
	for (unsigned i = 0; i < l->n_connections; i++)
		hang_up(&l->connections[i]);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
}

static int start_session(struct shake_loop *l, struct shake_loop_connection *c)
{
	int r = gnutls_init(
		&c->session, (l->server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK);

	if (r < 0)
		return r;
	c->start_ns = now_ns();
	gnutls_session_set_ptr(c->session, l->ptr);
	gnutls_transport_set_int(c->session, c->fd);
	r = gnutls_priority_set(c->session, l->priority);
	if (r == 0)
		r = gnutls_credentials_set(c->session, GNUTLS_CRD_PSK, l->credentials);
	if (r < 0 || !l->async)
		return r;
	if (l->server)
		return tpmpsk_gnutls_handshake_server(&c->handshake, l->async, c->session, c, 0);
	return tpmpsk_gnutls_handshake_client(
		&c->handshake, l->async, c->session, c, l->identity, 0);
}

static int step(struct shake_loop_connection *c)
{
	int r;

	do
		r = c->handshake ? tpmpsk_gnutls_handshake_step(c->handshake)
				 : gnutls_handshake(c->session);
	while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r));
	return r;
}

/* As far as the connection gets, handshake after handshake. */
static int go_on(struct shake_loop *l, struct shake_loop_connection *c, struct run *run)
{
	int r = 0;

	while (r == 0) {
		if (!c->session) {
			if (!l->server && run->started == run->n)
				return 0;
			run->started++;
			r = start_session(l, c);
		}
		if (r == 0)
			r = step(c);
		if (r == 0) {
			if (gnutls_protocol_get_version(c->session) != GNUTLS_TLS1_3)
				return GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
			if (run->ns)
				run->ns[run->finished] = now_ns() - c->start_ns;
			run->finished++;
			end_session(c);
		}
	}
	note_waiting(l, c);
	if (r == GNUTLS_E_PREMATURE_TERMINATION && l->server) {
		hang_up(c);
		return 0;
	}
	return r == GNUTLS_E_AGAIN ? 0 : r;
}

static int collect(struct shake_loop *l, struct run *run)
{
	struct tpmpsk_async_result result;
	int r = 0;

	while (r == 0 && tpmpsk_async_collect(l->async, &result) == 0) {
		struct shake_loop_connection *c = result.tag;

		r = tpmpsk_gnutls_handshake_deliver(c->handshake, &result);
		explicit_bzero(&result, sizeof(result));
		if (r == 0)
			r = go_on(l, c, run);
	}
	return r;
}

static bool is_over(const struct shake_loop *l, const struct run *run)
{
	if (!l->server)
		return run->finished == run->n;
	for (unsigned i = 0; i < l->n_connections; i++)
		if (l->connections[i].fd >= 0)
			return false;
	return true;
}

int shake_loop_run(struct shake_loop *l, size_t n, uint64_t *ns)
{
	struct run run = { .n = n, .ns = ns };
	struct epoll_event events[EVENTS_MAX];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < l->n_connections; i++)
		r = go_on(l, &l->connections[i], &run);
	while (r == 0 && !is_over(l, &run)) {
		int ready;

		if (l->async)
			tpmpsk_async_hold(l->async, 0);
		ready = epoll_wait(l->epoll_fd, events, EVENTS_MAX, -1);
		if (l->async)
			tpmpsk_async_hold(l->async, 1);

		for (int i = 0; r == 0 && i < ready; i++) {
			struct shake_loop_connection *c = events[i].data.ptr;

			if (!c)
				r = collect(l, &run);
			else if (c->fd >= 0)
				r = go_on(l, c, &run);
		}
	}
	if (r < 0)
		fprintf(stderr, "%s: %s (%s)\n", l->server ? "server" : "client",
			gnutls_strerror(r), tpmpsk_strerror(tpmpsk_gnutls_last_error()));
	return r;
}
