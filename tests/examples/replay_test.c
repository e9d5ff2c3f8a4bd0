/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Somebody on the way between client and server who records a ClientHello and sends it again.
 */
#include "tests/examples/tls13_stage.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_HEADER_SIZE 5
#define RANDOM_OFFSET (RECORD_HEADER_SIZE + 4 + 2) /* RFC 8446, section 4.1.2 */

/* Between one client and one server. */
struct eavesdropper {
	const struct stage_server *server;
	struct stage_server front; /* where the client connects to; no process */
	int listen_fd;
	bool keep; /* the ClientHello does not get to the server */
	pthread_t thread;
	size_t hello_len;
	uint8_t hello[4096];
};

static bool read_all(int fd, uint8_t *buf, size_t len)
{
	for (size_t got = 0; got < len;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n = poll(&p, 1, COMMAND_DEADLINE_MS) == 1
				    ? recv(fd, buf + got, len - got, 0)
				    : -1;

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

static bool write_all(int fd, const uint8_t *buf, size_t len)
{
	return send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* A whole record; 0 when there is none. */
static size_t read_record(int fd, uint8_t *buf, size_t cap)
{
	size_t len;

	if (!read_all(fd, buf, RECORD_HEADER_SIZE))
		return 0;
	len = RECORD_HEADER_SIZE + (size_t)(buf[3] << 8 | buf[4]);
	if (len > cap || !read_all(fd, buf + RECORD_HEADER_SIZE, len - RECORD_HEADER_SIZE))
		return 0;
	return len;
}

/* Hands on what comes from either side until one has nothing more to say. */
static void relay(int client, int server)
{
	struct pollfd p[2] = { { .fd = client, .events = POLLIN },
		{ .fd = server, .events = POLLIN } };
	uint8_t buf[4096];

	while (poll(p, 2, COMMAND_DEADLINE_MS) > 0) {
		for (size_t i = 0; i < 2; i++) {
			ssize_t n = p[i].revents ? recv(p[i].fd, buf, sizeof(buf), 0) : 1;

			if (n <= 0 || (p[i].revents && !write_all(p[1 - i].fd, buf, (size_t)n)))
				return;
		}
	}
}

static void *eavesdrop(void *arg)
{
	struct eavesdropper *e = arg;
	int client = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC), server;

	e->hello_len = read_record(client, e->hello, sizeof(e->hello));
	if (!e->keep && e->hello_len > 0) {
		server = tls13_knock(e->server);
		if (write_all(server, e->hello, e->hello_len))
			relay(client, server);
		close(server);
	}
	close(client);
	return NULL;
}

static void eavesdropper_begin(struct eavesdropper *e, const struct stage_server *server, bool keep)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	*e = (struct eavesdropper){ .server = server, .keep = keep };
	e->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(e->listen_fd, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(e->listen_fd, 1), 0);
	cr_assert_eq(getsockname(e->listen_fd, (struct sockaddr *)&address, &len), 0);
	snprintf(e->front.address, sizeof(e->front.address), "127.0.0.1:%d",
		ntohs(address.sin_port));
	cr_assert_eq(pthread_create(&e->thread, NULL, eavesdrop, e), 0);
}

static void eavesdropper_end(struct eavesdropper *e)
{
	pthread_join(e->thread, NULL);
	close(e->listen_fd);
	cr_assert_gt(e->hello_len, RANDOM_OFFSET + 32, "no ClientHello was seen");
}

/* A handshake through the eavesdropper, who lets it through or not. */
static void record(struct eavesdropper *e, const struct stage_server *server, const char *client,
	const char *identity, bool keep)
{
	const struct command_result *r;

	eavesdropper_begin(e, server, keep);
	r = stage_run(client, "--connect", e->front.address, "--identity", identity, NULL);
	cr_assert_eq(r->status, keep ? 1 : 0, "%s", r->err);
	eavesdropper_end(e);
}

/* The first record that comes back for a ClientHello. */
static size_t send_again(const struct eavesdropper *e, uint8_t *reply, size_t cap)
{
	int fd = tls13_knock(e->server);
	size_t len;

	cr_assert(write_all(fd, e->hello, e->hello_len));
	len = read_record(fd, reply, cap);
	close(fd);
	return len;
}

static void assert_refused(struct eavesdropper *e)
{
	static const uint8_t illegal_parameter[] = { 2, 47 };
	uint8_t reply[4096];

	cr_assert_eq(send_again(e, reply, sizeof(reply)), RECORD_HEADER_SIZE + 2);
	cr_assert_eq(reply[0], 21); /* alert */
	cr_assert_arr_eq(reply + RECORD_HEADER_SIZE, illegal_parameter, 2);
}

static void assert_no_replay(
	const char *program, const char *client, const char *option, const char *value)
{
	static const char *const identities[] = { "Client1", "Epoch" };

	for (size_t i = 0; i < 2; i++) {
		struct stage_server server;
		struct eavesdropper e;

		stage_serve(&server, NULL, program, "--listen", "127.0.0.1:0", option, value, NULL);
		record(&e, &server, client, identities[i], false);
		assert_refused(&e);
		tls13_assert_err(&server, "tpm-pskd: replayed\n");
		e.hello[RANDOM_OFFSET] ^= 1;
		assert_refused(&e);
		tls13_assert_serves(&server);
		stage_leave(&server);
	}
}

TestSuite(replay, .init = tls13_begin, .fini = stage_end);

Test(replay, a_used_client_hello_fails_at_a_gnutls_server)
{
	assert_no_replay(PSK_SERVER, PSK_CLIENT, NULL, NULL);
}

Test(replay, a_used_client_hello_fails_at_a_gnutls_server_that_asks_again)
{
	assert_no_replay(PSK_SERVER, PSK_CLIENT, "--priority", TLS13_RETRY);
}

/* Where the same identity came twice in the handshake, and was right to. */
Test(replay, a_repeat_within_a_handshake_is_no_leave_for_another)
{
	assert_no_replay(PSK_SERVER, OPENSSL_CLIENT, "--priority", TLS13_RETRY);
	assert_no_replay(OPENSSL_SERVER, OPENSSL_CLIENT, "--groups", "P-384");
}

Test(replay, a_used_client_hello_fails_at_an_openssl_server)
{
	assert_no_replay(OPENSSL_SERVER, PSK_CLIENT, NULL, NULL);
}

Test(replay, a_used_client_hello_fails_at_an_openssl_server_that_asks_again)
{
	assert_no_replay(OPENSSL_SERVER, PSK_CLIENT, "--groups", "P-384");
}

/* What an eavesdropper holds back is worth one attempt, to which it cannot give the end. */
Test(replay, a_client_hello_held_back_is_answered_once)
{
	static const char *const servers[] = { PSK_SERVER, OPENSSL_SERVER };

	for (size_t i = 0; i < 2; i++) {
		struct stage_server server;
		struct eavesdropper e;
		uint8_t reply[4096];

		stage_serve(&server, NULL, servers[i], "--listen", "127.0.0.1:0", NULL);
		record(&e, &server, PSK_CLIENT, "Client1", true);
		cr_assert_gt(send_again(&e, reply, sizeof(reply)), RECORD_HEADER_SIZE + 2);
		cr_assert_eq(reply[0], 22); /* handshake: a ServerHello */
		assert_refused(&e);
		tls13_assert_err(&server, "tpm-pskd: replayed\n");
		stage_leave(&server);
	}
}
