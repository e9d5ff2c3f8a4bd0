/* SPDX-License-Identifier: BSD-2-Clause */
#include "gnutls-common.h"

#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tpmpsk-gnutls.h>

#define KEY_EXCHANGES "-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"
#define TLS12 "NORMAL:-VERS-ALL:+VERS-TLS1.2:" KEY_EXCHANGES
#define TLS13_AND_12 "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" KEY_EXCHANGES
#define DTLS12 "NORMAL:-VERS-ALL:+VERS-DTLS1.2:" KEY_EXCHANGES

const char *default_priority(bool datagram)
{
	return datagram ? DTLS12 : TLS13_AND_12;
}

const char *tls12_priority(void)
{
	return TLS12;
}

int handshake(gnutls_session_t session)
{
	int r;

	do
		r = gnutls_handshake(session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	return r;
}

void complain_handshake(gnutls_session_t session, const char *peer, int error)
{
	int daemon = tpmpsk_gnutls_last_error();
	const char *alert = NULL;

	if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
		alert = gnutls_alert_get_name(gnutls_alert_get(session));
	complain("%s: handshake: %s%s%s%s%s", peer, gnutls_strerror(error), alert ? " " : "",
		alert ? alert : "", daemon < 0 ? " tpm-pskd: " : "",
		daemon < 0 ? tpmpsk_strerror(daemon) : "");
}

static bool send_all(gnutls_session_t session, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = gnutls_record_send(session, data, len);

		if (n < 0 && gnutls_error_is_fatal((int)n))
			return complain("send: %s", gnutls_strerror((int)n)), false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool receive_all(gnutls_session_t session, char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = gnutls_record_recv(session, buf, len);

		if (n == 0 || n == GNUTLS_E_TIMEDOUT || gnutls_error_is_fatal((int)n))
			return complain("receive: %s",
				       n ? gnutls_strerror((int)n) : "the server hung up"),
			       false;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return true;
}

int exchange(gnutls_session_t session, const char *message)
{
	size_t len = strlen(message);
	char *echo = calloc(1, len + 1);
	int r = EXIT_FAILURE;

	if (!echo)
		return complain("no memory");
	if (send_all(session, message, len) && receive_all(session, echo, len)) {
		r = EXIT_SUCCESS;
		if (memcmp(echo, message, len) != 0)
			r = complain("the echo differs from the message");
		printf("%s\n", echo);
	}
	gnutls_bye(session, GNUTLS_SHUT_WR);
	free(echo);
	return r;
}

void echo(gnutls_session_t session)
{
	char buf[16384];
	ssize_t n;

	for (;;) {
		n = gnutls_record_recv(session, buf, sizeof(buf));
		if (n == 0 || n == GNUTLS_E_TIMEDOUT || gnutls_error_is_fatal((int)n))
			break;
		for (ssize_t done = 0, sent; n > 0 && done < n; done += sent) {
			sent = gnutls_record_send(session, buf + done, (size_t)(n - done));
			if (sent < 0 && gnutls_error_is_fatal((int)sent))
				return;
			if (sent < 0)
				sent = 0;
		}
	}
	if (n == 0)
		gnutls_bye(session, GNUTLS_SHUT_WR);
}
