/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a response code means to the daemon. A code is a layer (who says it) and, from the TPM
 * itself, one of two formats: format one (bit 7) complains about a handle, session or parameter and
 * carries its number, format zero is all the rest.
 */
#include "daemon/tpm_internal.h"

#include "daemon/log.h"

#include <errno.h>
#include <time.h>
#include <tss2/tss2_rc.h>

#define LOG_LINES 10   /* in one period; more are counted and left out */
#define LOG_PERIOD 60  /* seconds */
#define FMT1_CODE 0xbf /* a format-one code without the number of what it is about */

/* FAULTS.md says in words what stands here. */
static const struct meaning {
	TSS2_RC first, last;
	int r;
} meanings[] = {
	/*
	 * The TPM was reset, or somebody flushed what is ours, or the resource manager let our
	 * session grow too old.
	 */
	{ TPM2_RC_INITIALIZE, TPM2_RC_INITIALIZE, -ESTALE },
	{ TPM2_RC_REFERENCE_H0, TPM2_RC_REFERENCE_S6, -ESTALE },
	{ TPM2_RC_HANDLE, TPM2_RC_HANDLE, -ESTALE },
	{ TPM2_RC_CONTEXT_GAP, TPM2_RC_CONTEXT_GAP, -ESTALE },
	/*
	 * Full although we made room: what fills it is not ours, and a rebuild clears a TPM of our
	 * own.
	 */
	{ TPM2_RC_OBJECT_MEMORY, TPM2_RC_OBJECT_HANDLES, -ENOBUFS },
	/* It was asked again and again: what keeps it from the command has not passed. */
	{ TPM2_RC_YIELDED, TPM2_RC_TESTING, -EBUSY },
	{ TPM2_RC_NV_RATE, TPM2_RC_NV_UNAVAILABLE, -EBUSY }, /* and LOCKOUT, RETRY */
	/* It serves nobody until it was reset. */
	{ TPM2_RC_FAILURE, TPM2_RC_FAILURE, -ENODEV },
	{ TPM2_RC_UPGRADE, TPM2_RC_UPGRADE, -ENODEV },
	{ TPM2_RC_REBOOT, TPM2_RC_REBOOT, -ENODEV },
	{ TPM2_RC_COMMAND_CODE, TPM2_RC_COMMAND_CODE, -EOPNOTSUPP },
	{ TPM2_RC_AUTH_FAIL, TPM2_RC_AUTH_FAIL, -EINVAL },
	{ TPM2_RC_BAD_AUTH, TPM2_RC_BAD_AUTH, -EINVAL },
	{ TPM2_RC_ATTRIBUTES, TPM2_RC_VALUE, -EINVAL },
	{ TPM2_RC_TYPE, TPM2_RC_TYPE, -EINVAL },
	{ TPM2_RC_SCHEME, TPM2_RC_SCHEME, -EINVAL },
	{ TPM2_RC_KEY, TPM2_RC_KEY, -EINVAL },
	{ TPM2_RC_INTEGRITY, TPM2_RC_INTEGRITY, -EKEYREJECTED },
	{ TPM2_RC_BINDING, TPM2_RC_BINDING, -EKEYREJECTED },
};

/* The TPM's own code without what varies, or 0 when another layer speaks. */
static TSS2_RC tpm_code(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	/* A resource manager passes the TPM's codes on under a layer of its own. */
	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
		return 0;
	rc &= ~TSS2_RC_LAYER_MASK;
	return rc & TPM2_RC_FMT1 ? rc & FMT1_CODE : rc;
}

bool tpm_rc_is(TSS2_RC rc, TSS2_RC code)
{
	return rc != TSS2_RC_SUCCESS && tpm_code(rc) == code;
}

bool tpm_rc_is_about_input(TSS2_RC rc)
{
	return tpm_code(rc) & TPM2_RC_FMT1;
}

static int meaning_of(TSS2_RC rc)
{
	TSS2_RC code = tpm_code(rc);

	switch (rc & TSS2_RC_LAYER_MASK) {
	case TSS2_TPM_RC_LAYER:
	case TSS2_RESMGR_TPM_RC_LAYER:
		break;
	case TSS2_RESMGR_RC_LAYER:
		return -EIO;
	case TSS2_ESAPI_RC_LAYER:
		if (rc == TSS2_ESYS_RC_MEMORY)
			return -ENOMEM;
		__attribute__((fallthrough));
	default:
		/*
		 * The way to the TPM failed, or what came back makes no sense (truncated, or its
		 * HMAC is wrong). ESYS refuses all further service after that: only a new context
		 * helps.
		 */
		return -ENODEV;
	}
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (code >= meanings[i].first && code <= meanings[i].last)
			return meanings[i].r;
	return -EIO;
}

bool tpm_rc_is_auth(TSS2_RC rc)
{
	return tpm_rc_is(rc, TPM2_RC_AUTH_FAIL) || tpm_rc_is(rc, TPM2_RC_BAD_AUTH);
}

bool tpm_may_log(struct tpm *t)
{
	struct tpm_log *log = &t->log;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (log->lines == 0 || now.tv_sec - log->since >= LOG_PERIOD) {
		if (log->left_out > 0)
			log_warning("TPM: %u more errors were not logged", log->left_out);
		*log = (struct tpm_log){ .since = now.tv_sec };
	}
	if (log->lines >= LOG_LINES) {
		log->left_out++;
		return false;
	}
	log->lines++;
	return true;
}

int tpm_check(struct tpm *t, TSS2_RC rc, const char *step)
{
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	if (tpm_may_log(t))
		log_warning("TPM: %s: %s (0x%x)", step, Tss2_RC_Decode(rc), rc);
	return meaning_of(rc);
}
