/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gnutls-common - what the programs on GnuTLS share: priorities, why a handshake failed, and what is
 * said once it has not.
 */
#ifndef TPMPSK_EXAMPLES_GNUTLS_COMMON_H
#define TPMPSK_EXAMPLES_GNUTLS_COMMON_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#define DTLS_MTU 1400
#define DTLS_RETRANSMIT_MS 500

/*
 * TLS 1.3 and 1.2 or DTLS 1.2 with the PSK key exchanges, those with forward secrecy first.
 */
const char *default_priority(bool datagram);
/* The same without TLS 1.3, for a client that has no key for it. */
const char *tls12_priority(void);

/* gnutls_handshake() until it is done or has failed for good. */
int handshake(gnutls_session_t session);

/*
 * One line that says why a handshake failed: GnuTLS's reason, the peer's alert, the daemon's
 * answer.
 */
void complain_handshake(gnutls_session_t session, const char *peer, int error);

/* A client's part: sends the message, expects it back and prints it. The exit code. */
int exchange(gnutls_session_t session, const char *message);

/* A server's: sends back what comes until the peer has said enough. */
void echo(gnutls_session_t session);

#endif
