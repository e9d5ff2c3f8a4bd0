/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/derive.h"

#include <string.h>

static bool random_size_ok(size_t n)
{
	return n == TPMPSK_RANDOM_SIZE || n == TPMPSK_RANDOM_SHORT_SIZE;
}

static void write_tls12_session(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct tpmpsk_tls12_session *in = &q->tls12_session;

	if (in->random_len > TPMPSK_RANDOM_SIZE) {
		tpmpsk_writer_fail(w);
		return;
	}
	tpmpsk_write_var8(w, in->client_random, in->random_len);
	tpmpsk_write_var8(w, in->server_random, in->random_len);
}

static void read_tls12_session(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	struct tpmpsk_tls12_session *in = &q->tls12_session;

	in->random_len = tpmpsk_read_var8(r, in->client_random, sizeof(in->client_random));
	if (tpmpsk_read_var8(r, in->server_random, sizeof(in->server_random)) != in->random_len ||
		!random_size_ok(in->random_len) || q->role != TPMPSK_ROLE_NONE)
		tpmpsk_reader_fail(r);
}

static void write_session_identity(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct tpmpsk_session_identity *in = &q->session_identity;

	if (q->role != TPMPSK_ROLE_SERVER)
		return;
	if (in->handshake_len > TPMPSK_HANDSHAKE_MAX)
		tpmpsk_writer_fail(w);
	else
		tpmpsk_write_var8(w, in->handshake, in->handshake_len);
}

static void read_session_identity(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	struct tpmpsk_session_identity *in = &q->session_identity;

	if (q->role == TPMPSK_ROLE_SERVER)
		in->handshake_len = tpmpsk_read_var8(r, in->handshake, sizeof(in->handshake));
	else if (q->role != TPMPSK_ROLE_CLIENT)
		tpmpsk_reader_fail(r);
}

static void read_ekm(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	struct tpmpsk_exporter *in = &q->exporter;

	in->ekm_len = tpmpsk_read_var8(r, in->ekm, sizeof(in->ekm));
	if (in->ekm_len < TPMPSK_EKM_MIN || q->role != TPMPSK_ROLE_NONE)
		tpmpsk_reader_fail(r);
}

static void write_exporter_mac(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct tpmpsk_exporter *in = &q->exporter;

	if (in->ekm_len > TPMPSK_EKM_MAX)
		tpmpsk_writer_fail(w);
	else
		tpmpsk_write_var8(w, in->ekm, in->ekm_len);
}

static void write_exporter_kdf(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	write_exporter_mac(w, q);
	tpmpsk_write_u8(w, q->exporter.length);
}

static void read_exporter_kdf(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	read_ekm(r, q);
	q->exporter.length = tpmpsk_read_u8(r);
	if (q->exporter.length < TPMPSK_KDF_MIN || q->exporter.length > TPMPSK_SECRET_MAX)
		tpmpsk_reader_fail(r);
}

/* A digest's number; 0, and the reader failed, when it is none. */
static uint8_t read_digest(struct tpmpsk_reader *r)
{
	uint8_t digest = tpmpsk_read_u8(r);

	if (tpmpsk_digest_size(digest) > 0)
		return digest;
	tpmpsk_reader_fail(r);
	return 0;
}

/* Bytes that must be so many; at most TPMPSK_DIGEST_SIZE_MAX. */
static void read_exactly(struct tpmpsk_reader *r, uint8_t *dst, size_t len)
{
	if (tpmpsk_read_var8(r, dst, len) != len)
		tpmpsk_reader_fail(r);
}

static void write_tls12_master(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct tpmpsk_tls12_master *in = &q->tls12_master;

	tpmpsk_write_u8(w, in->digest);
	tpmpsk_write_u8(w, in->label);
	if (in->label == TPMPSK_TLS12_EXTENDED_MASTER) {
		tpmpsk_write_var8(w, in->session_hash, tpmpsk_digest_size(in->digest));
		return;
	}
	tpmpsk_write_var8(w, in->client_random, sizeof(in->client_random));
	tpmpsk_write_var8(w, in->server_random, sizeof(in->server_random));
}

static void read_tls12_master(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	struct tpmpsk_tls12_master *in = &q->tls12_master;

	in->digest = read_digest(r);
	in->label = tpmpsk_read_u8(r);
	if (q->role != TPMPSK_ROLE_NONE)
		tpmpsk_reader_fail(r);
	if (in->label == TPMPSK_TLS12_MASTER) {
		read_exactly(r, in->client_random, sizeof(in->client_random));
		read_exactly(r, in->server_random, sizeof(in->server_random));
	} else if (in->label == TPMPSK_TLS12_EXTENDED_MASTER) {
		read_exactly(r, in->session_hash, tpmpsk_digest_size(in->digest));
	} else {
		tpmpsk_reader_fail(r);
	}
}

static void write_tls13_schedule(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct tpmpsk_tls13_schedule *in = &q->tls13_schedule;

	tpmpsk_write_u8(w, in->digest);
	tpmpsk_write_u8(w, in->step);
	if (in->step == TPMPSK_TLS13_BINDER)
		tpmpsk_write_var8(w, in->transcript_hash, tpmpsk_digest_size(in->digest));
	else if (in->shared_len <= sizeof(in->shared))
		tpmpsk_write_var16(w, in->shared, in->shared_len);
	else
		tpmpsk_writer_fail(w);
}

/*
 * Without (EC)DHE, zeroes stand in place of the shared secret, and what came of them would be a
 * constant of the PSK. No group gives them either: RFC 8446, section 7.4.2. In constant time.
 */
static void read_shared(struct tpmpsk_reader *r, struct tpmpsk_tls13_schedule *in)
{
	uint8_t any = 0;

	in->shared_len = tpmpsk_read_var16(r, in->shared, sizeof(in->shared));
	for (size_t i = 0; i < in->shared_len; i++)
		any |= in->shared[i];
	if (in->shared_len < TPMPSK_SHARED_MIN || any == 0)
		tpmpsk_reader_fail(r);
}

static void read_tls13_schedule(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	struct tpmpsk_tls13_schedule *in = &q->tls13_schedule;

	in->digest = read_digest(r);
	in->step = tpmpsk_read_u8(r);
	if (q->role != TPMPSK_ROLE_NONE)
		tpmpsk_reader_fail(r);
	if (in->step == TPMPSK_TLS13_BINDER)
		read_exactly(r, in->transcript_hash, tpmpsk_digest_size(in->digest));
	else if (in->step == TPMPSK_TLS13_HANDSHAKE_SECRET)
		read_shared(r, in);
	else
		tpmpsk_reader_fail(r);
}

static void write_psk_import(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct tpmpsk_psk_import *in = &q->psk_import;

	tpmpsk_write_u8(w, in->digest);
	tpmpsk_write_u16(w, in->target_protocol);
	tpmpsk_write_u16(w, in->target_kdf);
	if (in->context_len <= sizeof(in->context))
		tpmpsk_write_var16(w, in->context, in->context_len);
	else
		tpmpsk_writer_fail(w);
}

/* TLS 1.3 (0x0304), DTLS 1.3 (0xfefc) or later: RFC 9258, section 5.1, forbids earlier ones. */
static bool is_import_target(uint16_t protocol)
{
	uint8_t major = (uint8_t)(protocol >> 8), minor = (uint8_t)protocol;

	return (major == 0x03 && minor >= 0x04) || (major == 0xfe && minor <= 0xfc);
}

static void read_psk_import(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	struct tpmpsk_psk_import *in = &q->psk_import;

	in->digest = read_digest(r);
	in->target_protocol = tpmpsk_read_u16(r);
	in->target_kdf = tpmpsk_read_u16(r);
	in->context_len = tpmpsk_read_var16(r, in->context, sizeof(in->context));
	if (!is_import_target(in->target_protocol) || tpmpsk_digest_size(in->target_kdf) == 0 ||
		q->role != TPMPSK_ROLE_NONE)
		tpmpsk_reader_fail(r);
}

static void write_certificate_verify(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct tpmpsk_certificate_verify *in = &q->certificate_verify;

	tpmpsk_write_u16(w, in->scheme);
	if (in->transcript_len > TPMPSK_TRANSCRIPT_MAX)
		tpmpsk_writer_fail(w);
	else
		tpmpsk_write_var8(w, in->transcript, in->transcript_len);
}

static void read_certificate_verify(struct tpmpsk_reader *r, struct tpmpsk_derive *q)
{
	struct tpmpsk_certificate_verify *in = &q->certificate_verify;

	in->scheme = tpmpsk_read_u16(r);
	in->transcript_len = tpmpsk_read_var8(r, in->transcript, sizeof(in->transcript));
	if (!tpmpsk_scheme_name(in->scheme) || q->role == TPMPSK_ROLE_NONE ||
		(in->transcript_len != TPMPSK_TRANSCRIPT_MIN &&
			in->transcript_len != TPMPSK_TRANSCRIPT_MAX))
		tpmpsk_reader_fail(r);
}

static const struct codec {
	void (*write)(struct tpmpsk_writer *w, const struct tpmpsk_derive *q);
	void (*read)(struct tpmpsk_reader *r, struct tpmpsk_derive *q);
} codecs[TPMPSK_PURPOSE_COUNT] = {
	[TPMPSK_PURPOSE_TLS12_SESSION] = { write_tls12_session, read_tls12_session },
	[TPMPSK_PURPOSE_SESSION_IDENTITY] = { write_session_identity, read_session_identity },
	[TPMPSK_PURPOSE_EXPORTER_KDF] = { write_exporter_kdf, read_exporter_kdf },
	[TPMPSK_PURPOSE_EXPORTER_MAC] = { write_exporter_mac, read_ekm },
	[TPMPSK_PURPOSE_CERTIFICATE_VERIFY] = { write_certificate_verify, read_certificate_verify },
	[TPMPSK_PURPOSE_TLS12_MASTER] = { write_tls12_master, read_tls12_master },
	[TPMPSK_PURPOSE_TLS13_SCHEDULE] = { write_tls13_schedule, read_tls13_schedule },
	[TPMPSK_PURPOSE_PSK_IMPORT] = { write_psk_import, read_psk_import },
};

static const struct codec *codec_of(uint8_t purpose)
{
	return purpose < TPMPSK_PURPOSE_COUNT && codecs[purpose].read ? &codecs[purpose] : NULL;
}

void tpmpsk_write_derive(struct tpmpsk_writer *w, const struct tpmpsk_derive *q)
{
	const struct codec *codec = codec_of(q->purpose);

	if (!codec || q->identity_len < 1 || q->identity_len > sizeof(q->identity)) {
		tpmpsk_writer_fail(w);
		return;
	}
	tpmpsk_write_u8(w, q->purpose);
	tpmpsk_write_u8(w, q->role);
	tpmpsk_write_var8(w, q->identity, q->identity_len);
	codec->write(w, q);
}

void tpmpsk_read_derive(struct tpmpsk_reader *r, struct tpmpsk_derive *q, bool *ret_known)
{
	const struct codec *codec;

	memset(q, 0, sizeof(*q));
	q->purpose = tpmpsk_read_u8(r);
	codec = codec_of(q->purpose);
	*ret_known = codec;
	if (!codec)
		return;
	q->role = tpmpsk_read_u8(r);
	if (q->role >= TPMPSK_ROLE_COUNT)
		tpmpsk_reader_fail(r);
	q->identity_len = tpmpsk_read_var8(r, q->identity, sizeof(q->identity));
	if (q->identity_len < 1)
		tpmpsk_reader_fail(r);
	codec->read(r, q);
}

void tpmpsk_write_derived(struct tpmpsk_writer *w, const struct tpmpsk_derived *d)
{
	tpmpsk_write_var8(w, d->secret, d->secret_len);
	tpmpsk_write_var8(w, d->name, d->name_len);
	if (d->secret_len == 0)
		tpmpsk_write_var16(w, d->signature, d->signature_len);
}

void tpmpsk_read_derived(struct tpmpsk_reader *r, struct tpmpsk_derived *d)
{
	memset(d, 0, sizeof(*d));
	d->secret_len = tpmpsk_read_var8(r, d->secret, sizeof(d->secret));
	d->name_len = tpmpsk_read_var8(r, d->name, sizeof(d->name));
	if (d->secret_len > 0)
		return;
	d->signature_len = tpmpsk_read_var16(r, d->signature, sizeof(d->signature));
	if (d->signature_len == 0)
		tpmpsk_reader_fail(r);
}
