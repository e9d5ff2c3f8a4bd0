/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtls - one UDP port, many DTLS peers: psk-server's side that has nothing to do with PSKs.
 *
 * A peer gets a socket of its own, connected to it, once it has sent our cookie back and so shown
 * that it is where it says it is. One thread calls dtls_accept(); what that gives is for any
 * thread.
 */
#ifndef TPMPSK_EXAMPLES_DTLS_H
#define TPMPSK_EXAMPLES_DTLS_H

#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <stdint.h>
#include <sys/socket.h>

#define DTLS_DATAGRAM_MAX 2048

struct dtls_peer {
	int fd;
	struct sockaddr_storage address;
	socklen_t address_len;
	gnutls_dtls_prestate_st prestate;
	gnutls_session_t session;
	size_t hello_len; /* the ClientHello with the cookie, until GnuTLS has taken it */
	uint8_t hello[DTLS_DATAGRAM_MAX];
};

/* A bound socket, or -1 with errno. */
int dtls_listen(const struct addrinfo *address);

/* Answers whoever knocks until one has a valid cookie. 0, or -1 with errno. */
int dtls_accept(int listen_fd, const gnutls_datum_t *cookie_key, struct dtls_peer *ret);

/* Lets the session talk to the peer, which must outlive it. */
void dtls_attach(gnutls_session_t session, struct dtls_peer *peer, unsigned int timeout_ms);

#endif
