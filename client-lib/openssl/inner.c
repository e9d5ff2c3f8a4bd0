/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/openssl/inner.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Where a function of a provider's table goes. */
struct slot {
	int id;
	size_t offset;
	bool optional;
};

#define KDF(ID, FIELD)                                                                             \
	{                                                                                          \
		OSSL_FUNC_KDF_##ID, offsetof(struct tpmpsk_inner_kdf, FIELD), false                \
	}
static const struct slot kdf_slots[] = {
	KDF(NEWCTX, newctx),
	KDF(FREECTX, freectx),
	KDF(RESET, reset),
	KDF(DERIVE, derive),
	KDF(SETTABLE_CTX_PARAMS, settable_ctx_params),
	KDF(SET_CTX_PARAMS, set_ctx_params),
	KDF(GETTABLE_CTX_PARAMS, gettable_ctx_params),
	KDF(GET_CTX_PARAMS, get_ctx_params),
	{ OSSL_FUNC_KDF_DUPCTX, offsetof(struct tpmpsk_inner_kdf, dupctx), true },
	{ 0 },
};

#define KEYMGMT(ID, FIELD)                                                                         \
	{                                                                                          \
		OSSL_FUNC_KEYMGMT_##ID, offsetof(struct tpmpsk_inner_keymgmt, FIELD), false        \
	}
static const struct slot keymgmt_slots[] = {
	KEYMGMT(NEW, new),
	KEYMGMT(GET_PARAMS, get_params),
	KEYMGMT(GETTABLE_PARAMS, gettable_params),
	KEYMGMT(SETTABLE_PARAMS, settable_params),
	KEYMGMT(GEN_INIT, gen_init),
	KEYMGMT(GEN_SETTABLE_PARAMS, gen_settable_params),
	{ 0 },
};

#define SIGNATURE(ID, FIELD)                                                                       \
	{                                                                                          \
		OSSL_FUNC_SIGNATURE_##ID, offsetof(struct tpmpsk_inner_signature, FIELD), false    \
	}
static const struct slot signature_slots[] = {
	SIGNATURE(NEWCTX, newctx),
	SIGNATURE(FREECTX, freectx),
	SIGNATURE(DUPCTX, dupctx),
	SIGNATURE(DIGEST_SIGN_INIT, digest_sign_init),
	SIGNATURE(DIGEST_SIGN_UPDATE, digest_sign_update),
	SIGNATURE(DIGEST_SIGN_FINAL, digest_sign_final),
	SIGNATURE(SET_CTX_PARAMS, set_ctx_params),
	SIGNATURE(SETTABLE_CTX_PARAMS, settable_ctx_params),
	{ 0 },
};

/* Whether a name is among those of an algorithm, "HMAC:…". */
static bool has_name(const char *names, const char *name)
{
	size_t len = strlen(name);

	while (names) {
		if (strncasecmp(names, name, len) == 0 && (names[len] == 0 || names[len] == ':'))
			return true;
		names = strchr(names, ':');
		names += names != NULL;
	}
	return false;
}

static const OSSL_DISPATCH *function(const OSSL_DISPATCH *functions, int id)
{
	while (functions->function_id != 0 && functions->function_id != id)
		functions++;
	return functions->function_id != 0 ? functions : NULL;
}

/* The tables are the inner provider's, and stay as long as it does. */
static int take(struct tpmpsk_inner *inner, int operation, const char *name,
	const struct slot *slots, void *ret, const char **ret_names,
	const OSSL_DISPATCH **ret_functions)
{
	int no_cache = 0;
	const OSSL_ALGORITHM *a =
		OSSL_PROVIDER_query_operation(inner->provider, operation, &no_cache);

	while (a && a->algorithm_names && !has_name(a->algorithm_names, name))
		a++;
	if (!a || !a->algorithm_names)
		return -ENOENT;
	for (; slots->id != 0; slots++) {
		const OSSL_DISPATCH *f = function(a->implementation, slots->id);

		if (f)
			memcpy((char *)ret + slots->offset, &f->function, sizeof(f->function));
		else if (!slots->optional)
			return -ENOENT;
	}
	*ret_names = a->algorithm_names;
	*ret_functions = a->implementation;
	return 0;
}

static int take_all(struct tpmpsk_inner *inner)
{
	const OSSL_DISPATCH *functions;
	int r = take(inner, OSSL_OP_KDF, OSSL_KDF_NAME_TLS1_3_KDF, kdf_slots, &inner->tls13_kdf,
		&inner->tls13_kdf.names, &functions);

	if (r == 0)
		r = take(inner, OSSL_OP_KDF, OSSL_KDF_NAME_TLS1_PRF, kdf_slots, &inner->tls1_prf,
			&inner->tls1_prf.names, &functions);
	if (r == 0)
		r = take(inner, OSSL_OP_SIGNATURE, "HMAC", signature_slots, &inner->signature,
			&inner->signature.names, &functions);
	if (r == 0)
		r = take(inner, OSSL_OP_KEYMGMT, "HMAC", keymgmt_slots, &inner->keymgmt,
			&inner->keymgmt.names, &inner->keymgmt.functions);
	return r;
}

int tpmpsk_inner_init(struct tpmpsk_inner *inner)
{
	inner->libctx = OSSL_LIB_CTX_new();
	if (!inner->libctx)
		return -ENOMEM;
	inner->provider = OSSL_PROVIDER_load(inner->libctx, "default");
	if (!inner->provider)
		return -ENOENT;
	inner->provctx = OSSL_PROVIDER_get0_provider_ctx(inner->provider);
	return take_all(inner);
}

void tpmpsk_inner_done(struct tpmpsk_inner *inner)
{
	if (inner->provider)
		OSSL_PROVIDER_unload(inner->provider);
	OSSL_LIB_CTX_free(inner->libctx);
	memset(inner, 0, sizeof(*inner));
}
