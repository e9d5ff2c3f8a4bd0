/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/openssl/front.h"

#include <stdlib.h>
#include <string.h>

void *tpmpsk_kdf_new(
	const struct tpmpsk_provider *provider, const struct tpmpsk_inner_kdf *functions)
{
	struct tpmpsk_kdf *kdf = malloc(sizeof(*kdf));

	if (!kdf)
		return NULL;
	kdf->provider = provider;
	kdf->functions = functions;
	kdf->inner = functions->newctx(provider->inner.provctx);
	if (!kdf->inner) {
		free(kdf);
		return NULL;
	}
	return kdf;
}

void *tpmpsk_kdf_dup(void *ctx)
{
	const struct tpmpsk_kdf *kdf = ctx;
	struct tpmpsk_kdf *copy;

	if (!kdf->functions->dupctx)
		return NULL;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return NULL;
	*copy = *kdf;
	copy->inner = kdf->functions->dupctx(kdf->inner);
	if (!copy->inner) {
		free(copy);
		return NULL;
	}
	return copy;
}

void tpmpsk_kdf_free(void *ctx)
{
	struct tpmpsk_kdf *kdf = ctx;

	if (!kdf)
		return;
	kdf->functions->freectx(kdf->inner);
	free(kdf);
}

void tpmpsk_kdf_reset(void *ctx)
{
	const struct tpmpsk_kdf *kdf = ctx;

	kdf->functions->reset(kdf->inner);
}

int tpmpsk_kdf_get_ctx_params(void *ctx, OSSL_PARAM params[])
{
	const struct tpmpsk_kdf *kdf = ctx;

	return kdf->functions->get_ctx_params(kdf->inner, params);
}

/* Without a context, what there is for all of them is asked. */
const OSSL_PARAM *tpmpsk_kdf_settable(const void *ctx, const struct tpmpsk_provider *provider,
	const struct tpmpsk_inner_kdf *functions)
{
	const struct tpmpsk_kdf *kdf = ctx;

	return functions->settable_ctx_params(kdf ? kdf->inner : NULL, provider->inner.provctx);
}

const OSSL_PARAM *tpmpsk_kdf_gettable(const void *ctx, const struct tpmpsk_provider *provider,
	const struct tpmpsk_inner_kdf *functions)
{
	const struct tpmpsk_kdf *kdf = ctx;

	return functions->gettable_ctx_params(kdf ? kdf->inner : NULL, provider->inner.provctx);
}

const uint8_t *tpmpsk_param_bytes(const OSSL_PARAM *param, size_t *ret_len)
{
	*ret_len = 0;
	if (!param || param->data_type != OSSL_PARAM_OCTET_STRING || !param->data)
		return NULL;
	*ret_len = param->data_size;
	return param->data;
}

bool tpmpsk_param_is(const OSSL_PARAM *param, const void *bytes, size_t len)
{
	size_t param_len;
	const uint8_t *p = tpmpsk_param_bytes(param, &param_len);

	return param_len == len && (len == 0 || memcmp(p, bytes, len) == 0);
}

enum tpmpsk_hash tpmpsk_param_hash(const OSSL_PARAM *param)
{
	return param && param->data_type == OSSL_PARAM_UTF8_STRING
		       ? tpmpsk_hash_by_name(param->data)
		       : 0;
}

bool tpmpsk_all_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}
