/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/pipeline.h"

#include "tests/bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS 20000
#define PACKET_SIZE 512 /* holds every derive request and its answer */

struct run {
	const struct pipeline *p;
	const struct pipeline_calls *calls;
	size_t first, n, sent, answered;
	uint64_t *ns; /* first the time at which it was sent, then the latency */
};

/* Packets for one system call. */
struct batch {
	struct mmsghdr messages[PIPELINE_DEPTH_MAX];
	struct iovec iovs[PIPELINE_DEPTH_MAX];
	uint8_t packets[PIPELINE_DEPTH_MAX][PACKET_SIZE];
};

static void batch_init(struct batch *b)
{
	for (size_t i = 0; i < PIPELINE_DEPTH_MAX; i++) {
		b->iovs[i] = (struct iovec){ b->packets[i], PACKET_SIZE };
		b->messages[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iovs[i], .msg_iovlen = 1 };
	}
}

/* Sends up to `want` more requests on a connection. */
static int send_more(struct run *r, int fd, unsigned want)
{
	struct batch b;
	unsigned n = r->n - r->sent < want ? (unsigned)(r->n - r->sent) : want;
	uint64_t now;

	batch_init(&b);
	for (unsigned i = 0; i < n; i++) {
		size_t number = r->first + r->sent + i;
		struct tpmpsk_derive q = { 0 };

		r->calls->ask(r->calls->context, number, &q);
		if (tpmpsk_derive_encode((uint32_t)(r->sent + i), &q, b.packets[i], PACKET_SIZE,
			    &b.iovs[i].iov_len) < 0)
			return -EMSGSIZE;
	}
	now = bench_now_ns();
	for (unsigned i = 0; i < n; i++)
		r->ns[r->sent + i] = now;
	for (unsigned done = 0; done < n;) {
		int sent = sendmmsg(fd, b.messages + done, n - done, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return -errno;
		done += sent > 0 ? (unsigned)sent : 0;
	}
	r->sent += n;
	return 0;
}

static int take_answer(struct run *r, const uint8_t *packet, size_t len, uint64_t now)
{
	struct tpmpsk_derived answer;
	struct tpmpsk_header h;
	struct tpmpsk_reader reader;

	tpmpsk_reader_init(&reader, packet, len);
	if (tpmpsk_header_decode(&reader, &h) < 0 || h.id >= r->sent)
		return -EPROTO;
	if (h.status != TPMPSK_STATUS_OK) {
		fprintf(stderr, "request %zu: %s\n", r->first + h.id, tpmpsk_status_name(h.status));
		return -EPROTO;
	}
	if (tpmpsk_derived_decode(&reader, &answer) < 0 ||
		!r->calls->check(r->calls->context, r->first + h.id, &answer)) {
		fprintf(stderr, "request %zu: wrong answer\n", r->first + h.id);
		return -EPROTO;
	}
	r->ns[h.id] = now - r->ns[h.id];
	r->answered++;
	return 0;
}

/* Takes what has arrived on a connection and sends as many new requests. */
static int turn(struct run *r, int fd)
{
	struct batch b;
	uint64_t now;
	int n, error = 0;

	batch_init(&b);
	n = recvmmsg(fd, b.messages, r->p->depth, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	now = bench_now_ns();
	for (int i = 0; error == 0 && i < n; i++)
		error = take_answer(r, b.packets[i], b.messages[i].msg_len, now);
	return error < 0 ? error : send_more(r, fd, (unsigned)n);
}

int pipeline_run(struct pipeline *p, const struct pipeline_calls *calls, size_t first, size_t n,
	uint64_t *ns, uint64_t *ret_total_ns)
{
	struct run r = { p, calls, first, n + calls->tail, 0, 0, ns };
	struct epoll_event events[PIPELINE_CONNECTIONS_MAX];
	uint64_t start = bench_now_ns();
	int error = 0;

	for (unsigned i = 0; error == 0 && i < p->connections; i++)
		error = send_more(&r, p->fds[i], p->depth);
	while (error == 0 && r.answered < r.n) {
		bool running = r.answered < n;

		int ready = epoll_wait(p->epoll_fd, events, PIPELINE_CONNECTIONS_MAX, TIMEOUT_MS);

		if (ready == 0)
			error = -ETIMEDOUT;
		for (int i = 0; error == 0 && i < ready; i++)
			error = turn(&r, events[i].data.fd);
		if (running && r.answered >= n)
			*ret_total_ns = bench_now_ns() - start;
	}
	return error;
}

static int connect_one(struct pipeline *p, const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct epoll_event event = { .events = EPOLLIN };
	int fd, r = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	event.data.fd = fd;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		close(fd);
	if (r == 0)
		*ret_fd = fd;
	return r;
}

int pipeline_init(struct pipeline *p, const char *socket, unsigned connections, unsigned depth)
{
	int r = 0;

	if (connections > PIPELINE_CONNECTIONS_MAX || depth > PIPELINE_DEPTH_MAX)
		return -EINVAL;
	*p = (struct pipeline){ .depth = depth, .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	if (p->epoll_fd < 0)
		return -errno;
	while (r == 0 && p->connections < connections) {
		r = connect_one(p, socket, &p->fds[p->connections]);
		if (r == 0)
			p->connections++;
	}
	if (r < 0)
		pipeline_done(p);
	return r;
}

void pipeline_done(struct pipeline *p)
{
	for (unsigned i = 0; i < p->connections; i++)
		close(p->fds[i]);
	if (p->epoll_fd >= 0)
		close(p->epoll_fd);
	*p = (struct pipeline){ .epoll_fd = -1 };
}
