/* SPDX-License-Identifier: BSD-2-Clause */
/* Making keys: the primary key, and HMAC keys below it. */
#include "daemon/hash.h"
#include "daemon/tpm_internal.h"

#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <sodium.h>
#include <string.h>
#include <tss2/tss2_mu.h>

static const TPM2B_PUBLIC hmac_template = {
	.publicArea.type = TPM2_ALG_KEYEDHASH,
	.publicArea.nameAlg = TPM2_ALG_SHA256,
	.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				       TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
				       TPMA_OBJECT_SIGN_ENCRYPT,
	.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC,
	.publicArea.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256,
};

/*
 * The storage primary that everybody who writes parent 0x40000001 into a key file means: ECC P-256,
 * AES-128-CFB, empty unique, empty auth, in the owner hierarchy. The TPM makes the same key from
 * the same template until its owner seed is cleared.
 */
static int create_primary(struct tpm *t)
{
	const TPM2B_SENSITIVE_CREATE no_auth = { .size = 0 };
	const TPM2B_DATA no_data = { .size = 0 };
	const TPML_PCR_SELECTION no_pcrs = { .count = 0 };
	const TPM2B_PUBLIC template = {
		.publicArea.type = TPM2_ALG_ECC,
		.publicArea.nameAlg = TPM2_ALG_SHA256,
		.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
			TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
			TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
		.publicArea.parameters.eccDetail = {
			.symmetric.algorithm = TPM2_ALG_AES,
			.symmetric.keyBits.aes = 128,
			.symmetric.mode.aes = TPM2_ALG_CFB,
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
	};
	int r;

	r = tpm_check(t,
		Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			ESYS_TR_NONE, &no_auth, &template, &no_data, &no_pcrs, &t->primary, NULL,
			NULL, NULL, NULL),
		"make the primary key");
	if (r < 0)
		t->primary = ESYS_TR_NONE;
	return r;
}

/*
 * Another TPM has another seed, and so another key of that template: what loads or derives there is
 * not ours. The session is salted with this key, so that only who has it can take part in that.
 */
static int check_primary(struct tpm *t)
{
	char is[2 * TPM_NAME_MAX + 1], was[2 * TPM_NAME_MAX + 1];
	TPM2B_NAME *name = NULL;
	bool same;
	int r;

	r = tpm_check(t, Esys_TR_GetName(t->esys, t->primary, &name), "name the primary key");
	if (r < 0)
		return r;
	if (t->name.len == 0 && name->size <= TPM_NAME_MAX) {
		t->name.len = name->size;
		memcpy(t->name.bytes, name->name, name->size);
	}
	same = name->size == t->name.len && memcmp(name->name, t->name.bytes, t->name.len) == 0;
	if (!same && !t->quiet)
		log_error("TPM: another one than the keys belong to, or its owner hierarchy was "
			  "cleared: its primary key is %.16s..., and theirs %.16s...",
			sodium_bin2hex(is, sizeof(is), name->name,
				name->size < TPM_NAME_MAX ? name->size : TPM_NAME_MAX),
			sodium_bin2hex(was, sizeof(was), t->name.bytes, t->name.len));
	Esys_Free(name);
	return same ? 0 : -EREMCHG;
}

int tpm_make_primary(struct tpm *t)
{
	int r;

	r = create_primary(t);
	if (r < 0)
		return r;
	r = check_primary(t);
	if (r < 0)
		tpm_flush(t, &t->primary);
	return r;
}

int tpm_save_primary(struct tpm *t)
{
	int r;

	r = tpm_check(t, Esys_ContextSave(t->esys, t->primary, &t->parked),
		"save the primary key's context");
	if (r < 0)
		t->parked = NULL;
	return r == -EOPNOTSUPP ? 0 : r;
}

int tpm_fetch_primary(struct tpm *t)
{
	TSS2_RC rc;
	int r;

	if (t->primary != ESYS_TR_NONE)
		return 0;
	/* Neither is there when something went wrong at the last establish(). */
	if (!t->parked)
		return -ESTALE;
	do
		rc = Esys_ContextLoad(t->esys, t->parked, &t->primary);
	while (tpm_made_room(t, rc, ESYS_TR_NONE));
	r = tpm_check(t, rc, "load the primary key's context");
	if (r < 0)
		t->primary = ESYS_TR_NONE;
	/* Contexts die with a reset of the TPM; what it calls them then differs from TPM to TPM. */
	return r < 0 && tpm_rc_is_about_input(rc) ? -ESTALE : r;
}

void tpm_park_primary(struct tpm *t)
{
	if (t->parked)
		tpm_flush(t, &t->primary);
}

struct create_call {
	enum tpmpsk_digest digest;
	const uint8_t *secret;
	size_t secret_len;
	struct keyfile *kf;
};

int tpm_add_object(struct keyfile *kf, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv)
{
	uint8_t pub_area[KEYFILE_AREA_MAX], priv_area[KEYFILE_AREA_MAX];
	size_t pub_len = 0, priv_len = 0;

	if (Tss2_MU_TPM2B_PUBLIC_Marshal(pub, pub_area, sizeof(pub_area), &pub_len) !=
			TSS2_RC_SUCCESS ||
		Tss2_MU_TPM2B_PRIVATE_Marshal(priv, priv_area, sizeof(priv_area), &priv_len) !=
			TSS2_RC_SUCCESS)
		return -EIO;
	return keyfile_add(kf, KEYFILE_PARENT_OWNER, pub_area, pub_len, priv_area, priv_len);
}

/*
 * ESYS keeps a command's parameters in its context, and SAPI the marshalled command, until the next
 * one. A TPM2_Create with zeroes in the secret's place and more PCR banks than there can be
 * overwrites both and then fails, before anything is sent.
 */
static void wipe_esys(struct tpm *t, TPM2B_SENSITIVE_CREATE *sensitive)
{
	const TPM2B_SENSITIVE_CREATE zeroes = { .sensitive.data.size =
							sensitive->sensitive.data.size };
	const TPM2B_DATA no_data = { .size = 0 };
	const TPML_PCR_SELECTION impossible = { .count = UINT32_MAX };
	void *copy;

	/*
	 * After a broken connection ESYS refuses even that, and goes on holding its copy until the
	 * allocator has it. The context is one block, and the copy a struct like ours.
	 */
	if (Esys_Create_Async(t->esys, t->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
		    &zeroes, &hmac_template, &no_data, &impossible) == TSS2_ESYS_RC_BAD_SEQUENCE) {
		copy = memmem(t->esys, malloc_usable_size(t->esys), sensitive, sizeof(*sensitive));
		if (copy)
			sodium_memzero(copy, sizeof(*sensitive));
	}
	sodium_memzero(sensitive, sizeof(*sensitive));
	sodium_stackzero(STACK_TO_WIPE);
}

static int create(struct tpm *t, const struct create_call *c)
{
	const TPM2B_DATA no_data = { .size = 0 };
	const TPML_PCR_SELECTION no_pcrs = { .count = 0 };
	TPM2B_SENSITIVE_CREATE sensitive = { .sensitive.data.size = (UINT16)c->secret_len };
	TPM2B_PUBLIC template = hmac_template;
	TPM2B_PUBLIC *pub = NULL;
	TPM2B_PRIVATE *priv = NULL;
	TSS2_RC rc;
	int r;

	if (c->digest == TPMPSK_DIGEST_SHA384)
		template.publicArea.parameters.keyedHashDetail.scheme.details.hmac.hashAlg =
			TPM2_ALG_SHA384;
	if (c->secret)
		memcpy(sensitive.sensitive.data.buffer, c->secret, c->secret_len);
	else
		template.publicArea.objectAttributes |= TPMA_OBJECT_SENSITIVEDATAORIGIN;
	do
		rc = Esys_Create(t->esys, t->primary, t->session, ESYS_TR_NONE, ESYS_TR_NONE,
			&sensitive, &template, &no_data, &no_pcrs, &priv, &pub, NULL, NULL, NULL);
	while (tpm_made_room(t, rc, ESYS_TR_NONE));
	wipe_esys(t, &sensitive);
	r = tpm_check(t, rc, "make a key");
	if (tpm_rc_is_auth(rc))
		r = -ESTALE; /* the primary key has no password: it is the session */
	if (r == 0)
		r = tpm_add_object(c->kf, pub, priv);
	Esys_Free(pub);
	Esys_Free(priv);
	return r;
}

static int create_call(struct tpm *t, void *arg)
{
	const struct create_call *c = arg;
	int r;

	r = tpm_fetch_primary(t);
	if (r == 0 && !t->encrypt_sessions)
		r = tpm_session_start(t);
	if (r == 0)
		r = create(t, c);
	tpm_park_primary(t);
	/* An idle session costs a slot, and behind a resource manager dies of old age. */
	if (!t->encrypt_sessions)
		tpm_flush(t, &t->session);
	return r;
}

int tpm_create_hmac(struct tpm *t, enum tpmpsk_digest digest, const uint8_t *secret,
	size_t secret_len, struct keyfile *kf)
{
	struct create_call call = { digest, secret, secret ? secret_len : 0, kf };

	assert(!secret || (secret_len >= 1 && secret_len <= hash_block_size(digest)));
	return tpm_retry(t, create_call, &call);
}
