/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"

#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REQUEST_SIZE_MAX 8192
#define LENGTH_DIGITS_MAX 5

bool http_get(gnutls_session_t session, const char *host, const char *client,
	const char *token_name, const char *token)
{
	char request[REQUEST_SIZE_MAX];
	int size = snprintf(request, sizeof(request),
		"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nclient: %s\r\n%s%s\r\n\r\n",
		host, client, token_name, token);
	ssize_t n = 0;

	if (size < 0 || (size_t)size >= sizeof(request))
		return complain("the request is too long"), false;
	for (size_t done = 0; done<(size_t)size; done += n> 0 ? (size_t)n : 0) {
		n = gnutls_record_send(session, request + done, (size_t)size - done);
		if (n < 0 && gnutls_error_is_fatal((int)n))
			break;
	}
	explicit_bzero(request, sizeof(request));
	if (n < 0)
		complain("send: %s", gnutls_strerror((int)n));
	return n > 0;
}

/* "HTTP/1.1 200 OK": 200; 0 when it is no such line. */
static unsigned int parse_status(const char *line)
{
	unsigned int status = 0;

	if (strncmp(line, "HTTP/1.1 ", 9) != 0 || strspn(line + 9, "0123456789") != 3 ||
		!strchr(" \r", line[12]))
		return 0;
	for (size_t i = 9; i < 12; i++)
		status = 10 * status + (unsigned int)(line[i] - '0');
	return status;
}

/* The value of a header; every line ends with CRLF. NULL: there is none. */
static const char *header(const char *head, const char *name)
{
	size_t size = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, size) == 0 && line[size] == ':')
			return line + size + 1 + strspn(line + size + 1, " \t");
	}
	return NULL;
}

static bool parse_length(const char *head, size_t *ret)
{
	const char *text = header(head, "Content-Length");
	size_t digits = text ? strspn(text, "0123456789") : 0;

	if (digits == 0 || digits > LENGTH_DIGITS_MAX || text[digits] != '\r')
		return false;
	*ret = strtoul(text, NULL, 10);
	return true;
}

/* The bytes that the response will have in all, once its head is there; 0 before, -1: never. */
static ssize_t parse_head(struct http_response *response)
{
	char *end = strstr(response->raw, "\r\n\r\n");
	bool ok;

	if (!end)
		return 0;
	end[2] = 0; /* the last header keeps its CRLF, the body is not looked into */
	response->status = parse_status(response->raw);
	ok = response->status != 0 && parse_length(response->raw, &response->body_size);
	end[2] = '\r';
	response->body = end + 4;
	return ok ? end + 4 - response->raw + (ssize_t)response->body_size : -1;
}

/* NULL when the whole response is there, or else what is wrong. */
static const char *receive(gnutls_session_t session, struct http_response *response)
{
	size_t size = 0;
	ssize_t whole = 0, n;

	while (whole == 0 || size < (size_t)whole) {
		n = gnutls_record_recv(
			session, response->raw + size, HTTP_RESPONSE_SIZE_MAX - size);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n <= 0)
			return n == 0 ? "the server hung up" : gnutls_strerror((int)n);
		size += (size_t)n;
		response->raw[size] = 0;
		if (whole == 0)
			whole = parse_head(response);
		if (whole < 0 || whole > HTTP_RESPONSE_SIZE_MAX ||
			(whole == 0 && size == HTTP_RESPONSE_SIZE_MAX))
			return "this is no HTTP, or too much of it";
	}
	return NULL;
}

bool http_receive(gnutls_session_t session, const char *peer, struct http_response **ret_response)
{
	struct http_response *response = calloc(1, sizeof(*response));
	const char *wrong = response ? receive(session, response) : "no memory";

	if (!wrong) {
		*ret_response = response;
		return true;
	}
	complain("%s: %s", peer, wrong);
	free(response);
	return false;
}
