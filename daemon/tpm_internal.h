/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpm_internal - what the files of the TPM module share: tpm.c (connection, session, recovery),
 * tpm_objects.c (using keys), tpm_create.c (making them), tpm_sign.c and tpm_public.c (signing keys),
 * tpm_error.c (response codes), tpm_tcti.c (the way to the TPM). Nothing else includes this.
 *
 * Inside the module two more return values are used. -ESTALE: the TPM no longer has what we left
 * there (it was reset, say). -ENOBUFS: it is full, and not of what is ours. On both, tpm_retry()
 * rebuilds and tries again; they leave the module as -ENODEV and -EBUSY.
 */
#ifndef TPMPSK_DAEMON_TPM_INTERNAL_H
#define TPMPSK_DAEMON_TPM_INTERNAL_H

#include "daemon/tpm.h"
#include "daemon/tpm_tcti.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tcti.h>

/* Bytes of stack that ESYS and what it calls may have left something on. */
#define STACK_TO_WIPE 16384
#define TPM_LOADED_MAX 16  /* keys kept loaded, however many the TPM would take */
#define TPM_REFUSED_MAX 64 /* keys known to have a password */

/* A loaded object, and what it is good for: an HMAC key of a hash, or a signing key of a scheme. */
struct tpm_key {
	ESYS_TR handle;            /* ESYS_TR_NONE: none */
	TPMI_ALG_HASH hash;        /* TPM2_ALG_NULL: no HMAC key */
	enum tpmpsk_scheme scheme; /* TPMPSK_SCHEME_NONE: no signing key */
	bool counted;              /* the TPM counts wrong passwords for it */
};

struct tpm_loaded {
	uint64_t id;
	unsigned uses;      /* lately */
	uint64_t used;      /* t->clock of the last use */
	int64_t used_ms;    /* and when that was, monotonic */
	uint32_t user;      /* whom it was for */
	struct tpm_key key; /* without a handle: a free entry */
	bool worked;        /* it has no password, so that an attempt more costs nothing */
};

/* Keys that have a password: each attempt may be one that the TPM counts, so there is no second one. */
struct tpm_refused {
	uint64_t ids[TPM_REFUSED_MAX];
	size_t n, next;
};

/* A bucket for lines about the TPM: clients must not be able to fill the log. */
struct tpm_log {
	int64_t since; /* seconds, monotonic */
	unsigned lines;
	unsigned left_out;
};

struct tpm {
	struct tpm_tcti tcti;
	ESYS_CONTEXT *esys;
	bool encrypt_sessions;
	bool quiet;
	bool parks;           /* the primary key, when it is not needed */
	struct tpm_name name; /* of the primary key, once it was made */
	ESYS_TR primary;      /* ESYS_TR_NONE while it is parked */
	TPMS_CONTEXT *parked; /* what it is loaded from again; NULL: it stays where it is */
	ESYS_TR session; /* with encrypt_sessions false only for the time of a tpm_create_hmac() */
	uint64_t clock;
	uint32_t user;    /* whom we work for */
	uint64_t loading; /* the id of the object that is being loaded, or 0 */
	struct tpm_loaded loaded[TPM_LOADED_MAX];
	struct tpm_refused refused;
	struct tpm_info info;
	struct tpm_stats stats;
	struct tpm_log log;
};

/*
 * tpm_error.c: 0, or what a response code means to our callers, or -ESTALE or -ENOBUFS; logs.
 */
int tpm_check(struct tpm *t, TSS2_RC rc, const char *step) __attribute__((warn_unused_result));
/* Whether a code is this one of the TPM's (whatever handle, session or parameter it is about). */
bool tpm_rc_is(TSS2_RC rc, TSS2_RC code);
/*
 * Whether the TPM complains about what it was given (a format-one code, TPM 2.0 Part 2, section
 * 6.6).
 */
bool tpm_rc_is_about_input(TSS2_RC rc);
/* Whether the authorisation was wrong. */
bool tpm_rc_is_auth(TSS2_RC rc);
/* Whether a line about the TPM may be logged. */
bool tpm_may_log(struct tpm *t);

/* tpm.c: the session to authorise with, ESYS_TR_PASSWORD without encryption. */
ESYS_TR tpm_auth(const struct tpm *t);
int tpm_session_start(struct tpm *t) __attribute__((warn_unused_result));
/*
 * What a wrong authorisation means, where we know of no password. -EACCES: the session is in order,
 * so there is one after all. -ESTALE: the session is to blame. Or another error.
 */
int tpm_session_check(struct tpm *t) __attribute__((warn_unused_result));
/* How many wrong passwords the TPM has counted, and how many it allows before it locks out. */
int tpm_lockout_counts(struct tpm *t, UINT32 *ret_counted, UINT32 *ret_allowed)
	__attribute__((warn_unused_result));
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
 * Whether to send a command again: it found the TPM full, and now the key used least is gone,
 * unless that is keep, which the command is about.
 */
bool tpm_made_room(struct tpm *t, TSS2_RC rc, ESYS_TR keep);

int tpm_unmarshal(const struct keyfile_object *o, TPM2B_PUBLIC *pub, TPM2B_PRIVATE *priv)
	__attribute__((warn_unused_result));
/*
 * Loads an object that is a key of one of the kinds; -EINVAL for any other. -EACCES: its parent has
 * a password.
 */
int tpm_load(struct tpm *t, const struct keyfile_object *o, struct tpm_key *ret)
	__attribute__((warn_unused_result));
/* The loaded key of an id, loading it if need be; -EINVAL for one known to have a password. */
int tpm_get_loaded(struct tpm *t, uint64_t id, const struct keyfile_object *o,
	struct tpm_loaded **ret) __attribute__((warn_unused_result));

/* A loaded key that turned out to have a password goes and is not tried again. -EINVAL. */
int tpm_refuse_loaded(struct tpm *t, struct tpm_loaded *entry);
/*
 * Whether a wrong password may be risked: it leaves at least half of those that the TPM allows. 0,
 * -EBUSY when it does not, or another error.
 */
int tpm_spare_attempt(struct tpm *t) __attribute__((warn_unused_result));

/* tpm_public.c: as tpm_signer_read(), of an area that is unmarshalled already. */
int tpm_signer_from(const TPMT_PUBLIC *p, struct tpm_signer *ret, const char **ret_why)
	__attribute__((warn_unused_result));
#define TPM_SPKI_RSA_MODULUS 33 /* where it stands in the SubjectPublicKeyInfo of an RSA key */

/* tpm_create.c */
int tpm_add_object(struct keyfile *kf, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv)
	__attribute__((warn_unused_result));
int tpm_make_primary(struct tpm *t) __attribute__((warn_unused_result));
/*
 * Where the TPM's slots are others' as well, or each object costs something with each command, the
 * primary key is there only for what needs it: saved once, loaded before, flushed after.
 */
int tpm_save_primary(struct tpm *t) __attribute__((warn_unused_result));
int tpm_fetch_primary(struct tpm *t) __attribute__((warn_unused_result));
void tpm_park_primary(struct tpm *t);

#endif
