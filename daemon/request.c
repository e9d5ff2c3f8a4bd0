/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/request.h"

#include "daemon/manage.h"
#include "daemon/metrics.h"
#include "daemon/purpose.h"
#include "daemon/session.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum who {
	EVERYONE,
	ADMINS,
};

static request_handler handle_hello, handle_derive, handle_public;

static const struct request_type {
	uint8_t opcode;
	enum who who;
	request_handler *handle;
} types[] = {
	{ TPMPSK_OP_HELLO, EVERYONE, handle_hello },
	{ TPMPSK_OP_DERIVE, EVERYONE, handle_derive },
	{ TPMPSK_OP_STATUS, EVERYONE, manage_status }, /* says less to those who are no admins */
	{ TPMPSK_OP_METRICS, ADMINS, metrics_request },
	{ TPMPSK_OP_PUBLIC, EVERYONE, handle_public },
	{ TPMPSK_OP_KEY_IMPORT, ADMINS, manage_key_new },
	{ TPMPSK_OP_KEY_GENERATE, ADMINS, manage_key_new },
	{ TPMPSK_OP_KEY_ADOPT, ADMINS, manage_key_new },
	{ TPMPSK_OP_KEY_LIST, ADMINS, manage_key_list },
	{ TPMPSK_OP_KEY_SHOW, ADMINS, manage_key_show },
	{ TPMPSK_OP_KEY_ALLOW, ADMINS, manage_key_who },
	{ TPMPSK_OP_KEY_DENY, ADMINS, manage_key_who },
	{ TPMPSK_OP_KEY_REMOVE, ADMINS, manage_key_remove },
	{ TPMPSK_OP_KEY_CSR, ADMINS, manage_key_csr },
	{ TPMPSK_OP_KEY_CHECK, ADMINS, manage_key_check },
	{ TPMPSK_OP_RELOAD, ADMINS, manage_reload },
};

static const struct request_type *type_of(uint8_t opcode)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].opcode == opcode)
			return &types[i];
	return NULL;
}

void request_handle(struct server *s, struct conn *c, const uint8_t *packet, size_t len)
{
	const struct request_type *type;
	struct tpmpsk_reader r;
	struct tpmpsk_header h = { 0 };

	tpmpsk_reader_init(&r, packet, len < TPMPSK_MESSAGE_MAX ? len : TPMPSK_MESSAGE_MAX);
	if (tpmpsk_header_decode(&r, &h) < 0 || h.opcode & TPMPSK_OP_REPLY || h.status != 0 ||
		len > TPMPSK_MESSAGE_MAX) {
		conn_send_error(s, c, h.id, h.opcode, TPMPSK_STATUS_MALFORMED, 0, "not a request");
		return;
	}
	type = type_of(h.opcode);
	if (h.version != TPMPSK_PROTOCOL_VERSION || !type) {
		conn_send_error(s, c, h.id, h.opcode, TPMPSK_STATUS_UNSUPPORTED, 0,
			type ? "protocol version" : "request");
		return;
	}
	if (type->who == ADMINS && !config_is_admin(&s->config, &c->peer)) {
		audit_write(&s->audit, c->peer.uid, c->peer.pid,
			&(struct audit_event){ .opcode = h.opcode,
				.status = TPMPSK_STATUS_DENIED,
				.unit = c->outlet->unit,
				.budget = &c->user->audit });
		conn_send_error(s, c, h.id, h.opcode, TPMPSK_STATUS_DENIED, 0, "");
		return;
	}
	type->handle(s, c, &h, &r);
}

static void handle_hello(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_hello_reply reply = {
		.version = TPMPSK_PROTOCOL_VERSION,
		.message_max = TPMPSK_MESSAGE_MAX,
		.purposes = purpose_known(),
		.software = "tpm-pskd " TPMPSK_VERSION,
	};
	struct tpmpsk_hello m;
	uint8_t packet[TPMPSK_HEADER_SIZE + 128];
	size_t len;

	if (tpmpsk_hello_decode(r, &m) < 0)
		conn_send_error(s, c, h->id, h->opcode, TPMPSK_STATUS_MALFORMED, 0, "hello");
	else if (m.version_min > TPMPSK_PROTOCOL_VERSION)
		conn_send_error(
			s, c, h->id, h->opcode, TPMPSK_STATUS_UNSUPPORTED, 0, "protocol version");
	else if (tpmpsk_hello_reply_encode(h->id, &reply, packet, sizeof(packet), &len) == 0)
		conn_send(s, c, packet, len);
}

/* Refuses a derive request that does not get as far as a job. */
static void refuse(struct server *s, struct conn *c, uint32_t id, struct audit_event *event,
	const char *detail)
{
	s->counts[event->status]++;
	stats_answer(&s->stats, c->peer.uid, event->key, event->status, 0, 0, s->now_ns);
	event->unit = c->outlet->unit;
	event->budget = &c->user->audit;
	audit_write(&s->audit, c->peer.uid, c->peer.pid, event);
	conn_send_error(s, c, id, TPMPSK_OP_DERIVE, event->status, 0, detail);
}

static void derive(struct server *s, struct conn *c, const struct tpmpsk_header *h,
	const struct tpmpsk_derive *q)
{
	struct audit_event event = { .opcode = TPMPSK_OP_DERIVE, .derive = q };
	size_t identity_len = q->identity_len;
	struct key *key;
	struct job *job;

	if (q->purpose == TPMPSK_PURPOSE_SESSION_IDENTITY && !session_base(q, &identity_len)) {
		event.status = TPMPSK_STATUS_MALFORMED;
		refuse(s, c, h->id, &event, "not a session identity");
		return;
	}
	/* First, and without a look at the key: who has no right is not to learn from anything, time included, which there are. */
	if (!keystore_any_allowed(s->keys, &c->peer, q->purpose)) {
		event.status = TPMPSK_STATUS_DENIED;
		refuse(s, c, h->id, &event, "");
		return;
	}
	key = keystore_find(s->keys, q->purpose, q->identity, identity_len);
	/* A server whose peers have not all moved on may be left with a right to the old key only. */
	if (key && q->role == TPMPSK_ROLE_SERVER && !policy_allows(&key->policy, &c->peer, q->role))
		key = keystore_replaced(s->keys, key);
	if (!key || !policy_allows(&key->policy, &c->peer, q->role)) {
		event.status = TPMPSK_STATUS_UNKNOWN_IDENTITY;
		refuse(s, c, h->id, &event, "");
		return;
	}
	if (key->policy.scheme != TPMPSK_SCHEME_NONE &&
		key->policy.scheme != q->certificate_verify.scheme) {
		event.status = TPMPSK_STATUS_UNSUPPORTED;
		event.key = key->name;
		refuse(s, c, h->id, &event, "the key has another signature scheme");
		return;
	}
	if (q->purpose == TPMPSK_PURPOSE_SESSION_IDENTITY) {
		session_request(s, c, h, key, q);
		return;
	}
	job = job_new(s, c, h, JOB_DERIVE, key, q, NULL);
	if (job && job_take_rate(s, job))
		job_submit(s, job);
}

static void handle_derive(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct audit_event event = { .opcode = TPMPSK_OP_DERIVE };
	struct tpmpsk_derive q;
	int decoded = tpmpsk_derive_decode(r, &q);

	if (decoded == 0) {
		derive(s, c, h, &q);
	} else {
		event.status = decoded == -EOPNOTSUPP ? TPMPSK_STATUS_UNSUPPORTED
						      : TPMPSK_STATUS_MALFORMED;
		refuse(s, c, h->id, &event, decoded == -EOPNOTSUPP ? "purpose" : "derive");
	}
	sodium_memzero(&q, sizeof(q));
}

static enum tpmpsk_status find_public(
	struct server *s, struct conn *c, const struct tpmpsk_public *m, const struct key **ret)
{
	const struct key *k;

	if (!keystore_any_allowed(s->keys, &c->peer, TPMPSK_PURPOSE_CERTIFICATE_VERIFY))
		return TPMPSK_STATUS_DENIED;
	k = keystore_find(s->keys, TPMPSK_PURPOSE_CERTIFICATE_VERIFY, m->identity, m->identity_len);
	if (!k || (!policy_allows(&k->policy, &c->peer, TPMPSK_ROLE_CLIENT) &&
			  !policy_allows(&k->policy, &c->peer, TPMPSK_ROLE_SERVER)))
		return TPMPSK_STATUS_UNKNOWN_IDENTITY;
	*ret = k;
	return TPMPSK_STATUS_OK;
}

/* Who may use a key may know its public half; everybody else learns as little as from a derivation. */
static void handle_public(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct audit_event event = { .opcode = h->opcode, .status = TPMPSK_STATUS_MALFORMED };
	uint8_t packet[TPMPSK_HEADER_SIZE + 2 + TPMPSK_BLOB_MAX];
	const struct key *k = NULL;
	struct tpm_signer signer;
	struct tpmpsk_public m;
	const char *why;
	size_t len;

	if (tpmpsk_public_decode(r, &m) == 0)
		event.status = find_public(s, c, &m, &k);
	if (k)
		event.key = k->name;
	if (k && tpm_signer_read(&k->file.objects[0], &signer, &why) < 0)
		event.status = TPMPSK_STATUS_INTERNAL;
	if (event.status != TPMPSK_STATUS_OK)
		event.budget = &c->user->audit;
	audit_write(&s->audit, c->peer.uid, c->peer.pid, &event);
	if (event.status != TPMPSK_STATUS_OK)
		conn_send_error(s, c, h->id, h->opcode, event.status, 0, "");
	else if (tpmpsk_blob_reply_encode(h->id, h->opcode, signer.spki, signer.spki_len, packet,
			 sizeof(packet), &len) == 0)
		conn_send(s, c, packet, len);
}
