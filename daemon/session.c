/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request becomes a job at once, so that bounds and deadlines hold for it. When the epoch's secret is there, the job goes straight on
 * to session_continue(); else it waits in the epoch's entry for the one job that fetches it. In epoch mode it is answered from there; in
 * strict mode it goes into the queue for its one TPM command.
 */
#include "daemon/session.h"

#include "daemon/conn.h"
#include "daemon/server.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#define TICK_NS UINT64_C(1000000000)

static uint64_t unix_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t window_ms(const struct server *s)
{
	return (uint64_t)s->config.window_seconds * 1000;
}

int session_init(struct server *s)
{
	epochs_init(&s->sessions.epochs);
	return replay_new(&s->sessions.replay, s->config.replay_entries, window_ms(s), unix_ms());
}

void session_done(struct server *s)
{
	epochs_done(&s->sessions.epochs);
	replay_free(s->sessions.replay);
}

void session_reconfigure(struct server *s)
{
	replay_set_window(s->sessions.replay, window_ms(s));
}

bool session_base(const struct tpmpsk_derive *q, size_t *ret_len)
{
	struct session_identity parsed;

	if (q->role != TPMPSK_ROLE_SERVER) {
		*ret_len = q->identity_len;
		return true;
	}
	if (!session_identity_parse(q->identity, q->identity_len, &parsed))
		return false;
	*ret_len = parsed.base_len;
	return true;
}

/* Client: the time and the nonce are ours, never the caller's. */
static void make_stamp(const struct key *k, size_t base_len, struct session_identity *ret)
{
	*ret = (struct session_identity){
		.version = epochs_version(k),
		.unix_ms = unix_ms(),
		.base_len = base_len,
	};
	randombytes_buf(ret->nonce, sizeof(ret->nonce));
}

static void finish_identity(struct job *job, const struct epoch *entry)
{
	struct tpmpsk_derive *q = &job->derive;

	session_tag(&job->session, q->identity, &entry->keys, job->session.tag);
	job->derived.name_len =
		session_identity_print(&job->session, q->identity, job->derived.name);
	/* From here on both roles derive from the same thing. */
	memcpy(q->identity, job->derived.name, job->derived.name_len);
	q->identity_len = job->derived.name_len;
}

/* Server: tag, then replay. *ret_fresh: it is remembered from now on. */
static enum tpmpsk_status check_identity(
	struct server *s, const struct job *job, const struct epoch *entry, bool *ret_fresh)
{
	const struct tpmpsk_session_identity *in = &job->derive.session_identity;
	uint8_t tag[SESSION_TAG_SIZE];
	bool right;

	session_tag(&job->session, job->derive.identity, &entry->keys, tag);
	right = sodium_memcmp(tag, job->session.tag, sizeof(tag)) == 0;
	sodium_memzero(tag, sizeof(tag));
	if (!right)
		return TPMPSK_STATUS_FORGED;
	switch (replay_check(s->sessions.replay, unix_ms(), clock_ns() / 1000000, job->key->id,
		job->session.unix_ms, job->session.nonce, job->user->uid, in->handshake,
		in->handshake_len)) {
	case REPLAY_FRESH:
		*ret_fresh = true;
		return TPMPSK_STATUS_OK;
	case REPLAY_REPEAT:
		return TPMPSK_STATUS_OK;
	case REPLAY_SEEN:
		return TPMPSK_STATUS_REPLAYED;
	case REPLAY_FORGOTTEN:
		return TPMPSK_STATUS_EXPIRED;
	case REPLAY_FULL:
		break;
	}
	return TPMPSK_STATUS_BUSY;
}

static void session_enter(struct server *s, struct job *job);

/*
 * Server: the key that job->key has replaced, if that may have made the session identity; NULL when there is none. A peer that has not
 * moved on to the new key goes on using it, and its tag tells.
 */
static struct key *older_key(const struct server *s, const struct job *job)
{
	struct key *k = keystore_replaced(s->keys, job->key);

	return k && epochs_version(k) == job->session.version &&
			       policy_allows(&k->policy, &job->conn->peer, job->derive.role)
		       ? k
		       : NULL;
}

static void go_on_with(struct server *s, struct job *job, struct key *k)
{
	key_ref(k);
	key_unref(job->key);
	job->key = k;
	session_enter(s, job);
}

/* With the epoch's secret there: the last checks, and the PSK or the way to it. */
static void session_continue(struct server *s, struct job *job, struct epoch *entry)
{
	const struct session_identity session = job->session;
	const uint64_t key_id = job->key->id;
	enum tpmpsk_status status = TPMPSK_STATUS_OK;
	struct key *older = NULL;
	uint32_t retry_after_ms = 0;
	bool fresh = false;

	entry->used = true;
	if (job->derive.role == TPMPSK_ROLE_CLIENT)
		finish_identity(job, entry);
	else
		status = check_identity(s, job, entry, &fresh);
	if (status == TPMPSK_STATUS_FORGED)
		older = older_key(s, job);
	if (older) {
		go_on_with(s, job, older);
		return;
	}
	if (status != TPMPSK_STATUS_OK) {
		/* A replay memory that is full has room again when the oldest has left the window. */
		if (status == TPMPSK_STATUS_BUSY)
			retry_after_ms = s->config.window_seconds * 1000;
		job_fail(s, job, status, retry_after_ms,
			status == TPMPSK_STATUS_BUSY ? "replay memory" : "");
		return;
	}
	/* The rate counts here and not before: forged identities must not use up what the right ones may have. */
	if (!job_take_rate(s, job)) {
		if (fresh)
			replay_take_back(
				s->sessions.replay, key_id, session.unix_ms, session.nonce);
		return;
	}
	if (job->session.version == SESSION_STRICT) {
		job_submit(s, job);
		return;
	}
	session_epoch_psk(
		job->derive.identity, job->derive.identity_len, &entry->keys, job->derived.secret);
	job->derived.secret_len = SESSION_KEY_SIZE;
	job_finish(s, job);
}

/* Nobody is charged for it: all who use the key share the secret, and nobody should wait for another's turn. */
static void fetch(struct server *s, struct epoch *entry)
{
	struct user *self = users_get(&s->users, USER_SELF);
	struct job *job = self ? job_new_background(s, self, JOB_EPOCH, entry->key) : NULL;

	if (self)
		users_put(&s->users, self);
	if (!job)
		return;
	job->epoch = entry;
	job->session.version = entry->version;
	job->session.unix_ms = entry->number * SESSION_EPOCH_MS;
	entry->fetching = true;
	job_submit(s, job);
}

void session_request(struct server *s, struct conn *c, const struct tpmpsk_header *h, struct key *k,
	const struct tpmpsk_derive *q)
{
	uint64_t now = unix_ms();
	struct key *older;
	struct job *job = job_new(s, c, h, JOB_DERIVE, k, q, NULL);

	if (!job)
		return;
	if (q->role == TPMPSK_ROLE_CLIENT) {
		make_stamp(k, q->identity_len, &job->session);
	} else {
		/* The window comes first: it bounds which epochs anybody can make the TPM compute. */
		(void)session_identity_parse(q->identity, q->identity_len, &job->session);
		if (job->session.unix_ms + window_ms(s) < now ||
			job->session.unix_ms > now + window_ms(s)) {
			job_fail(s, job, TPMPSK_STATUS_EXPIRED, 0, "");
			return;
		}
		if (job->session.version != epochs_version(k)) {
			older = older_key(s, job);
			if (older)
				go_on_with(s, job, older);
			else
				job_fail(s, job, TPMPSK_STATUS_FORGED, 0, "");
			return;
		}
	}
	session_enter(s, job);
}

/* Goes on under job->key, now or when its epoch's secret has come. */
static void session_enter(struct server *s, struct job *job)
{
	struct epoch *entry;

	entry = epochs_get(&s->sessions.epochs, job->key, session_epoch_of(job->session.unix_ms));
	if (!entry) {
		job_fail(s, job, TPMPSK_STATUS_INTERNAL, 0, "out of memory");
		return;
	}
	if (s->sessions.next_tick_ns == 0)
		s->sessions.next_tick_ns = clock_ns() + TICK_NS;
	if (entry->ready) {
		session_continue(s, job, entry);
		return;
	}
	list_append(&entry->waiting, &job->wait_link);
	if (!entry->fetching)
		fetch(s, entry);
	if (!entry->fetching)
		job_fail(s, job, TPMPSK_STATUS_INTERNAL, 0, "out of memory");
}

void session_fetched(struct server *s, struct job *job)
{
	struct epoch *entry = job->epoch;
	struct list *first;

	entry->fetching = false;
	if (job->result == 0)
		epochs_fill(entry, job->derived.secret);
	while ((first = list_pop(&entry->waiting))) {
		struct job *waiting = list_entry(first, struct job, wait_link);

		/* Only the connection can have gone: then the job went with it. */
		waiting->started_ns = job->started_ns;
		waiting->finished_ns = job->finished_ns;
		waiting->result = job->result;
		if (job->result == 0)
			session_continue(s, waiting, entry);
		else
			job_finish(s, waiting);
	}
	if (!entry->ready)
		epochs_drop(&s->sessions.epochs, entry);
}

static bool is_current(void *context, const struct key *k)
{
	struct server *s = context;

	return keystore_by_name(s->keys, k->name) == k;
}

static void fetch_ahead(void *context, struct epoch *entry)
{
	fetch(context, entry);
}

uint64_t session_tick(struct server *s, uint64_t now_ns)
{
	struct sessions *t = &s->sessions;

	if (t->next_tick_ns == 0 || now_ns < t->next_tick_ns)
		return t->next_tick_ns;
	epochs_tick(&t->epochs, &(struct epochs_tick){
					.now_ms = unix_ms(),
					.window_ms = window_ms(s),
					.current = is_current,
					.fetch = fetch_ahead,
					.context = s,
				});
	t->next_tick_ns = t->epochs.count > 0 ? now_ns + TICK_NS : 0;
	return t->next_tick_ns;
}
