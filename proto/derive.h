/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * derive - the body of a derive request: which key, in which role, and the purpose's own typed
 * fields.
 *
 * There is no field for bytes to be authenticated: each purpose names its inputs, and the daemon
 * builds from them what the TPM computes. One codec per purpose, in one table in derive.c. Pure; no
 * allocation.
 */
#ifndef TPMPSK_PROTO_DERIVE_H
#define TPMPSK_PROTO_DERIVE_H

#include "proto/digest.h"
#include "proto/purpose.h"
#include "proto/reader.h"
#include "proto/scheme.h"
#include "proto/writer.h"

#include <stddef.h>
#include <stdint.h>

#define TPMPSK_IDENTITY_MAX 128
#define TPMPSK_RANDOM_SIZE 32       /* a TLS random, RFC 5246, section 7.4.1.2 */
#define TPMPSK_RANDOM_SHORT_SIZE 28 /* the same without its four time bytes */
#define TPMPSK_HANDSHAKE_MAX 32     /* bytes that name a handshake */
#define TPMPSK_EKM_MIN 16
#define TPMPSK_EKM_MAX 48
#define TPMPSK_KDF_MIN 16
#define TPMPSK_SECRET_MAX 64     /* the longest secret that a derivation gives */
#define TPMPSK_TRANSCRIPT_MIN 32 /* a transcript hash has the size of SHA-256 */
#define TPMPSK_TRANSCRIPT_MAX 48 /* or of SHA-384, as the cipher suite has it */
#define TPMPSK_SIGNATURE_MAX 256 /* RSA-2048; ECDSA has at most 104, in DER */
#define TPMPSK_MASTER_SECRET_SIZE 48
/* (EC)DHE shared secrets: from X25519 and P-256 to ffdhe8192, and one TPM2_HMAC takes no more */
#define TPMPSK_SHARED_MIN 32
#define TPMPSK_SHARED_MAX 1024
#define TPMPSK_CONTEXT_MAX 1024 /* of an ImportedIdentity, RFC 9258 */
#define TPMPSK_IMPORT_TLS13 0x0304
#define TPMPSK_IMPORT_DTLS13 0xfefc

struct tpmpsk_tls12_session {
	uint8_t client_random[TPMPSK_RANDOM_SIZE];
	uint8_t server_random[TPMPSK_RANDOM_SIZE];
	size_t random_len; /* of each: TPMPSK_RANDOM_SIZE or TPMPSK_RANDOM_SHORT_SIZE */
};

/*
 * With role client the identity is the key's and there is nothing else to say. With role server it
 * is the session identity that the peer sent, and handshake names the handshake it came in, so that
 * a second call for the same one can be told from a replay; empty when the caller has no name.
 */
struct tpmpsk_session_identity {
	uint8_t handshake[TPMPSK_HANDSHAKE_MAX];
	size_t handshake_len;
};

/* exporter-kdf and exporter-mac. */
struct tpmpsk_exporter {
	uint8_t ekm[TPMPSK_EKM_MAX]; /* what the TLS exporter gave */
	size_t ekm_len;              /* TPMPSK_EKM_MIN to TPMPSK_EKM_MAX */
	uint8_t length; /* exporter-kdf: bytes wanted, TPMPSK_KDF_MIN to TPMPSK_SECRET_MAX */
};

/* Which master secret, by the label that goes before its seed. */
enum tpmpsk_tls12_label {
	TPMPSK_TLS12_MASTER = 1,          /* "master secret", RFC 5246, section 8.1 */
	TPMPSK_TLS12_EXTENDED_MASTER = 2, /* "extended master secret", RFC 7627, section 4 */
};

struct tpmpsk_tls12_master {
	uint8_t digest; /* enum tpmpsk_digest: the suite's */
	uint8_t label;  /* enum tpmpsk_tls12_label */
	union {
		struct {
			uint8_t client_random[TPMPSK_RANDOM_SIZE];
			uint8_t server_random[TPMPSK_RANDOM_SIZE];
		};
		uint8_t session_hash[TPMPSK_DIGEST_SIZE_MAX]; /* as many bytes as digest has */
	};
};

/* The two places where a PSK enters the key schedule of RFC 8446, section 7.1. */
enum tpmpsk_tls13_step {
	TPMPSK_TLS13_BINDER = 1,
	TPMPSK_TLS13_HANDSHAKE_SECRET = 2,
};

struct tpmpsk_tls13_schedule {
	uint8_t digest; /* enum tpmpsk_digest: the suite's, and the PSK's */
	uint8_t step;   /* enum tpmpsk_tls13_step */
	union {
		uint8_t transcript_hash[TPMPSK_DIGEST_SIZE_MAX]; /* as many bytes as digest has */
		struct {
			uint8_t shared[TPMPSK_SHARED_MAX];
			size_t shared_len; /* TPMPSK_SHARED_MIN to TPMPSK_SHARED_MAX */
		};
	};
};

/* The rest of an ImportedIdentity; the external identity is the request's. RFC 9258, section 5.1. */
struct tpmpsk_psk_import {
	uint8_t digest; /* enum tpmpsk_digest: the external PSK's */
	uint16_t target_protocol;
	uint16_t target_kdf; /* enum tpmpsk_digest has the registry's numbers */
	size_t context_len;
	uint8_t context[TPMPSK_CONTEXT_MAX];
};

/*
 * What a CertificateVerify signs, but for its constant parts, which the role decides. The hash of
 * the transcript is the cipher suite's, whatever hash the scheme has.
 */
struct tpmpsk_certificate_verify {
	uint16_t scheme; /* enum tpmpsk_scheme, the key's */
	uint8_t transcript[TPMPSK_TRANSCRIPT_MAX];
	size_t transcript_len; /* TPMPSK_TRANSCRIPT_MIN or TPMPSK_TRANSCRIPT_MAX */
};

struct tpmpsk_derive {
	uint8_t purpose; /* enum tpmpsk_purpose */
	uint8_t role;    /* enum tpmpsk_role; TPMPSK_ROLE_NONE where the purpose has no roles */
	size_t identity_len;
	uint8_t identity[TPMPSK_IDENTITY_MAX];
	union {
		struct tpmpsk_tls12_session tls12_session;
		struct tpmpsk_session_identity session_identity;
		struct tpmpsk_exporter exporter;
		struct tpmpsk_tls12_master tls12_master;
		struct tpmpsk_tls13_schedule tls13_schedule;
		struct tpmpsk_psk_import psk_import;
		struct tpmpsk_certificate_verify certificate_verify;
	};
};

/*
 * What comes back: a secret and, where the daemon makes one, its name (a session identity); or,
 * without a secret, a signature.
 */
struct tpmpsk_derived {
	size_t secret_len;
	uint8_t secret[TPMPSK_SECRET_MAX];
	size_t name_len;
	uint8_t name[TPMPSK_IDENTITY_MAX];
	size_t signature_len;
	uint8_t signature[TPMPSK_SIGNATURE_MAX];
};

void tpmpsk_write_derive(struct tpmpsk_writer *w, const struct tpmpsk_derive *q);

/*
 * Reads the body. An unknown purpose stops the reading there, with q->purpose as sent and
 * *ret_known false: the caller answers `unsupported`, whatever follows. All else that is not as
 * PROTOCOL.md says fails the reader.
 */
void tpmpsk_read_derive(struct tpmpsk_reader *r, struct tpmpsk_derive *q, bool *ret_known);

void tpmpsk_write_derived(struct tpmpsk_writer *w, const struct tpmpsk_derived *d);
void tpmpsk_read_derived(struct tpmpsk_reader *r, struct tpmpsk_derived *d);

#endif
