/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_identity - the format and the formulas of session identities.
 *
 * A session identity is what a client sends in place of its identity: the identity, then a suffix with the time, a nonce and a tag
 * that proves that a holder of the key made it. Pure: no clock, no TPM, no state. What is parsed is hostile until it has returned
 * true, and proves nothing before its tag has been compared.
 *
 *     stamp            = be64(unix time in ms) || nonce[16]
 *     S_n              = HMAC(K, "tpm-psk session-identity v" || v || " epoch secret" || 0x00 || be64(n))
 *     tag              = first 12 bytes of HMAC(HMAC(S_n, "tag"), v || stamp || identity)
 *     session identity = identity || "~" || v || "." || base64url(stamp || tag)
 *     v = "1", strict: psk = HMAC(K,                "tpm-psk session-identity v1 psk" || 0x00 || session identity)
 *     v = "2", epoch:  psk = HMAC(HMAC(S_n, "psk"), "tpm-psk session-identity v2 psk" || 0x00 || session identity)
 */
#ifndef TPMPSK_DAEMON_SESSION_IDENTITY_H
#define TPMPSK_DAEMON_SESSION_IDENTITY_H

#include "proto/derive.h"

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_EPOCH_MS 300000
#define SESSION_NONCE_SIZE 16
#define SESSION_TAG_SIZE 12
#define SESSION_KEY_SIZE 32    /* of S_n and what is made from it */
#define SESSION_SUFFIX_SIZE 51 /* "~v." and 48 characters of base64url */
#define SESSION_BASE_MAX                                                                           \
	(TPMPSK_IDENTITY_MAX - SESSION_SUFFIX_SIZE) /* bytes of the identity before it */
#define SESSION_MESSAGE_MAX (40 + TPMPSK_IDENTITY_MAX)

enum session_version {
	SESSION_STRICT = 1,
	SESSION_EPOCH = 2,
};

struct session_identity {
	enum session_version version;
	uint64_t unix_ms;
	uint8_t nonce[SESSION_NONCE_SIZE];
	uint8_t tag[SESSION_TAG_SIZE];
	size_t base_len; /* the identity is the first base_len bytes of what was parsed */
};

/* The epoch that a time belongs to. */
static inline uint64_t session_epoch_of(uint64_t unix_ms)
{
	return unix_ms / SESSION_EPOCH_MS;
}

/* False when wire has not exactly the shape above, with an identity of 1 to SESSION_BASE_MAX bytes without NUL. */
bool session_identity_parse(const uint8_t *wire, size_t len, struct session_identity *ret);

/* Prints s (its tag included) behind the identity; returns the length, base_len + SESSION_SUFFIX_SIZE. */
size_t session_identity_print(
	const struct session_identity *s, const uint8_t *base, uint8_t wire[TPMPSK_IDENTITY_MAX]);

/* What the TPM computes an HMAC of to get S_n; returns its length. */
size_t session_epoch_message(
	enum session_version v, uint64_t epoch, uint8_t message[SESSION_MESSAGE_MAX]);

/*
 * HMAC(S_n, "tag") and HMAC(S_n, "psk"), each as the state of an HMAC that was begun with it: half of what a short HMAC costs is its
 * key, and an epoch has many. As secret as the keys.
 */
struct session_keys {
	crypto_auth_hmacsha256_state tag, psk;
};
void session_epoch_keys(const uint8_t secret[SESSION_KEY_SIZE], struct session_keys *ret);

/* The tag that s should have. */
void session_tag(const struct session_identity *s, const uint8_t *base,
	const struct session_keys *keys, uint8_t tag[SESSION_TAG_SIZE]);

/* What a PSK is an HMAC of: under K in strict mode, under the psk key in epoch mode. Returns its length. */
size_t session_psk_message(enum session_version v, const uint8_t *wire, size_t wire_len,
	uint8_t message[SESSION_MESSAGE_MAX]);

/* The PSK in epoch mode. */
void session_epoch_psk(const uint8_t *wire, size_t wire_len, const struct session_keys *keys,
	uint8_t psk[SESSION_KEY_SIZE]);

#endif
