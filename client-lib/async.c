/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/async_io.h"
#include "client-lib/connect.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Half a call's work, done by a cancelled thread, would be nobody's to finish. */
static int no_cancel(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static void restore_cancel(const int *state)
{
	pthread_setcancelstate(*state, NULL);
}

/* A handle that is this process's. */
static int check(const struct tpmpsk_async *a)
{
	return a && a->forks == tpmpsk_forks() ? 0 : TPMPSK_ERR_INVALID;
}

static int begin(struct tpmpsk_async *a, struct tpmpsk_slot **ret)
{
	if (check(a) < 0)
		return TPMPSK_ERR_INVALID;
	*ret = tpmpsk_table_spare(&a->table);
	return *ret ? 0 : TPMPSK_ERR_BUSY;
}

/* built: what building the request in the slot gave. */
static int submit(struct tpmpsk_async *a, struct tpmpsk_slot *s, void *tag, int built)
{
	int cancel_state __attribute__((cleanup(restore_cancel), unused)) = no_cancel();
	int64_t now;

	if (built < 0)
		return built;
	now = now_ns();
	tpmpsk_table_queue(&a->table, s, tag, now + (int64_t)a->deadline_ms * 1000000);
	tpmpsk_async_flush(a, now);
	tpmpsk_async_arm(a, now);
	return 0;
}

int tpmpsk_async_tls12_session(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, const uint8_t *client_random, const uint8_t *server_random,
	size_t random_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_tls12_session(&s->request, identity, identity_size,
			client_random, server_random, random_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_session_identity_client(
	struct tpmpsk_async *a, void *tag, const void *identity, size_t identity_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_session_identity_client(&s->request, identity, identity_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_session_identity_server(struct tpmpsk_async *a, void *tag,
	const void *session_identity, size_t session_identity_size, const void *handshake,
	size_t handshake_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_session_identity_server(&s->request, session_identity,
			session_identity_size, handshake, handshake_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_exporter_kdf(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size, size_t output_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_exporter_kdf(
			&s->request, identity, identity_size, ekm, ekm_size, output_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_exporter_mac(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_exporter_mac(
			&s->request, identity, identity_size, ekm, ekm_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_tls12_master(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash,
	const uint8_t client_random[TPMPSK_TLS12_RANDOM_SIZE],
	const uint8_t server_random[TPMPSK_TLS12_RANDOM_SIZE])
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_tls12_master(
			&s->request, identity, identity_size, hash, client_random, server_random);
	return submit(a, s, tag, r);
}

int tpmpsk_async_tls12_extended_master(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *session_hash,
	size_t session_hash_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_tls12_extended_master(&s->request, identity, identity_size, hash,
			session_hash, session_hash_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_tls13_binder(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *transcript_hash,
	size_t transcript_hash_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_tls13_binder(&s->request, identity, identity_size, hash,
			transcript_hash, transcript_hash_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_tls13_handshake_secret(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *shared_secret,
	size_t shared_secret_size)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_tls13_handshake_secret(&s->request, identity, identity_size,
			hash, shared_secret, shared_secret_size);
	return submit(a, s, tag, r);
}

int tpmpsk_async_psk_import(struct tpmpsk_async *a, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const void *context, size_t context_size,
	uint16_t target_protocol, uint16_t target_kdf)
{
	struct tpmpsk_slot *s = NULL;
	int r = begin(a, &s);

	if (r == 0)
		r = tpmpsk_request_psk_import(&s->request, identity, identity_size, hash, context,
			context_size, target_protocol, target_kdf);
	return submit(a, s, tag, r);
}

static void hand_over(struct tpmpsk_async *a, struct tpmpsk_async_result *ret)
{
	struct tpmpsk_slot *s = TAILQ_FIRST(&a->table.done);

	memset(ret, 0, sizeof(*ret));
	ret->tag = s->tag;
	ret->error = s->error;
	ret->retry_after_ms = s->retry_after_ms;
	if (s->error == 0) {
		ret->secret_size = s->derived.secret_len;
		memcpy(ret->secret, s->derived.secret, s->derived.secret_len);
		ret->session_identity_size = s->derived.name_len;
		memcpy(ret->session_identity, s->derived.name, s->derived.name_len);
	}
	tpmpsk_table_release(&a->table, s);
}

int tpmpsk_async_collect(struct tpmpsk_async *a, struct tpmpsk_async_result *ret_result)
{
	int cancel_state __attribute__((cleanup(restore_cancel), unused)) = no_cancel();
	bool found;
	int64_t now;

	if (check(a) < 0 || !ret_result)
		return TPMPSK_ERR_INVALID;
	now = now_ns();
	if (TAILQ_EMPTY(&a->table.done)) {
		tpmpsk_async_receive(a, now);
		tpmpsk_async_flush(a, now);
	}
	found = !TAILQ_EMPTY(&a->table.done);
	if (found)
		hand_over(a, ret_result);
	tpmpsk_async_arm(a, now);
	return found ? 0 : TPMPSK_ERR_AGAIN;
}

int tpmpsk_async_hold(struct tpmpsk_async *a, int on)
{
	int cancel_state __attribute__((cleanup(restore_cancel), unused)) = no_cancel();
	int64_t now;

	if (check(a) < 0)
		return TPMPSK_ERR_INVALID;
	a->held = on;
	if (!on && !TAILQ_EMPTY(&a->table.queued)) {
		now = now_ns();
		tpmpsk_async_flush(a, now);
		tpmpsk_async_arm(a, now);
	}
	return 0;
}

int tpmpsk_async_cancel(struct tpmpsk_async *a, const void *tag)
{
	struct tpmpsk_slot *s;

	if (check(a) < 0)
		return TPMPSK_ERR_INVALID;
	while ((s = tpmpsk_table_by_tag(&a->table, tag)))
		tpmpsk_table_release(&a->table, s);
	return 0;
}

int tpmpsk_async_set_deadline(struct tpmpsk_async *a, unsigned int ms)
{
	if (check(a) < 0 || ms < 1 || ms > TPMPSK_DEADLINE_MAX_MS)
		return TPMPSK_ERR_INVALID;
	a->deadline_ms = ms;
	return 0;
}

int tpmpsk_async_fd(const struct tpmpsk_async *a)
{
	return check(a) < 0 ? TPMPSK_ERR_INVALID : a->epoll_fd;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void tpmpsk_async_close(struct tpmpsk_async *a)
{
	int cancel_state __attribute__((cleanup(restore_cancel), unused)) = no_cancel();

	if (!a)
		return;
	tpmpsk_table_wipe(&a->table);
	close_fd(a->fd);
	close_fd(a->timer_fd);
	close_fd(a->epoll_fd);
	free(a->path);
	free(a);
}

static int async_new(struct tpmpsk_async **ret)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct tpmpsk_async *a;

	if (tpmpsk_forks_watch() < 0)
		return TPMPSK_ERR_SYSTEM;
	a = calloc(1, sizeof(*a));
	if (!a)
		return TPMPSK_ERR_SYSTEM;
	tpmpsk_table_init(&a->table);
	a->forks = tpmpsk_forks();
	a->deadline_ms = TPMPSK_DEADLINE_DEFAULT_MS;
	a->fd = -1;
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->epoll_fd < 0 || a->timer_fd < 0 ||
		epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->timer_fd, &event) < 0) {
		tpmpsk_async_close(a);
		return TPMPSK_ERR_SYSTEM;
	}
	*ret = a;
	return 0;
}

static int open_path(struct tpmpsk_async *a, const char *path)
{
	struct timespec deadline = tpmpsk_deadline_in(TPMPSK_DEADLINE_DEFAULT_MS);
	int fd, r;

	a->path = strdup(path);
	if (!a->path)
		return TPMPSK_ERR_SYSTEM;
	r = tpmpsk_connect(path, &deadline, &fd);
	if (r < 0)
		return r;
	r = tpmpsk_async_use_socket(a, fd);
	if (r < 0)
		close(fd);
	return r;
}

int tpmpsk_async_open(struct tpmpsk_async **ret_async, const char *path)
{
	int cancel_state __attribute__((cleanup(restore_cancel), unused)) = no_cancel();
	struct tpmpsk_async *a = NULL;
	int r;

	path = tpmpsk_socket_path(path);
	if (!ret_async || !path)
		return TPMPSK_ERR_INVALID;
	r = async_new(&a);
	if (r == 0)
		r = open_path(a, path);
	if (r < 0) {
		tpmpsk_async_close(a);
		return r;
	}
	*ret_async = a;
	return 0;
}

int tpmpsk_async_open_fd(struct tpmpsk_async **ret_async, int fd)
{
	struct tpmpsk_async *a = NULL;
	int r;

	if (!ret_async || !tpmpsk_take_socket(fd))
		return TPMPSK_ERR_INVALID;
	r = async_new(&a);
	if (r == 0)
		r = tpmpsk_async_use_socket(a, fd);
	if (r < 0) {
		tpmpsk_async_close(a);
		return r;
	}
	*ret_async = a;
	return 0;
}
