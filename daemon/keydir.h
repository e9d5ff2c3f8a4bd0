/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keydir - the key directory on the disk: NAME.pem and NAME.json, one pair a key, and `primary`, the
 * name of the TPM's primary key that all of them belong to.
 *
 * Owns the directory while it is open, by a lock against a second daemon, and makes every change so
 * that a crash at any moment leaves the old pair, the new pair or none. Knows nothing of what is in
 * memory; only the keystore calls. Trusts nothing in the directory. Blocks on the disk. Returns 0
 * or -errno, with one line that names the file; what failed left no trace.
 */
#ifndef TPMPSK_DAEMON_KEYDIR_H
#define TPMPSK_DAEMON_KEYDIR_H

#include "daemon/policy.h"
#include "daemon/tpm.h"
#include "keys/keyfile.h"
#include "proto/message.h"

#include <stdbool.h>
#include <stddef.h>

#define KEYDIR_ERROR_SIZE 512

struct keydir {
	int fd;
	char *path;
};

typedef char keydir_name[TPMPSK_KEY_NAME_MAX + 1];

/* Whether a name is [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool keydir_name_ok(const char *name);

/*
 * Creates it when only its last part is missing, locks it (-EBUSY: somebody has), finishes what a
 * crash left half done. A disk that is full is only warned of: what is stored can be used.
 */
int keydir_open(struct keydir *ret, const char *path, char error[KEYDIR_ERROR_SIZE])
	__attribute__((warn_unused_result));
/* Also takes one that was not opened: path is NULL. */
void keydir_close(struct keydir *d);

/* The names of all keys; *ret is malloc'ed. Warns of files that look like a key and are none. */
int keydir_list(const struct keydir *d, keydir_name **ret, size_t *ret_n,
	char error[KEYDIR_ERROR_SIZE]) __attribute__((warn_unused_result));

int keydir_read(const struct keydir *d, const char *name, struct policy *ret_policy,
	struct keyfile *ret_file, char error[KEYDIR_ERROR_SIZE])
	__attribute__((warn_unused_result));

/* -EEXIST when there is a file of that name, also one that belongs to no key. */
int keydir_add(const struct keydir *d, const char *name, const struct policy *policy,
	const struct keyfile *file, char error[KEYDIR_ERROR_SIZE])
	__attribute__((warn_unused_result));
int keydir_set_policy(const struct keydir *d, const char *name, const struct policy *policy,
	char error[KEYDIR_ERROR_SIZE]) __attribute__((warn_unused_result));
int keydir_remove(const struct keydir *d, const char *name, char error[KEYDIR_ERROR_SIZE])
	__attribute__((warn_unused_result));

/* ret->len is 0 when it was never written. */
int keydir_read_primary(const struct keydir *d, struct tpm_name *ret, char error[KEYDIR_ERROR_SIZE])
	__attribute__((warn_unused_result));
int keydir_set_primary(const struct keydir *d, const struct tpm_name *name,
	char error[KEYDIR_ERROR_SIZE]) __attribute__((warn_unused_result));

#endif
