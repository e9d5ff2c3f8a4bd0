/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls-common.h"

#include "common.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tpmpsk-gnutls.h>

#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"

const char *tls_priority(bool psk)
{
	return psk ? TLS13 ":+ECDHE-PSK:+DHE-PSK" : TLS13;
}

int trust(gnutls_certificate_credentials_t credentials, const char *file)
{
	int n = gnutls_certificate_set_x509_trust_file(credentials, file, GNUTLS_X509_FMT_PEM);

	if (n > 0)
		return EXIT_SUCCESS;
	return complain("%s: %s", file, n < 0 ? gnutls_strerror(n) : "no certificate in it");
}

int complain_certificate(const char *file, const char *key, int error)
{
	int daemon = tpmpsk_gnutls_last_error();

	if (daemon < 0)
		return complain("key '%s': tpm-pskd: %s", key, tpmpsk_strerror(daemon));
	return complain("%s: %s", file, gnutls_strerror(error));
}

/* The subject of the peer's certificate. */
static void tell_subject(gnutls_session_t session)
{
	unsigned int n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
	gnutls_datum_t subject = { NULL, 0 };
	gnutls_x509_crt_t crt = NULL;
	int r = n > 0 ? gnutls_x509_crt_init(&crt) : GNUTLS_E_NO_CERTIFICATE_FOUND;

	if (r == 0)
		r = gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER);
	if (r == 0)
		r = gnutls_x509_crt_get_dn3(crt, &subject, 0);
	printf("certificate %s\n", r == 0 ? (char *)subject.data : "-");
	gnutls_free(subject.data);
	gnutls_x509_crt_deinit(crt);
}

/* A session identity without what makes it this session's. */
static void tell_identity(gnutls_session_t session)
{
	const char *name = gnutls_psk_server_get_username(session);
	size_t len = name ? strlen(name) : 0;

	if (len > TPMPSK_SESSION_SUFFIX_SIZE)
		printf("psk %.*s\n", (int)(len - TPMPSK_SESSION_SUFFIX_SIZE), name);
	else
		puts("psk");
}

void tell_peer(gnutls_session_t session)
{
	flockfile(stdout);
	if (gnutls_session_is_resumed(session))
		puts("resumed");
	else if (gnutls_auth_get_type(session) == GNUTLS_CRD_PSK)
		tell_identity(session);
	else
		tell_subject(session);
	fflush(stdout);
	funlockfile(stdout);
}
