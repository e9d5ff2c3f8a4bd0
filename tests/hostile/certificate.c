/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signatures for somebody who has the socket and no library, and wants one of anything but a
 * CertificateVerify, or of the other role. What the daemon signs is compared with what RFC 8446,
 * section 4.4.3, has, by OpenSSL.
 */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct scene scene;
static int fd = -1;
static struct tpmpsk_blob_reply spki;

/* A packet with a body, and what came back. */
static int call(int socket, uint8_t opcode, const void *body, size_t body_len,
	uint8_t reply[TPMPSK_MESSAGE_MAX], int *ret_len)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_writer w;
	size_t len;

	tpmpsk_writer_init(&w, packet, sizeof(packet));
	tpmpsk_write_u8(&w, 1);
	tpmpsk_write_u8(&w, opcode);
	tpmpsk_write_u16(&w, 0);
	tpmpsk_write_u32(&w, 7);
	tpmpsk_write_bytes(&w, body, body_len);
	cr_assert_eq(tpmpsk_writer_finish(&w, &len), 0);
	*ret_len = raw_call(socket, packet, len, reply);
	return raw_status(reply, *ret_len, 7);
}

static void generate(const char *name, const char *role)
{
	char allow[64];

	snprintf(allow, sizeof(allow), "uid:%u%s", getuid(), role);
	cr_assert_eq(scene_psk_ok(&scene, "key", "generate", name, "--purpose",
			     "certificate-verify", "--allow", allow, NULL),
		0);
}

static void set_up(void)
{
	uint8_t reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_reader r;
	int len;

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(scene_init(&scene, NULL), 0);
	generate("server", ":server");
	fd = raw_connect(scene.socket);
	cr_assert_geq(fd, 0);
	cr_assert_eq(call(fd, TPMPSK_OP_PUBLIC, "\6server", 7, reply, &len), TPMPSK_STATUS_OK);
	tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)len - TPMPSK_HEADER_SIZE);
	cr_assert_eq(tpmpsk_blob_reply_decode(&r, &spki), 0);
}

static void tear_down(void)
{
	close(fd);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	scene_done(&scene);
}

TestSuite(certificate, .init = set_up, .fini = tear_down, .timeout = 300);

/* Whether a signature is the key's over these very bytes. */
static bool is_signature_of(const void *bytes, size_t len, const uint8_t *signature, size_t n)
{
	const uint8_t *der = spki.data;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)spki.len);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool right;

	cr_assert(key && c && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, key) == 1);
	right = EVP_DigestVerify(c, signature, n, bytes, len) == 1;
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
	return right;
}

static size_t content(const char *context, const uint8_t *transcript, size_t n, uint8_t out[200])
{
	memset(out, 0x20, 64);
	memcpy(out + 64, context, 34);
	memcpy(out + 98, transcript, n);
	return 98 + n;
}

/* That a reply has a signature of a server's CertificateVerify with this transcript hash. */
static void check_signature(const uint8_t *reply, int len, const uint8_t *transcript, size_t n)
{
	uint8_t want[200];
	struct tpmpsk_derived d;
	struct tpmpsk_reader r;
	size_t size;

	tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)len - TPMPSK_HEADER_SIZE);
	cr_assert_eq(tpmpsk_derived_decode(&r, &d), 0);
	cr_assert_eq(d.secret_len, 0);
	size = content("TLS 1.3, server CertificateVerify", transcript, n, want);
	cr_expect(is_signature_of(want, size, d.signature, d.signature_len));
	size = content("TLS 1.3, client CertificateVerify", transcript, n, want);
	cr_expect_not(is_signature_of(want, size, d.signature, d.signature_len));
	cr_expect_not(is_signature_of(transcript, n, d.signature, d.signature_len));
}

static size_t derive_body(uint8_t role, uint16_t scheme, size_t transcript_len, uint8_t body[300])
{
	uint8_t transcript[256];
	struct tpmpsk_writer w;
	size_t len;

	memset(transcript, 0x5a, sizeof(transcript));
	tpmpsk_writer_init(&w, body, 300);
	tpmpsk_write_u8(&w, TPMPSK_PURPOSE_CERTIFICATE_VERIFY);
	tpmpsk_write_u8(&w, role);
	tpmpsk_write_var8(&w, "server", 6);
	tpmpsk_write_u16(&w, scheme);
	tpmpsk_write_var8(&w, transcript, transcript_len);
	cr_assert_eq(tpmpsk_writer_finish(&w, &len), 0);
	return len;
}

Test(certificate, gives_a_signature_for_one_role_one_scheme_and_two_lengths)
{
	static const uint16_t schemes[] = { 0x0403, 0x0503, 0x0804, 0x0401, 0x0807, 0, 0xffff };
	uint8_t body[300], reply[TPMPSK_MESSAGE_MAX], transcript[48];
	size_t granted = 0;
	int len;

	memset(transcript, 0x5a, sizeof(transcript));
	for (unsigned role = 0; role < 4; role++) {
		for (size_t s = 0; s < sizeof(schemes) / sizeof(schemes[0]); s++) {
			for (size_t n = 0; n < 256; n++) {
				size_t body_len = derive_body((uint8_t)role, schemes[s], n, body);
				int status =
					call(fd, TPMPSK_OP_DERIVE, body, body_len, reply, &len);
				bool right = role == TPMPSK_ROLE_SERVER && schemes[s] == 0x0403 &&
					     (n == 32 || n == 48);

				cr_assert_gt(status, -1);
				cr_expect_eq(status == TPMPSK_STATUS_OK, right, "%u %04x %zu: %d",
					role, schemes[s], n, status);
				if (status == TPMPSK_STATUS_OK)
					check_signature(reply, len, transcript, n);
				granted += status == TPMPSK_STATUS_OK;
			}
		}
	}
	cr_expect_eq(granted, 2);
}

/* A request with any one byte changed to any value: where there is a signature, it is of the kind that may be. */
Test(certificate, gives_nothing_else_for_a_request_with_a_changed_byte)
{
	uint8_t body[300], changed[300], reply[TPMPSK_MESSAGE_MAX];
	size_t body_len = derive_body(TPMPSK_ROLE_SERVER, 0x0403, 32, body);
	int len;

	for (size_t at = 0; at < body_len; at++) {
		/* In the transcript hash, each value is as good as another: some will do. */
		for (unsigned by = 1; by < 256; by += at >= 12 ? 51 : 1) {
			memcpy(changed, body, body_len);
			changed[at] ^= (uint8_t)by;
			if (call(fd, TPMPSK_OP_DERIVE, changed, body_len, reply, &len) ==
				TPMPSK_STATUS_OK) {
				cr_expect_geq(at, 12, "byte %zu by %u", at, by);
				check_signature(reply, len, changed + 12, 32);
			}
		}
	}
}

Test(certificate, gives_no_other_purpose_anything)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];

	for (unsigned purpose = 0; purpose < TPMPSK_PURPOSE_CERTIFICATE_VERIFY; purpose++) {
		struct tpmpsk_derive q = { .purpose = (uint8_t)purpose,
			.identity_len = 6,
			.identity = "server",
			.exporter = { .ekm_len = 32, .length = 32 } };
		size_t len;

		if (tpmpsk_derive_encode(1, &q, packet, sizeof(packet), &len) == 0)
			cr_expect_neq(raw_status(reply, raw_call(fd, packet, len, reply), 1),
				TPMPSK_STATUS_OK, "%u", purpose);
	}
}

static int ask_csr(int socket, const char *name, const void *info, size_t n)
{
	uint8_t body[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_writer w;
	size_t len;
	int reply_len;

	tpmpsk_writer_init(&w, body, sizeof(body));
	tpmpsk_write_var8(&w, name, strlen(name));
	tpmpsk_write_var16(&w, info, n);
	cr_assert_eq(tpmpsk_writer_finish(&w, &len), 0);
	return call(socket, TPMPSK_OP_KEY_CSR, body, len, reply, &reply_len);
}

/* A request that an admin may have signed. */
static size_t request_info(uint8_t out[1024])
{
	static const uint8_t name[] = { 0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04,
		0x03, 0x0c, 0x02, 'm', 'e' };
	uint8_t *p = out + 2;

	p = mempcpy(p, "\x02\x01\x00", 3);
	p = mempcpy(p, name, sizeof(name));
	p = mempcpy(p, spki.data, spki.len);
	p = mempcpy(p, "\xa0\x00", 2);
	cr_assert_lt(p - out - 2, 0x80, "a length of one byte");
	out[0] = 0x30;
	out[1] = (uint8_t)(p - out - 2);
	return (size_t)(p - out);
}

/* Not even an admin gets a signature of what could be taken for something else. */
Test(certificate, gives_an_admin_a_certificate_request_and_nothing_else)
{
	uint8_t info[1024], handshake[200], random[600], transcript[48] = { 1 };
	size_t n = request_info(info);

	cr_assert_eq(ask_csr(fd, "server", info, n), TPMPSK_STATUS_OK);
	for (size_t i = 1; i < n; i++)
		cr_expect_eq(ask_csr(fd, "server", info, i), TPMPSK_STATUS_MALFORMED, "%zu", i);
	for (size_t i = 0; i < 2; i++) {
		size_t size = content(
			"TLS 1.3, server CertificateVerify", transcript, 32 + 16 * i, handshake);

		cr_expect_eq(ask_csr(fd, "server", handshake, size), TPMPSK_STATUS_MALFORMED);
	}
	for (size_t i = 0; i < 200; i++) {
		randombytes_buf(random, sizeof(random));
		random[0] = i % 2 ? 0x30 : random[0];
		cr_expect_eq(ask_csr(fd, "server", random, 1 + i * 2), TPMPSK_STATUS_MALFORMED);
	}
	/* Of another key. */
	generate("other", "");
	cr_expect_eq(ask_csr(fd, "other", info, n), TPMPSK_STATUS_MALFORMED);
	cr_expect_eq(ask_csr(fd, "nobody", info, n), TPMPSK_STATUS_UNKNOWN_IDENTITY);
}

/* Two replies that differ in nothing. */
static void expect_same(int socket, uint8_t opcode, const void *a, size_t a_len, const void *b,
	size_t b_len, int status)
{
	uint8_t reply_a[TPMPSK_MESSAGE_MAX], reply_b[TPMPSK_MESSAGE_MAX];
	int len_a, len_b;

	cr_expect_eq(call(socket, opcode, a, a_len, reply_a, &len_a), status);
	cr_expect_eq(call(socket, opcode, b, b_len, reply_b, &len_b), status);
	cr_assert_eq(len_a, len_b);
	cr_expect_arr_eq(reply_a, reply_b, (size_t)len_a);
}

Test(certificate, tells_strangers_nothing)
{
	uint8_t known[300], unknown[300];
	size_t n = derive_body(TPMPSK_ROLE_SERVER, 0x0403, 32, known);
	int stranger;

	if (getuid() != 0)
		cr_skip_test("needs root");
	stranger = raw_connect_as(scene.socket, 61003, 0, NULL);
	cr_assert_geq(stranger, 0);
	memcpy(unknown, known, n);
	unknown[3] ^= 1;
	expect_same(stranger, TPMPSK_OP_DERIVE, known, n, unknown, n, TPMPSK_STATUS_DENIED);
	expect_same(stranger, TPMPSK_OP_PUBLIC, "\6server", 7, "\6serves", 7, TPMPSK_STATUS_DENIED);
	cr_expect_eq(ask_csr(stranger, "server", "0", 1), TPMPSK_STATUS_DENIED);
	cr_expect_eq(ask_csr(stranger, "nobody", "0", 1), TPMPSK_STATUS_DENIED);
	close(stranger);

	/* And little to who may use another key. */
	cr_assert_eq(scene_psk_ok(&scene, "key", "generate", "theirs", "--purpose",
			     "certificate-verify", "--allow", "uid:61003:client", NULL),
		0);
	stranger = raw_connect_as(scene.socket, 61003, 0, NULL);
	cr_assert_geq(stranger, 0);
	expect_same(
		stranger, TPMPSK_OP_DERIVE, known, n, unknown, n, TPMPSK_STATUS_UNKNOWN_IDENTITY);
	expect_same(stranger, TPMPSK_OP_PUBLIC, "\6server", 7, "\6serves", 7,
		TPMPSK_STATUS_UNKNOWN_IDENTITY);
	close(stranger);
}

/* Whoever connected as an admin and asks for signatures is an ordinary user to the key. */
Test(certificate, gives_root_no_signature_that_nobody_allowed)
{
	uint8_t body[300], reply[TPMPSK_MESSAGE_MAX];
	size_t n = derive_body(TPMPSK_ROLE_SERVER, 0x0403, 32, body);
	char who[64];
	int len;

	snprintf(who, sizeof(who), "uid:%u:server", getuid());
	cr_assert_eq(call(fd, TPMPSK_OP_DERIVE, body, n, reply, &len), TPMPSK_STATUS_OK);
	cr_assert_eq(scene_psk_ok(&scene, "key", "deny", "server", who, NULL), 0);
	cr_assert_eq(call(fd, TPMPSK_OP_DERIVE, body, n, reply, &len), TPMPSK_STATUS_DENIED);
}
