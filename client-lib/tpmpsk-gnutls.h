/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libtpmpsk-gnutls - what a GnuTLS program's own PSK callbacks call.
 *
 * GnuTLS gives its PSK callbacks no pointer of the program's choice, so these are no callbacks
 * themselves: yours finds the handle, and one line of it asks the daemon. A server in full:
 *
 *  static int on_psk(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
 *  {
 *      struct tpmpsk *tpm = gnutls_session_get_ptr(session);
 *
 *      return tpmpsk_gnutls_server(tpm, session, username, 0, key);
 *  }
 *
 *  r = tpmpsk_open(&tpm, NULL);                                             once, at start
 *  gnutls_psk_set_server_credentials_function2(credentials, on_psk);
 *  gnutls_session_set_ptr(session, tpm);                                    for each session
 *
 * and a client's callback, set with gnutls_psk_set_client_credentials_function2():
 *
 *  static int on_psk(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
 *  {
 *      const gnutls_datum_t identity = { (unsigned char *)"Client1", 7 };
 *      struct tpmpsk *tpm = gnutls_session_get_ptr(session);
 *
 *      return tpmpsk_gnutls_client(tpm, session, &identity, 0, username, key);
 *  }
 *
 * TLS 1.2 and DTLS 1.2, with the suites PSK, DHE-PSK, ECDHE-PSK and RSA-PSK; of these DHE-PSK and
 * ECDHE-PSK also keep recorded traffic secret from who can ask the daemon later on. Offer no TLS
 * 1.3 ("-VERS-TLS1.3" in the priorities): a client cannot know yet, when GnuTLS asks for its PSK,
 * that an older version will be negotiated.
 *
 * Only for callbacks that were set with the ..._function2 forms: identities are binary. Both calls
 * block until the daemon's answer or the handle's deadline, and may run in any thread. They return
 * 0 or a negative GnuTLS code for the callback to return; outputs are gnutls_malloc()ed for GnuTLS
 * to take, and untouched on failure.
 */
#ifndef TPMPSK_GNUTLS_H
#define TPMPSK_GNUTLS_H

#include <gnutls/gnutls.h>
#include <tpmpsk.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Server: when there is no PSK for who asks, send the alert unknown_psk_identity (or
 * internal_error, when the daemon is busy or the TPM away) instead of going on with a decoy. Says
 * to anyone on the network which identities exist.
 */
#define TPMPSK_GNUTLS_REVEAL_UNKNOWN 0x1u

/*
 * For a client's callback: the PSK of this session for identity, which has 1 to
 * TPMPSK_IDENTITY_SIZE_MAX bytes, and as username what is to be sent to the server: a copy of
 * identity. flags: 0. When it fails, gnutls_handshake() returns the same code:
 *
 *   GNUTLS_E_INSUFFICIENT_CREDENTIALS  the daemon has no such key for this process
 *   GNUTLS_E_TIMEDOUT                  no answer within the deadline
 *   GNUTLS_E_UNIMPLEMENTED_FEATURE     TLS 1.3 is offered
 *   GNUTLS_E_INVALID_REQUEST           an argument
 *   GNUTLS_E_MEMORY_ERROR
 *   GNUTLS_E_USER_ERROR                all else; tpmpsk_gnutls_last_error() tells it apart
 */
int tpmpsk_gnutls_client(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *identity, unsigned int flags, gnutls_datum_t *ret_username,
	gnutls_datum_t *ret_key) __attribute__((warn_unused_result));

/*
 * For a server's callback: the PSK of this session for the username the peer sent, whatever it is.
 *
 * When the daemon answers that there is none (no such identity, no right to it, too many requests,
 * TPM away) the key is a decoy of random bytes and the call succeeds: the handshake then fails at
 * the peer's Finished message, as it does for a peer with a wrong key. No message tells who has no
 * key which identities exist; the time that the TPM takes for one that does is not hidden.
 * TPMPSK_GNUTLS_REVEAL_UNKNOWN in flags switches decoys off.
 *
 * Without an answer (no daemon, no memory) the call fails, for every identity alike, and
 * gnutls_handshake() returns GNUTLS_E_SRP_PWD_ERROR: GnuTLS lets nothing else through of what a
 * server's callback returns.
 */
int tpmpsk_gnutls_server(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *username, unsigned int flags, gnutls_datum_t *ret_key)
	__attribute__((warn_unused_result));

/*
 * After a failed handshake: the TPMPSK_ERR_* behind what the last of the two calls above on this
 * thread did, decoy or failure; 0 when it handed out a real PSK. For the log; never for the peer.
 */
int tpmpsk_gnutls_last_error(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
