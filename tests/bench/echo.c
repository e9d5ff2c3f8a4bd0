/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/echo.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS 64

struct question {
	int fd;
	size_t size;
	uint8_t packet[ECHO_PACKET_MAX];
};

/* Questions for the second thread. A client has one at a time, so that there is always room. */
struct handover {
	bool on;
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned first, n;
	struct question questions[EVENTS];
};

static ssize_t give_back(const struct question *q)
{
	return send(q->fd, q->packet, q->size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void *second_thread(void *context)
{
	struct handover *h = context;
	struct question q;

	for (;;) {
		pthread_mutex_lock(&h->lock);
		while (h->n == 0)
			pthread_cond_wait(&h->more, &h->lock);
		q = h->questions[h->first++ % EVENTS];
		h->n--;
		pthread_mutex_unlock(&h->lock);
		give_back(&q);
	}
	return NULL;
}

static ssize_t hand_over(struct handover *h, const struct question *q)
{
	bool room;

	pthread_mutex_lock(&h->lock);
	room = h->n < EVENTS;
	if (room)
		h->questions[(h->first + h->n++) % EVENTS] = *q;
	pthread_mutex_unlock(&h->lock);
	pthread_cond_signal(&h->more);
	return room ? (ssize_t)q->size : -1;
}

static void answer(struct handover *h, int epoll_fd, int fd)
{
	struct question q = { .fd = fd };
	ssize_t n = recv(fd, q.packet, sizeof(q.packet), MSG_DONTWAIT);

	if (n > 0) {
		q.size = (size_t)n;
		n = h->on ? hand_over(h, &q) : give_back(&q);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		close(fd);
	}
}

__attribute__((noreturn)) static void serve(int listen_fd, bool hands_over)
{
	static struct handover h = { .lock = PTHREAD_MUTEX_INITIALIZER,
		.more = PTHREAD_COND_INITIALIZER };
	pthread_t thread;
	struct epoll_event events[EVENTS], add = { .events = EPOLLIN, .data.fd = listen_fd };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	h.on = hands_over && pthread_create(&thread, NULL, second_thread, &h) == 0;
	if (h.on != hands_over)
		_exit(1);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &add);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != listen_fd) {
				answer(&h, epoll_fd, fd);
				continue;
			}
			add.data.fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
			if (add.data.fd >= 0)
				epoll_ctl(epoll_fd, EPOLL_CTL_ADD, add.data.fd, &add);
		}
	}
}

static int open_socket(const char *path, struct sockaddr_un *ret_address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) < sizeof(ret_address->sun_path))
		memcpy(ret_address->sun_path, path, strlen(path));
	return fd < 0 ? -errno : fd;
}

int echo_init(struct echo *e, bool hands_over)
{
	struct sockaddr_un address;
	int r, fd = -1;

	*e = (struct echo){ 0 };
	r = tempdir_init(&e->dir);
	if (r < 0)
		return r;
	snprintf(e->socket, sizeof(e->socket), "%s/echo", e->dir.path);
	r = fd = open_socket(e->socket, &address);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			       listen(fd, SOMAXCONN) < 0))
		r = -errno;
	if (r >= 0) {
		e->pid = fork();
		r = e->pid < 0 ? -errno : 0;
	}
	if (r == 0 && e->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd, hands_over);
	}
	if (fd >= 0)
		close(fd);
	if (r < 0) {
		e->pid = 0;
		echo_done(e);
	}
	return r;
}

void echo_done(struct echo *e)
{
	if (e->pid > 0) {
		kill(e->pid, SIGKILL);
		waitpid(e->pid, NULL, 0);
	}
	tempdir_done(&e->dir);
	*e = (struct echo){ 0 };
}

int echo_connect(const char *socket, int *ret_fd)
{
	struct sockaddr_un address;
	int fd = open_socket(socket, &address);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int echo_call(int fd, size_t size)
{
	uint8_t packet[ECHO_PACKET_MAX] = { 0 };

	if (size > sizeof(packet))
		return -EMSGSIZE;
	if (send(fd, packet, size, MSG_NOSIGNAL) < 0)
		return -errno;
	if (recv(fd, packet, sizeof(packet), 0) != (ssize_t)size)
		return -EPROTO;
	return 0;
}
