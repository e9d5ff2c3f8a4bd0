/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/requests.h"

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
static_assert((int)TPMPSK_HASH_SHA256 == TPMPSK_DIGEST_SHA256 &&
		      (int)TPMPSK_HASH_SHA384 == TPMPSK_DIGEST_SHA384 &&
		      TPMPSK_HASH_SIZE_MAX == TPMPSK_DIGEST_SIZE_MAX,
	"the API's and the protocol's hashes");
static_assert(TPMPSK_TLS12_RANDOM_SIZE == TPMPSK_RANDOM_SIZE &&
		      TPMPSK_TLS12_MASTER_SIZE == TPMPSK_MASTER_SECRET_SIZE &&
		      TPMPSK_SHARED_SECRET_SIZE_MIN == TPMPSK_SHARED_MIN &&
		      TPMPSK_SHARED_SECRET_SIZE_MAX == TPMPSK_SHARED_MAX &&
		      TPMPSK_CONTEXT_SIZE_MAX == TPMPSK_CONTEXT_MAX,
	"the API's and the protocol's bounds");
static_assert(TPMPSK_TRANSCRIPT_HASH_SIZE_MAX == TPMPSK_TRANSCRIPT_MAX &&
		      TPMPSK_SIGNATURE_SIZE_MAX == TPMPSK_SIGNATURE_MAX &&
		      TPMPSK_PUBLIC_KEY_SIZE_MAX == TPMPSK_BLOB_MAX,
	"the API's and the protocol's bounds");
static_assert(TPMPSK_ECDSA_SECP256R1_SHA256 == TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256 &&
		      TPMPSK_ECDSA_SECP384R1_SHA384 == TPMPSK_SCHEME_ECDSA_SECP384R1_SHA384 &&
		      TPMPSK_RSA_PSS_RSAE_SHA256 == TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256,
	"the API's and the protocol's schemes");
static_assert(TPMPSK_ERR_INTERNAL == -(int)TPMPSK_STATUS_INTERNAL, "errors are negated statuses");
static_assert(TPMPSK_STATUS_COUNT == 14, "a new status needs a TPMPSK_ERR_");

#define ID_OFFSET 4 /* in the header */

static void derive_done(struct tpmpsk_derive *d)
{
	explicit_bzero(d, sizeof(*d));
}

/* A request for identity, with nothing of its purpose in it yet. */
static int start(struct tpmpsk_derive *d, uint8_t purpose, uint8_t role, const void *identity,
	size_t identity_size)
{
	memset(d, 0, sizeof(*d));
	if (!identity || identity_size < 1 || identity_size > sizeof(d->identity))
		return TPMPSK_ERR_INVALID;
	d->purpose = purpose;
	d->role = role;
	d->identity_len = identity_size;
	memcpy(d->identity, identity, identity_size);
	return 0;
}

static int finish(
	struct tpmpsk_request *q, const struct tpmpsk_derive *d, size_t secret_len, size_t name_len)
{
	q->secret_len = secret_len;
	q->name_len = name_len;
	q->once = false;
	if (tpmpsk_derive_encode(0, d, q->packet, sizeof(q->packet), &q->len) == 0)
		return 0;
	explicit_bzero(q, sizeof(*q));
	return TPMPSK_ERR_INVALID;
}

int tpmpsk_request_tls12_session(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, const uint8_t *client_random, const uint8_t *server_random,
	size_t random_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_TLS12_SESSION, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || !client_random || !server_random ||
		(random_size != TPMPSK_RANDOM_SIZE && random_size != TPMPSK_RANDOM_SHORT_SIZE))
		return TPMPSK_ERR_INVALID;
	d.tls12_session.random_len = random_size;
	memcpy(d.tls12_session.client_random, client_random, random_size);
	memcpy(d.tls12_session.server_random, server_random, random_size);
	return finish(q, &d, TPMPSK_PSK_SIZE, 0);
}

int tpmpsk_request_session_identity_client(
	struct tpmpsk_request *q, const void *identity, size_t identity_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(
		&d, TPMPSK_PURPOSE_SESSION_IDENTITY, TPMPSK_ROLE_CLIENT, identity, identity_size);

	if (r < 0 || identity_size > TPMPSK_BASE_IDENTITY_SIZE_MAX)
		return TPMPSK_ERR_INVALID;
	return finish(q, &d, TPMPSK_PSK_SIZE, identity_size + TPMPSK_SESSION_SUFFIX_SIZE);
}

int tpmpsk_request_session_identity_server(struct tpmpsk_request *q, const void *session_identity,
	size_t session_identity_size, const void *handshake, size_t handshake_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_SESSION_IDENTITY, TPMPSK_ROLE_SERVER, session_identity,
		session_identity_size);

	if (!session_identity || handshake_size > sizeof(d.session_identity.handshake) ||
		(!handshake && handshake_size > 0))
		return TPMPSK_ERR_INVALID;
	if (r < 0)
		return TPMPSK_ERR_MALFORMED; /* it came from the network: no mistake of the caller's */
	d.session_identity.handshake_len = handshake_size;
	if (handshake_size > 0)
		memcpy(d.session_identity.handshake, handshake, handshake_size);
	r = finish(q, &d, TPMPSK_PSK_SIZE, 0);
	/* Without a name for the handshake, the second time would be a replay. */
	q->once = handshake_size == 0;
	return r;
}

/* The two exporter purposes ask in the same way. */
static int exporter(struct tpmpsk_request *q, uint8_t purpose, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size, size_t output_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, purpose, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || !ekm || ekm_size < TPMPSK_EKM_MIN || ekm_size > TPMPSK_EKM_MAX ||
		output_size < TPMPSK_KDF_MIN || output_size > TPMPSK_SECRET_MAX)
		return TPMPSK_ERR_INVALID;
	d.exporter.ekm_len = ekm_size;
	memcpy(d.exporter.ekm, ekm, ekm_size);
	d.exporter.length = (uint8_t)output_size;
	return finish(q, &d, output_size, 0);
}

int tpmpsk_request_exporter_kdf(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size, size_t output_size)
{
	return exporter(q, TPMPSK_PURPOSE_EXPORTER_KDF, identity, identity_size, ekm, ekm_size,
		output_size);
}

int tpmpsk_request_exporter_mac(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size)
{
	return exporter(q, TPMPSK_PURPOSE_EXPORTER_MAC, identity, identity_size, ekm, ekm_size,
		TPMPSK_MAC_SIZE);
}

int tpmpsk_request_tls12_master(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *client_random,
	const uint8_t *server_random)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_TLS12_MASTER, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || tpmpsk_digest_size(hash) == 0 || !client_random || !server_random)
		return TPMPSK_ERR_INVALID;
	d.tls12_master.digest = (uint8_t)hash;
	d.tls12_master.label = TPMPSK_TLS12_MASTER;
	memcpy(d.tls12_master.client_random, client_random, TPMPSK_RANDOM_SIZE);
	memcpy(d.tls12_master.server_random, server_random, TPMPSK_RANDOM_SIZE);
	return finish(q, &d, TPMPSK_TLS12_MASTER_SIZE, 0);
}

int tpmpsk_request_tls12_extended_master(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *session_hash,
	size_t session_hash_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_TLS12_MASTER, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || tpmpsk_digest_size(hash) == 0 || !session_hash ||
		session_hash_size != tpmpsk_digest_size(hash))
		return TPMPSK_ERR_INVALID;
	d.tls12_master.digest = (uint8_t)hash;
	d.tls12_master.label = TPMPSK_TLS12_EXTENDED_MASTER;
	memcpy(d.tls12_master.session_hash, session_hash, session_hash_size);
	return finish(q, &d, TPMPSK_TLS12_MASTER_SIZE, 0);
}

int tpmpsk_request_tls13_binder(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *transcript_hash,
	size_t transcript_hash_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_TLS13_SCHEDULE, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || tpmpsk_digest_size(hash) == 0 || !transcript_hash ||
		transcript_hash_size != tpmpsk_digest_size(hash))
		return TPMPSK_ERR_INVALID;
	d.tls13_schedule.digest = (uint8_t)hash;
	d.tls13_schedule.step = TPMPSK_TLS13_BINDER;
	memcpy(d.tls13_schedule.transcript_hash, transcript_hash, transcript_hash_size);
	return finish(q, &d, tpmpsk_digest_size(hash), 0);
}

int tpmpsk_request_tls13_handshake_secret(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *shared_secret,
	size_t shared_secret_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_TLS13_SCHEDULE, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || tpmpsk_digest_size(hash) == 0 || !shared_secret ||
		shared_secret_size < TPMPSK_SHARED_MIN || shared_secret_size > TPMPSK_SHARED_MAX)
		return TPMPSK_ERR_INVALID;
	d.tls13_schedule.digest = (uint8_t)hash;
	d.tls13_schedule.step = TPMPSK_TLS13_HANDSHAKE_SECRET;
	d.tls13_schedule.shared_len = shared_secret_size;
	memcpy(d.tls13_schedule.shared, shared_secret, shared_secret_size);
	return finish(q, &d, tpmpsk_digest_size(hash), 0);
}

int tpmpsk_request_psk_import(struct tpmpsk_request *q, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const void *context, size_t context_size, uint16_t target_protocol,
	uint16_t target_kdf)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_PSK_IMPORT, TPMPSK_ROLE_NONE, identity, identity_size);

	if (r < 0 || tpmpsk_digest_size(hash) == 0 || tpmpsk_digest_size(target_kdf) == 0 ||
		context_size > TPMPSK_CONTEXT_MAX || (!context && context_size > 0))
		return TPMPSK_ERR_INVALID;
	d.psk_import.digest = (uint8_t)hash;
	d.psk_import.target_protocol = target_protocol;
	d.psk_import.target_kdf = target_kdf;
	d.psk_import.context_len = context_size;
	if (context_size > 0)
		memcpy(d.psk_import.context, context, context_size);
	return finish(q, &d, tpmpsk_digest_size(target_kdf), 0);
}

int tpmpsk_request_certificate_verify(struct tpmpsk_request *q, uint8_t role, const void *identity,
	size_t identity_size, uint16_t scheme, const void *transcript_hash,
	size_t transcript_hash_size)
{
	struct tpmpsk_derive d __attribute__((cleanup(derive_done)));
	int r = start(&d, TPMPSK_PURPOSE_CERTIFICATE_VERIFY, role, identity, identity_size);

	if (r < 0 || !transcript_hash || !tpmpsk_scheme_name(scheme) ||
		(transcript_hash_size != TPMPSK_TRANSCRIPT_MIN &&
			transcript_hash_size != TPMPSK_TRANSCRIPT_MAX))
		return TPMPSK_ERR_INVALID;
	d.certificate_verify.scheme = scheme;
	d.certificate_verify.transcript_len = transcript_hash_size;
	memcpy(d.certificate_verify.transcript, transcript_hash, transcript_hash_size);
	return finish(q, &d, 0, 0);
}

void tpmpsk_request_set_id(uint8_t *packet, uint32_t id)
{
	for (size_t i = 0; i < sizeof(id); i++)
		packet[ID_OFFSET + i] = (uint8_t)(id >> (24 - 8 * i));
}

int tpmpsk_request_take(
	const struct tpmpsk_request *q, struct tpmpsk_reader *body, struct tpmpsk_derived *ret)
{
	if (tpmpsk_derived_decode(body, ret) == 0 && ret->secret_len == q->secret_len &&
		ret->name_len == q->name_len)
		return 0;
	explicit_bzero(ret, sizeof(*ret));
	return TPMPSK_ERR_PROTOCOL;
}

int tpmpsk_reply_open(
	const uint8_t *data, size_t len, struct tpmpsk_reader *ret_body, struct tpmpsk_header *ret)
{
	if (len > TPMPSK_MESSAGE_MAX)
		return TPMPSK_ERR_PROTOCOL;
	tpmpsk_reader_init(ret_body, data, len);
	if (tpmpsk_header_decode(ret_body, ret) < 0 || ret->version != TPMPSK_PROTOCOL_VERSION)
		return TPMPSK_ERR_PROTOCOL;
	return 0;
}

bool tpmpsk_reply_is_refusal(const struct tpmpsk_header *header)
{
	return header->opcode == TPMPSK_OP_REPLY && header->id == 0 &&
	       header->status != TPMPSK_STATUS_OK;
}

int tpmpsk_reply_status(const struct tpmpsk_header *header, struct tpmpsk_reader *body,
	struct tpmpsk_error_reply *ret_error)
{
	memset(ret_error, 0, sizeof(*ret_error));
	if (header->status == TPMPSK_STATUS_OK)
		return 0;
	if (tpmpsk_error_decode(body, ret_error) < 0) {
		memset(ret_error, 0, sizeof(*ret_error));
		return TPMPSK_ERR_PROTOCOL;
	}
	return header->status < TPMPSK_STATUS_COUNT ? -(int)header->status : TPMPSK_ERR_INTERNAL;
}
