/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gnutls_internal - what the files of libtpmpsk-gnutls share. Not exported.
 */
#ifndef TPMPSK_CLIENT_LIB_GNUTLS_INTERNAL_H
#define TPMPSK_CLIENT_LIB_GNUTLS_INTERNAL_H

/* Keeps a TPMPSK_ERR_*, or 0, for tpmpsk_gnutls_last_error(); the GnuTLS code for it. */
int tpmpsk_gnutls_result(int error);

#endif
