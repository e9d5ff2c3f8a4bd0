/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gnutls_parse - the parts of a peer's handshake messages that say which PSK it is about.
 *
 * Messages are hostile, and GnuTLS reads them after us: what is not found here is left for GnuTLS
 * to refuse. Pure functions over the caller's buffers; what they find points into those. Each takes
 * a message's body, without its type and length. Not exported.
 */
#ifndef TPMPSK_CLIENT_LIB_GNUTLS_PARSE_H
#define TPMPSK_CLIENT_LIB_GNUTLS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPMPSK_HELLO_RANDOM_SIZE 32
#define TPMPSK_USERNAME_MAX 128
#define TPMPSK_TLS12 0x0303
#define TPMPSK_TLS13 0x0304

enum {
	TPMPSK_CLIENT_HELLO = 1, /* RFC 8446, section 4; RFC 5246, section 7.4 */
	TPMPSK_SERVER_HELLO = 2,
	TPMPSK_CLIENT_KEY_EXCHANGE = 16,
};

struct tpmpsk_span {
	const uint8_t *data;
	size_t size;
};

/*
 * The identity that GnuTLS asks its callback about: the first in a ClientHello's pre_shared_key
 * extension (RFC 8446, section 4.2.11) that has no age, as tickets have, and a size that a callback
 * is given, 1 to TPMPSK_USERNAME_MAX bytes. False: none, or TLS 1.3 is not offered.
 */
bool tpmpsk_parse_client_hello(const uint8_t *body, size_t size, struct tpmpsk_span *ret_identity);

/* What a ServerHello chose; a HelloRetryRequest is one as well. False: no ServerHello. */
struct tpmpsk_server_hello {
	uint16_t version;
	const uint8_t *random; /* TPMPSK_HELLO_RANDOM_SIZE bytes */
};
bool tpmpsk_parse_server_hello(const uint8_t *body, size_t size, struct tpmpsk_server_hello *ret);

/*
 * The identity that a ClientKeyExchange begins with when the key exchange is one of the PSK kind
 * (RFC 4279, section 2; RFC 5489, section 2). False: none.
 */
bool tpmpsk_parse_client_key_exchange(
	const uint8_t *body, size_t size, struct tpmpsk_span *ret_identity);

#endif
