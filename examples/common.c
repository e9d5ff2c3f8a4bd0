/* SPDX-License-Identifier: BSD-2-Clause */
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128
#define LINGER_MS 1000

__attribute__((format(printf, 1, 0))) static void say(
	const char *format, va_list arguments, bool misused)
{
	flockfile(stderr);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	if (misused)
		fprintf(stderr, " (see %s --help)", program_invocation_short_name);
	fputc('\n', stderr);
	funlockfile(stderr);
}

int complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments, false);
	va_end(arguments);
	return EXIT_FAILURE;
}

int complain_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments, true);
	va_end(arguments);
	return EXIT_USAGE;
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

static int connect_one(const struct addrinfo *address, char name[ADDRESS_TEXT_SIZE])
{
	int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
	int saved;

	address_text(address->ai_addr, address->ai_addrlen, name);
	if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int connect_to(const char *text, bool datagram, char ret_name[ADDRESS_TEXT_SIZE])
{
	struct addrinfo *addresses;
	char name[ADDRESS_TEXT_SIZE];
	int fd = -1;

	if (!resolve(text, datagram, false, &addresses))
		return -1;
	for (const struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next)
		fd = connect_one(a, name);
	if (fd < 0)
		complain("%s: %s", name, strerror(errno));
	else
		memcpy(ret_name, name, sizeof(name));
	freeaddrinfo(addresses);
	return fd;
}

int listen_stream(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool announce(int listen_fd)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);
	char name[ADDRESS_TEXT_SIZE];

	if (getsockname(listen_fd, (struct sockaddr *)&own, &len) < 0)
		return false;
	address_text((struct sockaddr *)&own, len, name);
	printf("listening on %s\n", name);
	fflush(stdout);
	return true;
}

void linger(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[1024];

	shutdown(fd, SHUT_WR);
	while (poll(&p, 1, LINGER_MS) > 0 && recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
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

static int take_argument(const struct argument *a, const char *value)
{
	if (a->flag)
		*a->flag = true;
	else if (a->text)
		*a->text = value;
	else if (!parse_number(value, 1, a->max, a->number))
		return complain_usage("--%s: not a number from 1 to %u", a->name, a->max);
	return EXIT_SUCCESS;
}

int parse_arguments(int argc, char *argv[], const struct argument arguments[], void (*help)(void))
{
	struct option options[ARGUMENTS_MAX + 2] = { 0 };
	int n, at, c, r = EXIT_SUCCESS;

	for (n = 0; n < ARGUMENTS_MAX && arguments[n].name; n++) {
		options[n].name = arguments[n].name;
		options[n].has_arg = arguments[n].flag ? no_argument : required_argument;
	}
	options[n].name = "help";
	opterr = 0; /* it is said here, with where help is */
	while (r == EXIT_SUCCESS && (c = getopt_long(argc, argv, ":", options, &at)) != -1) {
		if (c != 0)
			return complain_usage("%s: %s", argv[optind - 1],
				c == ':' ? "a value is missing"
					 : "no such option, or it takes no value");
		if (at == n) {
			help();
			exit(EXIT_SUCCESS);
		}
		r = take_argument(&arguments[at], optarg);
	}
	if (r == EXIT_SUCCESS && optind < argc)
		r = complain_usage("unexpected argument '%s'", argv[optind]);
	return r;
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
