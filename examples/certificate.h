/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certificate - token-server's own certificate, from files or made at start, and the pin by which a
 * client knows a certificate without any authority: the SHA-256 of its public key, written
 * "sha256//BASE64" as curl has it.
 *
 * Nothing in here is about the TPM. Whoever gets false has been told why on standard error.
 */
#ifndef TPMPSK_EXAMPLES_CERTIFICATE_H
#define TPMPSK_EXAMPLES_CERTIFICATE_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#define PIN_SIZE 53 /* with a NUL */

/* PEM with a NUL behind: a chain, and the private key of its first certificate. */
struct certificate {
	gnutls_datum_t chain;
	gnutls_datum_t key;
};

bool certificate_load(
	const char *chain_file, const char *key_file, struct certificate *ret_certificate);
/* ECDSA P-256, signed by itself, for as long as this process lives. */
bool certificate_make(struct certificate *ret_certificate);
/* Wipes the key; takes a zeroed one. */
void certificate_done(struct certificate *certificate);

/* Of the first certificate in PEM or DER. */
bool certificate_pin(
	const gnutls_datum_t *data, gnutls_x509_crt_fmt_t format, char ret_pin[PIN_SIZE]);

#endif
