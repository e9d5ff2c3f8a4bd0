/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * new_key - a key on its way in: what import, generate and adopt carry between request, TPM and directory.
 *
 * Lives in memory that is locked and wiped; freed with the job that owns it.
 */
#ifndef TPMPSK_DAEMON_NEW_KEY_H
#define TPMPSK_DAEMON_NEW_KEY_H

#include "daemon/key_secrets.h"
#include "daemon/policy.h"
#include "keys/keyfile.h"
#include "proto/message.h"

struct new_key {
	char name[TPMPSK_KEY_NAME_MAX + 1];
	struct policy policy;
	size_t n_secrets; /* 0: the TPM's own randomness */
	struct key_secret secrets[KEYFILE_OBJECTS_MAX];
	struct keyfile file;
};

/* Zeroed; NULL without memory. */
struct new_key *new_key_new(void);
/* Takes NULL. */
void new_key_free(struct new_key *n);

#endif
