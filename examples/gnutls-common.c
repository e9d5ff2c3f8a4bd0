/* SPDX-License-Identifier: BSD-2-Clause */
#include "gnutls-common.h"

#include "common.h"

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
