/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/tpmpsk.h"

#include "client-lib/transact.h"

#include <assert.h>
#include <string.h>

static_assert(
	TPMPSK_IDENTITY_SIZE_MAX == TPMPSK_IDENTITY_MAX, "the API's and the protocol's bound");
static_assert(TPMPSK_ERR_INTERNAL == -(int)TPMPSK_STATUS_INTERNAL, "errors are negated statuses");
static_assert(TPMPSK_STATUS_COUNT == 14, "a new status needs a TPMPSK_ERR_");

const char *tpmpsk_version(void)
{
	return TPMPSK_VERSION;
}

const char *tpmpsk_strerror(int error)
{
	switch (error) {
	case TPMPSK_ERR_NO_DAEMON:
		return "no-daemon";
	case TPMPSK_ERR_PROTOCOL:
		return "protocol-error";
	case TPMPSK_ERR_INVALID:
		return "invalid-argument";
	case TPMPSK_ERR_SYSTEM:
		return "system-error";
	default:
		return error <= 0 && error > -(int)TPMPSK_STATUS_COUNT
			       ? tpmpsk_status_name((unsigned int)-error)
			       : "unknown-error";
	}
}

/* Everything that one derivation leaves in memory, wiped as a whole. */
struct derivation {
	struct tpmpsk_derive request;
	struct tpmpsk_derived result;
	struct tpmpsk_reply reply;
	uint8_t packet[TPMPSK_MESSAGE_MAX];
};

static void derivation_done(struct derivation *d)
{
	explicit_bzero(&d->request, sizeof(d->request));
	explicit_bzero(&d->result, sizeof(d->result));
	explicit_bzero(&d->reply, sizeof(d->reply));
}

/* Derivations change nothing in the daemon: they may be sent again on another connection. */
static int derive(struct tpmpsk *handle, struct derivation *d)
{
	size_t len;
	int r;

	if (tpmpsk_derive_encode(0, &d->request, d->packet, sizeof(d->packet), &len) < 0)
		return TPMPSK_ERR_INVALID;
	r = tpmpsk_transact(handle, d->packet, len, true, &d->reply);
	explicit_bzero(d->packet, len);
	if (r < 0)
		return r;
	return tpmpsk_derived_decode(&d->reply.body, &d->result) < 0 ? TPMPSK_ERR_PROTOCOL : 0;
}

static int tls12_session_request(struct tpmpsk_derive *q, const void *identity,
	size_t identity_size, const uint8_t *client_random, const uint8_t *server_random,
	size_t random_size)
{
	if (!identity || identity_size < 1 || identity_size > sizeof(q->identity))
		return TPMPSK_ERR_INVALID;
	if (!client_random || !server_random ||
		(random_size != TPMPSK_RANDOM_SIZE && random_size != TPMPSK_RANDOM_SHORT_SIZE))
		return TPMPSK_ERR_INVALID;
	memset(q, 0, sizeof(*q));
	q->purpose = TPMPSK_PURPOSE_TLS12_SESSION;
	q->role = TPMPSK_ROLE_NONE;
	q->identity_len = identity_size;
	memcpy(q->identity, identity, identity_size);
	q->tls12_session.random_len = random_size;
	memcpy(q->tls12_session.client_random, client_random, random_size);
	memcpy(q->tls12_session.server_random, server_random, random_size);
	return 0;
}

int tpmpsk_tls12_session(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const uint8_t *client_random, const uint8_t *server_random, size_t random_size,
	uint8_t psk[TPMPSK_PSK_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r;

	if (!handle || !psk)
		return TPMPSK_ERR_INVALID;
	r = tls12_session_request(
		&d.request, identity, identity_size, client_random, server_random, random_size);
	if (r == 0)
		r = derive(handle, &d);
	if (r == 0 && (d.result.secret_len != TPMPSK_PSK_SIZE || d.result.name_len != 0))
		r = TPMPSK_ERR_PROTOCOL;
	if (r == 0)
		memcpy(psk, d.result.secret, TPMPSK_PSK_SIZE);
	return r;
}
