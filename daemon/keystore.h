/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keystore - the keys in memory: found by name or by (purpose, identity) without a scan.
 *
 * Owns every struct key and, through keydir, the key directory: what is in memory is what is on the
 * disk. Sends no TPM command. Loop thread only; but name, id, file and the policy's identity,
 * purpose and mode never change while someone holds a reference, so the TPM thread may read them.
 * Calls block on the disk and in NSS: at start, reload and key management. Returns 0 or -errno,
 * with one line that names the file and what is wrong.
 */
#ifndef TPMPSK_DAEMON_KEYSTORE_H
#define TPMPSK_DAEMON_KEYSTORE_H

#include "daemon/policy.h"
#include "daemon/tpm.h"
#include "keys/keyfile.h"
#include "proto/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYSTORE_ERROR_SIZE 512

struct keystore;

/*
 * One key. The policy's allow, rate and burst may be replaced (allow, deny, reload), the rest never
 * changes.
 */
struct key {
	unsigned refs;
	uint64_t id; /* of its first TPM object, unique for the process; object i has id + i */
	char name[TPMPSK_KEY_NAME_MAX + 1];
	struct policy policy;
	struct keyfile file;
	uint64_t derivations; /* since it was loaded, for `key show` */
};

struct key *key_ref(struct key *k);
/* Returns NULL. */
struct key *key_unref(struct key *k);

/* Whether a name is [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool keystore_name_ok(const char *name);

/*
 * Opens and locks the directory (created 0700 when only its last part is missing), finishes what a
 * crash left half done, and loads every key. On failure error is one line that names the file and
 * what is wrong in it. 0 or -errno (-EBUSY: another daemon has it).
 */
int keystore_open(struct keystore **ret, const char *path, char error[KEYSTORE_ERROR_SIZE])
	__attribute__((warn_unused_result));
void keystore_free(struct keystore *ks);

/* The name of the primary key that all keys here belong to: keydir.h. */
int keystore_primary(const struct keystore *ks, struct tpm_name *ret,
	char error[KEYSTORE_ERROR_SIZE]) __attribute__((warn_unused_result));
int keystore_set_primary(struct keystore *ks, const struct tpm_name *name,
	char error[KEYSTORE_ERROR_SIZE]) __attribute__((warn_unused_result));
const char *keystore_path(const struct keystore *ks);

/*
 * Reads the directory anew, all or nothing: on failure the old state stays in force. A key whose
 * files have not changed stays the same struct key (so that it stays loaded in the TPM).
 */
int keystore_reload(struct keystore *ks, char error[KEYSTORE_ERROR_SIZE])
	__attribute__((warn_unused_result));

size_t keystore_count(const struct keystore *ks);
/* Raised at every change of a key or policy. */
uint64_t keystore_generation(const struct keystore *ks);

/*
 * Borrowed; NULL when there is none. Where one key replaces another, it is found and the other is not.
 */
struct key *keystore_find(
	const struct keystore *ks, uint8_t purpose, const uint8_t *identity, size_t identity_len);
/* The key that one which keystore_find() gives has replaced, as long as it is there; else NULL. */
struct key *keystore_replaced(const struct keystore *ks, const struct key *k);
/* The key that has replaced k, or NULL. */
struct key *keystore_successor(const struct keystore *ks, const struct key *k);
struct key *keystore_by_name(const struct keystore *ks, const char *name);
/* The first key behind a name in strcmp order ("" for the first of all), or NULL. No scan. */
struct key *keystore_next(const struct keystore *ks, const char *after);

/* Whether the peer may use any key of the purpose, in any role. No scan, but after a change. */
bool keystore_any_allowed(struct keystore *ks, const struct peer *peer, uint8_t purpose);

/*
 * Whether a key of that name and policy could be added. 0, -EEXIST (name, or identity and purpose),
 * -EINVAL (no name, or nothing that it could replace).
 */
int keystore_may_add(const struct keystore *ks, const char *name, const struct policy *policy,
	char error[KEYSTORE_ERROR_SIZE]) __attribute__((warn_unused_result));
/*
 * Durable when it returns 0: the key is on the disk and in the index. Takes over policy and file
 * (both zeroed) on success only. Errors of keystore_may_add(), or -errno with nothing left behind.
 */
int keystore_add(struct keystore *ks, const char *name, struct policy *policy, struct keyfile *file,
	char error[KEYSTORE_ERROR_SIZE]) __attribute__((warn_unused_result));
/*
 * Takes over policy (zeroed) on success only. -EINVAL when its identity, purpose, mode or algorithm is not the
 * key's: these cannot change.
 */
int keystore_set_policy(struct keystore *ks, struct key *k, struct policy *policy,
	char error[KEYSTORE_ERROR_SIZE]) __attribute__((warn_unused_result));
/* The store's own reference goes: who needs k afterwards takes one before. */
int keystore_remove(struct keystore *ks, struct key *k, char error[KEYSTORE_ERROR_SIZE])
	__attribute__((warn_unused_result));

#endif
