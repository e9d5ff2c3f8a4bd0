/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http - as much HTTP/1.1 as token-client needs: one GET of "/" over a TLS session, one answer with
 * a Content-Length.
 *
 * Nothing in here is about the TPM. Blocks until the session's record timeout. Whatever the server
 * sends is checked. Whoever gets false has been told why on standard error.
 */
#ifndef TPMPSK_EXAMPLES_HTTP_H
#define TPMPSK_EXAMPLES_HTTP_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>

#define HTTP_RESPONSE_SIZE_MAX 16384

struct http_response {
	unsigned int status;
	size_t body_size;
	const char *body; /* in raw */
	char raw[HTTP_RESPONSE_SIZE_MAX + 1];
};

/* token_name goes before the token as it is: "apikey: ". No argument has a line break in it. */
bool http_get(gnutls_session_t session, const char *host, const char *client,
	const char *token_name, const char *token);

/* For free(). peer is what to call the server in a complaint. */
bool http_receive(gnutls_session_t session, const char *peer, struct http_response **ret_response);

#endif
