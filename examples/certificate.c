/* SPDX-License-Identifier: BSD-2-Clause */
#include "certificate.h"

#include "common.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PIN_PREFIX "sha256//"
#define NAME "CN=token-server"
#define SERIAL_SIZE 16
#define BACKDATED_SECONDS 3600 /* for clients whose clock is behind */
#define LIFE_SECONDS (365 * 24 * 3600L)

static bool load(const char *path, gnutls_datum_t *ret)
{
	int r = gnutls_load_file(path, ret);

	if (r < 0)
		complain("%s: %s", path, gnutls_strerror(r));
	return r == 0;
}

bool certificate_load(
	const char *chain_file, const char *key_file, struct certificate *ret_certificate)
{
	struct certificate c = { 0 };

	if (load(chain_file, &c.chain) && load(key_file, &c.key)) {
		*ret_certificate = c;
		return true;
	}
	certificate_done(&c);
	return false;
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	uint8_t serial[SERIAL_SIZE];
	const char *wrong;
	int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] = (serial[0] & 0x3f) | 0x40; /* positive, and of one size */
	if (r == 0)
		r = gnutls_x509_crt_set_version(crt, 3);
	if (r == 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r == 0)
		r = gnutls_x509_crt_set_activation_time(crt, time(NULL) - BACKDATED_SECONDS);
	if (r == 0)
		r = gnutls_x509_crt_set_expiration_time(crt, time(NULL) + LIFE_SECONDS);
	if (r == 0)
		r = gnutls_x509_crt_set_dn(crt, NAME, &wrong);
	if (r == 0)
		r = gnutls_x509_crt_set_key(crt, key);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r == 0)
		r = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	return r;
}

bool certificate_make(struct certificate *ret_certificate)
{
	struct certificate c = { 0 };
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt = NULL;
	int r;

	r = gnutls_x509_privkey_init(&key);
	if (r == 0)
		r = gnutls_x509_privkey_generate(
			key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r == 0)
		r = gnutls_x509_crt_init(&crt);
	if (r == 0)
		r = fill(crt, key);
	if (r == 0)
		r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &c.chain);
	if (r == 0)
		r = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &c.key);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	if (r == 0) {
		*ret_certificate = c;
		return true;
	}
	certificate_done(&c);
	complain("cannot make a certificate: %s", gnutls_strerror(r));
	return false;
}

void certificate_done(struct certificate *certificate)
{
	if (certificate->key.data)
		gnutls_memset(certificate->key.data, 0, certificate->key.size);
	gnutls_free(certificate->key.data);
	gnutls_free(certificate->chain.data);
	*certificate = (struct certificate){ 0 };
}

bool certificate_pin(
	const gnutls_datum_t *data, gnutls_x509_crt_fmt_t format, char ret_pin[PIN_SIZE])
{
	uint8_t id[32];
	size_t id_size = sizeof(id);
	const gnutls_datum_t hash = { id, sizeof(id) };
	gnutls_datum_t text = { NULL, 0 };
	gnutls_x509_crt_t crt = NULL;
	int r;

	r = gnutls_x509_crt_init(&crt);
	if (r == 0)
		r = gnutls_x509_crt_import(crt, data, format);
	if (r == 0)
		r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &id_size);
	if (r == 0)
		r = gnutls_base64_encode2(&hash, &text);
	if (r == 0)
		snprintf(ret_pin, PIN_SIZE, PIN_PREFIX "%.*s", (int)text.size, (char *)text.data);
	else
		complain("certificate: %s", gnutls_strerror(r));
	gnutls_free(text.data);
	gnutls_x509_crt_deinit(crt);
	return r == 0;
}
