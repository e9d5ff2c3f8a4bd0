/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/raw.h"

#include "daemon/ossl_lib_ctx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

struct raw {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR primary, session, key;
};

static const TPMT_SYM_DEF_OBJECT aes = {
	.algorithm = TPM2_ALG_AES, .keyBits = { .aes = 128 }, .mode = { .aes = TPM2_ALG_CFB }
};

static int check(TSS2_RC rc, const char *step)
{
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	fprintf(stderr, "raw ESYS loop: %s: %s\n", step, Tss2_RC_Decode(rc));
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
	TPM2B_PUBLIC *pub = NULL;
	TPM2B_PRIVATE *priv = NULL;
	int r;

	r = check(Esys_Create(w->esys, w->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			  &sensitive, &template, &data, &pcrs, &priv, &pub, NULL, NULL, NULL),
		"make a key");
	if (r == 0)
		r = check(Esys_Load(w->esys, w->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE,
				  ESYS_TR_NONE, priv, pub, &w->key),
			"load the key");
	Esys_Free(pub);
	Esys_Free(priv);
	return r;
}

static int start_session(struct raw *w)
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

static int open_raw(struct raw *w, const struct raw_options *o)
{
	int r;

	ossl_lib_ctx_share(o->cure);
	r = check(Tss2_TctiLdr_Initialize(o->tcti, &w->tcti), "connect");
	if (r == 0)
		r = check(Esys_Initialize(&w->esys, w->tcti, NULL), "initialize");
	if (r == 0)
		r = make_primary(w);
	if (r == 0)
		r = make_key(w);
	return r == 0 && o->session ? start_session(w) : r;
}

static void close_raw(struct raw *w)
{
	const ESYS_TR handles[] = { w->session, w->key, w->primary };

	for (size_t i = 0; w->esys && i < sizeof(handles) / sizeof(handles[0]); i++)
		if (handles[i] != ESYS_TR_NONE)
			Esys_FlushContext(w->esys, handles[i]);
	Esys_Finalize(&w->esys);
	Tss2_TctiLdr_Finalize(&w->tcti);
}

static int hmac_once(struct raw *w, const TPM2B_MAX_BUFFER *in)
{
	ESYS_TR auth = w->session != ESYS_TR_NONE ? w->session : ESYS_TR_PASSWORD;
	TPM2B_DIGEST *out = NULL;
	int r;

	r = check(Esys_HMAC(w->esys, w->key, auth, ESYS_TR_NONE, ESYS_TR_NONE, in, TPM2_ALG_SHA256,
			  &out),
		"HMAC");
	Esys_Free(out);
	return r;
}

static int measure(struct raw *w, const struct raw_options *o, uint64_t *ns, uint64_t *ret_total)
{
	TPM2B_MAX_BUFFER in = { .size = (UINT16)o->in_len };
	uint64_t start, before;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->n / 10; i++)
		r = hmac_once(w, &in);
	start = bench_now_ns();
	for (size_t i = 0; r == 0 && i < o->n; i++) {
		before = bench_now_ns();
		r = hmac_once(w, &in);
		ns[i] = bench_now_ns() - before;
	}
	*ret_total = bench_now_ns() - start;
	return r;
}

int raw_run(const struct raw_options *options, struct bench_result *ret)
{
	struct raw w = { .primary = ESYS_TR_NONE, .session = ESYS_TR_NONE, .key = ESYS_TR_NONE };
	uint64_t *ns = calloc(options->n, sizeof(*ns)), total = 0;
	int r;

	if (!ns)
		return -ENOMEM;
	r = open_raw(&w, options);
	if (r == 0)
		r = measure(&w, options, ns, &total);
	close_raw(&w);
	if (r == 0)
		bench_summarise(ns, options->n, total, ret);
	free(ns);
	return r;
}
