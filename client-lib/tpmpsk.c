/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/tpmpsk.h"

#include "client-lib/requests.h"
#include "client-lib/transact.h"

#include <string.h>

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
	case TPMPSK_ERR_AGAIN:
		return "nothing-yet";
	default:
		return error <= 0 && error > -(int)TPMPSK_STATUS_COUNT
			       ? tpmpsk_status_name((unsigned int)-error)
			       : "unknown-error";
	}
}

/* Everything that one derivation leaves in memory, wiped as a whole. */
struct derivation {
	struct tpmpsk_request request;
	struct tpmpsk_derived result;
	struct tpmpsk_reply reply;
};

static void derivation_done(struct derivation *d)
{
	explicit_bzero(&d->request, sizeof(d->request));
	explicit_bzero(&d->result, sizeof(d->result));
	explicit_bzero(&d->reply, sizeof(d->reply));
}

static int derive(struct tpmpsk *handle, struct derivation *d)
{
	int r = tpmpsk_transact(
		handle, d->request.packet, d->request.len, !d->request.once, &d->reply);

	return r < 0 ? r : tpmpsk_request_take(&d->request, &d->reply.body, &d->result);
}

/* Where all that comes back is a secret. built: what building the request gave. */
static int derive_secret(struct tpmpsk *handle, struct derivation *d, int built, void *output)
{
	int r = built;

	if (!handle || !output)
		return TPMPSK_ERR_INVALID;
	if (r == 0)
		r = derive(handle, d);
	if (r == 0)
		memcpy(output, d->result.secret, d->result.secret_len);
	return r;
}

int tpmpsk_tls12_session(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const uint8_t *client_random, const uint8_t *server_random, size_t random_size,
	uint8_t psk[TPMPSK_PSK_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_tls12_session(
		&d.request, identity, identity_size, client_random, server_random, random_size);

	return derive_secret(handle, &d, r, psk);
}

int tpmpsk_session_identity_client(struct tpmpsk *handle, const void *identity,
	size_t identity_size, char session_identity[TPMPSK_SESSION_IDENTITY_SIZE], size_t *ret_size,
	uint8_t psk[TPMPSK_PSK_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_session_identity_client(&d.request, identity, identity_size);

	if (!session_identity || !ret_size)
		return TPMPSK_ERR_INVALID;
	r = derive_secret(handle, &d, r, psk);
	if (r < 0)
		return r;
	memcpy(session_identity, d.result.name, d.result.name_len);
	session_identity[d.result.name_len] = 0;
	*ret_size = d.result.name_len;
	return 0;
}

int tpmpsk_session_identity_server(struct tpmpsk *handle, const void *session_identity,
	size_t session_identity_size, const void *handshake, size_t handshake_size,
	uint8_t psk[TPMPSK_PSK_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_session_identity_server(
		&d.request, session_identity, session_identity_size, handshake, handshake_size);

	return derive_secret(handle, &d, r, psk);
}

int tpmpsk_exporter_kdf(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const void *ekm, size_t ekm_size, void *output, size_t output_size)
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_exporter_kdf(
		&d.request, identity, identity_size, ekm, ekm_size, output_size);

	return derive_secret(handle, &d, r, output);
}

int tpmpsk_exporter_mac(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const void *ekm, size_t ekm_size, uint8_t output[TPMPSK_MAC_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_exporter_mac(&d.request, identity, identity_size, ekm, ekm_size);

	return derive_secret(handle, &d, r, output);
}

int tpmpsk_tls12_master(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t client_random[TPMPSK_TLS12_RANDOM_SIZE],
	const uint8_t server_random[TPMPSK_TLS12_RANDOM_SIZE],
	uint8_t master_secret[TPMPSK_TLS12_MASTER_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_tls12_master(
		&d.request, identity, identity_size, hash, client_random, server_random);

	return derive_secret(handle, &d, r, master_secret);
}

int tpmpsk_tls12_extended_master(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t *session_hash, size_t session_hash_size,
	uint8_t master_secret[TPMPSK_TLS12_MASTER_SIZE])
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_tls12_extended_master(
		&d.request, identity, identity_size, hash, session_hash, session_hash_size);

	return derive_secret(handle, &d, r, master_secret);
}

int tpmpsk_tls13_binder(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t *transcript_hash, size_t transcript_hash_size,
	uint8_t *binder)
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_tls13_binder(
		&d.request, identity, identity_size, hash, transcript_hash, transcript_hash_size);

	return derive_secret(handle, &d, r, binder);
}

int tpmpsk_tls13_handshake_secret(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t *shared_secret, size_t shared_secret_size,
	uint8_t *secret)
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_tls13_handshake_secret(
		&d.request, identity, identity_size, hash, shared_secret, shared_secret_size);

	return derive_secret(handle, &d, r, secret);
}

int tpmpsk_psk_import(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const void *context, size_t context_size, uint16_t target_protocol,
	uint16_t target_kdf, uint8_t psk[TPMPSK_HASH_SIZE_MAX], size_t *ret_size)
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_psk_import(&d.request, identity, identity_size, hash, context,
		context_size, target_protocol, target_kdf);

	if (!ret_size)
		return TPMPSK_ERR_INVALID;
	r = derive_secret(handle, &d, r, psk);
	if (r == 0)
		*ret_size = d.result.secret_len;
	return r;
}

static int certificate_verify(struct tpmpsk *handle, uint8_t role, const void *identity,
	size_t identity_size, uint16_t scheme, const void *transcript_hash,
	size_t transcript_hash_size, uint8_t signature[TPMPSK_SIGNATURE_SIZE_MAX], size_t *ret_size)
{
	struct derivation d __attribute__((cleanup(derivation_done)));
	int r = tpmpsk_request_certificate_verify(&d.request, role, identity, identity_size, scheme,
		transcript_hash, transcript_hash_size);

	if (!handle || !signature || !ret_size)
		return TPMPSK_ERR_INVALID;
	if (r == 0)
		r = derive(handle, &d);
	if (r < 0)
		return r;
	memcpy(signature, d.result.signature, d.result.signature_len);
	*ret_size = d.result.signature_len;
	return 0;
}

int tpmpsk_certificate_verify_client(struct tpmpsk *handle, const void *identity,
	size_t identity_size, uint16_t scheme, const void *transcript_hash,
	size_t transcript_hash_size, uint8_t signature[TPMPSK_SIGNATURE_SIZE_MAX], size_t *ret_size)
{
	return certificate_verify(handle, TPMPSK_ROLE_CLIENT, identity, identity_size, scheme,
		transcript_hash, transcript_hash_size, signature, ret_size);
}

int tpmpsk_certificate_verify_server(struct tpmpsk *handle, const void *identity,
	size_t identity_size, uint16_t scheme, const void *transcript_hash,
	size_t transcript_hash_size, uint8_t signature[TPMPSK_SIGNATURE_SIZE_MAX], size_t *ret_size)
{
	return certificate_verify(handle, TPMPSK_ROLE_SERVER, identity, identity_size, scheme,
		transcript_hash, transcript_hash_size, signature, ret_size);
}

int tpmpsk_certificate_public_key(struct tpmpsk *handle, const void *identity, size_t identity_size,
	uint8_t public_key[TPMPSK_PUBLIC_KEY_SIZE_MAX], size_t *ret_size)
{
	struct tpmpsk_public m = { .identity_len = identity_size };
	uint8_t packet[TPMPSK_REQUEST_MAX];
	struct tpmpsk_blob_reply blob;
	struct tpmpsk_reply reply;
	size_t len;
	int r;

	if (!handle || !identity || identity_size < 1 || identity_size > sizeof(m.identity) ||
		!public_key || !ret_size)
		return TPMPSK_ERR_INVALID;
	memcpy(m.identity, identity, identity_size);
	if (tpmpsk_public_encode(0, &m, packet, sizeof(packet), &len) < 0)
		return TPMPSK_ERR_INVALID;
	r = tpmpsk_transact(handle, packet, len, true, &reply);
	if (r < 0)
		return r;
	if (tpmpsk_blob_reply_decode(&reply.body, &blob) < 0)
		return TPMPSK_ERR_PROTOCOL;
	memcpy(public_key, blob.data, blob.len);
	*ret_size = blob.len;
	return 0;
}
