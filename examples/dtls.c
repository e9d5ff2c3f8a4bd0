/* SPDX-License-Identifier: BSD-2-Clause */
#include "dtls.h"

#include "gnutls-common.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define RECORD_HANDSHAKE 22 /* RFC 6347, section 4.1 */
#define RECORD_HEADER_SIZE 13
#define HANDSHAKE_CLIENT_HELLO 1

int dtls_listen(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	/* Sharing the port is allowed after bind(2) only: before, it could get one in use. */
	if (fd >= 0 && bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* A second socket on our port, which the kernel prefers for what comes from this peer. */
static int connect_back(int listen_fd, const struct dtls_peer *peer)
{
	struct sockaddr_storage own;
	socklen_t own_len = sizeof(own);
	const int on = 1;
	int fd = socket(peer->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && getsockname(listen_fd, (struct sockaddr *)&own, &own_len) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		bind(fd, (struct sockaddr *)&own, own_len) == 0 &&
		connect(fd, (const struct sockaddr *)&peer->address, peer->address_len) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

struct reply_to {
	int fd;
	struct dtls_peer *peer;
};

static ssize_t push_unconnected(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
	const struct reply_to *to = ptr;

	return sendto(to->fd, data, len, 0, (const struct sockaddr *)&to->peer->address,
		to->peer->address_len);
}

/* Whether the datagram is a ClientHello with our cookie; one without it gets one. */
static bool has_cookie(int listen_fd, const gnutls_datum_t *cookie_key, struct dtls_peer *peer)
{
	gnutls_datum_t key = *cookie_key;
	struct reply_to to = { listen_fd, peer };
	int r;

	if (peer->hello_len <= RECORD_HEADER_SIZE || peer->hello[0] != RECORD_HANDSHAKE ||
		peer->hello[RECORD_HEADER_SIZE] != HANDSHAKE_CLIENT_HELLO)
		return false;
	memset(&peer->prestate, 0, sizeof(peer->prestate));
	r = gnutls_dtls_cookie_verify(&key, &peer->address, peer->address_len, peer->hello,
		peer->hello_len, &peer->prestate);
	if (r == GNUTLS_E_BAD_COOKIE)
		gnutls_dtls_cookie_send(&key, &peer->address, peer->address_len, &peer->prestate,
			&to, push_unconnected);
	return r == 0;
}

int dtls_accept(int listen_fd, const gnutls_datum_t *cookie_key, struct dtls_peer *ret)
{
	for (;;) {
		ssize_t n;

		memset(&ret->address, 0, sizeof(ret->address));
		ret->address_len = sizeof(ret->address);
		n = recvfrom(listen_fd, ret->hello, sizeof(ret->hello), 0,
			(struct sockaddr *)&ret->address, &ret->address_len);
		if (n < 0)
			return -1;
		ret->hello_len = (size_t)n;
		if (has_cookie(listen_fd, cookie_key, ret)) {
			ret->fd = connect_back(listen_fd, ret);
			return ret->fd < 0 ? -1 : 0;
		}
	}
}

/* Between its bind(2) and connect(2) the socket may have got what others sent to the port. */
static ssize_t receive_from(struct dtls_peer *peer, void *buf, size_t size)
{
	struct sockaddr_storage from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n =
		recvfrom(peer->fd, buf, size, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	if (n >= 0 &&
		(from_len != peer->address_len || memcmp(&from, &peer->address, from_len) != 0)) {
		errno = EAGAIN;
		n = -1;
	}
	return n;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *buf, size_t size)
{
	struct dtls_peer *peer = ptr;
	ssize_t n = (ssize_t)(peer->hello_len < size ? peer->hello_len : size);

	if (n > 0) {
		memcpy(buf, peer->hello, (size_t)n);
		peer->hello_len = 0;
		return n;
	}
	n = receive_from(peer, buf, size);
	if (n < 0)
		gnutls_transport_set_errno(peer->session, errno);
	return n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned int ms)
{
	struct dtls_peer *peer = ptr;
	struct pollfd p = { .fd = peer->fd, .events = POLLIN };

	if (peer->hello_len > 0)
		return 1;
	return poll(&p, 1, ms == GNUTLS_INDEFINITE_TIMEOUT ? -1 : (int)ms);
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
	struct dtls_peer *peer = ptr;
	ssize_t n = send(peer->fd, data, len, 0);

	if (n < 0)
		gnutls_transport_set_errno(peer->session, errno);
	return n;
}

void dtls_attach(gnutls_session_t session, struct dtls_peer *peer, unsigned int timeout_ms)
{
	peer->session = session;
	gnutls_dtls_prestate_set(session, &peer->prestate);
	gnutls_dtls_set_timeouts(session, DTLS_RETRANSMIT_MS, timeout_ms);
	gnutls_dtls_set_mtu(session, DTLS_MTU);
	gnutls_transport_set_ptr(session, peer);
	gnutls_transport_set_push_function(session, push);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_pull_timeout_function(session, pull_timeout);
}
