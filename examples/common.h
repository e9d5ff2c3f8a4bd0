/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * common - what psk-server and psk-client share: addresses, priorities, and what they tell a
 * person.
 *
 * Nothing in here is about the TPM; see on_psk() in the two programs for that.
 */
#ifndef TPMPSK_EXAMPLES_COMMON_H
#define TPMPSK_EXAMPLES_COMMON_H

#include <gnutls/gnutls.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_USAGE 2
#define PSK_SIZE 32
#define TIMEOUT_DEFAULT_MS 10000
#define ADDRESS_TEXT_SIZE 80
#define DTLS_MTU 1400
#define DTLS_RETRANSMIT_MS 500

/* "PROGRAM: MESSAGE" on standard error, one line. Returns EXIT_FAILURE. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for wrong arguments. Returns EXIT_USAGE. */
int complain_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * One line that says why a handshake failed: GnuTLS's reason, the peer's alert, the daemon's
 * answer.
 */
void complain_handshake(gnutls_session_t session, const char *peer, int error);

/* "ADDR:PORT", "[ADDR]:PORT" or "NAME:PORT"; freeaddrinfo() by the caller. False: complained. */
bool resolve(const char *text, bool datagram, bool passive, struct addrinfo **ret);

/* "127.0.0.1:4433", "[::1]:4433" */
void address_text(const struct sockaddr *address, socklen_t len, char buf[ADDRESS_TEXT_SIZE]);

/* A number from min to max; false when it is none. */
bool parse_number(const char *text, unsigned int min, unsigned int max, unsigned int *ret);

/* TLS 1.2 or DTLS 1.2 with the PSK key exchanges, those with forward secrecy first. */
const char *default_priority(bool datagram);

/* "psk <hex>" on standard output, at once. A demonstration: never do this with a real key. */
void print_psk(const uint8_t psk[PSK_SIZE]);

/* gnutls_handshake() until it is done or has failed for good. */
int handshake(gnutls_session_t session);

#endif
