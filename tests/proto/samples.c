/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/proto/samples.h"

#include <string.h>

static int write_hello(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_hello m = { .version_min = 1, .version_max = 1 };

	return tpmpsk_hello_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_hello(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_hello m;
	int rc = tpmpsk_hello_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_hello_encode(h->id, &m, buf, cap, ret_len);
}

static int write_hello_reply(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_hello_reply m = {
		.version = 1,
		.message_max = TPMPSK_MESSAGE_MAX,
		.purposes =
			1u << TPMPSK_PURPOSE_TLS12_SESSION | 1u << TPMPSK_PURPOSE_SESSION_IDENTITY |
			1u << TPMPSK_PURPOSE_EXPORTER_KDF | 1u << TPMPSK_PURPOSE_EXPORTER_MAC |
			1u << TPMPSK_PURPOSE_TLS12_MASTER | 1u << TPMPSK_PURPOSE_TLS13_SCHEDULE |
			1u << TPMPSK_PURPOSE_PSK_IMPORT | 1u << TPMPSK_PURPOSE_CERTIFICATE_VERIFY,
		.software = "tpm-pskd 0.1.0",
	};

	return tpmpsk_hello_reply_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_hello_reply(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_hello_reply m;
	int rc = tpmpsk_hello_reply_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_hello_reply_encode(h->id, &m, buf, cap, ret_len);
}

static int write_derive_sized(size_t random_len, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_TLS12_SESSION,
		.role = TPMPSK_ROLE_NONE,
		.identity_len = 7,
		.identity = "Client1",
		.tls12_session.random_len = random_len,
	};

	for (size_t i = 0; i < random_len; i++) {
		m.tls12_session.client_random[i] = (uint8_t)(0xc0 + i);
		m.tls12_session.server_random[i] = (uint8_t)(0x50 + i);
	}
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_derive(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_derive_sized(TPMPSK_RANDOM_SIZE, buf, cap, ret_len);
}

static int write_derive_short(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_derive_sized(TPMPSK_RANDOM_SHORT_SIZE, buf, cap, ret_len);
}

#define SAMPLE_SESSION_IDENTITY "Client1~1.AAABoMRQbACuieoVVBGa1tlgSdsBG8kiholcb4VxLwHWfVxV"

static int write_session_client(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_CLIENT,
		.identity_len = 7,
		.identity = "Client1",
	};

	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_session_server(uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_SERVER,
		.identity_len = sizeof(SAMPLE_SESSION_IDENTITY) - 1,
		.identity = SAMPLE_SESSION_IDENTITY,
		.session_identity.handshake_len = 16,
	};

	for (size_t i = 0; i < m.session_identity.handshake_len; i++)
		m.session_identity.handshake[i] = (uint8_t)(0xe0 + i);
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_exporter(uint8_t purpose, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = purpose,
		.role = TPMPSK_ROLE_NONE,
		.identity_len = 7,
		.identity = "Client1",
		.exporter = { .ekm_len = 32, .length = 48 },
	};

	for (size_t i = 0; i < m.exporter.ekm_len; i++)
		m.exporter.ekm[i] = (uint8_t)(0x80 + i);
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_exporter_kdf(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_exporter(TPMPSK_PURPOSE_EXPORTER_KDF, buf, cap, ret_len);
}

static int write_exporter_mac(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_exporter(TPMPSK_PURPOSE_EXPORTER_MAC, buf, cap, ret_len);
}

static int write_certificate(
	uint16_t scheme, size_t transcript_len, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_CERTIFICATE_VERIFY,
		.role = TPMPSK_ROLE_SERVER,
		.identity_len = 3,
		.identity = "web",
		.certificate_verify = { .scheme = scheme, .transcript_len = transcript_len },
	};

	for (size_t i = 0; i < transcript_len; i++)
		m.certificate_verify.transcript[i] = (uint8_t)(0x20 + i);
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_certificate_256(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_certificate(TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256, 32, buf, cap, ret_len);
}

static int write_certificate_384(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_certificate(TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256, 48, buf, cap, ret_len);
}

static void count_up(uint8_t *dst, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = (uint8_t)(first + i);
}

static int write_tls12_master(uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_TLS12_MASTER,
		.identity_len = 7,
		.identity = "Client1",
		.tls12_master = { .digest = TPMPSK_DIGEST_SHA256, .label = TPMPSK_TLS12_MASTER },
	};

	count_up(m.tls12_master.client_random, TPMPSK_RANDOM_SIZE, 0xc0);
	count_up(m.tls12_master.server_random, TPMPSK_RANDOM_SIZE, 0x50);
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_tls12_extended_master(uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_TLS12_MASTER,
		.identity_len = 7,
		.identity = "Client1",
		.tls12_master = { .digest = TPMPSK_DIGEST_SHA384,
			.label = TPMPSK_TLS12_EXTENDED_MASTER },
	};

	count_up(m.tls12_master.session_hash, 48, 0x10);
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_tls13_binder(uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_TLS13_SCHEDULE,
		.identity_len = 7,
		.identity = "Client1",
		.tls13_schedule = { .digest = TPMPSK_DIGEST_SHA256, .step = TPMPSK_TLS13_BINDER },
	};

	count_up(m.tls13_schedule.transcript_hash, 32, 0x20);
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_tls13_handshake_secret(uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_TLS13_SCHEDULE,
		.identity_len = 7,
		.identity = "Client1",
		.tls13_schedule = { .digest = TPMPSK_DIGEST_SHA384,
			.step = TPMPSK_TLS13_HANDSHAKE_SECRET,
			.shared_len = 32 },
	};

	count_up(m.tls13_schedule.shared, 32, 0x90);
	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_psk_import(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_derive m = {
		.purpose = TPMPSK_PURPOSE_PSK_IMPORT,
		.identity_len = 7,
		.identity = "Client1",
		.psk_import = { .digest = TPMPSK_DIGEST_SHA256,
			.target_protocol = TPMPSK_IMPORT_TLS13,
			.target_kdf = TPMPSK_DIGEST_SHA384,
			.context_len = 9,
			.context = "session 7" },
	};

	return tpmpsk_derive_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_derive(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_derive m;
	int rc = tpmpsk_derive_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_derive_encode(h->id, &m, buf, cap, ret_len);
}

static int write_derived_named(const char *name, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_derived m = { .secret_len = 32, .name_len = strlen(name) };

	for (size_t i = 0; i < m.secret_len; i++)
		m.secret[i] = (uint8_t)(0xa0 + i);
	memcpy(m.name, name, m.name_len);
	return tpmpsk_derived_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int write_derived(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_derived_named("", buf, cap, ret_len);
}

static int write_session_derived(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_derived_named(SAMPLE_SESSION_IDENTITY, buf, cap, ret_len);
}

static int write_signature(uint8_t *buf, size_t cap, size_t *ret_len)
{
	/* A DER signature with r = 17 and s = 34. */
	const struct tpmpsk_derived m = { .signature_len = 8,
		.signature = { 0x30, 0x06, 0x02, 0x01, 0x11, 0x02, 0x01, 0x22 } };

	return tpmpsk_derived_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_derived(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_derived m;
	int rc = tpmpsk_derived_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_derived_encode(h->id, &m, buf, cap, ret_len);
}

static int write_empty(uint8_t opcode, uint8_t *buf, size_t cap, size_t *ret_len)
{
	return tpmpsk_empty_encode(SAMPLE_ID, opcode, buf, cap, ret_len);
}

static int write_status(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_empty(TPMPSK_OP_STATUS, buf, cap, ret_len);
}

static int write_reload(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_empty(TPMPSK_OP_RELOAD, buf, cap, ret_len);
}

static int write_ok(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return tpmpsk_ok_encode(SAMPLE_ID, TPMPSK_OP_RELOAD, buf, cap, ret_len);
}

static int rewrite_empty(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	int rc = tpmpsk_empty_decode(r);

	return rc < 0 ? rc : tpmpsk_empty_encode(h->id, h->opcode, buf, cap, ret_len);
}

#define SAMPLE_POLICY                                                                              \
	"{\"identity\":\"Client1\",\"purpose\":\"tls12-session\",\"allow\":[\"uid:33\"]}"

static int write_key_new(
	uint8_t opcode, const char *payload, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_key_new m = { .name = "web", .policy = SAMPLE_POLICY };

	m.payload_len = strlen(payload);
	memcpy(m.payload, payload, m.payload_len);
	return tpmpsk_key_new_encode(SAMPLE_ID, opcode, &m, buf, cap, ret_len);
}

static int write_import(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_new(TPMPSK_OP_KEY_IMPORT, "\x01\x02\x03\x04", buf, cap, ret_len);
}

static int write_generate(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_new(TPMPSK_OP_KEY_GENERATE, "", buf, cap, ret_len);
}

static int write_adopt(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_new(
		TPMPSK_OP_KEY_ADOPT, "-----BEGIN TSS2 PRIVATE KEY-----\n", buf, cap, ret_len);
}

static int rewrite_key_new(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_key_new m;
	int rc = tpmpsk_key_new_decode(r, h->opcode, &m);

	return rc < 0 ? rc : tpmpsk_key_new_encode(h->id, h->opcode, &m, buf, cap, ret_len);
}

static int write_metrics(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_metrics m = { .from = 26 };

	return tpmpsk_metrics_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_metrics(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_metrics m;
	int rc = tpmpsk_metrics_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_metrics_encode(h->id, &m, buf, cap, ret_len);
}

static int write_list(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_key_list m = { .after = "web" };

	return tpmpsk_key_list_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_list(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_key_list m;
	int rc = tpmpsk_key_list_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_key_list_encode(h->id, &m, buf, cap, ret_len);
}

static int write_key_name(uint8_t opcode, uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_key_name m = { .name = "web" };

	return tpmpsk_key_name_encode(SAMPLE_ID, opcode, &m, buf, cap, ret_len);
}

static int write_show(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_name(TPMPSK_OP_KEY_SHOW, buf, cap, ret_len);
}

static int write_check(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_name(TPMPSK_OP_KEY_CHECK, buf, cap, ret_len);
}

static int write_remove(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_name(TPMPSK_OP_KEY_REMOVE, buf, cap, ret_len);
}

static int rewrite_key_name(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_key_name m;
	int rc = tpmpsk_key_name_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_key_name_encode(h->id, h->opcode, &m, buf, cap, ret_len);
}

static int write_key_who(uint8_t opcode, uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_key_who m = { .name = "web", .who = "[\"user:www-data\"]" };

	return tpmpsk_key_who_encode(SAMPLE_ID, opcode, &m, buf, cap, ret_len);
}

static int write_allow(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_who(TPMPSK_OP_KEY_ALLOW, buf, cap, ret_len);
}

static int write_deny(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return write_key_who(TPMPSK_OP_KEY_DENY, buf, cap, ret_len);
}

static int rewrite_key_who(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_key_who m;
	int rc = tpmpsk_key_who_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_key_who_encode(h->id, h->opcode, &m, buf, cap, ret_len);
}

static int write_public(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_public m = { .identity_len = 3, .identity = "web" };

	return tpmpsk_public_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_public(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_public m;
	int rc = tpmpsk_public_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_public_encode(h->id, &m, buf, cap, ret_len);
}

static int write_csr(uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct tpmpsk_key_csr m = { .name = "web", .info_len = 5, .info = { 0x30, 3, 2, 1 } };

	return tpmpsk_key_csr_encode(SAMPLE_ID, &m, buf, cap, ret_len);
}

static int rewrite_csr(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_key_csr m;
	int rc = tpmpsk_key_csr_decode(r, &m);

	return rc < 0 ? rc : tpmpsk_key_csr_encode(h->id, &m, buf, cap, ret_len);
}

static int write_blob_reply(uint8_t *buf, size_t cap, size_t *ret_len)
{
	static const uint8_t data[] = { 0x30, 0x06, 0x02, 0x01, 0x11, 0x02, 0x01, 0x22 };

	return tpmpsk_blob_reply_encode(
		SAMPLE_ID, TPMPSK_OP_KEY_CSR, data, sizeof(data), buf, cap, ret_len);
}

static int rewrite_blob_reply(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_blob_reply m;
	int rc = tpmpsk_blob_reply_decode(r, &m);

	return rc < 0 ? rc
		      : tpmpsk_blob_reply_encode(
				h->id, h->opcode, m.data, m.len, buf, cap, ret_len);
}

static int write_text_reply(uint8_t *buf, size_t cap, size_t *ret_len)
{
	static const char text[] = "[{\"name\":\"web\"}]";

	return tpmpsk_text_reply_encode(
		SAMPLE_ID, TPMPSK_OP_KEY_LIST, 1, text, strlen(text), buf, cap, ret_len);
}

static int rewrite_text_reply(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_text_reply m;
	int rc = tpmpsk_text_reply_decode(r, &m);

	return rc < 0 ? rc
		      : tpmpsk_text_reply_encode(
				h->id, h->opcode, m.more, m.text, m.len, buf, cap, ret_len);
}

static int write_error(uint8_t *buf, size_t cap, size_t *ret_len)
{
	return tpmpsk_error_encode(SAMPLE_ID, TPMPSK_OP_DERIVE, TPMPSK_STATUS_BUSY, 250,
		"the queue is full", buf, cap, ret_len);
}

static int rewrite_error(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_error_reply m;
	int rc = tpmpsk_error_decode(r, &m);

	return rc < 0 ? rc
		      : tpmpsk_error_encode(h->id, h->opcode, (enum tpmpsk_status)h->status,
				m.retry_after_ms, m.detail, buf, cap, ret_len);
}

/* Bytes before the fields that follow a key's name "web" and its policy. */
#define BEHIND_NAME (TPMPSK_HEADER_SIZE + 1 + 3)
#define BEHIND_POLICY (BEHIND_NAME + 2 + sizeof(SAMPLE_POLICY) - 1)
#define REPLY(op) ((op) | TPMPSK_OP_REPLY)

const struct sample samples[] = {
	{ "hello", TPMPSK_OP_HELLO, 0, { { 0, 0 } }, write_hello, rewrite_hello },
	{ "hello reply", REPLY(TPMPSK_OP_HELLO), 0, { { 15, 1 } }, write_hello_reply,
		rewrite_hello_reply },
	{ "derive", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 18, 1 }, { 51, 1 } }, write_derive,
		rewrite_derive },
	{ "derive, short randoms", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 18, 1 }, { 47, 1 } },
		write_derive_short, rewrite_derive },
	{ "derive, session-identity, client", TPMPSK_OP_DERIVE, 0, { { 10, 1 } },
		write_session_client, rewrite_derive },
	{ "derive, session-identity, server", TPMPSK_OP_DERIVE, 0,
		{ { 10, 1 }, { 10 + sizeof(SAMPLE_SESSION_IDENTITY), 1 } }, write_session_server,
		rewrite_derive },
	{ "derive, exporter-kdf", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 18, 1 } }, write_exporter_kdf,
		rewrite_derive },
	{ "derive, exporter-mac", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 18, 1 } }, write_exporter_mac,
		rewrite_derive },
	{ "derive, tls12-master", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 20, 1 }, { 53, 1 } },
		write_tls12_master, rewrite_derive },
	{ "derive, tls12-master, extended", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 20, 1 } },
		write_tls12_extended_master, rewrite_derive },
	{ "derive, tls13-schedule, binder", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 20, 1 } },
		write_tls13_binder, rewrite_derive },
	{ "derive, tls13-schedule, handshake secret", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 20, 2 } },
		write_tls13_handshake_secret, rewrite_derive },
	{ "derive, psk-import", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 23, 2 } }, write_psk_import,
		rewrite_derive },
	{ "derive, certificate-verify", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 16, 1 } },
		write_certificate_256, rewrite_derive },
	{ "derive, certificate-verify, SHA-384", TPMPSK_OP_DERIVE, 0, { { 10, 1 }, { 16, 1 } },
		write_certificate_384, rewrite_derive },
	{ "derive reply, session-identity", REPLY(TPMPSK_OP_DERIVE), 0, { { 8, 1 }, { 41, 1 } },
		write_session_derived, rewrite_derived },
	{ "derive reply", REPLY(TPMPSK_OP_DERIVE), 0, { { 8, 1 }, { 41, 1 } }, write_derived,
		rewrite_derived },
	{ "derive reply, certificate-verify", REPLY(TPMPSK_OP_DERIVE), 0,
		{ { 8, 1 }, { 9, 1 }, { 10, 2 } }, write_signature, rewrite_derived },
	{ "public", TPMPSK_OP_PUBLIC, 0, { { 8, 1 } }, write_public, rewrite_public },
	{ "status", TPMPSK_OP_STATUS, 0, { { 0, 0 } }, write_status, rewrite_empty },
	{ "import", TPMPSK_OP_KEY_IMPORT, 0, { { 8, 1 }, { BEHIND_NAME, 2 }, { BEHIND_POLICY, 2 } },
		write_import, rewrite_key_new },
	{ "generate", TPMPSK_OP_KEY_GENERATE, 0, { { 8, 1 }, { BEHIND_NAME, 2 } }, write_generate,
		rewrite_key_new },
	{ "adopt", TPMPSK_OP_KEY_ADOPT, 0, { { 8, 1 }, { BEHIND_NAME, 2 }, { BEHIND_POLICY, 2 } },
		write_adopt, rewrite_key_new },
	{ "metrics", TPMPSK_OP_METRICS, 0, { { 0, 0 } }, write_metrics, rewrite_metrics },
	{ "list", TPMPSK_OP_KEY_LIST, 0, { { 8, 1 } }, write_list, rewrite_list },
	{ "show", TPMPSK_OP_KEY_SHOW, 0, { { 8, 1 } }, write_show, rewrite_key_name },
	{ "allow", TPMPSK_OP_KEY_ALLOW, 0, { { 8, 1 }, { BEHIND_NAME, 2 } }, write_allow,
		rewrite_key_who },
	{ "deny", TPMPSK_OP_KEY_DENY, 0, { { 8, 1 }, { BEHIND_NAME, 2 } }, write_deny,
		rewrite_key_who },
	{ "remove", TPMPSK_OP_KEY_REMOVE, 0, { { 8, 1 } }, write_remove, rewrite_key_name },
	{ "check", TPMPSK_OP_KEY_CHECK, 0, { { 8, 1 } }, write_check, rewrite_key_name },
	{ "csr", TPMPSK_OP_KEY_CSR, 0, { { 8, 1 }, { BEHIND_NAME, 2 } }, write_csr, rewrite_csr },
	{ "bytes reply", REPLY(TPMPSK_OP_KEY_CSR), 0, { { 8, 2 } }, write_blob_reply,
		rewrite_blob_reply },
	{ "text reply", REPLY(TPMPSK_OP_KEY_LIST), 0, { { 9, 2 } }, write_text_reply,
		rewrite_text_reply },
	{ "reload", TPMPSK_OP_RELOAD, 0, { { 0, 0 } }, write_reload, rewrite_empty },
	{ "ok reply", REPLY(TPMPSK_OP_RELOAD), 0, { { 0, 0 } }, write_ok, rewrite_empty },
	{ "error reply", REPLY(TPMPSK_OP_DERIVE), TPMPSK_STATUS_BUSY, { { 12, 1 } }, write_error,
		rewrite_error },
	{ 0 },
};
