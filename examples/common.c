/* SPDX-License-Identifier: BSD-2-Clause */
#include "common.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tpmpsk-gnutls.h>

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list arguments)
{
	flockfile(stderr);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	funlockfile(stderr);
}

int complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
	return EXIT_FAILURE;
}

int complain_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
	fprintf(stderr, "Try '%s --help'.\n", program_invocation_short_name);
	return EXIT_USAGE;
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

bool resolve(const char *text, bool datagram, bool passive, struct addrinfo **ret)
{
	struct addrinfo hints = {
		.ai_socktype = datagram ? SOCK_DGRAM : SOCK_STREAM,
		.ai_flags = passive ? AI_PASSIVE : 0,
	};
	const char *colon = strrchr(text, ':');
	const char *start = text, *end = colon;
	char host[256];
	int r;

	if (!colon || colon[1] == 0) {
		complain("%s: not an ADDR:PORT", text);
		return false;
	}
	if (start[0] == '[' && end[-1] == ']') {
		start++;
		end--;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(end - start), start);
	r = getaddrinfo(host[0] ? host : NULL, colon + 1, &hints, ret);
	if (r != 0)
		complain("%s: %s", text, gai_strerror(r));
	return r == 0;
}

void address_text(const struct sockaddr *address, socklen_t len, char buf[ADDRESS_TEXT_SIZE])
{
	char host[64] = "?", port[8] = "?";

	getnameinfo(address, len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(buf, ADDRESS_TEXT_SIZE, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

bool parse_number(const char *text, unsigned int min, unsigned int max, unsigned int *ret)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != 0 || text[0] < '0' || text[0] > '9' || value < min || value > max)
		return false;
	*ret = (unsigned int)value;
	return true;
}

#define KEY_EXCHANGES "-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"

const char *default_priority(bool datagram)
{
	return datagram ? "NORMAL:-VERS-ALL:+VERS-DTLS1.2:" KEY_EXCHANGES
			: "NORMAL:-VERS-ALL:+VERS-TLS1.2:" KEY_EXCHANGES;
}

void print_psk(const uint8_t psk[PSK_SIZE])
{
	flockfile(stdout);
	fputs("psk ", stdout);
	for (size_t i = 0; i < PSK_SIZE; i++)
		printf("%02x", psk[i]);
	putchar('\n');
	fflush(stdout);
	funlockfile(stdout);
}

int handshake(gnutls_session_t session)
{
	int r;

	do
		r = gnutls_handshake(session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	return r;
}
