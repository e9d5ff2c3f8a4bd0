/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inner - the default provider's own functions for what this provider stands before.
 *
 * Kept in a library context of its own: one that is a child of the program's would load this
 * provider again below itself, and could be configured to ask for itself. The functions are
 * taken straight from the provider's tables, so that passing on costs one call and no look-up.
 */
#ifndef TPMPSK_CLIENT_LIB_OPENSSL_INNER_H
#define TPMPSK_CLIENT_LIB_OPENSSL_INNER_H

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

/* Those that stand after "optional" may be NULL. */
struct tpmpsk_inner_kdf {
	const char *names;
	OSSL_FUNC_kdf_newctx_fn *newctx;
	OSSL_FUNC_kdf_freectx_fn *freectx;
	OSSL_FUNC_kdf_reset_fn *reset;
	OSSL_FUNC_kdf_derive_fn *derive;
	OSSL_FUNC_kdf_settable_ctx_params_fn *settable_ctx_params;
	OSSL_FUNC_kdf_set_ctx_params_fn *set_ctx_params;
	OSSL_FUNC_kdf_gettable_ctx_params_fn *gettable_ctx_params;
	OSSL_FUNC_kdf_get_ctx_params_fn *get_ctx_params;
	/* optional */
	OSSL_FUNC_kdf_dupctx_fn *dupctx;
};

struct tpmpsk_inner_signature {
	const char *names;
	OSSL_FUNC_signature_newctx_fn *newctx;
	OSSL_FUNC_signature_freectx_fn *freectx;
	OSSL_FUNC_signature_dupctx_fn *dupctx;
	OSSL_FUNC_signature_digest_sign_init_fn *digest_sign_init;
	OSSL_FUNC_signature_digest_sign_update_fn *digest_sign_update;
	OSSL_FUNC_signature_digest_sign_final_fn *digest_sign_final;
	OSSL_FUNC_signature_set_ctx_params_fn *set_ctx_params;
	OSSL_FUNC_signature_settable_ctx_params_fn *settable_ctx_params;
};

struct tpmpsk_inner_keymgmt {
	const char *names;
	const OSSL_DISPATCH *functions; /* all of them */
	OSSL_FUNC_keymgmt_new_fn *new;
	OSSL_FUNC_keymgmt_get_params_fn *get_params;
	OSSL_FUNC_keymgmt_gettable_params_fn *gettable_params;
	OSSL_FUNC_keymgmt_settable_params_fn *settable_params;
	OSSL_FUNC_keymgmt_gen_init_fn *gen_init;
	OSSL_FUNC_keymgmt_gen_settable_params_fn *gen_settable_params;
};

struct tpmpsk_inner {
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *provider;
	void *provctx;
	struct tpmpsk_inner_kdf tls13_kdf;
	struct tpmpsk_inner_kdf tls1_prf;
	struct tpmpsk_inner_keymgmt keymgmt;
	struct tpmpsk_inner_signature signature;
};

/* 0; -ENOMEM; -ENOENT when the default provider lacks what is needed. */
int tpmpsk_inner_init(struct tpmpsk_inner *inner) __attribute__((warn_unused_result));
/* Takes zeroes, and what a failed init left. */
void tpmpsk_inner_done(struct tpmpsk_inner *inner);

#endif
