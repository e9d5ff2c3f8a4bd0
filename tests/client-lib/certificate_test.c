/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS 1.3 with a certificate's key in the TPM, over libtpmpsk and libtpmpsk-gnutls and a real daemon:
 * what GnuTLS gets signed, and what not.
 */
#include "tests/client-lib/tls_pair.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scene scene;
static struct tpmpsk *tpm;
static struct tls_authority authority;
static char file[TEMPDIR_PATH_SIZE + 16];

/* A key and its certificate, in `file`. */
static void make_key(const char *name, const char *algorithm, const char *role)
{
	unsigned char spki[TPMPSK_PUBLIC_KEY_SIZE_MAX];
	gnutls_datum_t der = { spki, 0 };
	char allow[64];
	size_t size;

	snprintf(allow, sizeof(allow), "uid:%u%s", getuid(), role);
	cr_assert_eq(
		scene_psk_ok(&scene, "key", "generate", name, "--purpose", "certificate-verify",
			"--algorithm", algorithm, "--allow", allow, NULL),
		0);
	cr_assert_eq(tpmpsk_certificate_public_key(tpm, name, strlen(name), spki, &size), 0);
	der.size = (unsigned)size;
	snprintf(file, sizeof(file), "%s/%s.pem", scene.dir.path, name);
	tls_authority_certify(&authority, &der, name, file);
}

static void set_up(void)
{
	cr_assert_eq(scene_init(&scene, NULL), 0);
	cr_assert_eq(tpmpsk_open(&tpm, scene.socket), 0);
	tls_authority_init(&authority);
	make_key("web", "ecdsa-p256", "");
}

static void tear_down(void)
{
	tls_authority_done(&authority);
	tpmpsk_close(tpm);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	scene_done(&scene);
}

TestSuite(certificate, .init = set_up, .fini = tear_down, .timeout = 600);

static struct tls_end *end(gnutls_certificate_credentials_t credentials, const char *priority)
{
	struct tls_end *e = calloc(1, sizeof(*e));

	cr_assert_not_null(e);
	e->credentials = credentials;
	e->priority = priority;
	return e;
}

static void drop(struct tls_end *server, struct tls_end *client)
{
	tls_pair_done(server, client);
	gnutls_certificate_free_credentials(server->credentials);
	gnutls_certificate_free_credentials(client->credentials);
	free(server);
	free(client);
}

/* A server with the key in the TPM, a client without one. */
static bool serves(const char *server_priority, const char *client_priority)
{
	struct tls_end *server =
		end(tls_credentials(&authority, tpm, "web", file), server_priority);
	struct tls_end *client = end(tls_credentials(&authority, tpm, NULL, NULL), client_priority);
	bool done = tls_pair_shake(server, client);

	drop(server, client);
	return done;
}

Test(certificate, serves_with_every_suite_and_group)
{
	static const char *const suites[] = { "AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305",
		"AES-128-CCM" };
	static const char *const groups[] = { "SECP256R1", "SECP384R1", "SECP521R1", "X25519",
		"FFDHE2048" };
	char priority[128];

	for (size_t i = 0; i < 4; i++) {
		snprintf(priority, sizeof(priority), TLS_PAIR_PRIORITY ":-CIPHER-ALL:+%s",
			suites[i]);
		cr_expect(serves(NULL, priority), "%s", priority);
	}
	for (size_t i = 0; i < 5; i++) {
		snprintf(priority, sizeof(priority), TLS_PAIR_PRIORITY ":-GROUP-ALL:+GROUP-%s",
			groups[i]);
		cr_expect(serves(NULL, priority), "%s", priority);
	}
}

/* The transcript begins with the hash of the first ClientHello then. */
Test(certificate, serves_after_a_hello_retry_request)
{
	static const char server[] = TLS_PAIR_PRIORITY ":-GROUP-ALL:+GROUP-SECP384R1";
	static const char client[] = TLS_PAIR_PRIORITY ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP384R1";

	cr_expect(serves(server, client));
	cr_expect(serves(
		TLS_PAIR_PRIORITY ":-GROUP-ALL:+GROUP-SECP384R1:-CIPHER-ALL:+AES-256-GCM", client));
	cr_expect(serves(
		TLS_PAIR_PRIORITY ":-GROUP-ALL:+GROUP-SECP384R1:-CIPHER-ALL:+AES-128-GCM", client));
}

Test(certificate, serves_and_is_served_with_every_algorithm)
{
	static const char *const algorithms[] = { "ecdsa-p256", "ecdsa-p384", "rsa-2048" };

	for (size_t i = 0; i < 3; i++) {
		struct tls_end *server, *client;

		make_key(algorithms[i], algorithms[i], "");
		server = end(tls_credentials(&authority, tpm, algorithms[i], file), NULL);
		client = end(tls_credentials(&authority, tpm, algorithms[i], file), NULL);
		server->asks = true;
		cr_expect(tls_pair_shake(server, client), "%s: %s, %s", algorithms[i],
			gnutls_strerror(server->error), gnutls_strerror(client->error));
		drop(server, client);
	}
}

Test(certificate, is_for_tls_1_3_only)
{
	cr_expect_not(serves("NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.2"));
	cr_expect(serves("NORMAL", "NORMAL"));
}

Test(certificate, signs_in_no_session_that_is_not_watched)
{
	struct tls_end *server = end(tls_credentials(&authority, tpm, "web", file), NULL);
	struct tls_end *client = end(tls_credentials(&authority, tpm, NULL, NULL), NULL);

	server->unwatched = true;
	cr_expect_not(tls_pair_shake(server, client));
	cr_expect_eq(server->daemon_error, TPMPSK_ERR_INVALID);
	drop(server, client);
}

Test(certificate, signs_for_sessions_side_by_side)
{
	struct tls_end *server[8], *client[8];
	bool moved = true;

	for (size_t i = 0; i < 8; i++) {
		server[i] = end(tls_credentials(&authority, tpm, "web", file), NULL);
		client[i] = end(tls_credentials(&authority, tpm, "web", file), NULL);
		server[i]->asks = true;
		tls_pair_begin(server[i], client[i]);
	}
	while (moved) {
		moved = false;
		for (size_t i = 0; i < 8; i++)
			moved |= tls_pair_step(server[i], client[i]);
	}
	for (size_t i = 0; i < 8; i++) {
		cr_expect_eq(server[i]->error, 0);
		cr_expect_eq(client[i]->error, 0);
		drop(server[i], client[i]);
	}
}

static const gnutls_datum_t web = { (unsigned char *)"web", 3 };

/* What GnuTLS itself, or the program, might want to have signed, also in the middle of a handshake. */
Test(certificate, signs_nothing_but_handshakes)
{
	unsigned char content[64 + 34 + 32] = { 0 };
	const gnutls_datum_t data = { content, sizeof(content) };
	const gnutls_datum_t hash = { content, 32 };
	gnutls_datum_t signature = { 0 };
	gnutls_privkey_t key;

	memset(content, ' ', 64);
	memcpy(content + 64, "TLS 1.3, server CertificateVerify", 34);
	cr_assert_eq(tpmpsk_gnutls_privkey(tpm, &web, 0, &key), 0);
	cr_expect_eq(gnutls_privkey_get_pk_algorithm(key, NULL), GNUTLS_PK_ECDSA);
	for (int i = 0; i < 2; i++) {
		cr_expect_lt(gnutls_privkey_sign_data2(
				     key, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 0, &data, &signature),
			0);
		cr_expect_eq(tpmpsk_gnutls_last_error(), TPMPSK_ERR_INVALID);
		cr_expect_lt(gnutls_privkey_sign_data2(
				     key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &signature),
			0);
		cr_expect_lt(gnutls_privkey_sign_hash2(
				     key, GNUTLS_SIGN_ECDSA_SHA256, 0, &hash, &signature),
			0);
		cr_expect_lt(
			gnutls_privkey_sign_hash(key, GNUTLS_DIG_SHA256, 0, &hash, &signature), 0);
		cr_expect_lt(gnutls_privkey_decrypt_data(key, 0, &data, &signature), 0);
		cr_assert(serves(NULL, NULL));
	}
	gnutls_privkey_deinit(key);
}

Test(certificate, has_a_key_that_is_its_own)
{
	gnutls_certificate_credentials_t c;

	make_key("other", "ecdsa-p256", "");
	cr_assert_eq(gnutls_certificate_allocate_credentials(&c), 0);
	cr_expect_eq(tpmpsk_gnutls_set_certificate(c, tpm, &web, file, 0),
		GNUTLS_E_CERTIFICATE_KEY_MISMATCH);
	cr_expect_eq(tpmpsk_gnutls_last_error(), 0);
	cr_expect_lt(tpmpsk_gnutls_set_certificate(c, tpm, &web, "/nonexistent", 0), 0);
	cr_expect_lt(tpmpsk_gnutls_set_certificate(c, tpm, &web, "/dev/null", 0), 0);
	gnutls_certificate_free_credentials(c);
}

Test(certificate, needs_a_key_that_it_may_use)
{
	const gnutls_datum_t nobody = { (unsigned char *)"nobody", 6 };
	const gnutls_datum_t empty = { (unsigned char *)"", 0 };
	gnutls_privkey_t key;

	cr_expect_eq(
		tpmpsk_gnutls_privkey(tpm, &nobody, 0, &key), GNUTLS_E_INSUFFICIENT_CREDENTIALS);
	cr_expect_eq(tpmpsk_gnutls_last_error(), TPMPSK_ERR_UNKNOWN_IDENTITY);
	cr_expect_eq(tpmpsk_gnutls_privkey(tpm, &empty, 0, &key), GNUTLS_E_INVALID_REQUEST);
	cr_expect_eq(tpmpsk_gnutls_privkey(tpm, &web, 1, &key), GNUTLS_E_INVALID_REQUEST);
	cr_expect_eq(tpmpsk_gnutls_privkey(NULL, &web, 0, &key), GNUTLS_E_INVALID_REQUEST);
	cr_expect_eq(tpmpsk_gnutls_privkey(tpm, NULL, 0, &key), GNUTLS_E_INVALID_REQUEST);
	cr_expect_eq(tpmpsk_gnutls_watch(NULL), GNUTLS_E_INVALID_REQUEST);
}

Test(certificate, is_of_one_role_when_its_key_is)
{
	struct tls_end *server, *client;

	make_key("client", "ecdsa-p256", ":client");
	server = end(tls_credentials(&authority, tpm, "client", file), NULL);
	client = end(tls_credentials(&authority, tpm, NULL, NULL), NULL);
	cr_expect_not(tls_pair_shake(server, client));
	cr_expect_eq(server->daemon_error, TPMPSK_ERR_UNKNOWN_IDENTITY);
	drop(server, client);

	client = end(tls_credentials(&authority, tpm, "client", file), NULL);
	server = end(tls_credentials_in_memory(&authority, "memory"), NULL);
	server->asks = true;
	cr_expect(tls_pair_shake(server, client));
	drop(server, client);
}

static void *thread(void *arg)
{
	for (int i = 0; i < 20; i++)
		if (!serves(NULL, NULL))
			*(bool *)arg = false;
	return NULL;
}

Test(certificate, is_shared_by_threads)
{
	pthread_t threads[4];
	bool right[4];

	for (size_t i = 0; i < 4; i++) {
		right[i] = true;
		cr_assert_eq(pthread_create(&threads[i], NULL, thread, &right[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_expect(right[i]);
	}
}

/* In a process of its own, with a handle of its own; the exit status says whether all succeeded. */
static void shake_often(unsigned times)
{
	struct tls_end *server, *client;

	if (tpmpsk_open(&tpm, scene.socket) < 0)
		_exit(2);
	server = end(tls_credentials(&authority, tpm, "web", file), NULL);
	client = end(tls_credentials(&authority, tpm, "web", file), NULL);
	server->asks = true;
	for (unsigned i = 0; i < times; i++) {
		if (!tls_pair_shake(server, client))
			_exit(3);
		tls_pair_done(server, client);
	}
	_exit(0);
}

/* TPMPSK_HANDSHAKES: how many handshakes, with two signatures each, a process makes. */
Test(certificate, is_shared_by_sixteen_processes)
{
	const char *text = getenv("TPMPSK_HANDSHAKES");
	unsigned times = text ? (unsigned)atoi(text) : 12;
	pid_t pids[16];

	for (size_t i = 0; i < 16; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			shake_often(times);
	}
	for (size_t i = 0; i < 16; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_expect_eq(status, 0, "%zu: %x", i, status);
	}
}

/* The calls of libtpmpsk, with a signature that is checked by GnuTLS. */
static bool verifies(const char *context, const uint8_t *transcript, size_t size,
	const uint8_t *signature, size_t signature_size)
{
	unsigned char spki[TPMPSK_PUBLIC_KEY_SIZE_MAX], content[64 + 34 + 48];
	gnutls_datum_t der = { spki, 0 };
	const gnutls_datum_t data = { content, (unsigned)(98 + size) };
	const gnutls_datum_t sig = { (unsigned char *)signature, (unsigned)signature_size };
	gnutls_pubkey_t pubkey;
	size_t spki_size;
	bool right;

	cr_assert_eq(tpmpsk_certificate_public_key(tpm, "web", 3, spki, &spki_size), 0);
	der.size = (unsigned)spki_size;
	cr_assert_eq(gnutls_pubkey_init(&pubkey), 0);
	cr_assert_eq(gnutls_pubkey_import(pubkey, &der, GNUTLS_X509_FMT_DER), 0);
	memset(content, ' ', 64);
	memcpy(content + 64, context, 34);
	memcpy(content + 98, transcript, size);
	right = gnutls_pubkey_verify_data2(
			pubkey, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 0, &data, &sig) >= 0;
	gnutls_pubkey_deinit(pubkey);
	return right;
}

Test(certificate, gives_its_signature_without_gnutls)
{
	static const char client[] = "TLS 1.3, client CertificateVerify";
	static const char server[] = "TLS 1.3, server CertificateVerify";
	uint8_t transcript[48], signature[TPMPSK_SIGNATURE_SIZE_MAX];
	size_t len;

	memset(transcript, 0x42, sizeof(transcript));
	for (size_t size = 32; size <= 48; size += 16) {
		cr_assert_eq(
			tpmpsk_certificate_verify_client(tpm, "web", 3,
				TPMPSK_ECDSA_SECP256R1_SHA256, transcript, size, signature, &len),
			0);
		cr_expect(verifies(client, transcript, size, signature, len));
		cr_expect_not(verifies(server, transcript, size, signature, len));
		cr_assert_eq(
			tpmpsk_certificate_verify_server(tpm, "web", 3,
				TPMPSK_ECDSA_SECP256R1_SHA256, transcript, size, signature, &len),
			0);
		cr_expect(verifies(server, transcript, size, signature, len));
	}
}

Test(certificate, says_what_is_wrong_with_arguments)
{
	uint8_t transcript[49] = { 0 }, out[TPMPSK_PUBLIC_KEY_SIZE_MAX];
	size_t len;

#define VERIFY(...) tpmpsk_certificate_verify_server(__VA_ARGS__)
	for (size_t size = 0; size < sizeof(transcript); size++)
		cr_expect_eq(VERIFY(tpm, "web", 3, 0x0403, transcript, size, out, &len),
			size == 32 || size == 48 ? 0 : TPMPSK_ERR_INVALID, "%zu", size);
	cr_expect_eq(VERIFY(tpm, "web", 3, 0x0401, transcript, 32, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(
		VERIFY(tpm, "web", 3, 0x0804, transcript, 32, out, &len), TPMPSK_ERR_UNSUPPORTED);
	cr_expect_eq(VERIFY(NULL, "web", 3, 0x0403, transcript, 32, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(VERIFY(tpm, "web", 0, 0x0403, transcript, 32, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(
		VERIFY(tpm, "web", 129, 0x0403, transcript, 32, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(VERIFY(tpm, NULL, 3, 0x0403, transcript, 32, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(VERIFY(tpm, "web", 3, 0x0403, NULL, 32, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(VERIFY(tpm, "web", 3, 0x0403, transcript, 32, NULL, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(VERIFY(tpm, "web", 3, 0x0403, transcript, 32, out, NULL), TPMPSK_ERR_INVALID);
	cr_expect_eq(tpmpsk_certificate_public_key(tpm, "web", 129, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(tpmpsk_certificate_public_key(tpm, "web", 0, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(tpmpsk_certificate_public_key(NULL, "web", 3, out, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(tpmpsk_certificate_public_key(tpm, "web", 3, NULL, &len), TPMPSK_ERR_INVALID);
	cr_expect_eq(tpmpsk_certificate_public_key(tpm, "no", 2, out, &len),
		TPMPSK_ERR_UNKNOWN_IDENTITY);
}
