/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The binder (RFC 8446, section 4.2.11.2) as libssl makes it: an HMAC "signature" of the transcript
 * hash with a key of type HMAC, whose bytes are the finished key, or in our case its token.
 *
 * The keys are the inner provider's own, token or not; they are managed by its own functions, and
 * those are here only because OpenSSL wants the keys of a signature from the same provider. What a
 * key is, is looked at where it is used.
 */
#include "client-lib/openssl/module.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

/*
 * Key management: those that get the provider's context must get the inner one's.
 */

static void *key_new(void *provctx)
{
	const struct tpmpsk_inner *inner = &((struct tpmpsk_provider *)provctx)->inner;

	return inner->keymgmt.new(inner->provctx);
}

static const OSSL_PARAM *key_gettable_params(void *provctx)
{
	const struct tpmpsk_inner *inner = &((struct tpmpsk_provider *)provctx)->inner;

	return inner->keymgmt.gettable_params(inner->provctx);
}

static const OSSL_PARAM *key_settable_params(void *provctx)
{
	const struct tpmpsk_inner *inner = &((struct tpmpsk_provider *)provctx)->inner;

	return inner->keymgmt.settable_params(inner->provctx);
}

static void *key_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
	const struct tpmpsk_inner *inner = &((struct tpmpsk_provider *)provctx)->inner;

	return inner->keymgmt.gen_init(inner->provctx, selection, params);
}

static const OSSL_PARAM *key_gen_settable_params(void *genctx, void *provctx)
{
	const struct tpmpsk_inner *inner = &((struct tpmpsk_provider *)provctx)->inner;

	return inner->keymgmt.gen_settable_params(genctx, inner->provctx);
}

static const OSSL_DISPATCH own_functions[] = {
	{ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new },
	{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))key_gettable_params },
	{ OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (void (*)(void))key_settable_params },
	{ OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))key_gen_init },
	{ OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (void (*)(void))key_gen_settable_params },
	{ 0, NULL },
};

/* Functions that know the key, or what they work on, from what they are given: the inner ones. */
static const int inner_functions[] = {
	OSSL_FUNC_KEYMGMT_FREE,
	OSSL_FUNC_KEYMGMT_GET_PARAMS,
	OSSL_FUNC_KEYMGMT_SET_PARAMS,
	OSSL_FUNC_KEYMGMT_HAS,
	OSSL_FUNC_KEYMGMT_MATCH,
	OSSL_FUNC_KEYMGMT_IMPORT,
	OSSL_FUNC_KEYMGMT_IMPORT_TYPES,
	OSSL_FUNC_KEYMGMT_EXPORT,
	OSSL_FUNC_KEYMGMT_EXPORT_TYPES,
	OSSL_FUNC_KEYMGMT_DUP,
	OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS,
	OSSL_FUNC_KEYMGMT_GEN,
	OSSL_FUNC_KEYMGMT_GEN_CLEANUP,
};
_Static_assert(sizeof(own_functions) / sizeof(own_functions[0]) +
			       sizeof(inner_functions) / sizeof(inner_functions[0]) <=
		       TPMPSK_KEYMGMT_FUNCTIONS_MAX,
	"there is room for all functions");

static bool is_inner_function(int id)
{
	for (size_t i = 0; i < sizeof(inner_functions) / sizeof(inner_functions[0]); i++)
		if (inner_functions[i] == id)
			return true;
	return false;
}

void tpmpsk_keymgmt_functions(const struct tpmpsk_inner *inner, OSSL_DISPATCH *ret)
{
	for (const OSSL_DISPATCH *f = own_functions; f->function_id != 0; f++)
		*ret++ = *f;
	for (const OSSL_DISPATCH *f = inner->keymgmt.functions; f->function_id != 0; f++)
		if (is_inner_function(f->function_id))
			*ret++ = *f;
	memset(ret, 0, sizeof(*ret));
}

/*
 * Signatures.
 */

struct signature {
	const struct tpmpsk_provider *provider;
	void *inner;
	bool ours;                 /* the key is a token, and inner is not used */
	struct tpmpsk_token token; /* with the hash that the signature is to be made with */
	size_t len;                /* of the input */
	uint8_t input[TPMPSK_HASH_SIZE_MAX];
};

static void *new (void *provctx, const char *properties)
{
	const struct tpmpsk_provider *p = provctx;
	struct signature *s = calloc(1, sizeof(*s));

	(void)properties; /* the inner context has but one provider */
	if (!s)
		return NULL;
	s->provider = p;
	s->inner = p->inner.signature.newctx(p->inner.provctx, NULL);
	if (!s->inner) {
		free(s);
		return NULL;
	}
	return s;
}

static void delete (void *ctx)
{
	struct signature *s = ctx;

	if (!s)
		return;
	s->provider->inner.signature.freectx(s->inner);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static void *dup(void *ctx)
{
	const struct signature *s = ctx;
	struct signature *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *s;
	copy->inner = s->provider->inner.signature.dupctx(s->inner);
	if (!copy->inner) {
		OPENSSL_cleanse(copy, sizeof(*copy));
		free(copy);
		return NULL;
	}
	return copy;
}

/* The bytes of a key and their number; 0 when there are none, or too many for a token. */
static size_t key_bytes(const struct tpmpsk_inner *inner, void *key, uint8_t *buf, size_t size)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, NULL, 0),
		OSSL_PARAM_construct_end(),
	};

	if (!inner->keymgmt.get_params(key, params) || !OSSL_PARAM_modified(params) ||
		params[0].return_size > size)
		return 0;
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, buf, size);
	if (!inner->keymgmt.get_params(key, params) || !OSSL_PARAM_modified(params))
		return 0;
	return params[0].return_size;
}

static int init_with_token(struct signature *s, const char *digest, const uint8_t *key, size_t len)
{
	struct tpmpsk_token *token = &s->token;

	s->ours = false;
	if (tpmpsk_token_read(key, len, token) < 0)
		return tpmpsk_raise(s->provider, TPMPSK_REASON_TOKEN, "binder");
	if (token->stage != TPMPSK_TOKEN_FINISHED || tpmpsk_hash_by_name(digest) != token->hash)
		return tpmpsk_raise(s->provider, TPMPSK_REASON_USE, "HMAC");
	s->ours = true;
	s->len = 0;
	return 1;
}

static int sign_init(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signature *s = ctx;
	const struct tpmpsk_inner *inner = &s->provider->inner;
	uint8_t bytes[TPMPSK_HASH_SIZE_MAX];
	size_t len;
	int r;

	if (!key && s->ours) {
		s->len = 0;
		return tpmpsk_hash_by_name(digest) == s->token.hash;
	}
	len = key ? key_bytes(inner, key, bytes, sizeof(bytes)) : 0;
	if (tpmpsk_token_is(bytes, len)) {
		r = init_with_token(s, digest, bytes, len);
	} else {
		s->ours = false;
		r = inner->signature.digest_sign_init(s->inner, digest, key, params);
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return r;
}

static int sign_update(void *ctx, const unsigned char *data, size_t len)
{
	struct signature *s = ctx;

	if (!s->ours)
		return s->provider->inner.signature.digest_sign_update(s->inner, data, len);
	if (len > sizeof(s->input) - s->len)
		return tpmpsk_raise(s->provider, TPMPSK_REASON_USE, "HMAC of that much");
	if (len > 0)
		memcpy(s->input + s->len, data, len);
	s->len += len;
	return 1;
}

static int sign_final(void *ctx, unsigned char *out, size_t *len, size_t size)
{
	struct signature *s = ctx;
	const struct tpmpsk_token *token = &s->token;
	size_t hash_size;
	int r;

	if (!s->ours)
		return s->provider->inner.signature.digest_sign_final(s->inner, out, len, size);
	hash_size = tpmpsk_hash_size(token->hash);
	*len = hash_size;
	if (!out)
		return 1;
	if (s->len != hash_size || size < hash_size)
		return tpmpsk_raise(s->provider, TPMPSK_REASON_USE, "HMAC of %zu bytes", s->len);
	r = tpmpsk_tls13_binder(s->provider->handle, token->identity, token->identity_len,
		token->hash, s->input, s->len, out);
	return tpmpsk_answered(s->provider, r, token, "TLS 1.3 binder");
}

static int set_ctx_params(void *ctx, const OSSL_PARAM params[])
{
	const struct signature *s = ctx;

	return s->provider->inner.signature.set_ctx_params(s->inner, params);
}

static const OSSL_PARAM *settable_ctx_params(void *ctx, void *provctx)
{
	const struct tpmpsk_provider *p = provctx;
	const struct signature *s = ctx;

	return p->inner.signature.settable_ctx_params(s ? s->inner : NULL, p->inner.provctx);
}

const OSSL_DISPATCH tpmpsk_signature_functions[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void)) new },
	{ OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void)) delete },
	{ OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))dup },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))sign_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))sign_update },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))sign_final },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))set_ctx_params },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))settable_ctx_params },
	{ 0, NULL },
};
