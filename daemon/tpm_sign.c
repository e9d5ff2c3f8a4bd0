/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signing keys: making them, and signing digests. The keys are not restricted, since what is signed
 * is hashed here: that it is nothing but what a purpose allows is the daemon's part.
 *
 * Digest and signature are no secrets, and a signature is of no kind that a session encrypts: the
 * session is used for its HMAC on the response, by which damage on the way shows.
 */
#include "daemon/tpm_internal.h"

#include "daemon/log.h"
#include "daemon/rsa_pss.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

static bool is_rsa(enum tpmpsk_scheme scheme)
{
	return scheme == TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256;
}

static TPMI_ALG_HASH hash_of(enum tpmpsk_scheme scheme)
{
	return tpmpsk_scheme_digest_size(scheme) == TPM2_SHA384_DIGEST_SIZE ? TPM2_ALG_SHA384
									    : TPM2_ALG_SHA256;
}

static TPMT_SIG_SCHEME scheme_of(enum tpmpsk_scheme scheme)
{
	return (TPMT_SIG_SCHEME){
		.scheme = is_rsa(scheme) ? TPM2_ALG_RSAPSS : TPM2_ALG_ECDSA,
		.details.any.hashAlg = hash_of(scheme),
	};
}

/*
 * The signature as TLS has it: ECDSA-Sig-Value in DER, or the bytes of an RSA one.
 */

/* An INTEGER that is not negative, at most as long as the longest curve's. Returns its end. */
static uint8_t *put_integer(uint8_t *out, const TPM2B_ECC_PARAMETER *n)
{
	const uint8_t *from = n->buffer;
	size_t len = n->size;
	bool pad;

	while (len > 1 && *from == 0) {
		from++;
		len--;
	}
	pad = *from & 0x80;
	*out++ = 0x02;
	*out++ = (uint8_t)(len + pad);
	if (pad)
		*out++ = 0;
	return mempcpy(out, from, len);
}

static int encode_ecdsa(
	const TPMS_SIGNATURE_ECDSA *s, size_t size, uint8_t *signature, size_t *ret_len)
{
	uint8_t *end;

	if (s->signatureR.size < 1 || s->signatureR.size > size || s->signatureS.size < 1 ||
		s->signatureS.size > size)
		return -EIO;
	/* With two numbers of at most 49 bytes, all lengths have one byte. */
	end = put_integer(signature + 2, &s->signatureR);
	end = put_integer(end, &s->signatureS);
	signature[0] = 0x30;
	signature[1] = (uint8_t)(end - signature - 2);
	*ret_len = (size_t)(end - signature);
	return 0;
}

static int encode(
	const TPMT_SIGNATURE *s, enum tpmpsk_scheme scheme, uint8_t *signature, size_t *ret_len)
{
	if (s->sigAlg != scheme_of(scheme).scheme || s->signature.any.hashAlg != hash_of(scheme))
		return -EIO;
	if (!is_rsa(scheme))
		return encode_ecdsa(
			&s->signature.ecdsa, tpmpsk_scheme_digest_size(scheme), signature, ret_len);
	if (s->signature.rsapss.sig.size != RSA_PSS_SIZE)
		return -EIO;
	memcpy(signature, s->signature.rsapss.sig.buffer, RSA_PSS_SIZE);
	*ret_len = RSA_PSS_SIZE;
	return 0;
}

static void set_encrypt(struct tpm *t, ESYS_TR session, TPMA_SESSION value)
{
	if (session != ESYS_TR_PASSWORD)
		Esys_TRSess_SetAttributes(t->esys, session, value, TPMA_SESSION_ENCRYPT);
}

/* -EACCES: the key has a password. */
static int sign(struct tpm *t, ESYS_TR key, ESYS_TR auth, enum tpmpsk_scheme scheme,
	const uint8_t *digest, TPMT_SIGNATURE **ret)
{
	const TPMT_TK_HASHCHECK no_ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
	const TPMT_SIG_SCHEME how = scheme_of(scheme);
	TPM2B_DIGEST in = { .size = (UINT16)tpmpsk_scheme_digest_size(scheme) };
	TSS2_RC rc;
	int r;

	memcpy(in.buffer, digest, in.size);
	set_encrypt(t, auth, 0);
	rc = Esys_Sign(t->esys, key, auth, ESYS_TR_NONE, ESYS_TR_NONE, &in, &how, &no_ticket, ret);
	set_encrypt(t, auth, TPMA_SESSION_ENCRYPT);
	r = tpm_check(t, rc, "sign");
	if (tpm_rc_is_auth(rc))
		r = auth == t->session ? tpm_session_check(t) : -EACCES;
	return r;
}

struct sign_call {
	uint64_t id;
	const struct keyfile_object *object;
	enum tpmpsk_scheme scheme;
	const uint8_t *digest;
	uint8_t *signature;
	size_t *ret_len;
};

static int sign_call(struct tpm *t, void *arg)
{
	const struct sign_call *c = arg;
	struct tpm_loaded *entry;
	TPMT_SIGNATURE *signature;
	int r;

	r = tpm_get_loaded(t, c->id, c->object, &entry);
	if (r < 0)
		return r;
	if (entry->key.scheme != c->scheme)
		return -EINVAL;
	r = sign(t, entry->key.handle, tpm_auth(t), c->scheme, c->digest, &signature);
	if (r == -EACCES)
		return tpm_refuse_loaded(t, entry);
	if (r < 0)
		return r;
	r = encode(signature, c->scheme, c->signature, c->ret_len);
	Esys_Free(signature);
	return r;
}

int tpm_sign(struct tpm *t, uint64_t id, const struct keyfile_object *object,
	enum tpmpsk_scheme scheme, const uint8_t *digest, uint8_t *signature, size_t *ret_len)
{
	struct sign_call call = { id, object, scheme, digest, signature, ret_len };

	return tpm_retry(t, sign_call, &call);
}

/*
 * Trying a key
 */

/* Whether TLS 1.3 takes the TPM's RSA-PSS. */
static int check_salt(
	const struct tpm_signer *signer, const TPMT_SIGNATURE *signature, const uint8_t *digest)
{
	const uint8_t *modulus = signer->spki + TPM_SPKI_RSA_MODULUS;
	size_t salt_size;
	int r;

	r = rsa_pss_salt_size(modulus, signature->signature.rsapss.sig.buffer, digest, &salt_size);
	if (r < 0)
		return -EIO;
	if (salt_size == RSA_PSS_DIGEST_SIZE)
		return 0;
	log_warning("TPM: its RSA-PSS signatures have a salt of %zu bytes; TLS 1.3 takes %d",
		salt_size, RSA_PSS_DIGEST_SIZE);
	return -EPROTONOSUPPORT;
}

/* Signs something and has the TPM verify it. Without the session, so that a failure is the key's. */
static int try_key(struct tpm *t, const struct tpm_key *key, const struct tpm_signer *signer)
{
	static const char text[] = "tpm-pskd tries a key";
	uint8_t digest[crypto_hash_sha512_BYTES], encoded[TPM_SIGNATURE_MAX];
	const size_t size = tpmpsk_scheme_digest_size(key->scheme);
	TPM2B_DIGEST in = { .size = (UINT16)size };
	TPMT_TK_VERIFIED *ticket = NULL;
	TPMT_SIGNATURE *signature;
	size_t len;
	int r;

	/* Any digest will do, as long as it is that of nothing a peer would take. */
	crypto_hash_sha512(digest, (const uint8_t *)text, sizeof(text));
	memcpy(in.buffer, digest, size);
	r = sign(t, key->handle, ESYS_TR_PASSWORD, key->scheme, digest, &signature);
	if (r < 0)
		return r;
	r = encode(signature, key->scheme, encoded, &len);
	if (r == 0)
		r = tpm_check(t,
			Esys_VerifySignature(t->esys, key->handle, ESYS_TR_NONE, ESYS_TR_NONE,
				ESYS_TR_NONE, &in, signature, &ticket),
			"verify a signature");
	if (r == 0 && is_rsa(key->scheme))
		r = check_salt(signer, signature, digest);
	Esys_Free(ticket);
	Esys_Free(signature);
	return r;
}

static int try_call(struct tpm *t, void *arg)
{
	const struct keyfile_object *object = arg;
	struct tpm_signer signer;
	struct tpm_key key;
	const char *why;
	int r;

	r = tpm_load(t, object, &key);
	if (r < 0)
		return r == -EACCES ? -EINVAL : r;
	r = tpm_signer_read(object, &signer, &why);
	if (r == 0 && key.counted)
		r = tpm_spare_attempt(t);
	if (r == 0)
		r = try_key(t, &key, &signer);
	tpm_flush(t, &key.handle);
	return r == -EACCES ? -EINVAL : r;
}

int tpm_try_signer(struct tpm *t, const struct keyfile_object *object)
{
	return tpm_retry(t, try_call, (void *)object);
}

/*
 * Making one
 */

struct create_call {
	enum tpmpsk_scheme scheme;
	struct keyfile *kf;
};

/* Nothing but the one scheme is possible with the key, by whomever. */
static TPM2B_PUBLIC template_of(enum tpmpsk_scheme scheme)
{
	const TPMI_ALG_HASH hash = hash_of(scheme);
	TPM2B_PUBLIC template = {
		.publicArea.nameAlg = TPM2_ALG_SHA256,
		.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
					       TPMA_OBJECT_SENSITIVEDATAORIGIN |
					       TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
					       TPMA_OBJECT_SIGN_ENCRYPT,
	};
	TPMT_PUBLIC *p = &template.publicArea;

	if (is_rsa(scheme)) {
		p->type = TPM2_ALG_RSA;
		p->parameters.rsaDetail = (TPMS_RSA_PARMS){
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme.scheme = TPM2_ALG_RSAPSS,
			.scheme.details.rsapss.hashAlg = hash,
			.keyBits = 2048,
		};
	} else {
		p->type = TPM2_ALG_ECC;
		p->parameters.eccDetail = (TPMS_ECC_PARMS){
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme.scheme = TPM2_ALG_ECDSA,
			.scheme.details.ecdsa.hashAlg = hash,
			.curveID =
				hash == TPM2_ALG_SHA384 ? TPM2_ECC_NIST_P384 : TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		};
	}
	return template;
}

/* A complaint about parameters that are ours means that the TPM does not have them. */
static int check_algorithm(struct tpm *t, TSS2_RC rc, const char *step)
{
	int r = tpm_check(t, rc, step);

	return r < 0 && r != -ESTALE && tpm_rc_is_about_input(rc) ? -EOPNOTSUPP : r;
}

static int test_parameters(struct tpm *t, const TPM2B_PUBLIC *template)
{
	TPMT_PUBLIC_PARMS parameters = {
		.type = template->publicArea.type,
		.parameters = template->publicArea.parameters,
	};

	return check_algorithm(t,
		Esys_TestParms(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parameters),
		"ask for an algorithm");
}

static int create(struct tpm *t, const struct create_call *c)
{
	const TPM2B_SENSITIVE_CREATE no_auth = { .size = 0 };
	const TPM2B_DATA no_data = { .size = 0 };
	const TPML_PCR_SELECTION no_pcrs = { .count = 0 };
	const TPM2B_PUBLIC template = template_of(c->scheme);
	TPM2B_PUBLIC *pub = NULL;
	TPM2B_PRIVATE *priv = NULL;
	TSS2_RC rc;
	int r;

	r = test_parameters(t, &template);
	if (r < 0)
		return r;
	do
		rc = Esys_Create(t->esys, t->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			&no_auth, &template, &no_data, &no_pcrs, &priv, &pub, NULL, NULL, NULL);
	while (tpm_made_room(t, rc, ESYS_TR_NONE));
	r = check_algorithm(t, rc, "make a signing key");
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

	keyfile_done(c->kf); /* of a first attempt that the TPM lost in the middle */
	r = tpm_fetch_primary(t);
	if (r == 0)
		r = create(t, c);
	tpm_park_primary(t);
	if (r == 0)
		r = try_call(t, &c->kf->objects[0]);
	return r;
}

int tpm_create_signer(struct tpm *t, enum tpmpsk_scheme scheme, struct keyfile *kf)
{
	struct create_call call = { scheme, kf };
	int r;

	assert(tpmpsk_scheme_name(scheme) && kf->n_objects == 0);
	r = tpm_retry(t, create_call, &call);
	if (r < 0)
		keyfile_done(kf);
	return r;
}
