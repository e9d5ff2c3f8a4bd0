/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/raw.h"

#include "daemon/ossl_lib_ctx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

struct raw {
	struct raw_options options;
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR primary, session, key, persistent; /* those that are there between two HMACs */
	TPM2B_PUBLIC *pub;
	TPM2B_PRIVATE *priv;
	TPMS_CONTEXT *context;
};

#define PERSISTENT_HANDLE 0x81017073

static const TPMT_SYM_DEF_OBJECT aes = {
	.algorithm = TPM2_ALG_AES, .keyBits = { .aes = 128 }, .mode = { .aes = TPM2_ALG_CFB }
};

static int check(TSS2_RC rc, const char *step)
{
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	fprintf(stderr, "raw ESYS: %s: %s\n", step, Tss2_RC_Decode(rc));
	return -EIO;
}

static int make_primary(struct raw *w)
{
	const TPM2B_SENSITIVE_CREATE sensitive = { .size = 0 };
	const TPM2B_DATA data = { .size = 0 };
	const TPML_PCR_SELECTION pcrs = { .count = 0 };
	const TPM2B_PUBLIC template = {
		.publicArea.type = TPM2_ALG_ECC,
		.publicArea.nameAlg = TPM2_ALG_SHA256,
		.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
					       TPMA_OBJECT_SENSITIVEDATAORIGIN |
					       TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
					       TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
		.publicArea.parameters.eccDetail.symmetric = aes,
		.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL,
		.publicArea.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256,
		.publicArea.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL,
	};

	return check(Esys_CreatePrimary(w->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			     ESYS_TR_NONE, &sensitive, &template, &data, &pcrs, &w->primary, NULL,
			     NULL, NULL, NULL),
		"make the primary key");
}

static int make_key(struct raw *w)
{
	const TPM2B_SENSITIVE_CREATE sensitive = { .size = 0 };
	const TPM2B_DATA data = { .size = 0 };
	const TPML_PCR_SELECTION pcrs = { .count = 0 };
	const TPM2B_PUBLIC template = {
		.publicArea.type = TPM2_ALG_KEYEDHASH,
		.publicArea.nameAlg = TPM2_ALG_SHA256,
		.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
					       TPMA_OBJECT_SENSITIVEDATAORIGIN |
					       TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
					       TPMA_OBJECT_SIGN_ENCRYPT,
		.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC,
		.publicArea.parameters.keyedHashDetail.scheme.details.hmac.hashAlg =
			TPM2_ALG_SHA256,
	};

	return check(
		Esys_Create(w->esys, w->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			&sensitive, &template, &data, &pcrs, &w->priv, &w->pub, NULL, NULL, NULL),
		"make a key");
}

static int load_key(struct raw *w)
{
	bool session = w->session != ESYS_TR_NONE && !w->options.load_by_password;

	return check(Esys_Load(w->esys, w->primary, session ? w->session : ESYS_TR_PASSWORD,
			     ESYS_TR_NONE, ESYS_TR_NONE, w->priv, w->pub, &w->key),
		"load the key");
}

static void flush(struct raw *w, ESYS_TR *handle)
{
	if (w->esys && *handle != ESYS_TR_NONE)
		Esys_FlushContext(w->esys, *handle);
	*handle = ESYS_TR_NONE;
}

static int save_key(struct raw *w)
{
	int r;

	r = check(Esys_ContextSave(w->esys, w->key, &w->context), "save the key's context");
	flush(w, &w->key);
	return r;
}

/* For as long as w is open; the key itself is needed no more. */
static int evict_key(struct raw *w)
{
	int r;

	r = check(Esys_EvictControl(w->esys, ESYS_TR_RH_OWNER, w->key, ESYS_TR_PASSWORD,
			  ESYS_TR_NONE, ESYS_TR_NONE, PERSISTENT_HANDLE, &w->persistent),
		"make the key persistent");
	flush(w, &w->key);
	return r;
}

static void undo_evict(struct raw *w)
{
	ESYS_TR none;

	if (w->persistent != ESYS_TR_NONE)
		(void)!check(Esys_EvictControl(w->esys, ESYS_TR_RH_OWNER, w->persistent,
				     ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
				     PERSISTENT_HANDLE, &none),
			"remove the persistent key");
	w->persistent = ESYS_TR_NONE;
}

int raw_session_start(struct raw *w)
{
	const TPMT_SYM_DEF symmetric = { .algorithm = TPM2_ALG_AES,
		.keyBits = { .aes = 128 },
		.mode = { .aes = TPM2_ALG_CFB } };
	int r;

	r = check(
		Esys_StartAuthSession(w->esys, w->primary, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &symmetric, TPM2_ALG_SHA256, &w->session),
		"start a session");
	if (r == 0)
		Esys_TRSess_SetAttributes(w->esys, w->session,
			TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT,
			0xff);
	return r;
}

void raw_session_end(struct raw *w)
{
	flush(w, &w->session);
}

static int connect_raw(struct raw *w)
{
	int r;

	r = check(Tss2_TctiLdr_Initialize(w->options.tcti, &w->tcti), "connect");
	if (r == 0)
		r = check(Esys_Initialize(&w->esys, w->tcti, NULL), "initialize");
	if (r == 0)
		r = make_primary(w);
	return r;
}

static void disconnect_raw(struct raw *w)
{
	undo_evict(w);
	flush(w, &w->session);
	flush(w, &w->key);
	flush(w, &w->primary);
	Esys_Finalize(&w->esys);
	Tss2_TctiLdr_Finalize(&w->tcti);
}

int raw_open(struct raw **ret, const struct raw_options *options)
{
	struct raw *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->options = *options;
	w->primary = w->session = w->key = w->persistent = ESYS_TR_NONE;
	ossl_lib_ctx_share(options->cure);
	r = connect_raw(w);
	if (r == 0)
		r = make_key(w);
	if (r == 0 && options->way == RAW_WHOLE)
		disconnect_raw(w);
	if (r == 0 && options->way != RAW_WHOLE && options->way != RAW_LOAD)
		r = load_key(w);
	if (r == 0 && options->way == RAW_CONTEXT)
		r = save_key(w);
	if (r == 0 && options->way == RAW_PERSISTENT)
		r = evict_key(w);
	if (r == 0 && options->way != RAW_WHOLE && options->session)
		r = raw_session_start(w);
	/* Only loading needs it, and behind a resource manager it costs something with each command. */
	if (r == 0 && options->way != RAW_LOAD)
		flush(w, &w->primary);
	if (r < 0) {
		raw_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

void raw_close(struct raw *w)
{
	if (!w)
		return;
	disconnect_raw(w);
	Esys_Free(w->context);
	Esys_Free(w->pub);
	Esys_Free(w->priv);
	free(w);
}

int raw_take(struct raw *w, const struct keyfile_object *object)
{
	size_t used = 0;
	int r;

	*w->pub = (TPM2B_PUBLIC){ 0 };
	*w->priv = (TPM2B_PRIVATE){ 0 };
	r = check(Tss2_MU_TPM2B_PUBLIC_Unmarshal(object->pub, object->pub_len, &used, w->pub),
		"read a public area");
	used = 0;
	if (r == 0)
		r = check(Tss2_MU_TPM2B_PRIVATE_Unmarshal(
				  object->priv, object->priv_len, &used, w->priv),
			"read a private area");
	return r;
}

static int hmac_loaded(struct raw *w)
{
	const TPM2B_MAX_BUFFER in = { .size = (UINT16)w->options.in_len };
	ESYS_TR auth = w->session != ESYS_TR_NONE ? w->session : ESYS_TR_PASSWORD;
	TPM2B_DIGEST *out = NULL;
	int r;

	r = check(Esys_HMAC(w->esys, w->persistent != ESYS_TR_NONE ? w->persistent : w->key, auth,
			  ESYS_TR_NONE, ESYS_TR_NONE, &in, TPM2_ALG_SHA256, &out),
		"HMAC");
	Esys_Free(out);
	return r;
}

int raw_hmac(struct raw *w)
{
	int r = 0;

	if (w->options.way == RAW_WHOLE) {
		r = connect_raw(w);
		if (r == 0 && w->options.session)
			r = raw_session_start(w);
	}
	if (r == 0 && (w->options.way == RAW_LOAD || w->options.way == RAW_WHOLE))
		r = load_key(w);
	if (r == 0 && w->options.way == RAW_CONTEXT)
		r = check(Esys_ContextLoad(w->esys, w->context, &w->key), "load a context");
	if (r == 0)
		r = hmac_loaded(w);
	if (w->options.way != RAW_KEPT)
		flush(w, &w->key);
	if (w->options.way == RAW_WHOLE)
		disconnect_raw(w);
	return r;
}

static int measure(struct raw *w, uint64_t *ns, uint64_t *ret_total)
{
	uint64_t start, before;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->options.n / 10; i++)
		r = raw_hmac(w);
	start = bench_now_ns();
	for (size_t i = 0; r == 0 && i < w->options.n; i++) {
		before = bench_now_ns();
		r = raw_hmac(w);
		ns[i] = bench_now_ns() - before;
	}
	*ret_total = bench_now_ns() - start;
	return r;
}

int raw_run(const struct raw_options *options, struct bench_result *ret)
{
	uint64_t *ns = calloc(options->n, sizeof(*ns)), total = 0;
	struct raw *w = NULL;
	int r;

	if (!ns)
		return -ENOMEM;
	r = raw_open(&w, options);
	if (r == 0)
		r = measure(w, ns, &total);
	raw_close(w);
	if (r == 0)
		bench_summarise(ns, options->n, total, ret);
	free(ns);
	return r;
}
