/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TLS 1.3 key schedule (RFC 8446, section 7.1) as libssl asks for it, "TLS13-KDF". Of a PSK in
 * the TPM it gets:
 *
 *     Extract(-, reference)                  the token of the early secret
 *     Expand(early, "ext binder", Hash(""))  the token of the binder key
 *     Expand(binder key, "finished")         the token of the finished key, for binder.c
 *     Extract(early, (EC)DHE)                the handshake secret, from the daemon
 *
 * In an Extract with a salt, the "derived" of the schedule is part of the same call. Any other use
 * of a reference or a token is refused, and everything else is the inner provider's.
 */
#include "client-lib/openssl/front.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>
#include <strings.h>

#define LITERAL(S) S, sizeof(S) - 1
#define MODE_UNKNOWN -1

/* The parameters of one call. */
struct call {
	const OSSL_PARAM *mode, *digest, *key, *salt, *prefix, *label, *data;
};

static void call_read(struct call *call, const OSSL_PARAM params[])
{
	call->mode = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_MODE);
	call->digest = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_DIGEST);
	call->key = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_KEY);
	call->salt = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SALT);
	call->prefix = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_PREFIX);
	call->label = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_LABEL);
	call->data = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_DATA);
}

static bool is_ours(const OSSL_PARAM *param)
{
	struct tpmpsk_token token;
	size_t len;
	const uint8_t *bytes = tpmpsk_param_bytes(param, &len);

	return bytes && (tpmpsk_token_is(bytes, len) ||
				tpmpsk_psk_read(bytes, len, &token) != TPMPSK_PSK_PLAIN);
}

/* All that a derivation without a PSK of ours is asked. */
static bool are_ours(const OSSL_PARAM params[])
{
	return is_ours(OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_KEY)) ||
	       is_ours(OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SALT));
}

static int mode_of(const OSSL_PARAM *param)
{
	int mode = MODE_UNKNOWN;

	if (!param)
		return MODE_UNKNOWN;
	if (param->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(param, &mode) ? mode : MODE_UNKNOWN;
	if (strcasecmp(param->data, "EXTRACT_ONLY") == 0)
		return EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	if (strcasecmp(param->data, "EXPAND_ONLY") == 0)
		return EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	return MODE_UNKNOWN;
}

/* RFC 6234's answers for no input. */
static bool is_hash_of_nothing(const OSSL_PARAM *data, enum tpmpsk_hash hash)
{
	static const uint8_t sha256[] = { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a,
		0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93,
		0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55 };
	static const uint8_t sha384[] = { 0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c,
		0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a, 0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07,
		0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda, 0x27, 0x4e, 0xde, 0xbf, 0xe7,
		0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b };

	return hash == TPMPSK_HASH_SHA256 ? tpmpsk_param_is(data, sha256, sizeof(sha256))
					  : tpmpsk_param_is(data, sha384, sizeof(sha384));
}

static int write_token(
	const struct tpmpsk_provider *p, const struct tpmpsk_token *token, uint8_t *out)
{
	if (tpmpsk_token_write(token, out) < 0)
		return tpmpsk_raise(p, TPMPSK_REASON_LOADING, "no memory");
	return 1;
}

static int read_token(const struct tpmpsk_provider *p, const OSSL_PARAM *param,
	enum tpmpsk_hash hash, struct tpmpsk_token *ret)
{
	size_t len;
	const uint8_t *bytes = tpmpsk_param_bytes(param, &len);

	if (!bytes || tpmpsk_token_read(bytes, len, ret) < 0)
		return tpmpsk_raise(p, TPMPSK_REASON_TOKEN, "the handshake lasted too long");
	if (ret->hash != hash)
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "with another hash");
	return 1;
}

/* Extract(-, reference). Some would write no salt as one of zeroes. */
static int early_secret(const struct tpmpsk_provider *p, const struct call *call,
	enum tpmpsk_hash hash, uint8_t *out)
{
	struct tpmpsk_token token;
	size_t key_len, salt_len;
	const uint8_t *key = tpmpsk_param_bytes(call->key, &key_len);
	const uint8_t *salt = tpmpsk_param_bytes(call->salt, &salt_len);

	if (tpmpsk_token_is(key, key_len) || !tpmpsk_all_zero(salt, salt_len))
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "HKDF-Extract");
	if (tpmpsk_psk_read(key, key_len, &token) != TPMPSK_PSK_IDENTITY)
		return tpmpsk_raise(p, TPMPSK_REASON_REFERENCE, "%zu bytes", key_len);
	token.stage = TPMPSK_TOKEN_EARLY;
	token.hash = hash;
	return write_token(p, &token, out);
}

/* Extract(early, (EC)DHE). */
static int handshake_secret(const struct tpmpsk_provider *p, const struct call *call,
	enum tpmpsk_hash hash, uint8_t *out)
{
	struct tpmpsk_token token;
	size_t len;
	const uint8_t *shared = tpmpsk_param_bytes(call->key, &len);
	int r;

	if (!read_token(p, call->salt, hash, &token))
		return 0;
	if (token.stage != TPMPSK_TOKEN_EARLY || is_ours(call->key) ||
		!tpmpsk_param_is(call->label, LITERAL("derived")))
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "HKDF-Extract");
	/* What the schedule has in place of a shared secret when there is none. */
	if (!shared || len == 0 || (len == tpmpsk_hash_size(hash) && tpmpsk_all_zero(shared, len)))
		return tpmpsk_raise(p, TPMPSK_REASON_PSK_KE, "no shared secret");
	r = tpmpsk_tls13_handshake_secret(
		p->handle, token.identity, token.identity_len, hash, shared, len, out);
	return tpmpsk_answered(p, r, &token, "TLS 1.3 handshake secret");
}

static int extract(const struct tpmpsk_provider *p, const struct call *call, enum tpmpsk_hash hash,
	uint8_t *out)
{
	return is_ours(call->salt) ? handshake_secret(p, call, hash, out)
				   : early_secret(p, call, hash, out);
}

static int expand(const struct tpmpsk_provider *p, const struct call *call, enum tpmpsk_hash hash,
	uint8_t *out)
{
	struct tpmpsk_token token;
	size_t len;
	const uint8_t *key = tpmpsk_param_bytes(call->key, &len);

	if (!tpmpsk_token_is(key, len))
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "HKDF-Expand of the PSK itself");
	if (!read_token(p, call->key, hash, &token))
		return 0;
	if (token.stage == TPMPSK_TOKEN_EARLY &&
		(tpmpsk_param_is(call->label, LITERAL("c e traffic")) ||
			tpmpsk_param_is(call->label, LITERAL("e exp master"))))
		return tpmpsk_raise(p, TPMPSK_REASON_EARLY_DATA, "HKDF-Expand-Label");
	if (token.stage == TPMPSK_TOKEN_EARLY &&
		tpmpsk_param_is(call->label, LITERAL("ext binder")) &&
		is_hash_of_nothing(call->data, hash))
		token.stage = TPMPSK_TOKEN_BINDER;
	else if (token.stage == TPMPSK_TOKEN_BINDER &&
		 tpmpsk_param_is(call->label, LITERAL("finished")) &&
		 tpmpsk_param_is(call->data, NULL, 0))
		token.stage = TPMPSK_TOKEN_FINISHED;
	else
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "HKDF-Expand-Label");
	return write_token(p, &token, out);
}

static int derive_ours(
	const struct tpmpsk_provider *p, const struct call *call, uint8_t *out, size_t len)
{
	enum tpmpsk_hash hash = tpmpsk_param_hash(call->digest);

	if (hash == 0)
		return tpmpsk_raise(p, TPMPSK_REASON_HASH, "TLS13-KDF");
	/* DTLS 1.3 has another prefix, and so other secrets than those in the TPM. */
	if (len != tpmpsk_hash_size(hash) || !tpmpsk_param_is(call->prefix, LITERAL("tls13 ")))
		return tpmpsk_raise(p, TPMPSK_REASON_USE, "TLS13-KDF");
	switch (mode_of(call->mode)) {
	case EVP_KDF_HKDF_MODE_EXTRACT_ONLY:
		return extract(p, call, hash, out);
	case EVP_KDF_HKDF_MODE_EXPAND_ONLY:
		return expand(p, call, hash, out);
	}
	return tpmpsk_raise(p, TPMPSK_REASON_USE, "TLS13-KDF");
}

static void *new (void *provctx)
{
	const struct tpmpsk_provider *p = provctx;

	return tpmpsk_kdf_new(p, &p->inner.tls13_kdf);
}

static int derive(void *ctx, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
	const struct tpmpsk_kdf *kdf = ctx;
	struct call call;

	if (!params || !are_ours(params))
		return kdf->functions->derive(kdf->inner, out, len, params);
	call_read(&call, params);
	return derive_ours(kdf->provider, &call, out, len);
}

static int set_ctx_params(void *ctx, const OSSL_PARAM params[])
{
	const struct tpmpsk_kdf *kdf = ctx;

	if (params && are_ours(params))
		return tpmpsk_raise(kdf->provider, TPMPSK_REASON_USE, "before EVP_KDF_derive()");
	return kdf->functions->set_ctx_params(kdf->inner, params);
}

static const OSSL_PARAM *settable_ctx_params(void *ctx, void *provctx)
{
	const struct tpmpsk_provider *p = provctx;

	return tpmpsk_kdf_settable(ctx, p, &p->inner.tls13_kdf);
}

static const OSSL_PARAM *gettable_ctx_params(void *ctx, void *provctx)
{
	const struct tpmpsk_provider *p = provctx;

	return tpmpsk_kdf_gettable(ctx, p, &p->inner.tls13_kdf);
}

const OSSL_DISPATCH tpmpsk_tls13_kdf_functions[] = {
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
