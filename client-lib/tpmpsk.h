/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libtpmpsk - session secrets from pre-shared keys that live in a TPM.
 *
 * A handle is a connection to tpm-pskd. The daemon decides by the user and groups the process had
 * when it connected what it may derive. Every call sends one request and waits for its answer, at
 * most as long as the handle's deadline. Nothing secret stays in the library after a call: outputs
 * go to the caller's buffers, and wiping those is the caller's part.
 *
 * Threads: a handle may be shared; calls made at the same time overlap on its one connection. After
 * fork() the child's first call connects anew. Signals: no call returns early for one, and SIGPIPE
 * is never raised. No call is a cancellation point.
 *
 * Every int returned is 0 or a negative TPMPSK_ERR_*.
 */
#ifndef TPMPSK_H
#define TPMPSK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define TPMPSK_PSK_SIZE 32               /* bytes of a session's PSK */
#define TPMPSK_IDENTITY_SIZE_MAX 128     /* bytes of an identity */
#define TPMPSK_BASE_IDENTITY_SIZE_MAX 77 /* bytes of one that session identities are made from */
#define TPMPSK_SESSION_SUFFIX_SIZE 51    /* bytes that a session identity is longer */
#define TPMPSK_SESSION_IDENTITY_SIZE 129 /* room for any, and a NUL */
#define TPMPSK_HANDSHAKE_SIZE_MAX 32
#define TPMPSK_EKM_SIZE_MIN 16
#define TPMPSK_EKM_SIZE_MAX 48
#define TPMPSK_KDF_SIZE_MIN 16
#define TPMPSK_KDF_SIZE_MAX 64
#define TPMPSK_MAC_SIZE 32
#define TPMPSK_HASH_SIZE_MAX 48
#define TPMPSK_TLS12_RANDOM_SIZE 32
#define TPMPSK_TLS12_MASTER_SIZE 48
#define TPMPSK_SHARED_SECRET_SIZE_MIN 32
#define TPMPSK_SHARED_SECRET_SIZE_MAX 1024
#define TPMPSK_CONTEXT_SIZE_MAX 1024
#define TPMPSK_TRANSCRIPT_HASH_SIZE_MAX 48
#define TPMPSK_SIGNATURE_SIZE_MAX 256
#define TPMPSK_PUBLIC_KEY_SIZE_MAX 512
#define TPMPSK_DEADLINE_DEFAULT_MS 5000
#define TPMPSK_ASYNC_OUTSTANDING_MAX 1024 /* requests of one handle, submitted and not collected */

/*
 * -1 to -13 are the daemon's answers, by their number in the protocol; the rest arise on this side.
 */
enum tpmpsk_error {
	TPMPSK_ERR_MALFORMED = -1,
	TPMPSK_ERR_UNSUPPORTED = -2,
	/* no right to the identity, whether or not there is such a key */
	TPMPSK_ERR_DENIED = -3,
	/* no such key, said to those who may use another one of the purpose */
	TPMPSK_ERR_UNKNOWN_IDENTITY = -4,
	TPMPSK_ERR_EXISTS = -5,
	TPMPSK_ERR_BUSY = -6,     /* tpmpsk_retry_after_ms() says when to come back */
	TPMPSK_ERR_DEADLINE = -7, /* also when no answer came in time */
	TPMPSK_ERR_EXPIRED = -8,
	TPMPSK_ERR_FORGED = -9,
	TPMPSK_ERR_REPLAYED = -10,
	TPMPSK_ERR_TPM_UNAVAILABLE = -11,
	TPMPSK_ERR_SHUTTING_DOWN = -12,
	TPMPSK_ERR_INTERNAL = -13,
	/* nobody listens at the socket, or the connection was lost and could not be made again */
	TPMPSK_ERR_NO_DAEMON = -32,
	TPMPSK_ERR_PROTOCOL = -33, /* the other end does not speak this protocol */
	TPMPSK_ERR_INVALID = -34,  /* an argument is out of its range; nothing was sent */
	TPMPSK_ERR_SYSTEM = -35,   /* no memory or no descriptors */
	TPMPSK_ERR_AGAIN = -36,    /* tpmpsk_async_collect(): nothing has finished yet */
};

struct tpmpsk;

/*
 * Connects to the daemon at path; NULL is $TPM_PSK_SOCKET or, without it (and in a set-user-ID
 * program), the path built in. Blocks for at most the default deadline. On success *ret_handle is
 * to be given to tpmpsk_close(). When the daemon is restarted, the next call connects again by
 * itself, once. TPMPSK_ERR_NO_DAEMON, _PROTOCOL, _DEADLINE, _INVALID (a path of more than 107
 * bytes), _SYSTEM.
 */
int tpmpsk_open(struct tpmpsk **ret_handle, const char *path) __attribute__((warn_unused_result));

/*
 * The same without connecting: the first call does, within its deadline. For a program that may be
 * started before the daemon, or that gives up rights before it first asks: the daemon sees whom it
 * is when it connects. TPMPSK_ERR_INVALID, _SYSTEM.
 */
int tpmpsk_open_later(struct tpmpsk **ret_handle, const char *path)
	__attribute__((warn_unused_result));

/*
 * Takes over a connected SOCK_SEQPACKET socket, for a process that connects before it gives up the
 * right to: the daemon goes on seeing whom it was when it connected. The socket becomes
 * close-on-exec. There is no path to connect to again: a lost connection is TPMPSK_ERR_NO_DAEMON
 * from then on, and so is every call in a forked child. On failure fd stays the caller's.
 * TPMPSK_ERR_INVALID, _SYSTEM.
 */
int tpmpsk_open_fd(struct tpmpsk **ret_handle, int fd) __attribute__((warn_unused_result));

/* Closes and frees; takes NULL. No other thread may be in a call on the handle. */
void tpmpsk_close(struct tpmpsk *handle);

/* Milliseconds each later call may take, 1 to 3600000. TPMPSK_ERR_INVALID. */
int tpmpsk_set_deadline(struct tpmpsk *handle, unsigned int ms);

/*
 * When the last call on this thread gave TPMPSK_ERR_BUSY: milliseconds after which it is worth
 * asking again; 0 when the daemon did not say, or when the call ended otherwise.
 */
unsigned int tpmpsk_retry_after_ms(void);

/* The word for an error, "denied"; a constant. */
const char *tpmpsk_strerror(int error);

/* The version of the library, "0.1.0"; a constant. */
const char *tpmpsk_version(void);

/*
 * The PSK of one TLS 1.2 or DTLS 1.2 session:
 *
 *     psk = HMAC-SHA256(K, "pre master secret" || client_random || server_random)
 *
 * identity: 1 to TPMPSK_IDENTITY_SIZE_MAX bytes, need not be text. Both randoms have random_size
 * bytes: 32 (RFC 5246, section 7.4.1.2), or 28 for peers that leave out the four time bytes. psk is
 * written on success only. Blocks until the answer or the handle's deadline. Any TPMPSK_ERR_*.
 */
int tpmpsk_tls12_session(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const uint8_t *client_random, const uint8_t *server_random, size_t random_size,
	uint8_t psk[TPMPSK_PSK_SIZE]) __attribute__((warn_unused_result));

/*
 * For a TLS 1.3 client, or any whose PSK callback sees nothing but identities: makes a session
 * identity to send in place of identity, and the PSK that goes with it. Both are worth one session,
 * now; the time and the nonce in them are the daemon's choice.
 *
 * identity: 1 to TPMPSK_BASE_IDENTITY_SIZE_MAX bytes without NUL. session_identity gets printable
 * text of identity_size + TPMPSK_SESSION_SUFFIX_SIZE bytes and a NUL; *ret_size is its length
 * without the NUL. The outputs are written on success only. Any TPMPSK_ERR_*.
 */
int tpmpsk_session_identity_client(struct tpmpsk *handle, const void *identity,
	size_t identity_size, char session_identity[TPMPSK_SESSION_IDENTITY_SIZE], size_t *ret_size,
	uint8_t psk[TPMPSK_PSK_SIZE]) __attribute__((warn_unused_result));

/*
 * For the server: the PSK that goes with a session identity as it came from the network, of any
 * size. It is accepted once, while its time is near enough to now.
 *
 * handshake: up to TPMPSK_HANDSHAKE_SIZE_MAX bytes that no other handshake has (its own random
 * number, say), so that a second call for the same handshake gets the same PSK and everybody
 * else's TPMPSK_ERR_REPLAYED; 0 bytes when there is never a second call.
 *
 * TPMPSK_ERR_MALFORMED (no session identity), _EXPIRED, _FORGED, _REPLAYED, _UNKNOWN_IDENTITY,
 * _DENIED: go on with a random PSK, so that the peer does not learn which. Else any TPMPSK_ERR_*.
 */
int tpmpsk_session_identity_server(struct tpmpsk *handle, const void *session_identity,
	size_t session_identity_size, const void *handshake, size_t handshake_size,
	uint8_t psk[TPMPSK_PSK_SIZE]) __attribute__((warn_unused_result));

/*
 * A token from a TLS session: SP 800-108 in counter mode over what the TLS exporter gave (RFC 5705;
 * RFC 8446, section 7.5), with the counter from 0 and the length in bits.
 *
 * ekm_size: TPMPSK_EKM_SIZE_MIN to TPMPSK_EKM_SIZE_MAX. output_size: TPMPSK_KDF_SIZE_MIN to
 * TPMPSK_KDF_SIZE_MAX. output is written on success only. Any TPMPSK_ERR_*.
 */
int tpmpsk_exporter_kdf(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const void *ekm, size_t ekm_size, void *output, size_t output_size)
	__attribute__((warn_unused_result));

/* A key from a TLS session: HMAC-SHA256(K, ekm). As above otherwise. */
int tpmpsk_exporter_mac(struct tpmpsk *handle, const void *identity, size_t identity_size,
	const void *ekm, size_t ekm_size, uint8_t output[TPMPSK_MAC_SIZE])
	__attribute__((warn_unused_result));

/*
 * What follows is for whoever computes the TLS key schedule: a TLS library, or something below one.
 * The daemon takes the part that needs a standard PSK, so that the peer may be any implementation
 * and nothing that outlasts the session comes here. In each, identity is that of a key of the
 * call's purpose, with 1 to TPMPSK_IDENTITY_SIZE_MAX bytes; outputs are written on success only; the
 * call blocks until the answer or the handle's deadline; and TPMPSK_ERR_UNSUPPORTED also says that
 * the daemon's TPM does not have the hash. Any TPMPSK_ERR_*.
 */

/* The hash that a suite's key schedule is made with. */
enum tpmpsk_hash {
	TPMPSK_HASH_SHA256 = 1, /* 32 bytes */
	TPMPSK_HASH_SHA384 = 2, /* 48 bytes */
};

/*
 * Purpose tls12-master: the master secret of a TLS 1.2 session with a plain PSK suite (RFC 4279,
 * section 2; RFC 5246, section 8.1), from the randoms of both sides. Not for DHE-PSK, ECDHE-PSK and
 * RSA-PSK suites: there the session's part is in the key of the HMAC, and not in its input.
 */
int tpmpsk_tls12_master(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t client_random[TPMPSK_TLS12_RANDOM_SIZE],
	const uint8_t server_random[TPMPSK_TLS12_RANDOM_SIZE],
	uint8_t master_secret[TPMPSK_TLS12_MASTER_SIZE]) __attribute__((warn_unused_result));

/*
 * The same with the extended master secret (RFC 7627, section 4): session_hash is of the handshake
 * up to the ClientKeyExchange, and has the size of the hash.
 */
int tpmpsk_tls12_extended_master(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t *session_hash, size_t session_hash_size,
	uint8_t master_secret[TPMPSK_TLS12_MASTER_SIZE]) __attribute__((warn_unused_result));

/*
 * Purpose tls13-schedule: the binder of an external PSK (RFC 8446, section 4.2.11.2), that is HMAC
 * with the finished key of the binder key. transcript_hash is of the ClientHello up to the binders
 * and has the size of the hash, as binder has. The server compares in constant time.
 */
int tpmpsk_tls13_binder(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t *transcript_hash, size_t transcript_hash_size,
	uint8_t *binder) __attribute__((warn_unused_result));

/*
 * Purpose tls13-schedule: the handshake secret (RFC 8446, section 7.1), from which all else in the
 * schedule follows without the PSK. shared_secret is that of the key exchange, psk_dhe_ke:
 * TPMPSK_SHARED_SECRET_SIZE_MIN to TPMPSK_SHARED_SECRET_SIZE_MAX bytes and not all zero, or
 * TPMPSK_ERR_MALFORMED. There is no way to psk_ke, or to the keys of early data. secret has the size
 * of the hash.
 */
int tpmpsk_tls13_handshake_secret(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const uint8_t *shared_secret, size_t shared_secret_size,
	uint8_t *secret) __attribute__((warn_unused_result));

/*
 * Purpose psk-import: a PSK that is imported from an external one (RFC 9258, section 5.1), to be
 * given to a TLS 1.3 library with an ImportedIdentity as its identity. It is the same whenever it is
 * asked for with the same context: a secret to be kept unless the context is a session's own.
 *
 * identity: the external identity. hash: the external PSK's, TPMPSK_HASH_SHA256 unless both ends
 * agreed on another. context: 0 to TPMPSK_CONTEXT_SIZE_MAX bytes. target_protocol: 0x0304 for TLS
 * 1.3, 0xfefc for DTLS 1.3; TPMPSK_ERR_MALFORMED for earlier ones. target_kdf: 1 for HKDF_SHA256, 2
 * for HKDF_SHA384. psk has room for TPMPSK_HASH_SIZE_MAX bytes; *ret_size is the KDF's 32 or 48.
 */
int tpmpsk_psk_import(struct tpmpsk *handle, const void *identity, size_t identity_size,
	enum tpmpsk_hash hash, const void *context, size_t context_size, uint16_t target_protocol,
	uint16_t target_kdf, uint8_t psk[TPMPSK_HASH_SIZE_MAX], size_t *ret_size)
	__attribute__((warn_unused_result));

/*
 * Signature schemes of keys with a certificate, by TLS's numbers (RFC 8446, section 4.2.3).
 */
#define TPMPSK_ECDSA_SECP256R1_SHA256 0x0403
#define TPMPSK_ECDSA_SECP384R1_SHA384 0x0503
#define TPMPSK_RSA_PSS_RSAE_SHA256 0x0804

/*
 * The signature of a TLS 1.3 CertificateVerify (RFC 8446, section 4.4.3) by a private key in the
 * TPM, as a client or as a server. There is no call that signs bytes: what is signed is built by
 * the daemon around the transcript hash, and the right to one role gives no signature of the other.
 *
 * identity: that of a key of purpose certificate-verify. scheme: the key's. transcript_hash has the
 * size of the cipher suite's hash, 32 or 48 bytes, whatever hash the scheme has. signature gets what
 * stands in the message: at most 104 bytes of DER for ECDSA, 256 bytes for RSA. It is no secret. The
 * outputs are written on success only. TPMPSK_ERR_UNSUPPORTED: the key has another scheme. Any
 * TPMPSK_ERR_*.
 */
int tpmpsk_certificate_verify_client(struct tpmpsk *handle, const void *identity,
	size_t identity_size, uint16_t scheme, const void *transcript_hash,
	size_t transcript_hash_size, uint8_t signature[TPMPSK_SIGNATURE_SIZE_MAX], size_t *ret_size)
	__attribute__((warn_unused_result));
int tpmpsk_certificate_verify_server(struct tpmpsk *handle, const void *identity,
	size_t identity_size, uint16_t scheme, const void *transcript_hash,
	size_t transcript_hash_size, uint8_t signature[TPMPSK_SIGNATURE_SIZE_MAX], size_t *ret_size)
	__attribute__((warn_unused_result));

/*
 * The public half of such a key, a SubjectPublicKeyInfo in DER (RFC 5280, section 4.1), for whoever
 * may use the key in any role. Any TPMPSK_ERR_*.
 */
int tpmpsk_certificate_public_key(struct tpmpsk *handle, const void *identity, size_t identity_size,
	uint8_t public_key[TPMPSK_PUBLIC_KEY_SIZE_MAX], size_t *ret_size)
	__attribute__((warn_unused_result));

/*
 * The same for a program with an event loop of its own, which must not wait: submit a request, poll
 * one descriptor, collect what has finished.
 *
 *     struct tpmpsk_async_result result;
 *     struct pollfd p = { .fd = tpmpsk_async_fd(async), .events = POLLIN };
 *
 *     error = tpmpsk_async_tls12_session(
 *             async, connection, "Client1", 7, client_random, server_random, 32);
 *     ...
 *     for (;;) {
 *             poll(&p, 1, -1);
 *             while (tpmpsk_async_collect(async, &result) == 0) {
 *                     resume(result.tag, result.error, result.secret, result.secret_size);
 *                     explicit_bzero(&result, sizeof(result));
 *             }
 *     }
 *
 * Such a handle has a connection of its own and is used by one thread at a time. Nothing but
 * tpmpsk_async_open() blocks. A lost connection is made again without the caller's help, and what
 * was outstanding is sent once more; when that connection is lost as well, or cannot be made, each
 * outstanding request ends with TPMPSK_ERR_NO_DAEMON. In a forked child the parent's handle is good
 * for tpmpsk_async_close() only; all else is TPMPSK_ERR_INVALID there.
 */
struct tpmpsk_async;

/* As tpmpsk_open(); *ret_async is to be given to tpmpsk_async_close(). */
int tpmpsk_async_open(struct tpmpsk_async **ret_async, const char *path)
	__attribute__((warn_unused_result));

/* As tpmpsk_open_fd(). */
int tpmpsk_async_open_fd(struct tpmpsk_async **ret_async, int fd)
	__attribute__((warn_unused_result));

/*
 * Closes and frees; takes NULL. What is outstanding is given up, and what was not collected is
 * wiped. Take the descriptor out of the event loop first.
 */
void tpmpsk_async_close(struct tpmpsk_async *async);

/*
 * The descriptor to poll for reading: with poll(2), select(2), epoll(7) without EPOLLET, or a
 * library that does. The same as long as the handle lives, and the handle's: do nothing else with
 * it. It is readable when there is something to collect or to be done inside; collect until
 * TPMPSK_ERR_AGAIN then. TPMPSK_ERR_INVALID.
 */
int tpmpsk_async_fd(const struct tpmpsk_async *async) __attribute__((warn_unused_result));

/*
 * Milliseconds that each request submitted from now on may take, 1 to 3600000; at first
 * TPMPSK_DEADLINE_DEFAULT_MS. TPMPSK_ERR_INVALID.
 */
int tpmpsk_async_set_deadline(struct tpmpsk_async *async, unsigned int ms);

/*
 * Requests, with the inputs of the calls above; the outputs come with tpmpsk_async_collect(). tag
 * is the caller's, and comes back with them. Inputs are copied.
 *
 * 0: submitted, and will be collected once. Else there will be nothing to collect, and the error is
 * the answer: TPMPSK_ERR_INVALID, _MALFORMED (session_identity_server: no session identity) or
 * _BUSY (TPMPSK_ASYNC_OUTSTANDING_MAX are outstanding already). 64 of them are with the daemon at
 * most, as the protocol has it; the rest wait here for their turn, in order.
 */
int tpmpsk_async_tls12_session(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, const uint8_t *client_random, const uint8_t *server_random,
	size_t random_size) __attribute__((warn_unused_result));
int tpmpsk_async_session_identity_client(struct tpmpsk_async *async, void *tag,
	const void *identity, size_t identity_size) __attribute__((warn_unused_result));
int tpmpsk_async_session_identity_server(struct tpmpsk_async *async, void *tag,
	const void *session_identity, size_t session_identity_size, const void *handshake,
	size_t handshake_size) __attribute__((warn_unused_result));
int tpmpsk_async_exporter_kdf(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size, size_t output_size)
	__attribute__((warn_unused_result));
int tpmpsk_async_exporter_mac(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, const void *ekm, size_t ekm_size) __attribute__((warn_unused_result));
int tpmpsk_async_tls12_master(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash,
	const uint8_t client_random[TPMPSK_TLS12_RANDOM_SIZE],
	const uint8_t server_random[TPMPSK_TLS12_RANDOM_SIZE]) __attribute__((warn_unused_result));
int tpmpsk_async_tls12_extended_master(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *session_hash,
	size_t session_hash_size) __attribute__((warn_unused_result));
int tpmpsk_async_tls13_binder(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *transcript_hash,
	size_t transcript_hash_size) __attribute__((warn_unused_result));
int tpmpsk_async_tls13_handshake_secret(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const uint8_t *shared_secret,
	size_t shared_secret_size) __attribute__((warn_unused_result));
int tpmpsk_async_psk_import(struct tpmpsk_async *async, void *tag, const void *identity,
	size_t identity_size, enum tpmpsk_hash hash, const void *context, size_t context_size,
	uint16_t target_protocol, uint16_t target_kdf) __attribute__((warn_unused_result));

/* How a request ended. Wiping it is the caller's part. */
struct tpmpsk_async_result {
	void *tag;
	int error;                   /* 0 or any TPMPSK_ERR_*; with an error there are no secrets */
	unsigned int retry_after_ms; /* with TPMPSK_ERR_BUSY, as tpmpsk_retry_after_ms() */
	size_t secret_size;          /* the PSK, or whatever else the purpose gives */
	size_t session_identity_size; /* session_identity_client; else 0 */
	uint8_t secret[TPMPSK_KDF_SIZE_MAX];
	char session_identity[TPMPSK_SESSION_IDENTITY_SIZE]; /* with a NUL behind it */
};

/*
 * One finished request, in the order in which they finished. TPMPSK_ERR_AGAIN when there is none
 * yet, and *ret_result is as it was. TPMPSK_ERR_INVALID.
 */
int tpmpsk_async_collect(struct tpmpsk_async *async, struct tpmpsk_async_result *ret_result)
	__attribute__((warn_unused_result));

/*
 * on: from now on nothing is sent. 0: what has gathered is sent together, and others at once again.
 * For an event loop that handles several events before it waits: the daemon is not woken for each.
 * Held requests have their deadlines, too; who holds must let go before it waits. 0;
 * TPMPSK_ERR_INVALID.
 */
int tpmpsk_async_hold(struct tpmpsk_async *async, int on);

/*
 * Gives up every outstanding request with this tag: from here on none will be collected with it. 0,
 * also when there was none; TPMPSK_ERR_INVALID.
 */
int tpmpsk_async_cancel(struct tpmpsk_async *async, const void *tag);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
