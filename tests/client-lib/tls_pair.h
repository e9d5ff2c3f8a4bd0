/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_pair - a TLS server and a client in one thread, whose certificates' keys are in the TPM or in
 * memory, with an authority made on the spot.
 *
 * Nothing is sent anywhere: each side reads what the other wrote. Tests and benches only; ends the
 * process when something fails that is not what is tested.
 */
#ifndef TPMPSK_TESTS_CLIENT_LIB_TLS_PAIR_H
#define TPMPSK_TESTS_CLIENT_LIB_TLS_PAIR_H

#include "client-lib/tpmpsk-gnutls.h"

#include <stdbool.h>

#define TLS_PAIR_PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3"

/* An authority; its key dies with the process. */
struct tls_authority {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

void tls_authority_init(struct tls_authority *a);
void tls_authority_done(struct tls_authority *a);

/* Writes the certificate for a public key (DER) to a file, PEM. */
void tls_authority_certify(const struct tls_authority *a, const gnutls_datum_t *spki,
	const char *name, const char *file);

/* Credentials that trust the authority, with the certificate of a key in the TPM. */
gnutls_certificate_credentials_t tls_credentials(
	const struct tls_authority *a, struct tpmpsk *tpm, const char *identity, const char *file);
/* The same without a certificate (identity NULL above does that, too) or with a key in memory. */
gnutls_certificate_credentials_t tls_credentials_in_memory(
	const struct tls_authority *a, const char *name);

struct tls_end {
	gnutls_certificate_credentials_t credentials;
	const char *priority; /* NULL: TLS_PAIR_PRIORITY */
	bool unwatched;       /* without tpmpsk_gnutls_watch() */
	bool asks;            /* a server: for a certificate */
	void *psk;            /* credentials, too; ptr is the session's for their callbacks */
	void *ptr;
	gnutls_datum_t ticket_key; /* a server's; without data there are no tickets */
	gnutls_datum_t ticket;     /* a client's, to come back with */
	int error;                 /* of the handshake, 0 when it was done */
	int daemon_error;          /* tpmpsk_gnutls_last_error() after it */
	gnutls_session_t session;
	const struct tls_end *peer;
	unsigned char out[65536];
	size_t written, read; /* of out, by us and by the peer */
};

/* A handshake until both sides are done or one has failed. The ends are done by tls_pair_done(). */
bool tls_pair_shake(struct tls_end *server, struct tls_end *client);
void tls_pair_begin(struct tls_end *server, struct tls_end *client);
/* One step of each side; false when nothing is left to be done. */
bool tls_pair_step(struct tls_end *server, struct tls_end *client);
void tls_pair_done(struct tls_end *server, struct tls_end *client);

#endif
