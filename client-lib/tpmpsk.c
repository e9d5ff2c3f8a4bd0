/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/tpmpsk.h"

#include "client-lib/transact.h"

#include <assert.h>
#include <string.h>

static_assert(
	TPMPSK_IDENTITY_SIZE_MAX == TPMPSK_IDENTITY_MAX, "the API's and the protocol's bound");
static_assert(
	TPMPSK_HANDSHAKE_SIZE_MAX == TPMPSK_HANDSHAKE_MAX &&
		TPMPSK_EKM_SIZE_MIN == TPMPSK_EKM_MIN && TPMPSK_EKM_SIZE_MAX == TPMPSK_EKM_MAX &&
		TPMPSK_KDF_SIZE_MIN == TPMPSK_KDF_MIN && TPMPSK_KDF_SIZE_MAX == TPMPSK_SECRET_MAX &&
		TPMPSK_SESSION_IDENTITY_SIZE == TPMPSK_IDENTITY_MAX + 1,
	"the API's and the protocol's bounds");
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

/* A request for identity, with nothing of its purpose in it yet. */
static int start(struct tpmpsk_derive *q, uint8_t purpose, uint8_t role, const void *identity,
	size_t identity_size)
{
	memset(q, 0, sizeof(*q));
	if (!identity || identity_size < 1 || identity_size > sizeof(q->identity))
		return TPMPSK_ERR_INVALID;
	q->purpose = purpose;
	q->role = role;
	q->identity_len = identity_size;
	memcpy(q->identity, identity, identity_size);
	return 0;
}

/* Asks for exactly size bytes of secret, and a name only where one is made. */
static int derive_exactly(
	struct tpmpsk *handle, struct derivation *d, bool named, void *output, size_t size)
{
	int r = derive(handle, d);

	if (r < 0)
		return r;
	if (d->result.secret_len != size || (d->result.name_len > 0) != named)
		return TPMPSK_ERR_PROTOCOL;
	memcpy(output, d->result.secret, size);
	return 0;
}

int tpmpsk_tls12_session(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const uint8_t *client_random, const uint8_t *server_random, size_t random_size,
	uint8_t psk[TPMPSK_PSK_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	struct tpmpsk_tls12_session *in = &d.request.tls12_session;
	int r = start(&d.request, TPMPSK_PURPOSE_TLS12_SESSION, TPMPSK_ROLE_NONE, identity,
		identity_size);

	if (r < 0 || !handle || !psk || !client_random || !server_random ||
		(random_size != TPMPSK_RANDOM_SIZE && random_size != TPMPSK_RANDOM_SHORT_SIZE))
		return TPMPSK_ERR_INVALID;
	in->random_len = random_size;
	memcpy(in->client_random, client_random, random_size);
	memcpy(in->server_random, server_random, random_size);
	return derive_exactly(handle, &d, false, psk, TPMPSK_PSK_SIZE);
}

int tpmpsk_session_identity_client(struct tpmpsk *handle, const void *identity,
	size_t identity_size, char session_identity[TPMPSK_SESSION_IDENTITY_SIZE], size_t *ret_size,
	uint8_t psk[TPMPSK_PSK_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	uint8_t out[TPMPSK_PSK_SIZE];
	int r = start(&d.request, TPMPSK_PURPOSE_SESSION_IDENTITY, TPMPSK_ROLE_CLIENT, identity,
		identity_size);

	if (r < 0 || !handle || !session_identity || !ret_size || !psk ||
		identity_size > TPMPSK_BASE_IDENTITY_SIZE_MAX)
		return TPMPSK_ERR_INVALID;
	r = derive_exactly(handle, &d, true, out, sizeof(out));
	if (r == 0 && d.result.name_len != identity_size + TPMPSK_SESSION_SUFFIX_SIZE)
		r = TPMPSK_ERR_PROTOCOL;
	if (r == 0) {
		memcpy(session_identity, d.result.name, d.result.name_len);
		session_identity[d.result.name_len] = 0;
		*ret_size = d.result.name_len;
		memcpy(psk, out, sizeof(out));
	}
	explicit_bzero(out, sizeof(out));
	return r;
}

int tpmpsk_session_identity_server(struct tpmpsk *handle, const void *session_identity,
	size_t session_identity_size, const void *handshake, size_t handshake_size,
	uint8_t psk[TPMPSK_PSK_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	struct tpmpsk_session_identity *in = &d.request.session_identity;
	int r = start(&d.request, TPMPSK_PURPOSE_SESSION_IDENTITY, TPMPSK_ROLE_SERVER,
		session_identity, session_identity_size);

	if (!handle || !psk || !session_identity || handshake_size > sizeof(in->handshake) ||
		(!handshake && handshake_size > 0))
		return TPMPSK_ERR_INVALID;
	if (r < 0)
		return TPMPSK_ERR_MALFORMED; /* it came from the network: no mistake of the caller's */
	in->handshake_len = handshake_size;
	if (handshake_size > 0)
		memcpy(in->handshake, handshake, handshake_size);
	return derive_exactly(handle, &d, false, psk, TPMPSK_PSK_SIZE);
}

/* The two exporter purposes ask in the same way. */
static int exporter(struct tpmpsk *handle, uint8_t purpose, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size, void *output, size_t output_size)
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	struct tpmpsk_exporter *in = &d.request.exporter;
	int r = start(&d.request, purpose, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || !handle || !ekm || !output || ekm_size < TPMPSK_EKM_MIN ||
		ekm_size > TPMPSK_EKM_MAX || output_size < TPMPSK_KDF_MIN ||
		output_size > TPMPSK_SECRET_MAX)
		return TPMPSK_ERR_INVALID;
	in->ekm_len = ekm_size;
	memcpy(in->ekm, ekm, ekm_size);
	in->length = (uint8_t)output_size;
	return derive_exactly(handle, &d, false, output, output_size);
}

int tpmpsk_exporter_kdf(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const void *ekm, size_t ekm_size, void *output, size_t output_size)
{
	return exporter(handle, TPMPSK_PURPOSE_EXPORTER_KDF, identity, identity_size, ekm, ekm_size,
		output, output_size);
}

int tpmpsk_exporter_mac(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const void *ekm, size_t ekm_size, uint8_t output[TPMPSK_MAC_SIZE])
{
	return exporter(handle, TPMPSK_PURPOSE_EXPORTER_MAC, identity, identity_size, ekm, ekm_size,
		output, TPMPSK_MAC_SIZE);
}
