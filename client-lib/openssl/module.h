/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module - what the parts of the OpenSSL provider share: the provider itself, and how they say
 * why something failed.
 *
 * There is one struct tpmpsk_provider for each OSSL_LIB_CTX that loads the module. After
 * OSSL_provider_init() it does not change, so any thread may use it.
 *
 * Functions that OpenSSL calls return 1 or 0 as it expects, with the reason on its error stack.
 */
#ifndef TPMPSK_CLIENT_LIB_OPENSSL_MODULE_H
#define TPMPSK_CLIENT_LIB_OPENSSL_MODULE_H

#include "client-lib/openssl/inner.h"
#include "client-lib/openssl/token.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>

#define TPMPSK_KEYMGMT_FUNCTIONS_MAX 24

struct tpmpsk_provider {
	const OSSL_CORE_HANDLE *core;
	OSSL_FUNC_core_get_params_fn *core_get_params;
	OSSL_FUNC_core_new_error_fn *core_new_error;
	OSSL_FUNC_core_set_error_debug_fn *core_set_error_debug;
	OSSL_FUNC_core_vset_error_fn *core_vset_error;
	struct tpmpsk_inner inner;
	struct tpmpsk *handle;
	bool has_tokens; /* a share in the table */
	OSSL_DISPATCH keymgmt[TPMPSK_KEYMGMT_FUNCTIONS_MAX];
	OSSL_ALGORITHM kdfs[3];
	OSSL_ALGORITHM keymgmts[2];
	OSSL_ALGORITHM signatures[2];
};

/* What each of the modules of its name gives to OpenSSL. */
extern const OSSL_DISPATCH tpmpsk_tls13_kdf_functions[];
extern const OSSL_DISPATCH tpmpsk_tls1_prf_functions[];
extern const OSSL_DISPATCH tpmpsk_signature_functions[];
void tpmpsk_keymgmt_functions(const struct tpmpsk_inner *inner, OSSL_DISPATCH *ret);

/*
 * Reasons on OpenSSL's error stack. From 1 on the errors of libtpmpsk without their sign; here,
 * what the provider refuses by itself.
 */
enum tpmpsk_reason {
	TPMPSK_REASON_PSK_KE = 64,
	TPMPSK_REASON_EARLY_DATA,
	TPMPSK_REASON_MIXED_PSK,
	TPMPSK_REASON_HASH,
	TPMPSK_REASON_REFERENCE,
	TPMPSK_REASON_USE,
	TPMPSK_REASON_TOKEN,
	TPMPSK_REASON_CONFIGURATION,
	TPMPSK_REASON_LOADING,
};
extern const OSSL_ITEM tpmpsk_reason_strings[];

/* Puts an error on OpenSSL's stack, with more about it. Always 0, to be returned. */
#define tpmpsk_raise(provider, reason, ...)                                                        \
	tpmpsk_raise_at(provider, __FILE__, __LINE__, __func__, reason, __VA_ARGS__)
int tpmpsk_raise_at(const struct tpmpsk_provider *provider, const char *file, int line,
	const char *function, int reason, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/*
 * The end of a call to the library: 1, or 0 after telling which identity did not get what, and why.
 */
int tpmpsk_answered(const struct tpmpsk_provider *provider, int error,
	const struct tpmpsk_token *token, const char *what);

/* What a PSK, or the part of a secret that is one, turned out to be. */
enum tpmpsk_psk_kind {
	TPMPSK_PSK_PLAIN,    /* none of ours */
	TPMPSK_PSK_IDENTITY, /* a reference; its identity is in the token, which is otherwise unset */
	TPMPSK_PSK_BROKEN,   /* meant as a reference */
};
enum tpmpsk_psk_kind tpmpsk_psk_read(const void *psk, size_t len, struct tpmpsk_token *ret);

/* The hash by a name that OpenSSL has for it, or 0. */
enum tpmpsk_hash tpmpsk_hash_by_name(const char *name);

#endif
