/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * common - what the example programs share: addresses, sockets, and what they tell a person.
 *
 * Nothing in here is about the TPM or about one TLS library; for the former see on_psk() in each
 * program.
 */
#ifndef TPMPSK_EXAMPLES_COMMON_H
#define TPMPSK_EXAMPLES_COMMON_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_USAGE 2
#define PSK_SIZE 32
#define TIMEOUT_DEFAULT_MS 10000
#define ADDRESS_TEXT_SIZE 80

/* "PROGRAM: MESSAGE" on standard error, one line. Returns EXIT_FAILURE. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for wrong arguments. Returns EXIT_USAGE. */
int complain_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "ADDR:PORT", "[ADDR]:PORT" or "NAME:PORT"; freeaddrinfo() by the caller. False: complained. */
bool resolve(const char *text, bool datagram, bool passive, struct addrinfo **ret);

/* "127.0.0.1:4433", "[::1]:4433" */
void address_text(const struct sockaddr *address, socklen_t len, char buf[ADDRESS_TEXT_SIZE]);

/* A connected socket, and the address it is connected to; -1 after a complaint. */
int connect_to(const char *text, bool datagram, char ret_name[ADDRESS_TEXT_SIZE]);

/* A listening TCP socket, or -1 with errno. */
int listen_stream(const struct addrinfo *address);

/* "listening on ADDR:PORT" on standard output, at once. False with errno. */
bool announce(int listen_fd);

/*
 * Before close(2), when the peer may not have read our alert yet: closing a TCP socket with bytes
 * unread would reset the connection.
 */
void linger(int fd);

/* A number from min to max; false when it is none. */
bool parse_number(const char *text, unsigned int min, unsigned int max, unsigned int *ret);

/* An option, and where what it says goes: one of these. At most ARGUMENTS_MAX in a table, and one without a name behind them. */
struct argument {
	const char *name;
	bool *flag;
	const char **text;
	unsigned int *number, max; /* from 1 */
};
#define ARGUMENTS_MAX 16
#define COUNT_MAX 1000000000
#define TIMEOUT_MAX_MS 3600000

/* Takes them all; with --help calls that and ends the program. EXIT_USAGE after a complaint. */
int parse_arguments(int argc, char *argv[], const struct argument arguments[], void (*help)(void));

/* "psk <hex>" on standard output, at once. A demonstration: never do this with a real key. */
void print_psk(const uint8_t psk[PSK_SIZE]);

#endif
