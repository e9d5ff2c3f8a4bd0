/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A derive request's way: request_handle() decodes it, checks policy, rate and bounds, and submits a job; the engine works it off;
 * request_finished() answers. A job that is overtaken by its deadline or loses its connection is taken out of the queue or, when the
 * TPM already has it, orphaned: then nothing but its memory is left to give back when it returns.
 */
#include "daemon/request.h"

#include "daemon/manage.h"
#include "daemon/purpose.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum who {
	EVERYONE,
	ADMINS,
};

static request_handler handle_hello, handle_derive;

static const struct request_type {
	uint8_t opcode;
	enum who who;
	request_handler *handle;
} types[] = {
	{ TPMPSK_OP_HELLO, EVERYONE, handle_hello },
	{ TPMPSK_OP_DERIVE, EVERYONE, handle_derive },
	{ TPMPSK_OP_STATUS, EVERYONE, manage_status }, /* says less to those who are no admins */
	{ TPMPSK_OP_KEY_IMPORT, ADMINS, manage_key_new },
	{ TPMPSK_OP_KEY_GENERATE, ADMINS, manage_key_new },
	{ TPMPSK_OP_KEY_ADOPT, ADMINS, manage_key_new },
	{ TPMPSK_OP_KEY_LIST, ADMINS, manage_key_list },
	{ TPMPSK_OP_KEY_SHOW, ADMINS, manage_key_show },
	{ TPMPSK_OP_KEY_ALLOW, ADMINS, manage_key_who },
	{ TPMPSK_OP_KEY_DENY, ADMINS, manage_key_who },
	{ TPMPSK_OP_KEY_REMOVE, ADMINS, manage_key_remove },
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
		audit_write(&s->audit, &c->peer,
			&(struct audit_event){
				.opcode = h.opcode, .status = TPMPSK_STATUS_DENIED });
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

/* Refuses or fails a derive request, before or after the TPM. */
static void answer_derive_error(struct server *s, struct conn *c, uint32_t id,
	const struct audit_event *event, uint32_t retry_after_ms, const char *detail)
{
	s->counts[event->status]++;
	audit_write(&s->audit, &c->peer, event);
	conn_send_error(s, c, id, TPMPSK_OP_DERIVE, event->status, retry_after_ms, detail);
}

static void handle_derive(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_derive q;
	struct audit_event event = { .opcode = TPMPSK_OP_DERIVE, .derive = &q };
	uint32_t retry_after_ms = 0;
	struct key *key;
	int decoded = tpmpsk_derive_decode(r, &q);

	if (decoded < 0) {
		event.status = decoded == -EOPNOTSUPP ? TPMPSK_STATUS_UNSUPPORTED
						      : TPMPSK_STATUS_MALFORMED;
		event.derive = NULL;
		answer_derive_error(
			s, c, h->id, &event, 0, decoded == -EOPNOTSUPP ? "purpose" : "derive");
		return;
	}
	key = keystore_find(s->keys, q.purpose, q.identity, q.identity_len);
	if (!key || !policy_allows(&key->policy, &c->peer, q.role)) {
		/* Nothing here may depend on whether the key exists. */
		event.status = conn_has_rights(s, c, q.purpose) ? TPMPSK_STATUS_UNKNOWN_IDENTITY
								: TPMPSK_STATUS_DENIED;
		answer_derive_error(s, c, h->id, &event, 0, "");
	} else if (!limiter_take(&s->limiter, key->id, c->peer.uid, key->policy.rate,
			   key->policy.burst, clock_ns(), &retry_after_ms)) {
		event.key = key->name;
		event.status = TPMPSK_STATUS_BUSY;
		answer_derive_error(s, c, h->id, &event, retry_after_ms, "rate");
	} else {
		(void)request_submit(s, c, h, JOB_DERIVE, key, &q, NULL);
	}
	sodium_memzero(&q, sizeof(q));
}

/* How long, roughly, until the queue has moved on. */
static uint32_t queue_delay_ms(const struct server *s, unsigned jobs)
{
	return (uint32_t)(1 + s->tpm_ns * jobs / 1000000);
}

static struct job *job_new(struct server *s, struct conn *c, const struct tpmpsk_header *h)
{
	struct job *job = slab_get(&s->jobs);

	if (!job)
		return NULL;
	job->conn = c;
	job->user = users_get(&s->users, c->peer.uid);
	job->request_id = h->id;
	job->opcode = h->opcode;
	job->received_ns = clock_ns();
	job->deadline_ns = job->received_ns + (uint64_t)s->config.limits.deadline_ms * 1000000;
	list_append(&c->jobs, &job->conn_link);
	list_append(&s->deadlines, &job->deadline_link);
	list_init(&job->done_link);
	c->n_jobs++;
	s->n_jobs++;
	job->user->requests++;
	return job;
}

/* From here on nobody waits for its answer. */
static void job_detach(struct server *s, struct job *job)
{
	if (!job->conn)
		return;
	list_remove(&job->conn_link);
	list_remove(&job->deadline_link);
	job->conn->n_jobs--;
	conn_update_events(s, job->conn);
	job->conn = NULL;
}

static void job_free(struct server *s, struct job *job)
{
	job_detach(s, job);
	s->n_jobs--;
	job->user->requests--;
	users_put(&s->users, job->user);
	key_unref(job->key);
	new_key_free(job->new_key);
	slab_put(&s->jobs, job); /* wipes */
}

bool request_submit(struct server *s, struct conn *c, const struct tpmpsk_header *h,
	enum job_kind kind, struct key *key, const struct tpmpsk_derive *derive,
	struct new_key *new_key)
{
	const struct config_limits *limits = &s->config.limits;
	struct audit_event event = {
		.opcode = h->opcode,
		.status = TPMPSK_STATUS_BUSY,
		.derive = derive,
		.key = key       ? key->name
		       : new_key ? new_key->name
				 : NULL,
	};
	unsigned ahead = 0;
	struct job *job;

	if (c->user->requests >= limits->queue_per_user)
		ahead = c->user->requests;
	else if (s->n_jobs >= limits->queue)
		ahead = s->n_jobs;
	job = ahead ? NULL : job_new(s, c, h);
	if (!job) {
		if (kind == JOB_DERIVE)
			s->counts[event.status]++;
		audit_write(&s->audit, &c->peer, &event);
		conn_send_error(
			s, c, h->id, h->opcode, event.status, queue_delay_ms(s, ahead), "queue");
		return false;
	}
	job->kind = kind;
	job->key = key ? key_ref(key) : NULL;
	job->new_key = new_key;
	if (derive)
		job->derive = *derive;
	engine_submit(s->engine, &c->flow, job);
	return true;
}

enum tpmpsk_status request_status_of(int result, const char **ret_detail)
{
	static const struct {
		int result;
		enum tpmpsk_status status;
		const char *detail;
	} table[] = {
		{ 0, TPMPSK_STATUS_OK, "" },
		{ -ENODEV, TPMPSK_STATUS_TPM_UNAVAILABLE, "the TPM cannot be reached" },
		{ -ESHUTDOWN, TPMPSK_STATUS_SHUTTING_DOWN, "" },
		{ -EKEYREJECTED, TPMPSK_STATUS_MALFORMED,
			"the TPM does not load the key: made by another TPM, or damaged" },
		{ -EINVAL, TPMPSK_STATUS_MALFORMED,
			"not an HMAC-SHA256 key with an empty password" },
		{ -EOPNOTSUPP, TPMPSK_STATUS_UNSUPPORTED, "this TPM does not do that" },
		{ -ENOMEM, TPMPSK_STATUS_INTERNAL, "out of memory" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].result == result) {
			*ret_detail = table[i].detail;
			return table[i].status;
		}
	}
	*ret_detail = "the TPM failed";
	return TPMPSK_STATUS_INTERNAL;
}

static void fill_times(const struct job *job, struct audit_event *event)
{
	if (job->started_ns == 0) {
		event->queue_us = (clock_ns() - job->received_ns) / 1000;
		return;
	}
	event->queue_us = (job->started_ns - job->received_ns) / 1000;
	event->tpm_us = (job->finished_ns - job->started_ns) / 1000;
}

static void derive_finished(struct server *s, struct job *job)
{
	struct conn *c = job->conn;
	struct audit_event event = {
		.opcode = job->opcode, .derive = &job->derive, .key = job->key->name
	};
	uint8_t packet[TPMPSK_HEADER_SIZE + sizeof(struct tpmpsk_derived)];
	const char *detail;
	size_t len;

	event.status = request_status_of(job->result, &detail);
	fill_times(job, &event);
	if (event.status == TPMPSK_STATUS_MALFORMED) {
		/* The request was fine; it is our key that is not. */
		event.status = TPMPSK_STATUS_INTERNAL;
		if (log_allowed(&s->result_log))
			log_error("key %s: %s", job->key->name, detail);
	}
	if (event.status != TPMPSK_STATUS_OK) {
		answer_derive_error(s, c, job->request_id, &event, 0, detail);
		return;
	}
	s->counts[TPMPSK_STATUS_OK]++;
	job->key->derivations++;
	audit_write(&s->audit, &c->peer, &event);
	if (tpmpsk_derived_encode(job->request_id, &job->derived, packet, sizeof(packet), &len) ==
		0)
		conn_send(s, c, packet, len);
	sodium_memzero(packet, sizeof(packet));
}

void request_finished(struct server *s, struct job *job)
{
	if (job->result == 0)
		s->tpm_ns = (7 * s->tpm_ns + (job->finished_ns - job->started_ns)) / 8;
	if (job->kind != JOB_DERIVE)
		manage_finished(s, job);
	else if (job->conn)
		derive_finished(s, job);
	job_free(s, job);
}

void request_abandon(struct server *s, struct job *job)
{
	job_detach(s, job);
	if (engine_cancel(s->engine, job))
		job_free(s, job);
}

/* Answers a job that the TPM has not done, and lets go of it. */
static void job_fail(
	struct server *s, struct job *job, enum tpmpsk_status status, const char *detail)
{
	struct audit_event event = {
		.opcode = job->opcode,
		.status = status,
		.derive = job->kind == JOB_DERIVE ? &job->derive : NULL,
		.key = job->key ? job->key->name : job->new_key->name,
		.queue_us = (clock_ns() - job->received_ns) / 1000,
	};
	struct conn *c = job->conn;
	uint32_t id = job->request_id;

	if (job->kind == JOB_DERIVE)
		s->counts[status]++;
	audit_write(&s->audit, &c->peer, &event);
	request_abandon(
		s, job); /* before sending, which may close the connection and all that is on it */
	conn_send_error(s, c, id, event.opcode, status, 0, detail);
}

uint64_t request_expire(struct server *s, uint64_t now_ns)
{
	while (!list_empty(&s->deadlines)) {
		struct job *job = list_entry(s->deadlines.next, struct job, deadline_link);

		if (job->deadline_ns > now_ns)
			return job->deadline_ns;
		job_fail(s, job, TPMPSK_STATUS_DEADLINE, "");
	}
	return 0;
}

void request_fail_all(struct server *s, enum tpmpsk_status status)
{
	while (!list_empty(&s->deadlines))
		job_fail(s, list_entry(s->deadlines.next, struct job, deadline_link), status, "");
}
