/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gnutls_internal - what the files of libtpmpsk-gnutls share. Not exported.
 */
#ifndef TPMPSK_CLIENT_LIB_GNUTLS_INTERNAL_H
#define TPMPSK_CLIENT_LIB_GNUTLS_INTERNAL_H

#include "client-lib/tpmpsk-gnutls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Numbers of extensions that are never sent and never read, from the range for private use (RFC
 * 8446, section 11): the data of one is the only thing of a library's own that GnuTLS keeps with a
 * session.
 */
enum {
	TPMPSK_EXTENSION_NAME = 0xff7a,       /* of the handshake, to the daemon */
	TPMPSK_EXTENSION_TRANSCRIPT = 0xff7b, /* for keys with a certificate */
	TPMPSK_EXTENSION_HANDSHAKE = 0xff7c,  /* one that does not block */
};

#define TPMPSK_HANDSHAKE_NAME_SIZE 16

/* Keeps a TPMPSK_ERR_*, or 0, for tpmpsk_gnutls_last_error(); the GnuTLS code for it. */
int tpmpsk_gnutls_result(int error);

/*
 * Whether a client's callback runs for TLS 1.2. With TLS 1.3 it does while the ClientHello is built,
 * and the version that GnuTLS reports then is not to be relied on; with TLS 1.2 after the server's
 * last message, whatever random the server has chosen.
 */
bool tpmpsk_gnutls_is_tls12_client(gnutls_session_t session);

/* What a client's callback returns once it has a PSK. */
int tpmpsk_gnutls_client_outputs(const void *name, size_t name_size,
	const uint8_t psk[TPMPSK_PSK_SIZE], gnutls_datum_t *ret_username, gnutls_datum_t *ret_key);

/*
 * What a server's callback returns, by how asking for the PSK ended: with an error, a decoy, which
 * psk then is, or an alert. flags: as of tpmpsk_gnutls_server().
 */
int tpmpsk_gnutls_server_output(gnutls_session_t session, int error, unsigned int flags,
	uint8_t psk[TPMPSK_PSK_SIZE], gnutls_datum_t *ret_key);

#endif
