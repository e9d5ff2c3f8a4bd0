/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public half of signing keys, read from the area that the TPM marshalled: what kind of key it
 * is, and its SubjectPublicKeyInfo. Each kind's has one length, so that all before the numbers in it
 * is a constant.
 */
#include "daemon/tpm_internal.h"

#include "daemon/rsa_pss.h"

#include <errno.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* RFC 5480, section 2: id-ecPublicKey, the curve, an uncompressed point. */
static const uint8_t p256_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42,
	0x00, 0x04 };
static const uint8_t p384_prefix[] = { 0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04 };
/* RFC 3279, section 2.3.1: rsaEncryption, a modulus with a zero in front, 65537. */
static const uint8_t rsa_prefix[] = { 0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86,
	0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30,
	0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00 };
static const uint8_t rsa_suffix[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };

_Static_assert(
	sizeof(rsa_prefix) + RSA_PSS_SIZE + sizeof(rsa_suffix) == TPM_SPKI_MAX, "the longest one");

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

static void add(struct tpm_signer *s, const uint8_t *bytes, size_t n)
{
	memcpy(s->spki + s->spki_len, bytes, n);
	s->spki_len += n;
}

/* Some TPMs leave out the zeroes in front. */
static int add_coordinate(
	struct tpm_signer *s, const TPM2B_ECC_PARAMETER *p, size_t size, const char **ret_why)
{
	if (p->size > size)
		return refuse(ret_why, "a point that is longer than its curve");
	memset(s->spki + s->spki_len, 0, size - p->size);
	s->spki_len += size - p->size;
	add(s, p->buffer, p->size);
	return 0;
}

/* A key without a scheme takes the one that the command names. */
static bool scheme_fits(TPMI_ALG_ASYM_SCHEME scheme, TPMI_ALG_HASH hash, TPMI_ALG_ASYM_SCHEME want,
	TPMI_ALG_HASH want_hash)
{
	return scheme == TPM2_ALG_NULL || (scheme == want && hash == want_hash);
}

static int read_ecc(const TPMT_PUBLIC *p, struct tpm_signer *ret, const char **ret_why)
{
	const TPMS_ECC_PARMS *parms = &p->parameters.eccDetail;
	const bool p384 = parms->curveID == TPM2_ECC_NIST_P384;
	const size_t size = p384 ? 48 : 32;
	int r;

	if (!p384 && parms->curveID != TPM2_ECC_NIST_P256)
		return refuse(ret_why, "its curve is neither P-256 nor P-384");
	if (!scheme_fits(parms->scheme.scheme, parms->scheme.details.ecdsa.hashAlg, TPM2_ALG_ECDSA,
		    p384 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256))
		return refuse(ret_why,
			"its scheme is not ECDSA with the hash that belongs to its curve (SHA-256 "
			"for P-256, SHA-384 for P-384)");
	ret->scheme =
		p384 ? TPMPSK_SCHEME_ECDSA_SECP384R1_SHA384 : TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256;
	if (p384)
		add(ret, p384_prefix, sizeof(p384_prefix));
	else
		add(ret, p256_prefix, sizeof(p256_prefix));
	r = add_coordinate(ret, &p->unique.ecc.x, size, ret_why);
	return r < 0 ? r : add_coordinate(ret, &p->unique.ecc.y, size, ret_why);
}

static int read_rsa(const TPMT_PUBLIC *p, struct tpm_signer *ret, const char **ret_why)
{
	const TPMS_RSA_PARMS *parms = &p->parameters.rsaDetail;

	if (parms->keyBits != 2048 || p->unique.rsa.size != RSA_PSS_SIZE ||
		!(p->unique.rsa.buffer[0] & 0x80))
		return refuse(ret_why, "an RSA key of another length than 2048 bits");
	if (parms->exponent != 0 && parms->exponent != 65537)
		return refuse(ret_why, "an RSA key whose exponent is not 65537");
	if (!scheme_fits(parms->scheme.scheme, parms->scheme.details.rsapss.hashAlg,
		    TPM2_ALG_RSAPSS, TPM2_ALG_SHA256))
		return refuse(ret_why, "its scheme is not RSA-PSS with SHA-256");
	ret->scheme = TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256;
	add(ret, rsa_prefix, sizeof(rsa_prefix));
	add(ret, p->unique.rsa.buffer, RSA_PSS_SIZE);
	add(ret, rsa_suffix, sizeof(rsa_suffix));
	return 0;
}

int tpm_signer_from(const TPMT_PUBLIC *p, struct tpm_signer *ret, const char **ret_why)
{
	struct tpm_signer s = { 0 };
	int r;

	if (p->type != TPM2_ALG_ECC && p->type != TPM2_ALG_RSA)
		return refuse(ret_why, "neither an ECC nor an RSA key");
	if (!(p->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT))
		return refuse(ret_why, "a key that may not sign");
	if (p->objectAttributes & TPMA_OBJECT_RESTRICTED)
		return refuse(
			ret_why, "a restricted key: it signs only what the TPM itself has hashed");
	if (p->objectAttributes & TPMA_OBJECT_DECRYPT)
		return refuse(ret_why,
			"a key that may also decrypt: make one with the attribute sign alone");
	if (!(p->objectAttributes & TPMA_OBJECT_USERWITHAUTH))
		return refuse(ret_why, "a key without the attribute userwithauth");
	r = p->type == TPM2_ALG_ECC ? read_ecc(p, &s, ret_why) : read_rsa(p, &s, ret_why);
	if (r == 0)
		*ret = s;
	return r;
}

int tpm_signer_read(
	const struct keyfile_object *object, struct tpm_signer *ret, const char **ret_why)
{
	TPM2B_PUBLIC pub;
	TPM2B_PRIVATE priv;

	if (tpm_unmarshal(object, &pub, &priv) < 0)
		return refuse(ret_why, "a public or private area that is damaged");
	return tpm_signer_from(&pub.publicArea, ret, ret_why);
}
