/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * primary - proves that a TPM is the one that the keys belong to, before anything is served.
 *
 * The key directory remembers the name of the TPM's primary key, under which the keys were made. A TPM with another seed makes another
 * primary key. Blocks on the TPM and the disk: at start only, while there is one thread.
 */
#ifndef TPMPSK_DAEMON_PRIMARY_H
#define TPMPSK_DAEMON_PRIMARY_H

#include "daemon/keystore.h"
#include "daemon/tpm.h"

/*
 * Opens the TPM. 0 when it is the keys' own, or when there is nothing to tell that by. -EREMCHG when it is another one, -EBADMSG when
 * what the directory remembers cannot be read: then error is one line. Else what tpm_open() returns.
 */
int primary_open_tpm(struct keystore *keys, const struct tpm_options *options, struct tpm **ret,
	char error[KEYSTORE_ERROR_SIZE]) __attribute__((warn_unused_result));

#endif
