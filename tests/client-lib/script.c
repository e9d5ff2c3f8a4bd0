/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/client-lib/script.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	must(poll(&p, 1, SCRIPT_DEADLINE_MS) == 1, "script: nothing came");
}

struct accepted {
	struct script *script;
	int fd;
	unsigned int number;
};

static void *serve_one(void *arg)
{
	struct accepted *a = arg;

	a->script->serve(a->script, a->fd, a->number);
	close(a->fd);
	free(a);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct script *s = arg;

	for (;;) {
		struct accepted *a = calloc(1, sizeof(*a));
		pthread_t thread;

		must(a, "calloc");
		a->fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (a->fd < 0 || atomic_load(&s->stopping)) {
			if (a->fd >= 0)
				close(a->fd);
			free(a);
			return NULL;
		}
		a->script = s;
		a->number = atomic_fetch_add(&s->connections, 1) + 1;
		must(pthread_create(&thread, NULL, serve_one, a) == 0, "thread");
		pthread_detach(thread);
	}
}

void script_start(struct script *s, void (*serve)(struct script *s, int fd, unsigned int number))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(s, 0, sizeof(*s));
	s->serve = serve;
	must(tempdir_init(&s->dir) == 0, "tempdir");
	snprintf(s->path, sizeof(s->path), "%s/socket", s->dir.path);
	strcpy(address.sun_path, s->path);
	s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(s->listen_fd >= 0 &&
			bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
			listen(s->listen_fd, SCRIPT_BACKLOG) == 0,
		"listen");
	must(pthread_create(&s->thread, NULL, accept_all, s) == 0, "thread");
}

void script_stop(struct script *s)
{
	if (s->listen_fd < 0)
		return;
	atomic_store(&s->stopping, true);
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	s->listen_fd = -1;
}

void script_done(struct script *s)
{
	script_stop(s);
	tempdir_done(&s->dir);
}

bool script_receive(struct script *s, int fd, struct script_request *ret)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_reader r;
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	wait_readable(fd);
	n = recv(fd, packet, sizeof(packet), 0);
	if (n <= 0)
		return false;
	tpmpsk_reader_init(&r, packet, (size_t)n);
	must(tpmpsk_header_decode(&r, &ret->header) == 0, "header");
	if (ret->header.opcode == TPMPSK_OP_DERIVE)
		must(tpmpsk_derive_decode(&r, &ret->derive) == 0, "derive");
	if (s)
		atomic_fetch_add(&s->requests, 1);
	return true;
}

void script_send(int fd, const void *packet, size_t len)
{
	must(send(fd, packet, len, MSG_NOSIGNAL) == (ssize_t)len, "send");
}

void script_psk(const uint8_t *client_random, const uint8_t *server_random, uint8_t psk[32])
{
	for (size_t i = 0; i < 32; i++)
		psk[i] = (uint8_t)(client_random[i] + 3 * server_random[31 - i]);
}

void script_name_psk(const uint8_t *name, size_t len, uint8_t psk[32])
{
	memset(psk, 0, 32);
	for (size_t i = 0; i < len; i++)
		psk[i % 32] = (uint8_t)(psk[i % 32] * 31 + name[i]);
}

/* A session identity in shape, no two the same. */
static size_t make_name(const struct tpmpsk_derive *q, uint8_t name[TPMPSK_IDENTITY_MAX])
{
	static atomic_uint made;
	char suffix[64];

	snprintf(suffix, sizeof(suffix), "~1.%048u", atomic_fetch_add(&made, 1));
	must(q->identity_len + strlen(suffix) <= TPMPSK_IDENTITY_MAX, "identity");
	memcpy(name, q->identity, q->identity_len);
	memcpy(name + q->identity_len, suffix, strlen(suffix));
	return q->identity_len + strlen(suffix);
}

void script_derive(const struct tpmpsk_derive *q, struct tpmpsk_derived *ret)
{
	*ret = (struct tpmpsk_derived){ .secret_len = 32 };
	switch (q->purpose) {
	case TPMPSK_PURPOSE_TLS12_SESSION:
		script_psk(q->tls12_session.client_random, q->tls12_session.server_random,
			ret->secret);
		break;
	case TPMPSK_PURPOSE_SESSION_IDENTITY:
		if (q->role == TPMPSK_ROLE_CLIENT) {
			ret->name_len = make_name(q, ret->name);
			script_name_psk(ret->name, ret->name_len, ret->secret);
		} else {
			script_name_psk(q->identity, q->identity_len, ret->secret);
		}
		break;
	case TPMPSK_PURPOSE_EXPORTER_KDF:
		ret->secret_len = q->exporter.length;
		memset(ret->secret, q->exporter.ekm[0], ret->secret_len);
		break;
	default:
		memset(ret->secret, q->exporter.ekm[0], ret->secret_len);
	}
}

void script_reply(int fd, const struct script_request *q, const struct tpmpsk_derived *d)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	must(tpmpsk_derived_encode(q->header.id, d, packet, sizeof(packet), &len) == 0, "encode");
	script_send(fd, packet, len);
}

void script_answer(int fd, const struct script_request *q)
{
	struct tpmpsk_derived d;

	script_derive(&q->derive, &d);
	script_reply(fd, q, &d);
}

void script_refuse(
	int fd, const struct script_request *q, enum tpmpsk_status status, uint32_t retry_after_ms)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	must(tpmpsk_error_encode(q->header.id, q->header.opcode, status, retry_after_ms, "scripted",
		     packet, sizeof(packet), &len) == 0,
		"encode");
	script_send(fd, packet, len);
}

void script_behave(struct script *s, int fd, unsigned int number)
{
	struct script_request q;

	(void)number;
	while (script_receive(s, fd, &q))
		script_answer(fd, &q);
}
