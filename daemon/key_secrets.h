/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_secrets - what the TPM holds of a key: the secrets that are made from the one that is imported, in the order of the key file's
 * objects, and by which number a derivation finds them.
 *
 * For most purposes that is the imported secret itself. For those that compute a standard key schedule it is what the schedule derives
 * from the PSK and uses as an HMAC key, for each hash; the PSK and all between are gone when the call returns. Pure; any thread. The
 * caller's secrets are the caller's to wipe.
 */
#ifndef TPMPSK_DAEMON_KEY_SECRETS_H
#define TPMPSK_DAEMON_KEY_SECRETS_H

#include "keys/keyfile.h"
#include "proto/digest.h"
#include "proto/purpose.h"

#include <stdbool.h>
#include <stdint.h>

#define KEY_SECRET_MAX 128 /* bytes of an HMAC key: a block of its hash */

struct key_secret {
	uint8_t digest; /* enum tpmpsk_digest, of the HMAC */
	size_t len;
	uint8_t bytes[KEY_SECRET_MAX];
};

/* Which of the objects that a purpose has for a hash. */
enum {
	KEY_OBJECT_ONLY = 0,
	KEY_OBJECT_TLS13_BINDER = 0,
	KEY_OBJECT_TLS13_DERIVED = 1,
};

/*
 * The HMAC keys for a secret of 1 to TPMPSK_KEY_SECRET_MAX bytes, those of SHA-256 first: a TPM without SHA-384 is given the first ones
 * only. Returns how many.
 */
size_t key_secrets_make(uint8_t purpose, const uint8_t *secret, size_t len,
	struct key_secret ret[KEYFILE_OBJECTS_MAX]);

/* The number of an object: the one of `which` for a hash. */
unsigned key_secrets_object(uint8_t purpose, uint8_t digest, unsigned which);

/* Whether a key of the purpose may have so many objects. */
bool key_secrets_count_ok(uint8_t purpose, size_t n_objects);

/* Whether a key of the purpose can be made only from a secret that is imported: not by the TPM, and not from an object made elsewhere. */
bool key_secrets_import_only(uint8_t purpose);

#endif
