/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/manage.h"

#include "daemon/certificate.h"
#include "daemon/new_key.h"
#include "daemon/purpose.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <sodium.h>
#include <string.h>

#define STATUS_NOT_FOUND TPMPSK_STATUS_UNKNOWN_IDENTITY /* an admin may know what exists */

/* Ends a management request that did not reach the TPM, or came back from it. */
static void answer(struct server *s, struct conn *c, uint32_t id, uint8_t opcode, const char *key,
	enum tpmpsk_status status, const char *detail)
{
	uint8_t packet[TPMPSK_HEADER_SIZE];
	size_t len;

	audit_write(&s->audit, c->peer.uid, c->peer.pid,
		&(struct audit_event){
			.opcode = opcode, .status = status, .key = key, .unit = c->outlet->unit });
	if (status != TPMPSK_STATUS_OK)
		conn_send_error(s, c, id, opcode, status, 0, detail);
	else if (tpmpsk_ok_encode(id, opcode, packet, sizeof(packet), &len) == 0)
		conn_send(s, c, packet, len);
}

void manage_answer_text(struct server *s, struct conn *c, const struct tpmpsk_header *h, bool more,
	struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	if (!text || tpmpsk_text_reply_encode(h->id, h->opcode, more, text, strlen(text), packet,
			     sizeof(packet), &len) < 0)
		conn_send_error(s, c, h->id, h->opcode, TPMPSK_STATUS_INTERNAL, 0,
			"the answer does not fit");
	else
		conn_send(s, c, packet, len);
}

static void add_string(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static void add_number(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_uint64(value));
}

static struct json_object *tpm_status(
	const struct server *s, const struct engine_status *status, bool full)
{
	struct json_object *o = json_object_new_object();
	char firmware[24];

	add_string(o, "state", status->state);
	if (!full)
		return o;
	snprintf(firmware, sizeof(firmware), "%u.%u.%u.%u", status->info.firmware[0] >> 16,
		status->info.firmware[0] & 0xffff, status->info.firmware[1] >> 16,
		status->info.firmware[1] & 0xffff);
	add_string(o, "tcti", s->config.tcti);
	add_string(o, "manufacturer", status->info.manufacturer);
	add_string(o, "vendor", status->info.vendor);
	add_string(o, "firmware", firmware);
	json_object_object_add(o, "shared", json_object_new_boolean(status->info.shared));
	add_number(o, "slots", status->info.slots);
	add_number(o, "loaded", status->stats.loaded);
	add_number(o, "commands", status->stats.commands);
	add_number(o, "loads", status->stats.loads);
	add_number(o, "evictions", status->stats.evictions);
	add_number(o, "rebuilds", status->stats.rebuilds);
	add_number(o, "waits", status->stats.waits);
	return o;
}

static struct json_object *session_status(const struct server *s)
{
	struct json_object *o = json_object_new_object();
	struct replay_stats stats;

	replay_stats(s->sessions.replay, &stats);
	add_number(o, "epochs", s->sessions.epochs.count);
	add_number(o, "replay_entries", stats.entries);
	add_number(o, "replay_capacity", stats.capacity);
	add_number(o, "replay_bytes", stats.bytes);
	add_number(o, "replay_bytes_max", stats.bytes_max);
	return o;
}

static struct json_object *answer_counts(const struct server *s)
{
	struct json_object *o = json_object_new_object();

	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++)
		add_number(o, tpmpsk_status_name(i), s->counts[i]);
	return o;
}

void manage_status(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	bool full = config_is_admin(&s->config, &c->peer);
	struct engine_status status;
	struct json_object *o;

	if (tpmpsk_empty_decode(r) < 0) {
		conn_send_error(s, c, h->id, h->opcode, TPMPSK_STATUS_MALFORMED, 0, "status");
		return;
	}
	engine_status(s->engine, &status);
	o = json_object_new_object();
	add_string(o, "version", TPMPSK_VERSION);
	json_object_object_add(o, "tpm", tpm_status(s, &status, full));
	if (full) {
		add_number(o, "keys", keystore_count(s->keys));
		add_number(o, "connections", s->n_conns);
		add_number(o, "users", s->users.count);
		add_number(o, "queue", s->n_jobs);
		add_number(o, "uptime_seconds", (clock_ns() - s->started_ns) / 1000000000);
		json_object_object_add(o, "sessions", session_status(s));
		json_object_object_add(o, "counts", answer_counts(s));
	}
	manage_answer_text(s, c, h, false, o);
	json_object_put(o);
}

static enum tpmpsk_status decode_key_file(
	const struct tpmpsk_key_new *m, struct new_key *ret, char error[POLICY_ERROR_SIZE])
{
	const char *why;
	int r;

	r = keyfile_decode((const char *)m->payload, m->payload_len, &ret->file, &why);
	if (r == 0 && ret->file.n_objects != 1) {
		r = -EBADMSG;
		why = "more than one key in the file";
	}
	if (r == 0)
		return TPMPSK_STATUS_OK;
	snprintf(error, POLICY_ERROR_SIZE, "%s", why);
	return r == -EOPNOTSUPP ? TPMPSK_STATUS_UNSUPPORTED : TPMPSK_STATUS_MALFORMED;
}

/* For a purpose whose keys sign: what belongs to it but is no secret to be imported. */
static enum tpmpsk_status new_signer_fill(uint8_t opcode, const struct tpmpsk_key_new *m,
	struct new_key *ret, char error[POLICY_ERROR_SIZE])
{
	enum tpmpsk_status status;

	static_assert(POLICY_ERROR_SIZE >= CERTIFICATE_WHY_SIZE, "errors are handed on");
	switch (opcode) {
	case TPMPSK_OP_KEY_IMPORT:
		snprintf(error, POLICY_ERROR_SIZE,
			"a key for %s is made in the TPM and was never elsewhere: generate one, or "
			"adopt one that this TPM made",
			tpmpsk_purpose_name(ret->policy.purpose));
		return TPMPSK_STATUS_UNSUPPORTED;
	case TPMPSK_OP_KEY_ADOPT:
		status = decode_key_file(m, ret, error);
		if (status != TPMPSK_STATUS_OK)
			return status;
		return certificate_check_key(&ret->policy, &ret->file, error) < 0
			       ? TPMPSK_STATUS_MALFORMED
			       : TPMPSK_STATUS_OK;
	default:
		if (ret->policy.scheme == TPMPSK_SCHEME_NONE)
			ret->policy.scheme = TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256;
		return TPMPSK_STATUS_OK;
	}
}

/* Checks what is asked for and fills ret. On failure error says why. */
static enum tpmpsk_status new_key_fill(const struct server *s, uint8_t opcode,
	const struct tpmpsk_key_new *m, struct new_key *ret, char error[POLICY_ERROR_SIZE])
{
	char refusal[KEYSTORE_ERROR_SIZE];
	int r;

	if (!keystore_name_ok(m->name)) {
		snprintf(error, POLICY_ERROR_SIZE,
			"a key's name is a letter or digit, then at most 63 of A-Z a-z 0-9 . _ -");
		return TPMPSK_STATUS_MALFORMED;
	}
	memcpy(ret->name, m->name, sizeof(ret->name));
	if (policy_parse(m->policy, strlen(m->policy), true, &ret->policy, error) < 0)
		return TPMPSK_STATUS_MALFORMED;
	r = keystore_may_add(s->keys, m->name, &ret->policy, refusal);
	if (r < 0) {
		snprintf(error, POLICY_ERROR_SIZE, "%.*s", POLICY_ERROR_SIZE - 1, refusal);
		return r == -EEXIST ? TPMPSK_STATUS_EXISTS : TPMPSK_STATUS_MALFORMED;
	}
	if (opcode != TPMPSK_OP_KEY_IMPORT && key_secrets_import_only(ret->policy.purpose)) {
		snprintf(error, POLICY_ERROR_SIZE,
			"a key for %s is made from the PSK that the peer has, too: import it",
			tpmpsk_purpose_name(ret->policy.purpose));
		return TPMPSK_STATUS_UNSUPPORTED;
	}
	if (purpose_signs(ret->policy.purpose))
		return new_signer_fill(opcode, m, ret, error);
	if (opcode == TPMPSK_OP_KEY_IMPORT) {
		ret->n_secrets = key_secrets_make(
			ret->policy.purpose, m->payload, m->payload_len, ret->secrets);
	} else if (opcode == TPMPSK_OP_KEY_ADOPT) {
		return decode_key_file(m, ret, error);
	}
	return TPMPSK_STATUS_OK;
}

void manage_key_new(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	char error[POLICY_ERROR_SIZE] = "";
	enum tpmpsk_status status = TPMPSK_STATUS_INTERNAL;
	struct new_key *n = new_key_new();
	struct tpmpsk_key_new m;
	struct job *job = NULL;

	if (tpmpsk_key_new_decode(r, h->opcode, &m) < 0)
		status = TPMPSK_STATUS_MALFORMED;
	else if (n)
		status = new_key_fill(s, h->opcode, &m, n, error);
	sodium_memzero(&m, sizeof(m));
	if (status != TPMPSK_STATUS_OK)
		answer(s, c, h->id, h->opcode, n && n->name[0] ? n->name : NULL, status, error);
	else
		job = job_new(s, c, h, h->opcode == TPMPSK_OP_KEY_ADOPT ? JOB_ADOPT : JOB_CREATE,
			NULL, NULL, n);
	if (job)
		job_submit(s, job); /* it owns n now */
	else
		new_key_free(n);
}

static void new_key_finished(struct server *s, struct conn *c, struct job *job)
{
	struct new_key *n = job->new_key;
	char error[KEYSTORE_ERROR_SIZE] = "";
	const char *detail;
	enum tpmpsk_status status = job_status_of(job->result, &detail);

	if (status == TPMPSK_STATUS_OK) {
		int r = keystore_add(s->keys, n->name, &n->policy, &n->file, error);

		if (r < 0) {
			status = r == -EEXIST ? TPMPSK_STATUS_EXISTS : TPMPSK_STATUS_INTERNAL;
			detail = error;
			log_error("key %s: not stored: %s", n->name, error);
		}
	}
	answer(s, c, job->request_id, job->opcode, n->name, status, detail);
}

static void answer_csr(struct server *s, struct conn *c, const struct job *job)
{
	uint8_t packet[TPMPSK_HEADER_SIZE + 2 + TPMPSK_SIGNATURE_MAX];
	const char *detail;
	enum tpmpsk_status status = job_status_of(job->result, &detail);
	size_t len;

	if (status != TPMPSK_STATUS_OK) {
		answer(s, c, job->request_id, job->opcode, job->key->name, status, detail);
		return;
	}
	audit_write(&s->audit, c->peer.uid, c->peer.pid,
		&(struct audit_event){ .opcode = job->opcode, .key = job->key->name });
	if (tpmpsk_blob_reply_encode(job->request_id, job->opcode, job->derived.signature,
		    job->derived.signature_len, packet, sizeof(packet), &len) == 0)
		conn_send(s, c, packet, len);
}

static void answer_check(struct server *s, struct conn *c, struct job *job)
{
	const char *detail;
	enum tpmpsk_status status = job_status_of(job->result, &detail);

	answer(s, c, job->request_id, job->opcode, job->key->name, status, detail);
}

void manage_finished(struct server *s, struct conn *c, struct job *job)
{
	if (job->kind == JOB_CSR)
		answer_csr(s, c, job);
	else if (job->kind == JOB_CHECK)
		answer_check(s, c, job);
	else
		new_key_finished(s, c, job);
}

static const char *to_text(struct json_object *o, size_t *ret_len)
{
	return json_object_to_json_string_length(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_len);
}

static void add_public_key(struct json_object *o, const struct key *k)
{
	char text[sodium_base64_ENCODED_LEN(TPM_SPKI_MAX, sodium_base64_VARIANT_ORIGINAL)];
	struct tpm_signer signer;
	const char *why;

	if (tpm_signer_read(&k->file.objects[0], &signer, &why) == 0)
		add_string(o, "public_key",
			sodium_bin2base64(text, sizeof(text), signer.spki, signer.spki_len,
				sodium_base64_VARIANT_ORIGINAL));
}

/*
 * What list and show say of a key, in full with the public key of a pair, and how long that is; NULL without memory. Where `allow` is too
 * long for a message, its number of entries stands in its place.
 */
static struct json_object *describe(
	const struct keystore *keys, const struct key *k, bool full, size_t *ret_len)
{
	struct json_object *o = NULL;
	const struct key *successor;
	char *text;

	if (policy_print(&k->policy, &text) < 0)
		return NULL;
	o = json_tokener_parse(text);
	free(text);
	if (!o)
		return NULL;
	add_string(o, "name", k->name);
	successor = keystore_successor(keys, k);
	if (successor)
		add_string(o, "replaced_by", successor->name);
	add_number(o, "derivations", k->derivations);
	if (full && purpose_signs(k->policy.purpose))
		add_public_key(o, k);
	(void)to_text(o, ret_len);
	if (*ret_len > TPMPSK_TEXT_MAX - 2) {
		json_object_object_del(o, "allow");
		add_number(o, "allow_entries", k->policy.n_allow);
		(void)to_text(o, ret_len);
	}
	return o;
}

/* As many as fit into a message. */
void manage_key_list(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_key_list m;
	struct json_object *page;
	size_t used = 2, len;
	struct key *k;

	if (tpmpsk_key_list_decode(r, &m) < 0) {
		answer(s, c, h->id, h->opcode, NULL, TPMPSK_STATUS_MALFORMED, "list");
		return;
	}
	page = json_object_new_array();
	for (k = keystore_next(s->keys, m.after); k; k = keystore_next(s->keys, k->name)) {
		struct json_object *o = describe(s->keys, k, false, &len);

		if (!o || used + len + 1 > TPMPSK_TEXT_MAX) {
			json_object_put(o);
			break;
		}
		used += len + 1;
		json_object_array_add(page, o);
	}
	audit_write(&s->audit, c->peer.uid, c->peer.pid,
		&(struct audit_event){ .opcode = h->opcode, .unit = c->outlet->unit });
	manage_answer_text(s, c, h, k, page);
	json_object_put(page);
}

/* The key of a request's name, or NULL: answered. */
static struct key *key_or_answer(struct server *s, struct conn *c, const struct tpmpsk_header *h,
	int decoded, const char *name)
{
	struct key *k;

	if (decoded < 0) {
		answer(s, c, h->id, h->opcode, NULL, TPMPSK_STATUS_MALFORMED, "request");
		return NULL;
	}
	k = keystore_by_name(s->keys, name);
	if (!k)
		answer(s, c, h->id, h->opcode, NULL, STATUS_NOT_FOUND,
			"there is no key of that name");
	return k;
}

void manage_key_show(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_key_name m;
	struct key *k = key_or_answer(s, c, h, tpmpsk_key_name_decode(r, &m), m.name);
	struct json_object *o;
	size_t len;

	if (!k)
		return;
	o = describe(s->keys, k, true, &len);
	if (!o) {
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_INTERNAL, "out of memory");
		return;
	}
	audit_write(&s->audit, c->peer.uid, c->peer.pid,
		&(struct audit_event){
			.opcode = h->opcode, .key = k->name, .unit = c->outlet->unit });
	manage_answer_text(s, c, h, false, o);
	json_object_put(o);
}

void manage_key_who(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_key_who m;
	struct key *k = key_or_answer(s, c, h, tpmpsk_key_who_decode(r, &m), m.name);
	char why[POLICY_ERROR_SIZE] = "", error[KEYSTORE_ERROR_SIZE] = "";
	struct policy policy = { 0 };

	if (!k)
		return;
	if (policy_with(&k->policy, m.who, h->opcode == TPMPSK_OP_KEY_ALLOW, &policy, why) < 0)
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_MALFORMED, why);
	else if (policy.n_allow != k->policy.n_allow && /* else it is as asked for already */
		 keystore_set_policy(s->keys, k, &policy, error) < 0)
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_INTERNAL, error);
	else
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_OK, "");
	policy_done(&policy);
}

void manage_key_remove(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_key_name m;
	struct key *k = key_or_answer(s, c, h, tpmpsk_key_name_decode(r, &m), m.name);
	char error[KEYSTORE_ERROR_SIZE] = "";

	if (!k)
		return;
	key_ref(k); /* keystore_remove() drops the directory's own */
	if (keystore_remove(s->keys, k, error) < 0) {
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_INTERNAL, error);
	} else {
		engine_forget(s->engine, k);
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_OK, "");
	}
	key_unref(k);
}

void manage_key_csr(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_key_csr m;
	struct key *k = key_or_answer(s, c, h, tpmpsk_key_csr_decode(r, &m), m.name);
	struct tpm_signer signer;
	const char *why = "not a key with a certificate";
	struct job *job;

	if (!k)
		return;
	if (!purpose_signs(k->policy.purpose) ||
		tpm_signer_read(&k->file.objects[0], &signer, &why) < 0) {
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_UNSUPPORTED, why);
		return;
	}
	if (!certificate_request_ok(m.info, m.info_len, &signer)) {
		answer(s, c, h->id, h->opcode, k->name, TPMPSK_STATUS_MALFORMED,
			"not a certificate request for this key");
		return;
	}
	job = job_new(s, c, h, JOB_CSR, k, NULL, NULL);
	if (!job)
		return;
	purpose_digest(k->policy.scheme, m.info, m.info_len, job->digest);
	job_submit(s, job);
}

void manage_key_check(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_key_name m;
	struct key *k = key_or_answer(s, c, h, tpmpsk_key_name_decode(r, &m), m.name);
	struct job *job = k ? job_new(s, c, h, JOB_CHECK, k, NULL, NULL) : NULL;

	if (job)
		job_submit(s, job);
}

void manage_reload(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	char error[SERVER_ERROR_SIZE] = "";
	enum tpmpsk_status status = TPMPSK_STATUS_OK;

	if (tpmpsk_empty_decode(r) < 0 || server_reload(s, error) < 0)
		status = TPMPSK_STATUS_MALFORMED;
	answer(s, c, h->id, h->opcode, NULL, status, error);
}
