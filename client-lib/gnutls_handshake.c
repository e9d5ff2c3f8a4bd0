/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handshakes that do not block. GnuTLS cannot be put on hold while it asks for a PSK, so it is not
 * given the message that makes it ask before the PSK is there: the session reads through an inbox,
 * which is looked at for the peer's identity, or in a client for the server's random. A client's
 * first PSK needs nothing of the server's and is asked for before the handshake begins.
 */
#include "client-lib/gnutls_inbox.h"
#include "client-lib/gnutls_internal.h"
#include "client-lib/gnutls_parse.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HELLOS_MAX 2 /* of a handshake: one more after a HelloRetryRequest */

enum what {
	NOTHING, /* was asked for, and there is no PSK */
	SESSION_IDENTITY,
	TLS12_SESSION,
};

/* The PSK that was asked for last. */
struct answer {
	enum what of;
	int error;
	size_t name_size;
	uint8_t name[TPMPSK_SESSION_IDENTITY_SIZE]; /* what goes over the network with it */
	uint8_t psk[TPMPSK_PSK_SIZE];
};

struct tpmpsk_gnutls_handshake {
	struct tpmpsk_async *async;
	gnutls_session_t session;
	void *tag;
	unsigned int flags;
	bool server;
	bool waits;    /* for the daemon */
	bool attached; /* the session reads through the inbox */
	int in_fd, out_fd;
	unsigned int hellos;
	struct tpmpsk_inbox inbox;
	uint8_t id[TPMPSK_HANDSHAKE_NAME_SIZE]; /* of a server's handshake, to the daemon */
	size_t identity_size;
	uint8_t identity[TPMPSK_IDENTITY_SIZE_MAX]; /* a client's */
	struct answer answer;
};

static struct tpmpsk_gnutls_handshake *of_session(gnutls_session_t session)
{
	gnutls_ext_priv_data_t h;

	return gnutls_ext_get_data(session, TPMPSK_EXTENSION_HANDSHAKE, &h) == 0 ? h : NULL;
}

/* submitted: what submitting the request gave; with an error that is the answer. */
static void ask(
	struct tpmpsk_gnutls_handshake *h, enum what of, struct tpmpsk_span name, int submitted)
{
	explicit_bzero(&h->answer, sizeof(h->answer));
	h->answer.of = of;
	h->answer.error = submitted;
	h->answer.name_size = name.size;
	if (name.size > 0)
		memcpy(h->answer.name, name.data, name.size);
	h->waits = submitted == 0;
}

static bool is_of(const struct answer *a, enum what of, const void *name, size_t size)
{
	return a->of == of && a->name_size == size && memcmp(a->name, name, size) == 0;
}

/* A client's second ClientHello may have the same session identity: then its PSK is here. */
static bool has_session_psk(const struct tpmpsk_gnutls_handshake *h, struct tpmpsk_span identity)
{
	return h->answer.error == 0 &&
	       is_of(&h->answer, SESSION_IDENTITY, identity.data, identity.size);
}

static void on_client_hello(struct tpmpsk_gnutls_handshake *h, const struct tpmpsk_message *message)
{
	struct tpmpsk_span s;

	if (++h->hellos > HELLOS_MAX || h->flags & TPMPSK_GNUTLS_TLS12_ONLY ||
		!tpmpsk_parse_client_hello(message->body, message->size, &s) ||
		has_session_psk(h, s))
		return;
	ask(h, SESSION_IDENTITY, s,
		tpmpsk_async_session_identity_server(
			h->async, h->tag, s.data, s.size, h->id, sizeof(h->id)));
}

static bool is_psk(gnutls_kx_algorithm_t kx)
{
	return kx == GNUTLS_KX_PSK || kx == GNUTLS_KX_DHE_PSK || kx == GNUTLS_KX_ECDHE_PSK ||
	       kx == GNUTLS_KX_RSA_PSK;
}

static void on_client_key_exchange(
	struct tpmpsk_gnutls_handshake *h, const struct tpmpsk_message *message)
{
	gnutls_datum_t client = { 0 }, server = { 0 };
	struct tpmpsk_span s;

	tpmpsk_inbox_stop(&h->inbox);
	if (!is_psk(gnutls_kx_get(h->session)) ||
		!tpmpsk_parse_client_key_exchange(message->body, message->size, &s) || s.size < 1 ||
		s.size > TPMPSK_IDENTITY_SIZE_MAX)
		return;
	gnutls_session_get_random(h->session, &client, &server);
	ask(h, TLS12_SESSION, s,
		tpmpsk_async_tls12_session(h->async, h->tag, s.data, s.size, client.data,
			server.data, TPMPSK_HELLO_RANDOM_SIZE));
}

static void on_server_hello(struct tpmpsk_gnutls_handshake *h, const struct tpmpsk_message *message)
{
	const struct tpmpsk_span s = { h->identity, h->identity_size };
	struct tpmpsk_server_hello hello;
	gnutls_datum_t client = { 0 };

	tpmpsk_inbox_stop(&h->inbox);
	if (!tpmpsk_parse_server_hello(message->body, message->size, &hello) ||
		hello.version != TPMPSK_TLS12)
		return;
	gnutls_session_get_random(h->session, &client, NULL);
	ask(h, TLS12_SESSION, s,
		tpmpsk_async_tls12_session(h->async, h->tag, s.data, s.size, client.data,
			hello.random, TPMPSK_HELLO_RANDOM_SIZE));
}

static void on_message(struct tpmpsk_gnutls_handshake *h, const struct tpmpsk_message *message)
{
	if (h->server && message->type == TPMPSK_CLIENT_HELLO)
		on_client_hello(h, message);
	else if (h->server && message->type == TPMPSK_CLIENT_KEY_EXCHANGE)
		on_client_key_exchange(h, message);
	else if (!h->server && message->type == TPMPSK_SERVER_HELLO)
		on_server_hello(h, message);
}

/* As recv(2). */
static ssize_t fill(struct tpmpsk_gnutls_handshake *h)
{
	size_t room;
	uint8_t *p = tpmpsk_inbox_fill(&h->inbox, &room);
	ssize_t n;

	if (!p) {
		errno = ENOMEM;
		return -1;
	}
	n = recv(h->in_fd, p, room, MSG_DONTWAIT);
	if (n > 0)
		tpmpsk_inbox_filled(&h->inbox, (size_t)n);
	return n;
}

static ssize_t fail(gnutls_session_t session, int error)
{
	gnutls_transport_set_errno(session, error);
	return -1;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *data, size_t size)
{
	struct tpmpsk_gnutls_handshake *h = ptr;
	struct tpmpsk_message message;
	ssize_t n;
	int r;

	for (;;) {
		if (h->waits)
			return fail(h->session, EAGAIN);
		if (tpmpsk_inbox_has(&h->inbox))
			return (ssize_t)tpmpsk_inbox_take(&h->inbox, data, size);
		if (h->inbox.off) {
			n = recv(h->in_fd, data, size, MSG_DONTWAIT);
			return n < 0 ? fail(h->session, errno) : n;
		}
		r = tpmpsk_inbox_next(&h->inbox, &message);
		if (r < 0)
			return fail(h->session, -r);
		if (r > 0) {
			on_message(h, &message);
		} else if (!tpmpsk_inbox_has(&h->inbox) && !h->inbox.off) {
			n = fill(h);
			if (n <= 0)
				return n < 0 ? fail(h->session, errno) : n;
		}
	}
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned int ms)
{
	const struct tpmpsk_gnutls_handshake *h = ptr;

	if (h->waits)
		return 0;
	if (tpmpsk_inbox_has(&h->inbox))
		return 1;
	return gnutls_system_recv_timeout((gnutls_transport_ptr_t)(intptr_t)h->in_fd, ms);
}

/* What GnuTLS does with a descriptor by itself, and does not give back once it was replaced. */
static ssize_t pull_socket(gnutls_transport_ptr_t ptr, void *data, size_t size)
{
	return recv((int)(intptr_t)ptr, data, size, 0);
}

static void use_socket(struct tpmpsk_gnutls_handshake *h, void *in, gnutls_pull_func pull_function,
	gnutls_pull_timeout_func timeout_function)
{
	gnutls_transport_set_ptr2(h->session, in, (gnutls_transport_ptr_t)(intptr_t)h->out_fd);
	gnutls_transport_set_pull_function(h->session, pull_function);
	gnutls_transport_set_pull_timeout_function(h->session, timeout_function);
}

/* The session is gone, or goes on by itself. */
static void let_go(gnutls_ext_priv_data_t data)
{
	struct tpmpsk_gnutls_handshake *h = data;

	if (h)
		h->attached = false;
}

/* Whether the session can have one. */
static int check_session(gnutls_session_t session)
{
	socklen_t size = sizeof(int);
	int fd, type;

	if (of_session(session))
		return TPMPSK_ERR_INVALID; /* there is one, and its pointer for a descriptor */
	gnutls_transport_get_int2(session, &fd, &type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
		return TPMPSK_ERR_INVALID;
	return 0;
}

static int attach(struct tpmpsk_gnutls_handshake *h)
{
	int r = gnutls_session_ext_register(h->session, "tpmpsk no wait",
		TPMPSK_EXTENSION_HANDSHAKE, GNUTLS_EXT_NONE, NULL, NULL, let_go, NULL, NULL, 0);

	if (r < 0) /* there was one: the session has keys, and what comes is encrypted */
		return r == GNUTLS_E_ALREADY_REGISTERED ? TPMPSK_ERR_INVALID : TPMPSK_ERR_SYSTEM;
	gnutls_transport_get_int2(h->session, &h->in_fd, &h->out_fd);
	gnutls_ext_set_data(h->session, TPMPSK_EXTENSION_HANDSHAKE, h);
	use_socket(h, h, pull, pull_timeout);
	h->attached = true;
	return 0;
}

/* The inbox has no more than the record GnuTLS reads: when a handshake is over there is none. */
static void detach(struct tpmpsk_gnutls_handshake *h)
{
	if (!h->attached)
		return;
	use_socket(h, (void *)(intptr_t)h->in_fd, pull_socket, gnutls_system_recv_timeout);
	gnutls_ext_set_data(h->session, TPMPSK_EXTENSION_HANDSHAKE, NULL);
	h->attached = false;
}

static int new_handshake(struct tpmpsk_gnutls_handshake **ret, struct tpmpsk_async *async,
	gnutls_session_t session, void *tag, unsigned int flags)
{
	struct tpmpsk_gnutls_handshake *h;
	int r = check_session(session);

	if (r < 0)
		return r;
	h = calloc(1, sizeof(*h));
	if (!h)
		return TPMPSK_ERR_SYSTEM;
	h->async = async;
	h->session = session;
	h->tag = tag;
	h->flags = flags;
	*ret = h;
	return 0;
}

static int begin(struct tpmpsk_gnutls_handshake **ret, struct tpmpsk_gnutls_handshake *h, int error)
{
	if (error == 0)
		error = attach(h);
	if (error < 0)
		tpmpsk_gnutls_handshake_end(h);
	else
		*ret = h;
	return tpmpsk_gnutls_result(error);
}

int tpmpsk_gnutls_handshake_client(struct tpmpsk_gnutls_handshake **ret_handshake,
	struct tpmpsk_async *async, gnutls_session_t session, void *tag,
	const gnutls_datum_t *identity, unsigned int flags)
{
	struct tpmpsk_gnutls_handshake *h;
	int r;

	if (!ret_handshake || !async || !session || !identity || !identity->data ||
		identity->size < 1 || identity->size > TPMPSK_IDENTITY_SIZE_MAX ||
		flags & ~TPMPSK_GNUTLS_TLS12_ONLY)
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	r = new_handshake(&h, async, session, tag, flags);
	if (r < 0)
		return tpmpsk_gnutls_result(r);
	memcpy(h->identity, identity->data, identity->size);
	h->identity_size = identity->size;
	if (!(flags & TPMPSK_GNUTLS_TLS12_ONLY)) {
		r = tpmpsk_async_session_identity_client(
			async, tag, identity->data, identity->size);
		ask(h, SESSION_IDENTITY, (struct tpmpsk_span){ 0 }, r);
	}
	return begin(ret_handshake, h, r);
}

int tpmpsk_gnutls_handshake_server(struct tpmpsk_gnutls_handshake **ret_handshake,
	struct tpmpsk_async *async, gnutls_session_t session, void *tag, unsigned int flags)
{
	struct tpmpsk_gnutls_handshake *h;
	int r;

	if (!ret_handshake || !async || !session ||
		flags & ~(TPMPSK_GNUTLS_REVEAL_UNKNOWN | TPMPSK_GNUTLS_TLS12_ONLY))
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	r = new_handshake(&h, async, session, tag, flags);
	if (r < 0)
		return tpmpsk_gnutls_result(r);
	h->server = true;
	r = gnutls_rnd(GNUTLS_RND_NONCE, h->id, sizeof(h->id));
	return begin(ret_handshake, h, r < 0 ? TPMPSK_ERR_SYSTEM : 0);
}

int tpmpsk_gnutls_handshake_step(struct tpmpsk_gnutls_handshake *h)
{
	int r;

	if (!h || !h->attached)
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	if (h->waits)
		return GNUTLS_E_AGAIN;
	r = gnutls_handshake(h->session);
	tpmpsk_gnutls_result(r == 0 ? 0 : h->answer.error);
	if (r == 0 || gnutls_error_is_fatal(r)) {
		explicit_bzero(&h->answer, sizeof(h->answer));
		detach(h);
	}
	return r;
}

int tpmpsk_gnutls_handshake_waits(const struct tpmpsk_gnutls_handshake *h)
{
	return h && h->waits;
}

/* What came of the request; an error, or TPMPSK_ERR_PROTOCOL for what cannot be its result. */
static int take_result(struct tpmpsk_gnutls_handshake *h, const struct tpmpsk_async_result *result)
{
	struct answer *a = &h->answer;
	bool has_name = !h->server && a->of == SESSION_IDENTITY;
	size_t name_size = has_name ? h->identity_size + TPMPSK_SESSION_SUFFIX_SIZE : 0;

	if (result->error < 0)
		return result->error;
	if (result->error > 0 || result->secret_size != sizeof(a->psk) ||
		result->session_identity_size != name_size || name_size > sizeof(a->name))
		return TPMPSK_ERR_PROTOCOL;
	memcpy(a->psk, result->secret, sizeof(a->psk));
	if (has_name) {
		memcpy(a->name, result->session_identity, name_size);
		a->name_size = name_size;
	}
	return 0;
}

int tpmpsk_gnutls_handshake_deliver(
	struct tpmpsk_gnutls_handshake *h, const struct tpmpsk_async_result *result)
{
	if (!h || !result || !h->waits || result->tag != h->tag)
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	h->waits = false;
	h->answer.error = take_result(h, result);
	return tpmpsk_gnutls_result(0);
}

void tpmpsk_gnutls_handshake_end(struct tpmpsk_gnutls_handshake *h)
{
	if (!h)
		return;
	if (h->waits)
		tpmpsk_async_cancel(h->async, h->tag);
	detach(h);
	tpmpsk_inbox_done(&h->inbox);
	explicit_bzero(h, sizeof(*h));
	free(h);
}

int tpmpsk_gnutls_handshake_client_psk(
	gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct tpmpsk_gnutls_handshake *h = of_session(session);
	enum what of = tpmpsk_gnutls_is_tls12_client(session) ? TLS12_SESSION : SESSION_IDENTITY;
	int r;

	if (!h || h->server)
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	/* Not stepped, or it was said that there would be no TLS 1.3, or there was no ServerHello. */
	if (h->waits || h->answer.of != of)
		h->answer.error = TPMPSK_ERR_INVALID;
	if (h->answer.error < 0)
		return tpmpsk_gnutls_result(h->answer.error);
	r = tpmpsk_gnutls_client_outputs(
		h->answer.name, h->answer.name_size, h->answer.psk, username, key);
	h->answer.error = tpmpsk_gnutls_last_error();
	return r;
}

int tpmpsk_gnutls_handshake_server_psk(
	gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct tpmpsk_gnutls_handshake *h = of_session(session);
	bool tls13 = gnutls_protocol_get_version(session) == GNUTLS_TLS1_3;
	uint8_t psk[TPMPSK_PSK_SIZE];
	int r;

	if (!h || !h->server || h->waits) {
		tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
		return GNUTLS_E_SRP_PWD_ERROR;
	}
	if (!is_of(&h->answer, tls13 ? SESSION_IDENTITY : TLS12_SESSION, username->data,
		    username->size))
		h->answer.error = tls13 ? TPMPSK_ERR_MALFORMED : TPMPSK_ERR_UNKNOWN_IDENTITY;
	memcpy(psk, h->answer.psk, sizeof(psk));
	r = tpmpsk_gnutls_server_output(session, h->answer.error, h->flags, psk, key);
	h->answer.error = tpmpsk_gnutls_last_error();
	explicit_bzero(psk, sizeof(psk));
	return r;
}
