/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpm - the only module that talks to the TPM.
 *
 * Owns the ESYS context, the primary key, the session and every loaded object; no ESYS_TR or
 * TSS2_RC leaves its files. Calls block for as long as the TPM takes: only the TPM thread calls
 * them (and start-up, before that thread exists). Arguments are already validated and authorised.
 * Returns 0 or -errno:
 *
 *   -ENODEV      the TPM cannot be reached or lost its way; tpm_free() and tpm_open() again
 *   -EREMCHG     another TPM is there, or ours after its owner hierarchy was cleared: the same
 *   -EBUSY       the TPM cannot do it now: it tests itself, is locked out, is full of what is others'
 *   -EKEYREJECTED the TPM refuses the key: made by another TPM, under another parent, or torn
 *   -EOPNOTSUPP  this TPM does not do that
 *   -EINVAL      the object is not what it is used as (an HMAC key with SHA-256 and an empty auth,
 *                or a signing key of the scheme)
 *   -EPROTONOSUPPORT its RSA-PSS signatures are not what TLS 1.3 takes
 *   -EIO         any other answer of the TPM; logged with its decoded code
 *   -ENOMEM
 *
 * What a TPM reset takes away (session, primary key, loaded objects) is rebuilt inside the call,
 * once, before it fails. A command that the TPM wants to be asked again is sent again for up to
 * TPM_PATIENCE_MS. FAULTS.md has all that can go wrong in one table.
 */
#ifndef TPMPSK_DAEMON_TPM_H
#define TPMPSK_DAEMON_TPM_H

#include "keys/keyfile.h"
#include "proto/digest.h"
#include "proto/scheme.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPM_MAC_MAX 48      /* bytes of the longest HMAC (SHA-384) */
#define TPM_INPUT_MAX 1024  /* bytes that one TPM2_HMAC takes (TPM2B_MAX_BUFFER) */
#define TPM_HMAC_KEY_MAX 64 /* bytes of an HMAC-SHA256 key; one for SHA-384 has twice that */
#define TPM_NAME_MAX 66     /* bytes of an object's name: a hash algorithm and the longest digest */
#define TPM_SIGNATURE_MAX 256 /* bytes of the longest signature (RSA-2048) */
#define TPM_SPKI_MAX 294      /* and of its SubjectPublicKeyInfo */
#define TPM_PATIENCE_MS 2000

struct tpm;

/* An object's name (TPM 2.0 Part 1, section 16): the hash of its public area, which nobody can choose. */
struct tpm_name {
	size_t len; /* 0: none */
	uint8_t bytes[TPM_NAME_MAX];
};

struct tpm_options {
	const char *tcti;        /* as the TCTI loader takes it, "device:/dev/tpmrm0" */
	bool encrypt_sessions;   /* to derive with; creating a key always is encrypted */
	bool quiet;              /* the caller tells by itself that there is no TPM */
	struct tpm_name primary; /* what the primary key must be; none: whatever it is */
};

/* What does not change while the TPM is there. */
struct tpm_info {
	char manufacturer[5];
	char vendor[17];
	uint32_t firmware[2]; /* TPM_PT_FIRMWARE_VERSION_1 and _2 */
	bool shared;          /* behind a resource manager: others use this TPM too */
	bool sha384;          /* has SHA-384 besides SHA-256 */
	bool one_shot_hmac;   /* has TPM2_HMAC; else HMAC_Start and SequenceComplete are used */
	unsigned slots;       /* objects besides the primary key that are kept loaded */
};

struct tpm_stats {
	uint64_t commands;  /* sent since tpm_open() */
	uint64_t loads;     /* TPM2_Load of keys */
	uint64_t evictions; /* loaded keys flushed to make room */
	uint64_t rebuilds;  /* times that session and primary key were made anew */
	uint64_t waits;     /* times that the TPM wanted to be asked again */
	unsigned loaded;    /* keys loaded now */
};

/*
 * Connects, starts the TPM up if nobody has, flushes what a killed predecessor left (unless
 * shared), makes the primary key.
 */
int tpm_open(struct tpm **ret, const struct tpm_options *options)
	__attribute__((warn_unused_result));
/* Flushes everything it owns, as far as the TPM still answers. Takes NULL. */
void tpm_free(struct tpm *t);

/* The primary key's. The same for as long as t lives, whatever happens to the TPM. */
const struct tpm_name *tpm_primary(const struct tpm *t);

const struct tpm_info *tpm_info(const struct tpm *t);
const struct tpm_stats *tpm_stats(const struct tpm *t);

/*
 * Whom the calls from here on are for. Room for a key is made among the keys that this user loaded, rather than among those that others
 * used within the last second: a flood over many keys must not make everybody else's HMAC cost a load.
 */
void tpm_work_for(struct tpm *t, uint32_t user);

/*
 * HMAC under an object. id names the object among the loaded ones (unique for as long as t lives;
 * those of one key are KEYFILE_OBJECTS_MAX in a row, the first of all has 1);
 * the object is loaded when it is not, and the one used least makes room. With the object
 * loaded this is exactly one TPM command. mac has room for TPM_MAC_MAX bytes; in_len is at most
 * TPM_INPUT_MAX.
 */
int tpm_hmac(struct tpm *t, uint64_t id, const struct keyfile_object *object, const uint8_t *in,
	size_t in_len, uint8_t *mac, size_t *ret_mac_len) __attribute__((warn_unused_result));

/* Whether tpm_hmac() would need no load. */
bool tpm_is_loaded(const struct tpm *t, uint64_t id);

/* Flushes one object if it is loaded. */
void tpm_forget(struct tpm *t, uint64_t id);

/*
 * Makes an HMAC key for a hash under the primary key, from a secret of 1 byte to a block of the hash
 * or, with secret NULL, from the TPM's own randomness, and adds it to kf. Always in an encrypted
 * session. No copy of the secret stays in this process.
 */
int tpm_create_hmac(struct tpm *t, enum tpmpsk_digest digest, const uint8_t *secret,
	size_t secret_len, struct keyfile *kf) __attribute__((warn_unused_result));

/* Loads an object and lets go of it: 0 proves that it is of this TPM, under this primary key. */
int tpm_try_load(struct tpm *t, const struct keyfile_object *object)
	__attribute__((warn_unused_result));

/*
 * Proves that an object made elsewhere loads and gives an HMAC-SHA256, and leaves nothing loaded.
 * Where trying costs one of the wrong passwords that the TPM counts, it is not done when that would
 * leave less than half of what the TPM allows: -EBUSY.
 */
int tpm_try_hmac(struct tpm *t, const struct keyfile_object *object)
	__attribute__((warn_unused_result));

/*
 * Signing keys: not restricted, with nothing else allowed, an empty auth, and of one scheme.
 */
struct tpm_signer {
	enum tpmpsk_scheme scheme;
	size_t spki_len;
	uint8_t spki[TPM_SPKI_MAX]; /* SubjectPublicKeyInfo in DER, RFC 5280, section 4.1 */
};

/*
 * What a key file says of the public key. Pure; any thread. What it says proves nothing before the
 * TPM has loaded it. On failure *ret_why is a constant that says what is wrong. 0, -EINVAL.
 */
int tpm_signer_read(const struct keyfile_object *object, struct tpm_signer *ret,
	const char **ret_why) __attribute__((warn_unused_result));

/*
 * The scheme's signature of a digest of tpmpsk_scheme_digest_size(scheme) bytes, encoded as in TLS.
 * Loading as tpm_hmac(); one command with the key loaded. signature has room for TPM_SIGNATURE_MAX
 * bytes.
 */
int tpm_sign(struct tpm *t, uint64_t id, const struct keyfile_object *object,
	enum tpmpsk_scheme scheme, const uint8_t *digest, uint8_t *signature, size_t *ret_len)
	__attribute__((warn_unused_result));

/*
 * Makes a signing key under the primary key, tries it as tpm_try_signer() does and adds it to kf,
 * which is empty.
 */
int tpm_create_signer(struct tpm *t, enum tpmpsk_scheme scheme, struct keyfile *kf)
	__attribute__((warn_unused_result));

/*
 * Proves that a signing key loads and gives a signature that verifies and that TLS 1.3 takes, and
 * leaves nothing loaded.
 */
int tpm_try_signer(struct tpm *t, const struct keyfile_object *object)
	__attribute__((warn_unused_result));

#endif
