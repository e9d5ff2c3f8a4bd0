/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connection, session and recovery. What we keep in the TPM is a primary key, at most one session
 * and a few loaded keys; all of it is volatile and can be made again from nothing and the key
 * files. establish() does that, at start and whenever the TPM turns out to have lost it.
 */
#include "daemon/tpm_internal.h"

#include "daemon/log.h"
#include "daemon/ossl_lib_ctx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_sys.h>

/*
 * Whether others use the TPM beside us. Only of these do we know that they give the TPM to one
 * client alone; of any other way to a TPM we assume that it is shared, for what we would flush
 * there might belong to somebody else.
 */
static bool is_shared(const char *tcti)
{
	static const char *const managed[] = { "tpmrm", "tabrmd" };
	static const char *const bare[] = { "swtpm", "mssim", "/dev/tpm" };

	for (size_t i = 0; i < sizeof(managed) / sizeof(managed[0]); i++)
		if (strstr(tcti, managed[i]))
			return true;
	for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++)
		if (strstr(tcti, bare[i]))
			return false;
	return true;
}

/* Whether the kernel offers a resource manager beside it, whose users need slots, too. */
static bool is_kernels(const char *tcti)
{
	return strstr(tcti, "/dev/tpm");
}

static int get_capability(struct tpm *t, TPM2_CAP capability, UINT32 property, UINT32 count,
	TPMS_CAPABILITY_DATA **ret)
{
	return tpm_check(t,
		Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, capability,
			property, count, NULL, ret),
		"ask for capabilities");
}

static void free_capability(TPMS_CAPABILITY_DATA **c)
{
	Esys_Free(*c);
}

#define _cleanup_capability_ __attribute__((cleanup(free_capability))) TPMS_CAPABILITY_DATA

/* TPM2_PT values from first on; those the TPM does not name keep what ret has. */
static int get_properties(struct tpm *t, UINT32 first, size_t n, UINT32 ret[])
{
	_cleanup_capability_ *c = NULL;
	int r;

	r = get_capability(t, TPM2_CAP_TPM_PROPERTIES, first, (UINT32)n, &c);
	if (r < 0)
		return r;
	for (UINT32 i = 0; i < c->data.tpmProperties.count && i < TPM2_MAX_TPM_PROPERTIES; i++) {
		const TPMS_TAGGED_PROPERTY *p = &c->data.tpmProperties.tpmProperty[i];

		if (p->property >= first && p->property - first < n)
			ret[p->property - first] = p->value;
	}
	return 0;
}

/* Strings come four bytes to a property, and from outside: only what is printable is kept. */
static void property_text(char *text, const UINT32 *words, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < 4 * n; i++) {
		char c = (char)(words[i / 4] >> (24 - 8 * (i % 4)));

		if (c > ' ' && c < 127)
			text[len++] = c;
	}
	text[len] = '\0';
}

static int read_info(struct tpm *t)
{
	enum { MANUFACTURER, VENDOR, FIRMWARE = 6, N = 8 };
	_Static_assert(TPM2_PT_FIRMWARE_VERSION_2 - TPM2_PT_MANUFACTURER == N - 1, "in one row");
	UINT32 values[N] = { 0 };
	_cleanup_capability_ *commands = NULL;
	_cleanup_capability_ *algorithms = NULL;
	int r;

	r = get_properties(t, TPM2_PT_MANUFACTURER, N, values);
	if (r < 0)
		return r;
	property_text(t->info.manufacturer, &values[MANUFACTURER], 1);
	property_text(t->info.vendor, &values[VENDOR], 4);
	t->info.firmware[0] = values[FIRMWARE];
	t->info.firmware[1] = values[FIRMWARE + 1];
	/*
	 * The list starts at the first command from TPM2_HMAC on; the code is the low half of an
	 * attribute word.
	 */
	r = get_capability(t, TPM2_CAP_COMMANDS, TPM2_CC_HMAC, 1, &commands);
	if (r < 0)
		return r;
	t->info.one_shot_hmac = commands->data.command.count > 0 &&
				(commands->data.command.commandAttributes[0] &
					TPMA_CC_COMMANDINDEX_MASK) == TPM2_CC_HMAC;
	/* In the same way, from SHA-384 on. */
	r = get_capability(t, TPM2_CAP_ALGS, TPM2_ALG_SHA384, 1, &algorithms);
	if (r < 0)
		return r;
	t->info.sha384 = algorithms->data.algorithms.count > 0 &&
			 algorithms->data.algorithms.algProperties[0].alg == TPM2_ALG_SHA384;
	return 0;
}

static int start_up(struct tpm *t)
{
	TPMS_CAPABILITY_DATA *c = NULL;
	TSS2_RC rc;

	/* Any command tells; TPM2_Startup on a TPM that runs would be an error in its log. */
	rc = Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER, 1, NULL, &c);
	if (rc == TSS2_RC_SUCCESS)
		Esys_Free(c);
	if (!tpm_rc_is(rc, TPM2_RC_INITIALIZE))
		return tpm_check(t, rc, "first command");
	log_notice("TPM: nobody has started it up yet");
	return tpm_check(t, Esys_Startup(t->esys, TPM2_SU_CLEAR), "start up");
}

/*
 * By the handle itself: ESYS would read the public area of each object first, which half-done HMAC
 * sequences do not have.
 */
static int flush_kind(struct tpm *t, TPM2_HT kind)
{
	_cleanup_capability_ *c = NULL;
	TSS2_SYS_CONTEXT *sys;
	int r;

	r = get_capability(
		t, TPM2_CAP_HANDLES, (TPM2_HANDLE)kind << TPM2_HR_SHIFT, TPM2_MAX_CAP_HANDLES, &c);
	if (r < 0)
		return r;
	if (Esys_GetSysContext(t->esys, &sys) != TSS2_RC_SUCCESS)
		return -ENODEV;
	for (UINT32 i = 0; r == 0 && i < c->data.handles.count && i < TPM2_MAX_CAP_HANDLES; i++)
		r = tpm_check(t, Tss2_Sys_FlushContext(sys, c->data.handles.handle[i]),
			"flush what a predecessor left");
	return r;
}

static void forget_volatile(struct tpm *t)
{
	tpm_flush_loaded(t);
	tpm_flush(t, &t->session);
	tpm_flush(t, &t->primary);
	Esys_Free(t->parked);
	t->parked = NULL;
}

/* What the others need who come by a kernel's resource manager: a parent and what is below it. */
#define NEIGHBOUR_SLOTS 2

static int count_slots(struct tpm *t)
{
	UINT32 available = 0;
	int r;

	t->info.slots = 1;
	/* Each further object would cost the resource manager a save and a load per command. */
	if (t->info.shared)
		return 0;
	r = get_properties(t, TPM2_PT_HR_TRANSIENT_AVAIL, 1, &available);
	if (r < 0)
		return r;
	if (!t->info.one_shot_hmac && available > 0)
		available--; /* for the sequence */
	if (t->parked)
		available = available > NEIGHBOUR_SLOTS ? available - NEIGHBOUR_SLOTS : 0;
	if (available > 1)
		t->info.slots = available < TPM_LOADED_MAX ? available : TPM_LOADED_MAX;
	return 0;
}

/*
 * From whatever state the TPM is in to one that serves: primary key there, session there, nothing
 * else loaded.
 */
static int establish(struct tpm *t)
{
	int r;

	forget_volatile(t);
	r = start_up(t);
	if (r == 0 && !t->info.shared)
		r = flush_kind(t, TPM2_HT_TRANSIENT);
	if (r == 0 && !t->info.shared)
		r = flush_kind(t, TPM2_HT_LOADED_SESSION);
	if (r == 0)
		r = tpm_make_primary(t);
	if (r == 0 && t->parks)
		r = tpm_save_primary(t);
	if (r == 0 && t->encrypt_sessions)
		r = tpm_session_start(t);
	tpm_park_primary(t);
	return r == 0 ? count_slots(t) : r;
}

/* What stays inside this module, as its callers know it. */
static int for_others(int r)
{
	if (r == -ESTALE)
		return -ENODEV; /* lost again at once: everything anew, the connection included */
	return r == -ENOBUFS ? -EBUSY : r;
}

int tpm_retry(struct tpm *t, int (*op)(struct tpm *t, void *arg), void *arg)
{
	int r;

	r = op(t, arg);
	if (r == -ESTALE || r == -ENOBUFS) {
		if (tpm_may_log(t))
			log_notice("TPM: %s; making our session and keys anew",
				r == -ESTALE ? "it lost what we left there" : "it is full");
		t->stats.rebuilds++;
		r = establish(t);
		if (r == 0)
			r = op(t, arg);
	}
	return for_others(r);
}

ESYS_TR tpm_auth(const struct tpm *t)
{
	return t->session != ESYS_TR_NONE ? t->session : ESYS_TR_PASSWORD;
}

int tpm_session_start(struct tpm *t)
{
	const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES,
		.keyBits = { .aes = 128 },
		.mode = { .aes = TPM2_ALG_CFB } };
	int r;

	/* Salted with the primary key: who listens on the bus cannot compute the session's keys. */
	r = tpm_check(t,
		Esys_StartAuthSession(t->esys, t->primary, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &t->session),
		"start a session");
	if (r < 0) {
		t->session = ESYS_TR_NONE;
		return r;
	}
	Esys_TRSess_SetAttributes(t->esys, t->session,
		TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT, 0xff);
	return 0;
}

/* A command that needs no authorisation shows whether the session's keys are still the TPM's. */
int tpm_session_check(struct tpm *t)
{
	TPM2B_DIGEST *bytes = NULL;
	TSS2_RC rc;
	int r;

	if (t->session == ESYS_TR_NONE)
		return -EACCES;
	rc = Esys_GetRandom(t->esys, t->session, ESYS_TR_NONE, ESYS_TR_NONE, 4, &bytes);
	r = tpm_check(t, rc, "try the session");
	if (r == 0)
		Esys_Free(bytes);
	if (tpm_rc_is_auth(rc))
		return -ESTALE;
	return r == 0 ? -EACCES : r;
}

int tpm_lockout_counts(struct tpm *t, UINT32 *ret_counted, UINT32 *ret_allowed)
{
	UINT32 values[2] = { 0 };
	int r;

	_Static_assert(TPM2_PT_MAX_AUTH_FAIL - TPM2_PT_LOCKOUT_COUNTER == 1, "in one row");
	r = get_properties(t, TPM2_PT_LOCKOUT_COUNTER, 2, values);
	if (r < 0)
		return r;
	*ret_counted = values[0];
	*ret_allowed = values[1];
	return 0;
}

void tpm_flush(struct tpm *t, ESYS_TR *handle)
{
	if (*handle == ESYS_TR_NONE)
		return;
	/* When the TPM does not know it any more, there is still ESYS's note about it. */
	if (Esys_FlushContext(t->esys, *handle) != TSS2_RC_SUCCESS)
		Esys_TR_Close(t->esys, handle);
	*handle = ESYS_TR_NONE;
}

static int connect_tpm(struct tpm *t, const struct tpm_options *options)
{
	const char *log_level = getenv("TSS2_LOG");
	TSS2_RC rc;

	/*
	 * tpm2-tss writes to standard error by itself, past our log and its limits, and from its
	 * level "debug" on it writes out what it encrypts. Set once, at start, while there is one
	 * thread.
	 */
	if (!log_level || strcmp(log_level, "all+none") != 0)
		setenv("TSS2_LOG", "all+none", 1);
	ossl_lib_ctx_share(!getenv("TPM_PSKD_STOCK_ESYS"));
	rc = tpm_tcti_open(&t->tcti, options->tcti, &t->stats);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Initialize(&t->esys, tpm_tcti_context(&t->tcti), NULL);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	if (!options->quiet)
		log_error("TPM: cannot connect to '%s': %s", options->tcti, Tss2_RC_Decode(rc));
	return -ENODEV;
}

int tpm_open(struct tpm **ret, const struct tpm_options *options)
{
	struct tpm *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->primary = t->session = ESYS_TR_NONE;
	for (size_t i = 0; i < TPM_LOADED_MAX; i++)
		t->loaded[i].key.handle = ESYS_TR_NONE;
	t->encrypt_sessions = options->encrypt_sessions;
	t->quiet = options->quiet;
	t->name = options->primary;
	t->info.shared = is_shared(options->tcti);
	t->parks = t->info.shared || is_kernels(options->tcti);
	r = connect_tpm(t, options);
	if (r == 0)
		r = establish(t);
	if (r == 0)
		r = read_info(t);
	if (r == 0)
		r = count_slots(t);
	if (r < 0) {
		tpm_free(t);
		return for_others(r);
	}
	t->quiet = false;
	*ret = t;
	return 0;
}

void tpm_free(struct tpm *t)
{
	if (!t)
		return;
	if (t->esys) {
		forget_volatile(t);
		Esys_Finalize(&t->esys);
	}
	tpm_tcti_close(&t->tcti);
	free(t);
}

const struct tpm_name *tpm_primary(const struct tpm *t)
{
	return &t->name;
}

const struct tpm_info *tpm_info(const struct tpm *t)
{
	return &t->info;
}

const struct tpm_stats *tpm_stats(const struct tpm *t)
{
	return &t->stats;
}
