/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * requests - from a caller's arguments to a packet, and from a packet to what it says; shared by
 * the calls that wait and those that don't. Not exported.
 *
 * Arguments and packets are hostile until checked here. Pure functions over the caller's buffers;
 * any thread. Requests and what is derived hold secrets: whoever owns the struct wipes it. Returns
 * 0 or TPMPSK_ERR_*; on failure nothing secret is left in the output.
 */
#ifndef TPMPSK_CLIENT_LIB_REQUESTS_H
#define TPMPSK_CLIENT_LIB_REQUESTS_H

#include "client-lib/tpmpsk.h"
#include "proto/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPMPSK_REQUEST_MAX 1184 /* bytes; the longest derivation, psk-import's, has 1170 */

/* A derivation as it is sent, but for its id, and what a right answer to it has. */
struct tpmpsk_request {
	size_t len;
	size_t secret_len; /* 0: a signature, of whatever length */
	size_t name_len;
	bool once; /* not to be sent again when the answer may have been lost */
	uint8_t packet[TPMPSK_REQUEST_MAX];
};

/* Derivations, with the arguments of the calls in tpmpsk.h. TPMPSK_ERR_INVALID. */
int tpmpsk_request_tls12_session(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, const uint8_t *client_random, const uint8_t *server_random,
	size_t random_size) __attribute__((warn_unused_result));
int tpmpsk_request_session_identity_client(struct tpmpsk_request *q, const void *identity,
	size_t identity_size) __attribute__((warn_unused_result));
/* TPMPSK_ERR_MALFORMED for a session identity that cannot be one: it came from the network. */
int tpmpsk_request_session_identity_server(struct tpmpsk_request *q, const void *session_identity,
	size_t session_identity_size, const void *handshake, size_t handshake_size)
	__attribute__((warn_unused_result));
int tpmpsk_request_exporter_kdf(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size, size_t output_size)
	__attribute__((warn_unused_result));
int tpmpsk_request_exporter_mac(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size) __attribute__((warn_unused_result));

int tpmpsk_request_tls12_master(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *client_random,
	const uint8_t *server_random) __attribute__((warn_unused_result));
int tpmpsk_request_tls12_extended_master(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *session_hash,
	size_t session_hash_size) __attribute__((warn_unused_result));
int tpmpsk_request_tls13_binder(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *transcript_hash,
	size_t transcript_hash_size) __attribute__((warn_unused_result));
int tpmpsk_request_tls13_handshake_secret(struct tpmpsk_request *q, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *shared_secret,
	size_t shared_secret_size) __attribute__((warn_unused_result));
int tpmpsk_request_psk_import(struct tpmpsk_request *q, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const void *context, size_t context_size, uint16_t target_protocol,
	uint16_t target_kdf) __attribute__((warn_unused_result));
/* role: enum tpmpsk_role. */
int tpmpsk_request_certificate_verify(struct tpmpsk_request *q, uint8_t role, const void *identity,
	size_t identity_size, uint16_t scheme, const void *transcript_hash,
	size_t transcript_hash_size) __attribute__((warn_unused_result));

void tpmpsk_request_set_id(uint8_t *packet, uint32_t id);

/*
 * What an ok reply gives, when it has the sizes that q must have; else TPMPSK_ERR_PROTOCOL, and
 * *ret is zeroes.
 */
int tpmpsk_request_take(const struct tpmpsk_request *q, struct tpmpsk_reader *body,
	struct tpmpsk_derived *ret) __attribute__((warn_unused_result));

/* A packet's header, with the reader left at its body. TPMPSK_ERR_PROTOCOL. */
int tpmpsk_reply_open(const uint8_t *data, size_t len, struct tpmpsk_reader *ret_body,
	struct tpmpsk_header *ret) __attribute__((warn_unused_result));

/* The reply that is about no request: the daemon takes no more connections, and says so. */
bool tpmpsk_reply_is_refusal(const struct tpmpsk_header *header);

/*
 * 0 for an ok reply, whose body is left to be read. Else what the daemon said, as an error and in
 * *ret_error, which is zeroes when it is TPMPSK_ERR_PROTOCOL.
 */
int tpmpsk_reply_status(const struct tpmpsk_header *header, struct tpmpsk_reader *body,
	struct tpmpsk_error_reply *ret_error) __attribute__((warn_unused_result));

#endif
