/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpm_internal - what the files of the TPM module share: tpm.c (connection, session, recovery),
 * tpm_objects.c (using keys), tpm_create.c (making them) and tpm_error.c (response codes). Nothing
 * else includes this.
 *
 * Inside the module one more return value is used: -ESTALE, the TPM no longer has what we left
 * there (it was reset, say). tpm_retry() rebuilds and tries again; -ESTALE leaves the module as
 * -EIO.
 */
#ifndef TPMPSK_DAEMON_TPM_INTERNAL_H
#define TPMPSK_DAEMON_TPM_INTERNAL_H

#include "daemon/tpm.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tcti.h>

/* Bytes of stack that ESYS and what it calls may have left something on. */
#define STACK_TO_WIPE 16384
#define TPM_LOADED_MAX 16 /* keys kept loaded, however many the TPM would take */

struct tpm_loaded {
	uint64_t id;
	uint64_t used;      /* t->clock of the last use */
	int64_t used_ms;    /* and when that was, monotonic */
	uint32_t user;      /* whom it was for */
	ESYS_TR handle;     /* ESYS_TR_NONE: a free entry */
	TPMI_ALG_HASH hash; /* of its HMAC scheme */
};

/* A bucket for lines about the TPM: clients must not be able to fill the log. */
struct tpm_log {
	int64_t since; /* seconds, monotonic */
	unsigned lines;
	unsigned left_out;
};

struct tpm {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	bool encrypt_sessions;
	ESYS_TR primary;
	ESYS_TR session; /* with encrypt_sessions false only for the time of a tpm_create_hmac() */
	uint64_t clock;
	uint32_t user; /* whom we work for */
	struct tpm_loaded loaded[TPM_LOADED_MAX];
	struct tpm_info info;
	struct tpm_stats stats;
	struct tpm_log log;
};

/*
 * tpm_error.c: 0, or what a response code means to our callers, or -ESTALE; logs. Counts the
 * command.
 */
int tpm_check(struct tpm *t, TSS2_RC rc, const char *step) __attribute__((warn_unused_result));
/* Whether a code is this one of the TPM's (whatever handle, session or parameter it is about). */
bool tpm_rc_is(TSS2_RC rc, TSS2_RC code);
/*
 * Whether the TPM complains about what it was given (a format-one code, TPM 2.0 Part 2, section
 * 6.6).
 */
bool tpm_rc_is_about_input(TSS2_RC rc);

/* tpm.c: the session to authorise with, ESYS_TR_PASSWORD without encryption. */
ESYS_TR tpm_auth(const struct tpm *t);
int tpm_session_start(struct tpm *t) __attribute__((warn_unused_result));
/*
 * Flushes a transient object or session and forgets the handle even if that fails. Takes
 * ESYS_TR_NONE.
 */
void tpm_flush(struct tpm *t, ESYS_TR *handle);
/* Runs op, and once more after a rebuild if the TPM lost what op stands on. */
int tpm_retry(struct tpm *t, int (*op)(struct tpm *t, void *arg), void *arg)
	__attribute__((warn_unused_result));

/* tpm_objects.c */
void tpm_flush_loaded(struct tpm *t);
/*
 * Whether to send a command again: it found the TPM full, and now the key used longest ago is gone,
 * unless that is keep, which the command is about.
 */
bool tpm_made_room(struct tpm *t, TSS2_RC rc, ESYS_TR keep);

/* tpm_create.c */
int tpm_make_primary(struct tpm *t) __attribute__((warn_unused_result));

#endif
