/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One library context for tpm2-tss: found where tpm2-tss looks, usable, and out of the way when
 * switched off.
 */
#include "daemon/ossl_lib_ctx.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

Test(ossl_lib_ctx, stands_before_that_of_libcrypto)
{
	void *first = dlsym(RTLD_DEFAULT, "OSSL_LIB_CTX_new");

	cr_assert_not_null(first);
	cr_assert_neq(first, dlsym(RTLD_NEXT, "OSSL_LIB_CTX_new"));
	cr_assert_neq(
		dlsym(RTLD_DEFAULT, "OSSL_LIB_CTX_free"), dlsym(RTLD_NEXT, "OSSL_LIB_CTX_free"));
}

Test(ossl_lib_ctx, gives_everyone_the_same_that_outlives_its_users)
{
	OSSL_LIB_CTX *a, *b;
	EVP_MD *md;

	ossl_lib_ctx_share(true);
	a = OSSL_LIB_CTX_new();
	b = OSSL_LIB_CTX_new();
	cr_assert_not_null(a);
	cr_assert_eq(a, b);
	OSSL_LIB_CTX_free(a);
	OSSL_LIB_CTX_free(b);
	md = EVP_MD_fetch(OSSL_LIB_CTX_new(), "SHA256", NULL);
	cr_assert_not_null(md, "the default provider is there");
	EVP_MD_free(md);
}

Test(ossl_lib_ctx, is_not_the_global_one)
{
	ossl_lib_ctx_share(true);
	cr_assert_neq(OSSL_LIB_CTX_new(), OSSL_LIB_CTX_get0_global_default());
}

Test(ossl_lib_ctx, gives_everyone_their_own_when_switched_off)
{
	OSSL_LIB_CTX *a, *b;

	ossl_lib_ctx_share(false);
	a = OSSL_LIB_CTX_new();
	b = OSSL_LIB_CTX_new();
	cr_assert_neq(a, b);
	OSSL_LIB_CTX_free(a);
	OSSL_LIB_CTX_free(b);
}
