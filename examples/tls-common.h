/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls-common - what tls-server and tls-client share: priorities, authorities, and who the peer is.
 */
#ifndef TPMPSK_EXAMPLES_TLS_COMMON_H
#define TPMPSK_EXAMPLES_TLS_COMMON_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

/* TLS 1.3 with certificates, and with a PSK and (EC)DHE when asked for. */
const char *tls_priority(bool psk);

/* Certificates of authorities that may vouch for peers, PEM. The exit code, after a complaint. */
int trust(gnutls_certificate_credentials_t credentials, const char *file);

/* Why there is no certificate with a key in the TPM. Returns EXIT_FAILURE. */
int complain_certificate(const char *file, const char *key, int error);

/*
 * How the handshake went, on standard output and at once: "resumed", "certificate SUBJECT" (or, when
 * the peer showed none, "certificate -"), or "psk IDENTITY" as a server sees it.
 */
void tell_peer(gnutls_session_t session);

#endif
