/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpm2-tss, built on OpenSSL 3, makes a new OSSL_LIB_CTX for each hash and HMAC that it computes
 * for a session, and a context costs far more than the hash: its first use looks up and sets up the
 * default provider. On a software TPM an HMAC in an encrypted session took 3.3 ms that way and
 * takes 0.15 ms with the contexts shared; `tests/bench` measures it on your machine.
 *
 * tpm2-tss calls the two functions below through the dynamic symbol table, where the executable
 * comes before libcrypto. They hand out one context for good, which keeps its default provider
 * loaded from the first hash on. It is of our own making and not OpenSSL's global one, because an
 * administrator may have put a TPM-backed provider in there: that is why tpm2-tss wants a context
 * of its own in the first place. Library contexts may be used by several threads at once.
 * libcrypto's internal calls do not come here.
 *
 * tpm2-tss 4.0 has Esys_SetCryptoCallbacks(), with which this could be done without the detour;
 * this works with it as well.
 */
#include "daemon/ossl_lib_ctx.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* The daemon does not need OpenSSL's headers for two prototypes and a number. */
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;
#define OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS UINT64_C(1)
__attribute__((visibility("default"))) OSSL_LIB_CTX *OSSL_LIB_CTX_new(void);
__attribute__((visibility("default"))) void OSSL_LIB_CTX_free(OSSL_LIB_CTX *ctx);

/* The functions have no parameter to carry state: it has to be here. */
static OSSL_LIB_CTX *(*libcrypto_new)(void);
static void (*libcrypto_free)(OSSL_LIB_CTX *ctx);
static OSSL_LIB_CTX *shared;
static bool sharing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Nobody here reads OpenSSL's messages: to load them costs more than 400 KiB. This must come before libcrypto's first use. */
static void do_without_messages(void)
{
	int (*libcrypto_init)(uint64_t options, const void *settings) =
		(int (*)(uint64_t, const void *))dlsym(RTLD_NEXT, "OPENSSL_init_crypto");

	if (libcrypto_init)
		(void)libcrypto_init(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
}

static void init(void)
{
	do_without_messages();
	libcrypto_new = (OSSL_LIB_CTX * (*)(void)) dlsym(RTLD_NEXT, "OSSL_LIB_CTX_new");
	libcrypto_free = (void (*)(OSSL_LIB_CTX *))dlsym(RTLD_NEXT, "OSSL_LIB_CTX_free");
	if (libcrypto_new)
		shared = libcrypto_new();
}

void ossl_lib_ctx_share(bool on)
{
	sharing = on;
}

OSSL_LIB_CTX *OSSL_LIB_CTX_new(void)
{
	pthread_once(&once, init);
	if (sharing && shared)
		return shared;
	return libcrypto_new ? libcrypto_new() : NULL;
}

void OSSL_LIB_CTX_free(OSSL_LIB_CTX *ctx)
{
	pthread_once(&once, init);
	if (ctx != shared && libcrypto_free)
		libcrypto_free(ctx);
}
