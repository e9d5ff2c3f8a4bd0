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
 *  r = tpmpsk_gnutls_allocate_server_credentials(&credentials);
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
 * Both do what the handshake needs: in TLS 1.3 the PSK of a session identity, which goes to the
 * server in place of the identity (tpmpsk_session_identity_client()); in TLS 1.2 and DTLS 1.2 the
 * PSK of the two randoms (tpmpsk_tls12_session()); the one after the other when a client offers
 * both and the server has 1.2 only; and again when GnuTLS asks again. These are keys of two
 * purposes, session-identity and tls12-session: who offers both versions should have both, under
 * one identity and with one secret. A client without a key for TLS 1.3 gets no further while it
 * offers TLS 1.3.
 *
 * Recommended, and what the examples use, but for the last:
 *
 *  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+DHE-PSK"
 *
 *  - ECDHE-PSK and DHE-PSK (in TLS 1.3: psk_dhe_ke) keep recorded traffic secret from who gets a
 *    session's PSK later; PSK alone (psk_ke) and RSA-PSK do not.
 *  - The groups of NORMAL: a client sends shares for SECP256R1 and X25519. A server that wants
 *    another one asks the client to begin again, which costs both ends a second derivation.
 *  - In TLS 1.3 suites with SHA-256: AES-128-GCM, CHACHA20-POLY1305. A PSK belongs to one hash, for
 *    these it is SHA-256, and a suite with SHA-384 is never chosen with it, whoever offers it.
 *  - No early data (0-RTT): it could be replayed. GnuTLS takes none with these PSKs.
 *  - No session tickets where each connection has to prove anew that its peer may use the key: a
 *    resumed session asks nobody.
 *
 * The two calls are only for callbacks that were set with the ..._function2 forms: identities are
 * binary. Both calls block until the daemon's answer or the handle's deadline, and may run in any
 * thread. They return 0 or a negative GnuTLS code for the callback to return; outputs are
 * gnutls_malloc()ed for GnuTLS to take, and untouched on failure. Nothing secret stays with the
 * library or the session.
 *
 * A program with a certificate whose private key is in the TPM needs no callback:
 *
 *  r = tpmpsk_open(&tpm, NULL);                                             once, at start
 *  r = tpmpsk_gnutls_set_certificate(credentials, tpm, &identity, "chain.pem", 0);
 *  r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
 *  r = tpmpsk_gnutls_watch(session);                                        for each session
 */
#ifndef TPMPSK_GNUTLS_H
#define TPMPSK_GNUTLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <tpmpsk.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Server: when there is no PSK for who asks, send the alert unknown_psk_identity (or
 * internal_error, when the daemon is busy or the TPM away) instead of going on with a decoy. Says
 * to anyone on the network which identities exist, or in TLS 1.3 what was wrong with theirs.
 */
#define TPMPSK_GNUTLS_REVEAL_UNKNOWN 0x1u

/*
 * As gnutls_psk_allocate_client_credentials() and gnutls_psk_allocate_server_credentials(), freed
 * in the same way; with the hash of the PSKs fixed to SHA-256 where GnuTLS can have others (from
 * 3.8.11), so that a server does not ask for each PSK twice. Return 0 or a GnuTLS code.
 */
int tpmpsk_gnutls_allocate_client_credentials(gnutls_psk_client_credentials_t *ret_credentials)
	__attribute__((warn_unused_result));
int tpmpsk_gnutls_allocate_server_credentials(gnutls_psk_server_credentials_t *ret_credentials)
	__attribute__((warn_unused_result));

/*
 * For a client's callback: the PSK of this session for identity, and as username what is to be sent
 * to the server: a session identity, or a copy of identity. identity has 1 to
 * TPMPSK_IDENTITY_SIZE_MAX bytes; where TLS 1.3 is offered, at most TPMPSK_BASE_IDENTITY_SIZE_MAX
 * and no NUL. flags: 0. When it fails, gnutls_handshake() returns the same code:
 *
 *   GNUTLS_E_INSUFFICIENT_CREDENTIALS  the daemon has no such key for this process
 *   GNUTLS_E_TIMEDOUT                  no answer within the deadline
 *   GNUTLS_E_UNIMPLEMENTED_FEATURE     the daemon does not know the purpose
 *   GNUTLS_E_INVALID_REQUEST           an argument
 *   GNUTLS_E_MEMORY_ERROR
 *   GNUTLS_E_USER_ERROR                all else; tpmpsk_gnutls_last_error() tells it apart
 */
int tpmpsk_gnutls_client(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *identity, unsigned int flags, gnutls_datum_t *ret_username,
	gnutls_datum_t *ret_key) __attribute__((warn_unused_result));

/*
 * For a server's callback: the PSK of this session for the username the peer sent, whatever it is.
 * In TLS 1.3 that is a session identity: who the peer is say all of its bytes but the last
 * TPMPSK_SESSION_SUFFIX_SIZE, once the handshake has succeeded.
 *
 * When the daemon answers that there is none (no such identity, no right to it, a session identity
 * that is forged, used, too old or none at all; too many requests, TPM away) the key is a decoy of
 * random bytes and the call succeeds. The handshake then fails as it does for a peer with a wrong
 * key: at the peer's Finished message in TLS 1.2, at the binder in its ClientHello in TLS 1.3.
 * No message tells who has no key which identities exist; the time that the TPM takes for one that
 * does is not hidden. TPMPSK_GNUTLS_REVEAL_UNKNOWN in flags switches decoys off.
 *
 * Without an answer (no daemon, no memory) the call fails, for every identity alike, and
 * gnutls_handshake() returns GNUTLS_E_SRP_PWD_ERROR: GnuTLS lets nothing else through of what a
 * server's callback returns.
 */
int tpmpsk_gnutls_server(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *username, unsigned int flags, gnutls_datum_t *ret_key)
	__attribute__((warn_unused_result));

/*
 * Handshakes for a program with an event loop, which must not wait for the daemon: the calls above
 * and a handshake's every step return at once, and other sessions go on meanwhile.
 *
 *  int r = tpmpsk_gnutls_handshake_step(c->handshake);        in place of gnutls_handshake()
 *
 *  if (tpmpsk_gnutls_handshake_waits(c->handshake))
 *          stop polling c->fd until a result with the tag c was delivered, then step
 *  else if (r == GNUTLS_E_AGAIN)
 *          poll c->fd as gnutls_record_get_direction() says, then step
 *  else if (r < 0 && !gnutls_error_is_fatal(r))
 *          step
 *  else
 *          r is 0: established; or what gnutls_handshake() failed with. Both times:
 *          tpmpsk_gnutls_handshake_end(c->handshake);
 *
 *  and when tpmpsk_async_fd() is readable
 *
 *  while (tpmpsk_async_collect(async, &result) == 0) {
 *          struct connection *c = result.tag;
 *
 *          tpmpsk_gnutls_handshake_deliver(c->handshake, &result);
 *          explicit_bzero(&result, sizeof(result));
 *          step, as above
 *  }
 *
 * with credentials whose callback is the library's own:
 *
 *  gnutls_psk_set_server_credentials_function2(credentials, tpmpsk_gnutls_handshake_server_psk);
 *  gnutls_psk_set_client_credentials_function2(credentials, tpmpsk_gnutls_handshake_client_psk);
 *
 * Purposes, decoys and errors are those of tpmpsk_gnutls_client() and tpmpsk_gnutls_server(), with
 * TLS 1.3 and 1.2 and both; no DTLS. What GnuTLS reads goes through the library while the handshake
 * lasts, and waits there while the PSK of the identity in it is asked for: before GnuTLS has chosen
 * a version, and before it knows whether it resumes a session. So a handshake may ask in vain, where
 * a callback would not have been called. The PSK is kept in the handshake until that is over, and
 * wiped then.
 */
struct tpmpsk_gnutls_handshake;

/* There is no TLS 1.3 on this side: no session identity need be asked for, or about. */
#define TPMPSK_GNUTLS_TLS12_ONLY 0x2u

/*
 * Begins a client's or a server's handshake, one for each session: there is no second one in it. The
 * session, with GNUTLS_NONBLOCK, has a stream socket, set with gnutls_transport_set_int(), and no
 * handshake timeout of GnuTLS's own; the credentials are set. From here on, its functions for reading
 * are the library's, which do what GnuTLS's own do once the handshake is over.
 *
 * async must outlive it. tag is what requests are submitted with, and is no other request's and no
 * other handshake's meanwhile. identity: as of tpmpsk_gnutls_client(); copied. flags:
 * TPMPSK_GNUTLS_TLS12_ONLY, for a server also TPMPSK_GNUTLS_REVEAL_UNKNOWN, or 0.
 *
 * A client's first request is submitted here: it waits at once, but with TPMPSK_GNUTLS_TLS12_ONLY.
 * 0, or a code as of tpmpsk_gnutls_client(): GNUTLS_E_INVALID_REQUEST also for a socket that is no
 * stream and for a session's second handshake, GNUTLS_E_USER_ERROR also when async has too many
 * requests outstanding (TPMPSK_ERR_BUSY).
 */
int tpmpsk_gnutls_handshake_client(struct tpmpsk_gnutls_handshake **ret_handshake,
	struct tpmpsk_async *async, gnutls_session_t session, void *tag,
	const gnutls_datum_t *identity, unsigned int flags) __attribute__((warn_unused_result));
int tpmpsk_gnutls_handshake_server(struct tpmpsk_gnutls_handshake **ret_handshake,
	struct tpmpsk_async *async, gnutls_session_t session, void *tag, unsigned int flags)
	__attribute__((warn_unused_result));

/*
 * As gnutls_handshake(), whose codes it returns; GNUTLS_E_AGAIN also while it waits for the daemon.
 * After a fatal one tpmpsk_gnutls_last_error() is that of this handshake. Once it has returned 0 or a
 * fatal code there is nothing more to step, GNUTLS_E_INVALID_REQUEST.
 */
int tpmpsk_gnutls_handshake_step(struct tpmpsk_gnutls_handshake *handshake)
	__attribute__((warn_unused_result));

/* 1: nothing happens before a result was delivered; else 0. */
int tpmpsk_gnutls_handshake_waits(const struct tpmpsk_gnutls_handshake *handshake);

/*
 * A result with this handshake's tag, an error or a PSK. Copied; wiping it is the caller's part.
 * GNUTLS_E_INVALID_REQUEST when none is waited for.
 */
int tpmpsk_gnutls_handshake_deliver(
	struct tpmpsk_gnutls_handshake *handshake, const struct tpmpsk_async_result *result);

/*
 * Gives up what is outstanding, wipes and frees; takes NULL. At any time, also after gnutls_deinit();
 * but a session whose handshake was not over is then good for nothing else.
 */
void tpmpsk_gnutls_handshake_end(struct tpmpsk_gnutls_handshake *handshake);

/* The callbacks of such sessions, and of no others: they fail there. */
int tpmpsk_gnutls_handshake_client_psk(
	gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key);
int tpmpsk_gnutls_handshake_server_psk(
	gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key);

/*
 * For programs with a certificate whose private key is in the TPM (purpose certificate-verify): a
 * private key for GnuTLS, which asks the daemon by itself whenever a handshake needs a signature,
 * as a server or a client. It signs the CertificateVerify of TLS 1.3, in sessions that were given to
 * tpmpsk_gnutls_watch(), and refuses everything else: other data, other schemes, post-handshake
 * authentication, TLS 1.2 (offer TLS 1.3 alone).
 *
 * handle must live longer than the key; any number of keys and threads may share it. Blocks until
 * the daemon has named the public key. flags: 0. *ret_key is to be given to
 * gnutls_privkey_deinit(), or to what takes it over. Codes as of tpmpsk_gnutls_client().
 */
int tpmpsk_gnutls_privkey(struct tpmpsk *handle, const gnutls_datum_t *identity, unsigned int flags,
	gnutls_privkey_t *ret_key) __attribute__((warn_unused_result));

/*
 * The same, put into credentials with its certificate: chain_file is PEM, the key's certificate
 * first, then those of the authorities between it and the root. GNUTLS_E_CERTIFICATE_KEY_MISMATCH
 * when the first certificate is another key's, which GnuTLS itself does not notice with keys that
 * sign nothing but handshakes. May be called for several keys. On failure credentials is as it was.
 */
int tpmpsk_gnutls_set_certificate(gnutls_certificate_credentials_t credentials,
	struct tpmpsk *handle, const gnutls_datum_t *identity, const char *chain_file,
	unsigned int flags) __attribute__((warn_unused_result));

/*
 * For each session that uses such a key, between gnutls_init() and gnutls_handshake(): hashes the
 * messages of its handshake. GnuTLS asks a key for the signature of a hash only, and the daemon
 * signs nothing but the hash of a transcript that it is told. Takes the session's handshake hook
 * (gnutls_handshake_set_hook_function()). 0 or a GnuTLS code.
 */
int tpmpsk_gnutls_watch(gnutls_session_t session) __attribute__((warn_unused_result));

/*
 * After a failed handshake: the TPMPSK_ERR_* behind what the last of the calls above, or the last
 * signature of such a key, did on this thread, decoy or failure; 0 when it gave what it was asked
 * for. For the log; never for the peer.
 */
int tpmpsk_gnutls_last_error(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
