/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/purpose.h"

#include "daemon/hash.h"
#include "daemon/kdf.h"
#include "daemon/key_secrets.h"
#include "daemon/session_identity.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

void purpose_digest(enum tpmpsk_scheme scheme, const uint8_t *in, size_t in_len,
	uint8_t digest[TPMPSK_DIGEST_SIZE_MAX])
{
	hash_of(tpmpsk_scheme_digest_size(scheme) == tpmpsk_digest_size(TPMPSK_DIGEST_SHA384)
			? TPMPSK_DIGEST_SHA384
			: TPMPSK_DIGEST_SHA256,
		in, in_len, digest);
}

/* The answer is one HMAC-SHA256, whole. */
static int one_mac(
	const struct mac *mac, const uint8_t *in, size_t in_len, struct tpmpsk_derived *ret)
{
	ret->secret_len = tpmpsk_digest_size(TPMPSK_DIGEST_SHA256);
	return kdf_mac(mac, KEY_OBJECT_ONLY, TPMPSK_DIGEST_SHA256, in, in_len, ret->secret);
}

/* psk = HMAC(K, "pre master secret" || client_random || server_random) */
static int derive_tls12_session(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	static const char label[] = "pre master secret";
	const struct tpmpsk_tls12_session *in = &q->tls12_session;
	uint8_t message[sizeof(label) - 1 + 2 * TPMPSK_RANDOM_SIZE];
	struct tpmpsk_writer w;
	size_t len;
	int r;

	tpmpsk_writer_init(&w, message, sizeof(message));
	tpmpsk_write_bytes(&w, label, sizeof(label) - 1);
	tpmpsk_write_bytes(&w, in->client_random, in->random_len);
	tpmpsk_write_bytes(&w, in->server_random, in->random_len);
	r = tpmpsk_writer_finish(&w, &len);
	if (r < 0)
		return r;
	return one_mac(mac, message, len, ret);
}

/* psk = HMAC(K, "tpm-psk session-identity v1 psk" || 0x00 || session identity), which by now is q's identity in either role. */
static int derive_session_identity(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	uint8_t message[SESSION_MESSAGE_MAX];
	size_t len = session_psk_message(SESSION_STRICT, q->identity, q->identity_len, message);

	if (q->role == TPMPSK_ROLE_CLIENT) {
		memcpy(ret->name, q->identity, q->identity_len);
		ret->name_len = q->identity_len;
	}
	return one_mac(mac, message, len, ret);
}

/* output = HMAC(K, ekm) */
static int derive_exporter_mac(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	return one_mac(mac, q->exporter.ekm, q->exporter.ekm_len, ret);
}

/* SP 800-108, section 4.1: HMAC(K, be32(i) || ekm || be32(8 * length)) for i from 0, as many as it takes. */
static int derive_exporter_kdf(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	uint8_t message[4 + TPMPSK_EKM_MAX + 4], out[MAC_SIZE_MAX];
	size_t mac_len = tpmpsk_digest_size(TPMPSK_DIGEST_SHA256), done = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && done < q->exporter.length; i++) {
		struct tpmpsk_writer w;
		size_t len, part;

		tpmpsk_writer_init(&w, message, sizeof(message));
		tpmpsk_write_u32(&w, i);
		tpmpsk_write_bytes(&w, q->exporter.ekm, q->exporter.ekm_len);
		tpmpsk_write_u32(&w, 8 * (uint32_t)q->exporter.length);
		r = tpmpsk_writer_finish(&w, &len);
		if (r == 0)
			r = kdf_mac(mac, KEY_OBJECT_ONLY, TPMPSK_DIGEST_SHA256, message, len, out);
		if (r < 0)
			break;
		part = q->exporter.length - done;
		part = part < mac_len ? part : mac_len;
		memcpy(ret->secret + done, out, part);
		done += part;
	}
	ret->secret_len = done;
	sodium_memzero(message, sizeof(message));
	sodium_memzero(out, sizeof(out));
	return r;
}

/* master_secret = the first 48 bytes of P_hash(premaster, label || seed), RFC 5246, section 8.1, and RFC 7627, section 4 */
static int derive_tls12_master(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	const struct tpmpsk_tls12_master *in = &q->tls12_master;
	uint8_t seed[2 * TPMPSK_RANDOM_SIZE];
	const char *label = "extended master secret";
	size_t seed_len = tpmpsk_digest_size(in->digest);

	if (in->label == TPMPSK_TLS12_MASTER) {
		label = "master secret";
		memcpy(seed, in->client_random, TPMPSK_RANDOM_SIZE);
		memcpy(seed + TPMPSK_RANDOM_SIZE, in->server_random, TPMPSK_RANDOM_SIZE);
		seed_len = sizeof(seed);
	} else {
		memcpy(seed, in->session_hash, seed_len);
	}
	ret->secret_len = TPMPSK_MASTER_SECRET_SIZE;
	return kdf_p_hash(mac, purpose_object(q), in->digest, label, seed, seed_len, ret->secret,
		ret->secret_len);
}

/* binder = HMAC(finished key, transcript hash), handshake secret = HMAC(derived, shared secret): RFC 8446, sections 4.4.4 and 7.1 */
static int derive_tls13_schedule(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	const struct tpmpsk_tls13_schedule *in = &q->tls13_schedule;
	bool binder = in->step == TPMPSK_TLS13_BINDER;

	ret->secret_len = tpmpsk_digest_size(in->digest);
	return kdf_mac(mac, purpose_object(q), in->digest,
		binder ? in->transcript_hash : in->shared,
		binder ? tpmpsk_digest_size(in->digest) : in->shared_len, ret->secret);
}

/* ipskx = HKDF-Expand-Label(epskx, "derived psk", Hash(ImportedIdentity), L), RFC 9258, section 5.1 */
static int derive_psk_import(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	const struct tpmpsk_psk_import *in = &q->psk_import;
	uint8_t imported[2 + TPMPSK_IDENTITY_MAX + 2 + TPMPSK_CONTEXT_MAX + 2 + 2];
	uint8_t hash[TPMPSK_DIGEST_SIZE_MAX];
	struct tpmpsk_writer w;
	size_t len;
	int r;

	tpmpsk_writer_init(&w, imported, sizeof(imported));
	tpmpsk_write_var16(&w, q->identity, q->identity_len);
	tpmpsk_write_var16(&w, in->context, in->context_len);
	tpmpsk_write_u16(&w, in->target_protocol);
	tpmpsk_write_u16(&w, in->target_kdf);
	r = tpmpsk_writer_finish(&w, &len);
	if (r < 0)
		return r;
	hash_of(in->digest, imported, len, hash);
	ret->secret_len = tpmpsk_digest_size(in->target_kdf);
	return kdf_expand_label(mac, purpose_object(q), in->digest, "derived psk", hash,
		tpmpsk_digest_size(in->digest), ret->secret, ret->secret_len);
}

/*
 * RFC 8446, section 4.4.3: 64 spaces, the context string, a zero byte, the transcript hash. Neither a server's signature can be had by a
 * client, nor anything signed that a peer could take for something else. The digest is the scheme's own.
 */
static int derive_certificate_verify(
	const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	static const char client[] = "TLS 1.3, client CertificateVerify";
	static const char server[] = "TLS 1.3, server CertificateVerify";
	const struct tpmpsk_certificate_verify *in = &q->certificate_verify;
	uint8_t content[64 + sizeof(server) + TPMPSK_TRANSCRIPT_MAX],
		digest[TPMPSK_DIGEST_SIZE_MAX];
	struct tpmpsk_writer w;
	size_t len;
	int r;

	_Static_assert(sizeof(client) == sizeof(server), "of one length");
	if (!mac->sign)
		return -EINVAL;
	memset(content, ' ', 64);
	tpmpsk_writer_init(&w, content + 64, sizeof(content) - 64);
	/* With the zero byte that ends it. */
	tpmpsk_write_bytes(&w, q->role == TPMPSK_ROLE_SERVER ? server : client, sizeof(server));
	tpmpsk_write_bytes(&w, in->transcript, in->transcript_len);
	r = tpmpsk_writer_finish(&w, &len);
	if (r < 0)
		return r;
	purpose_digest(in->scheme, content, 64 + len, digest);
	return mac->sign(mac->context, in->scheme, digest, ret->signature, &ret->signature_len);
}

static const struct purpose {
	int (*derive)(
		const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret);
	bool signs;
} purposes[TPMPSK_PURPOSE_COUNT] = {
	[TPMPSK_PURPOSE_TLS12_SESSION] = { derive_tls12_session },
	[TPMPSK_PURPOSE_SESSION_IDENTITY] = { derive_session_identity },
	[TPMPSK_PURPOSE_EXPORTER_KDF] = { derive_exporter_kdf },
	[TPMPSK_PURPOSE_EXPORTER_MAC] = { derive_exporter_mac },
	[TPMPSK_PURPOSE_CERTIFICATE_VERIFY] = { derive_certificate_verify, .signs = true },
	[TPMPSK_PURPOSE_TLS12_MASTER] = { derive_tls12_master },
	[TPMPSK_PURPOSE_TLS13_SCHEDULE] = { derive_tls13_schedule },
	[TPMPSK_PURPOSE_PSK_IMPORT] = { derive_psk_import },
};

int purpose_derive(const struct tpmpsk_derive *q, const struct mac *mac, struct tpmpsk_derived *ret)
{
	struct tpmpsk_derived out = { 0 };
	int r;

	if (q->purpose >= TPMPSK_PURPOSE_COUNT || !purposes[q->purpose].derive)
		return -EOPNOTSUPP;
	r = purposes[q->purpose].derive(q, mac, &out);
	if (r == 0)
		*ret = out;
	sodium_memzero(&out, sizeof(out));
	return r;
}

unsigned purpose_object(const struct tpmpsk_derive *q)
{
	switch (q->purpose) {
	case TPMPSK_PURPOSE_TLS12_MASTER:
		return key_secrets_object(q->purpose, q->tls12_master.digest, KEY_OBJECT_ONLY);
	case TPMPSK_PURPOSE_TLS13_SCHEDULE:
		return key_secrets_object(q->purpose, q->tls13_schedule.digest,
			q->tls13_schedule.step == TPMPSK_TLS13_BINDER ? KEY_OBJECT_TLS13_BINDER
								      : KEY_OBJECT_TLS13_DERIVED);
	case TPMPSK_PURPOSE_PSK_IMPORT:
		return key_secrets_object(q->purpose, q->psk_import.digest, KEY_OBJECT_ONLY);
	default:
		return KEY_OBJECT_ONLY;
	}
}

bool purpose_signs(uint8_t purpose)
{
	return purpose < TPMPSK_PURPOSE_COUNT && purposes[purpose].signs;
}

uint32_t purpose_known(void)
{
	uint32_t known = 0;

	for (unsigned i = 0; i < TPMPSK_PURPOSE_COUNT; i++)
		if (purposes[i].derive)
			known |= UINT32_C(1) << i;
	return known;
}
