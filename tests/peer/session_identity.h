/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_identity - session identities in software, as the documentation describes them; for
 * openssl-psk-peer, and like it without a line of what it is to agree with.
 *
 * Version 1 is the strict mode, version 2 the epoch mode.
 */
#ifndef TPMPSK_TESTS_PEER_SESSION_IDENTITY_H
#define TPMPSK_TESTS_PEER_SESSION_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#define SESSION_IDENTITY_SIZE 129 /* with its NUL */
#define SESSION_PSK_SIZE 32

struct session_key {
	const unsigned char *secret;
	size_t secret_len;
	const char *identity;
	int version;
};

/* A new one, of so many milliseconds ago. */
void session_identity_make(
	const struct session_key *key, long long age_ms, char ret[SESSION_IDENTITY_SIZE]);

/* Whether it is one of the key's, its time and the nonce apart. */
bool session_identity_is_of(const struct session_key *key, const char *session_identity);

/* The PSK that goes with it. */
void session_identity_psk(const struct session_key *key, const char *session_identity,
	unsigned char psk[SESSION_PSK_SIZE]);

#endif
