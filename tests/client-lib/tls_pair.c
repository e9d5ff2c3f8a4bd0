/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/client-lib/tls_pair.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY (24 * 3600)

/* For tests and benches alike. */
#define must(x) ((x) ? (void)0 : give_up(#x))
#define must_eq(a, b) must((a) == (b))

__attribute__((noreturn)) static void give_up(const char *what)
{
	fprintf(stderr, "tls_pair: not so: %s (tpm-pskd: %s)\n", what,
		tpmpsk_strerror(tpmpsk_gnutls_last_error()));
	abort();
}

static void sign(gnutls_x509_crt_t crt, const char *name, bool ca, gnutls_x509_crt_t issuer,
	gnutls_x509_privkey_t key)
{
	static unsigned char serial = 1;
	char dn[64];

	snprintf(dn, sizeof(dn), "CN=%s", name);
	must_eq(gnutls_x509_crt_set_version(crt, 3), 0);
	must_eq(gnutls_x509_crt_set_serial(crt, &serial, 1), 0);
	serial++;
	must_eq(gnutls_x509_crt_set_activation_time(crt, time(NULL) - DAY), 0);
	must_eq(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + DAY), 0);
	must_eq(gnutls_x509_crt_set_dn(crt, dn, NULL), 0);
	must_eq(gnutls_x509_crt_set_basic_constraints(crt, ca, -1), 0);
	must_eq(gnutls_x509_crt_set_key_usage(
			crt, ca ? GNUTLS_KEY_KEY_CERT_SIGN : GNUTLS_KEY_DIGITAL_SIGNATURE),
		0);
	if (!ca)
		must_eq(gnutls_x509_crt_set_subject_alt_name(
				crt, GNUTLS_SAN_DNSNAME, "localhost", 9, GNUTLS_FSAN_SET),
			0);
	must_eq(gnutls_x509_crt_sign2(crt, issuer, key, GNUTLS_DIG_SHA256, 0), 0);
}

static gnutls_x509_privkey_t new_key(void)
{
	gnutls_x509_privkey_t key;

	must_eq(gnutls_x509_privkey_init(&key), 0);
	must_eq(gnutls_x509_privkey_generate(
			key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	return key;
}

void tls_authority_init(struct tls_authority *a)
{
	a->key = new_key();
	must_eq(gnutls_x509_crt_init(&a->crt), 0);
	must_eq(gnutls_x509_crt_set_key(a->crt, a->key), 0);
	sign(a->crt, "authority", true, a->crt, a->key);
}

void tls_authority_done(struct tls_authority *a)
{
	gnutls_x509_crt_deinit(a->crt);
	gnutls_x509_privkey_deinit(a->key);
}

void tls_authority_certify(const struct tls_authority *a, const gnutls_datum_t *spki,
	const char *name, const char *file)
{
	gnutls_pubkey_t pubkey;
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;
	FILE *f;

	must_eq(gnutls_pubkey_init(&pubkey), 0);
	must_eq(gnutls_pubkey_import(pubkey, spki, GNUTLS_X509_FMT_DER), 0);
	must_eq(gnutls_x509_crt_init(&crt), 0);
	must_eq(gnutls_x509_crt_set_pubkey(crt, pubkey), 0);
	sign(crt, name, false, a->crt, a->key);
	must_eq(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	f = fopen(file, "we");
	must(f && fwrite(pem.data, 1, pem.size, f) == pem.size && fclose(f) == 0);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_pubkey_deinit(pubkey);
}

static gnutls_certificate_credentials_t trusting(const struct tls_authority *a)
{
	gnutls_certificate_credentials_t c;
	gnutls_x509_crt_t crt = a->crt;

	must_eq(gnutls_certificate_allocate_credentials(&c), 0);
	must_eq(gnutls_certificate_set_x509_trust(c, &crt, 1), 1);
	return c;
}

gnutls_certificate_credentials_t tls_credentials(
	const struct tls_authority *a, struct tpmpsk *tpm, const char *identity, const char *file)
{
	gnutls_certificate_credentials_t c = trusting(a);
	const gnutls_datum_t id = { (unsigned char *)(identity ? identity : ""),
		identity ? (unsigned)strlen(identity) : 0 };

	if (identity)
		must_eq(tpmpsk_gnutls_set_certificate(c, tpm, &id, file, 0), 0);
	return c;
}

gnutls_certificate_credentials_t tls_credentials_in_memory(
	const struct tls_authority *a, const char *name)
{
	gnutls_certificate_credentials_t c = trusting(a);
	gnutls_x509_privkey_t key = new_key();
	gnutls_x509_crt_t crt;

	must_eq(gnutls_x509_crt_init(&crt), 0);
	must_eq(gnutls_x509_crt_set_key(crt, key), 0);
	sign(crt, name, false, a->crt, a->key);
	must_eq(gnutls_certificate_set_x509_key(c, &crt, 1, key), 0);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return c;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *data, size_t n)
{
	struct tls_end *e = ptr;

	must(n <= sizeof(e->out) - e->written);
	memcpy(e->out + e->written, data, n);
	e->written += n;
	return (ssize_t)n;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *data, size_t n)
{
	struct tls_end *e = ptr, *peer = (struct tls_end *)e->peer;
	size_t there = peer->written - peer->read;

	if (there == 0) {
		gnutls_transport_set_errno(e->session, EAGAIN);
		return -1;
	}
	n = n < there ? n : there;
	memcpy(data, peer->out + peer->read, n);
	peer->read += n;
	return (ssize_t)n;
}

/* GnuTLS asks before it reads a session ticket. */
static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned int ms)
{
	const struct tls_end *e = ptr;

	(void)ms;
	return e->peer->written > e->peer->read;
}

static void open_end(struct tls_end *e, const struct tls_end *peer, unsigned flags)
{
	e->peer = peer;
	e->error = GNUTLS_E_AGAIN;
	e->daemon_error = 0;
	e->written = e->read = 0;
	must_eq(gnutls_init(&e->session, flags | GNUTLS_NONBLOCK), 0);
	must_eq(gnutls_credentials_set(e->session, GNUTLS_CRD_CERTIFICATE, e->credentials), 0);
	must_eq(gnutls_priority_set_direct(
			e->session, e->priority ? e->priority : TLS_PAIR_PRIORITY, NULL),
		0);
	if (e->psk)
		must_eq(gnutls_credentials_set(e->session, GNUTLS_CRD_PSK, e->psk), 0);
	if (e->ticket_key.data)
		must_eq(gnutls_session_ticket_enable_server(e->session, &e->ticket_key), 0);
	if (e->ticket.data)
		must_eq(gnutls_session_set_data(e->session, e->ticket.data, e->ticket.size), 0);
	gnutls_session_set_ptr(e->session, e->ptr);
	if (!e->unwatched)
		must_eq(tpmpsk_gnutls_watch(e->session), 0);
	if (e->asks)
		gnutls_certificate_server_set_request(e->session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert(e->session, flags == GNUTLS_CLIENT ? "localhost" : NULL, 0);
	gnutls_transport_set_ptr(e->session, e);
	gnutls_transport_set_push_function(e->session, push);
	gnutls_transport_set_pull_function(e->session, pull);
	gnutls_transport_set_pull_timeout_function(e->session, pull_timeout);
}

void tls_pair_begin(struct tls_end *server, struct tls_end *client)
{
	open_end(server, client, GNUTLS_SERVER);
	open_end(client, server, GNUTLS_CLIENT);
}

static bool is_under_way(const struct tls_end *e)
{
	return e->error < 0 && !gnutls_error_is_fatal(e->error);
}

static bool step(struct tls_end *e)
{
	size_t before = e->peer->read + e->written;

	if (!is_under_way(e))
		return false;
	e->error = gnutls_handshake(e->session);
	if (!is_under_way(e))
		e->daemon_error = tpmpsk_gnutls_last_error();
	return !is_under_way(e) || e->peer->read + e->written > before;
}

bool tls_pair_step(struct tls_end *server, struct tls_end *client)
{
	bool moved = step(client);

	return step(server) || moved;
}

bool tls_pair_shake(struct tls_end *server, struct tls_end *client)
{
	tls_pair_begin(server, client);
	while (tls_pair_step(server, client))
		continue;
	return server->error == 0 && client->error == 0;
}

void tls_pair_done(struct tls_end *server, struct tls_end *client)
{
	gnutls_deinit(server->session);
	gnutls_deinit(client->session);
	server->session = client->session = NULL;
}
