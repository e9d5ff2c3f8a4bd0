/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ossl_lib_ctx - one OpenSSL library context for all of tpm2-tss, instead of a new one for every
 * hash.
 *
 * Owns the process's definitions of OSSL_LIB_CTX_new() and OSSL_LIB_CTX_free(), which are found
 * before libcrypto's; see the .c file for why. The daemon itself uses no OpenSSL.
 */
#ifndef TPMPSK_DAEMON_OSSL_LIB_CTX_H
#define TPMPSK_DAEMON_OSSL_LIB_CTX_H

#include <stdbool.h>

/*
 * false: every caller gets a context of its own, as without us. Before the threads that use
 * tpm2-tss.
 */
void ossl_lib_ctx_share(bool on);

#endif
