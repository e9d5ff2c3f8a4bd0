/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PRF of TLS 1.2 (RFC 5246, section 5) as libssl asks for it, "TLS1-PRF". When the secret is
 * the premaster secret of a plain PSK suite (RFC 4279, section 2)
 *
 *     uint16 N || N zeroes || uint16 N || PSK
 *
 * and its PSK a reference, the daemon computes the master secret. Label and seed come as several
 * parameters, the label being the first. Any other use of a reference is refused, and everything
 * else is the inner provider's.
 */
#include "client-lib/openssl/front.h"
#include "proto/reference.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#define LABEL "master secret"
#define EXTENDED_LABEL "extended master secret"
#define SEED_MAX 128 /* more than there ever is */

/* Label and seed of a master secret, as one. */
struct seed {
	uint8_t bytes[SEED_MAX];
	size_t len;
};

static const uint8_t *secret_of(const OSSL_PARAM params[], size_t *ret_len)
{
	return tpmpsk_param_bytes(OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SECRET), ret_len);
}

/*
 * Wherever in the secret a reference begins, it is ours to use or to refuse. This is no comparison
 * in constant time, of a text that is public with what is a premaster or master secret; what it
 * could tell is how many places of the secret have the text's first bytes.
 */
static bool is_ours(const OSSL_PARAM params[])
{
	size_t len;
	const uint8_t *secret = params ? secret_of(params, &len) : NULL;

	return secret &&
	       memmem(secret, len, TPMPSK_REFERENCE_PREFIX, sizeof(TPMPSK_REFERENCE_PREFIX) - 1);
}

/* A length of two bytes and as many more, off the front of what is left. */
static bool take(const uint8_t **p, size_t *left, const uint8_t **ret, size_t *ret_len)
{
	size_t len;

	if (*left < 2)
		return false;
	len = (size_t)((*p)[0] << 8 | (*p)[1]);
	if (*left - 2 < len)
		return false;
	*ret = *p + 2;
	*ret_len = len;
	*p += 2 + len;
	*left -= 2 + len;
	return true;
}

/* The identity in a premaster secret: 0, or why there is none. */
static int read_premaster(const uint8_t *secret, size_t left, struct tpmpsk_token *ret)
{
	const uint8_t *other, *psk;
	size_t other_len, psk_len;

	if (!take(&secret, &left, &other, &other_len) || !take(&secret, &left, &psk, &psk_len) ||
		left > 0)
		return TPMPSK_REASON_USE;
	switch (tpmpsk_psk_read(psk, psk_len, ret)) {
	case TPMPSK_PSK_PLAIN:
		return TPMPSK_REASON_USE;
	case TPMPSK_PSK_BROKEN:
		return TPMPSK_REASON_REFERENCE;
	case TPMPSK_PSK_IDENTITY:
		break;
	}
	return other_len == psk_len && tpmpsk_all_zero(other, other_len) ? 0
									 : TPMPSK_REASON_MIXED_PSK;
}

static bool read_seed(const OSSL_PARAM params[], struct seed *seed)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SEED);

	seed->len = 0;
	for (; p; p = OSSL_PARAM_locate_const(p + 1, OSSL_KDF_PARAM_SEED)) {
		size_t len;
		const uint8_t *bytes = tpmpsk_param_bytes(p, &len);

		if (len > sizeof(seed->bytes) - seed->len)
			return false;
		if (len > 0)
			memcpy(seed->bytes + seed->len, bytes, len);
		seed->len += len;
	}
	return true;
}

/* What follows the label, when it is this one and that many bytes do. */
static const uint8_t *behind(const struct seed *seed, const char *label, size_t len)
{
	size_t label_len = strlen(label);

	return seed->len == label_len + len && memcmp(seed->bytes, label, label_len) == 0
		       ? seed->bytes + label_len
		       : NULL;
}

static int ask(const struct tpmpsk_provider *p, const struct tpmpsk_token *token,
	const struct seed *seed, uint8_t out[TPMPSK_TLS12_MASTER_SIZE])
{
	size_t hash_size = tpmpsk_hash_size(token->hash);
	const uint8_t *randoms = behind(seed, LABEL, 2 * TPMPSK_TLS12_RANDOM_SIZE);
	const uint8_t *session_hash = behind(seed, EXTENDED_LABEL, hash_size);
	int r;

	if (randoms)
		r = tpmpsk_tls12_master(p->handle, token->identity, token->identity_len,
			token->hash, randoms, randoms + TPMPSK_TLS12_RANDOM_SIZE, out);
	else if (session_hash)
		r = tpmpsk_tls12_extended_master(p->handle, token->identity, token->identity_len,
			token->hash, session_hash, hash_size, out);
	else
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "TLS1-PRF with this label");
	return tpmpsk_answered(p, r, token, "TLS 1.2 master secret");
}

static int derive_ours(
	const struct tpmpsk_provider *p, const OSSL_PARAM params[], uint8_t *out, size_t len)
{
	const OSSL_PARAM *digest = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_DIGEST);
	struct tpmpsk_token token;
	struct seed seed;
	size_t secret_len;
	const uint8_t *secret = secret_of(params, &secret_len);
	int reason = read_premaster(secret, secret_len, &token);

	if (reason != 0)
		return tpmpsk_raise(p, reason, "TLS1-PRF");
	token.hash = tpmpsk_param_hash(digest);
	if (token.hash == 0)
		return tpmpsk_raise(p, TPMPSK_REASON_HASH, "TLS1-PRF");
	if (len != TPMPSK_TLS12_MASTER_SIZE || !read_seed(params, &seed))
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "TLS1-PRF");
	return ask(p, &token, &seed, out);
}

static void *new (void *provctx)
{
	const struct tpmpsk_provider *p = provctx;

	return tpmpsk_kdf_new(p, &p->inner.tls1_prf);
}

static int derive(void *ctx, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
	const struct tpmpsk_kdf *kdf = ctx;

	if (!is_ours(params))
		return kdf->functions->derive(kdf->inner, out, len, params);
	return derive_ours(kdf->provider, params, out, len);
}

static int set_ctx_params(void *ctx, const OSSL_PARAM params[])
{
	const struct tpmpsk_kdf *kdf = ctx;

	if (is_ours(params))
		return tpmpsk_raise(kdf->provider, TPMPSK_REASON_USE, "before EVP_KDF_derive()");
	return kdf->functions->set_ctx_params(kdf->inner, params);
}

static const OSSL_PARAM *settable_ctx_params(void *ctx, void *provctx)
{
	const struct tpmpsk_provider *p = provctx;

	return tpmpsk_kdf_settable(ctx, p, &p->inner.tls1_prf);
}

static const OSSL_PARAM *gettable_ctx_params(void *ctx, void *provctx)
{
	const struct tpmpsk_provider *p = provctx;

	return tpmpsk_kdf_gettable(ctx, p, &p->inner.tls1_prf);
}

const OSSL_DISPATCH tpmpsk_tls1_prf_functions[] = {
	{ OSSL_FUNC_KDF_NEWCTX, (void (*)(void)) new },
	{ OSSL_FUNC_KDF_DUPCTX, (void (*)(void))tpmpsk_kdf_dup },
	{ OSSL_FUNC_KDF_FREECTX, (void (*)(void))tpmpsk_kdf_free },
	{ OSSL_FUNC_KDF_RESET, (void (*)(void))tpmpsk_kdf_reset },
	{ OSSL_FUNC_KDF_DERIVE, (void (*)(void))derive },
	{ OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, (void (*)(void))settable_ctx_params },
	{ OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))set_ctx_params },
	{ OSSL_FUNC_KDF_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_ctx_params },
	{ OSSL_FUNC_KDF_GET_CTX_PARAMS, (void (*)(void))tpmpsk_kdf_get_ctx_params },
	{ 0, NULL },
};
