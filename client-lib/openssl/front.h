/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front - what the two KDFs of this provider have in common: a context that stands before one of the
 * inner provider's.
 *
 * References and tokens are looked for where libssl has them: in the parameters of the one call that
 * also derives. Set in a call before it they are refused, so that nothing has to be remembered here
 * from one call to the next.
 */
#ifndef TPMPSK_CLIENT_LIB_OPENSSL_FRONT_H
#define TPMPSK_CLIENT_LIB_OPENSSL_FRONT_H

#include "client-lib/openssl/module.h"

struct tpmpsk_kdf {
	const struct tpmpsk_provider *provider;
	const struct tpmpsk_inner_kdf *functions;
	void *inner;
};

void *tpmpsk_kdf_new(
	const struct tpmpsk_provider *provider, const struct tpmpsk_inner_kdf *functions);

OSSL_FUNC_kdf_dupctx_fn tpmpsk_kdf_dup;
OSSL_FUNC_kdf_freectx_fn tpmpsk_kdf_free;
OSSL_FUNC_kdf_reset_fn tpmpsk_kdf_reset;
OSSL_FUNC_kdf_get_ctx_params_fn tpmpsk_kdf_get_ctx_params;

const OSSL_PARAM *tpmpsk_kdf_settable(const void *ctx, const struct tpmpsk_provider *provider,
	const struct tpmpsk_inner_kdf *functions);
const OSSL_PARAM *tpmpsk_kdf_gettable(const void *ctx, const struct tpmpsk_provider *provider,
	const struct tpmpsk_inner_kdf *functions);

/* A parameter's bytes; NULL and 0 when it is absent or none of bytes. */
const uint8_t *tpmpsk_param_bytes(const OSSL_PARAM *param, size_t *ret_len);
bool tpmpsk_param_is(const OSSL_PARAM *param, const void *bytes, size_t len);
/* The hash that a parameter names, or 0. */
enum tpmpsk_hash tpmpsk_param_hash(const OSSL_PARAM *param);
/* In constant time. */
bool tpmpsk_all_zero(const uint8_t *bytes, size_t len);

#endif
