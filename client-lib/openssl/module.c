/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpmpsk.so - a provider for OpenSSL 3 by which unmodified programs use standard PSKs that are in
 * the TPM. In the program's configuration stands a reference in place of the PSK; libssl computes
 * its key schedule with algorithms that it fetches, and fetches these:
 *
 *     TLS13-KDF, HMAC     TLS 1.3, in tls13_kdf.c and binder.c
 *     TLS1-PRF            TLS 1.2, in tls1_prf.c
 *
 * References come in, tokens pass through libssl from one step to the next, and what the daemon
 * answers goes out. The program asks nothing before it has a handshake with a reference: that is
 * when the daemon sees it, with the user it then is.
 */
#include "client-lib/openssl/module.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define PROVIDER_NAME "TPM PSK provider"
/*
 * The second is the one to ask for: a program that has an opinion about providers itself, as stunnel
 * has with "provider!=fips", thereby overrides what the configuration says of them, but not that.
 */
#define PROPERTIES "provider=tpmpsk,tpmpsk.references=yes"
#define EXPORT __attribute__((visibility("default")))

static OSSL_FUNC_provider_gettable_params_fn gettable_params;
static OSSL_FUNC_provider_get_params_fn get_params;
static OSSL_FUNC_provider_query_operation_fn query;
static OSSL_FUNC_provider_get_reason_strings_fn reason_strings;
static OSSL_FUNC_provider_teardown_fn teardown;

static const OSSL_PARAM *gettable_params(void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
		OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
		OSSL_PARAM_END,
	};

	(void)provctx;
	return params;
}

static int set_text(OSSL_PARAM params[], const char *name, const char *text)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return !p || OSSL_PARAM_set_utf8_ptr(p, text);
}

static int get_params(void *provctx, OSSL_PARAM params[])
{
	OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);

	(void)provctx;
	return set_text(params, OSSL_PROV_PARAM_NAME, PROVIDER_NAME) &&
	       set_text(params, OSSL_PROV_PARAM_VERSION, tpmpsk_version()) &&
	       set_text(params, OSSL_PROV_PARAM_BUILDINFO, tpmpsk_version()) &&
	       (!status || OSSL_PARAM_set_int(status, 1));
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	const struct tpmpsk_provider *p = provctx;

	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KDF:
		return p->kdfs;
	case OSSL_OP_KEYMGMT:
		return p->keymgmts;
	case OSSL_OP_SIGNATURE:
		return p->signatures;
	}
	return NULL;
}

static const OSSL_ITEM *reason_strings(void *provctx)
{
	(void)provctx;
	return tpmpsk_reason_strings;
}

static void teardown(void *provctx)
{
	struct tpmpsk_provider *p = provctx;

	tpmpsk_close(p->handle);
	tpmpsk_inner_done(&p->inner);
	if (p->has_tokens)
		tpmpsk_tokens_unref();
	free(p);
}

static const OSSL_DISPATCH provider_functions[] = {
	{ OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable_params },
	{ OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params },
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
	{ OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, (void (*)(void))reason_strings },
	{ OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown },
	{ 0, NULL },
};

static int take_core(struct tpmpsk_provider *p, const OSSL_DISPATCH *f)
{
	for (; f->function_id != 0; f++) {
		switch (f->function_id) {
		case OSSL_FUNC_CORE_GET_PARAMS:
			p->core_get_params = OSSL_FUNC_core_get_params(f);
			break;
		case OSSL_FUNC_CORE_NEW_ERROR:
			p->core_new_error = OSSL_FUNC_core_new_error(f);
			break;
		case OSSL_FUNC_CORE_SET_ERROR_DEBUG:
			p->core_set_error_debug = OSSL_FUNC_core_set_error_debug(f);
			break;
		case OSSL_FUNC_CORE_VSET_ERROR:
			p->core_vset_error = OSSL_FUNC_core_vset_error(f);
			break;
		}
	}
	return p->core_get_params && p->core_new_error && p->core_set_error_debug &&
	       p->core_vset_error;
}

/* What stands in the provider's section of openssl.cnf: socket = PATH, deadline = MS. */
static int configure(struct tpmpsk_provider *p)
{
	char *socket = NULL, *deadline = NULL, *end;
	unsigned long ms = TPMPSK_DEADLINE_DEFAULT_MS;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_ptr("socket", &socket, 0),
		OSSL_PARAM_construct_utf8_ptr("deadline", &deadline, 0),
		OSSL_PARAM_construct_end(),
	};
	int r;

	if (!p->core_get_params(p->core, params))
		return tpmpsk_raise(p, TPMPSK_REASON_LOADING, "no parameters");
	if (deadline) {
		errno = 0;
		ms = strtoul(deadline, &end, 10);
		if (deadline[0] < '0' || deadline[0] > '9' || *end || errno || ms > UINT_MAX)
			ms = 0;
	}
	r = tpmpsk_open_later(&p->handle, socket);
	if (r < 0)
		return tpmpsk_raise(
			p, TPMPSK_REASON_CONFIGURATION, "socket: %s", tpmpsk_strerror(r));
	if (tpmpsk_set_deadline(p->handle, (unsigned int)ms) < 0)
		return tpmpsk_raise(p, TPMPSK_REASON_CONFIGURATION,
			"deadline: not a number of milliseconds up to an hour");
	return 1;
}

static void fill_tables(struct tpmpsk_provider *p)
{
	const struct tpmpsk_inner *inner = &p->inner;

	tpmpsk_keymgmt_functions(inner, p->keymgmt);
	p->kdfs[0] = (OSSL_ALGORITHM){ inner->tls13_kdf.names, PROPERTIES,
		tpmpsk_tls13_kdf_functions, NULL };
	p->kdfs[1] = (OSSL_ALGORITHM){ inner->tls1_prf.names, PROPERTIES, tpmpsk_tls1_prf_functions,
		NULL };
	p->keymgmts[0] = (OSSL_ALGORITHM){ inner->keymgmt.names, PROPERTIES, p->keymgmt, NULL };
	p->signatures[0] = (OSSL_ALGORITHM){ inner->signature.names, PROPERTIES,
		tpmpsk_signature_functions, NULL };
}

static int start(struct tpmpsk_provider *p)
{
	int r = tpmpsk_tokens_ref();

	p->has_tokens = r == 0;
	if (r == 0)
		r = tpmpsk_inner_init(&p->inner);
	if (r < 0)
		return tpmpsk_raise(p, TPMPSK_REASON_LOADING, "%s", strerror(-r));
	fill_tables(p);
	return configure(p);
}

EXPORT OSSL_provider_init_fn OSSL_provider_init;

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **out, void **provctx)
{
	struct tpmpsk_provider *p = calloc(1, sizeof(*p));

	if (!p)
		return 0;
	p->core = handle;
	if (!take_core(p, in) || !start(p)) {
		teardown(p);
		return 0;
	}
	*out = provider_functions;
	*provctx = p;
	return 1;
}
