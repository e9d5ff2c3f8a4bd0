/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whoever answers a job detaches it from its connection first: sending may close the connection, and closing abandons all jobs that are
 * still attached. A job that is abandoned while the TPM has it is an orphan: when it comes back, only its memory is given back.
 */
#include "daemon/job.h"

#include "daemon/conn.h"
#include "daemon/manage.h"
#include "daemon/new_key.h"
#include "daemon/purpose.h"
#include "daemon/server.h"
#include "daemon/session.h"

#include <errno.h>
#include <sodium.h>
#include <sys/socket.h>

#define MAKE_KEY_MS 120000

/* How long, roughly, until the queue has moved on. */
static uint32_t queue_delay_ms(const struct server *s, unsigned jobs)
{
	return (uint32_t)(1 + s->tpm_ns * jobs / 1000000);
}

static const char *key_name(const struct key *key, const struct new_key *new_key)
{
	if (key)
		return key->name;
	return new_key ? new_key->name : NULL;
}

/* One line for the audit and one count, for whatever a job came to. */
static void record(struct server *s, struct user *user, pid_t pid, const struct audit_event *event)
{
	struct audit_event e = *event;

	if (event->opcode == TPMPSK_OP_DERIVE) {
		s->counts[event->status]++;
		stats_answer(&s->stats, user->uid, event->key, event->status, event->queue_us,
			event->tpm_us, s->now_ns);
	}
	e.budget = e.status == TPMPSK_STATUS_OK ? NULL : &user->audit;
	audit_write(&s->audit, user->uid, pid, &e);
}

/*
 * Requests ahead of one more of this connection that are too many, or 0. What has been answered but not collected is collected first,
 * and the job that the TPM works at is not in the queue: who asks one thing after the other is never too many.
 */
static unsigned over_bounds(struct server *s, const struct conn *c)
{
	const struct config_limits *limits = &s->config.limits;

	if (c->user->requests >= limits->queue_per_user || s->n_jobs >= limits->queue)
		server_collect(s);
	if (c->closed)
		return 1; /* by what was collected: nobody is left to answer */
	if (c->user->requests > limits->queue_per_user)
		return c->user->requests;
	return s->n_jobs > limits->queue ? s->n_jobs : 0;
}

/* In the order of deadlines: at the end, unless a reload has made them shorter. */
static void insert_by_deadline(struct list *deadlines, struct job *job)
{
	struct list *behind = deadlines;

	while (behind->prev != deadlines &&
		list_entry(behind->prev, struct job, deadline_link)->deadline_ns > job->deadline_ns)
		behind = behind->prev;
	list_append(behind, &job->deadline_link); /* before `behind` */
}

static void attach(struct server *s, struct conn *c, struct job *job)
{
	job->conn = c;
	job->outlet = outlet_ref(c->outlet);
	job->pid = c->peer.pid;
	list_append(&c->jobs, &job->conn_link);
	insert_by_deadline(&s->deadlines, job);
	c->n_jobs++;
}

static void detach(struct server *s, struct job *job)
{
	struct conn *c = job->conn;

	if (!c)
		return;
	job->conn = NULL;
	list_remove(&job->conn_link);
	list_remove(&job->deadline_link);
	c->n_jobs--;
	conn_update_events(s, c);
}

static struct job *alloc(struct server *s, struct user *user, enum job_kind kind, struct key *key)
{
	struct job *job = slab_get(&s->jobs);

	if (!job)
		return NULL;
	job->received_ns = clock_ns();
	job->kind = kind;
	job->key = key ? key_ref(key) : NULL;
	list_init(&job->wait_link);
	list_init(&job->done_link);
	job->user = user_ref(user);
	job->user->requests++;
	s->n_jobs++;
	return job;
}

struct job *job_new_background(
	struct server *s, struct user *user, enum job_kind kind, struct key *key)
{
	return alloc(s, user, kind, key);
}

/* Making an RSA key takes a TPM made of hardware up to a minute. */
static uint64_t deadline_ms(const struct server *s, enum job_kind kind, const struct new_key *n)
{
	uint64_t ms = s->config.limits.deadline_ms;

	if (kind == JOB_CREATE && purpose_signs(n->policy.purpose) && ms < MAKE_KEY_MS)
		return MAKE_KEY_MS;
	return ms;
}

struct job *job_new(struct server *s, struct conn *c, const struct tpmpsk_header *h,
	enum job_kind kind, struct key *key, const struct tpmpsk_derive *derive,
	struct new_key *new_key)
{
	unsigned ahead = over_bounds(s, c);
	struct job *job = ahead ? NULL : alloc(s, c->user, kind, key);

	if (!job) {
		record(s, c->user, c->peer.pid,
			&(struct audit_event){
				.opcode = h->opcode,
				.status = TPMPSK_STATUS_BUSY,
				.derive = derive,
				.key = key_name(key, new_key),
				.unit = c->outlet->unit,
			});
		conn_send_error(s, c, h->id, h->opcode, TPMPSK_STATUS_BUSY,
			queue_delay_ms(s, ahead), "queue");
		return NULL;
	}
	job->request_id = h->id;
	job->opcode = h->opcode;
	job->deadline_ns = job->received_ns + deadline_ms(s, kind, new_key) * 1000000;
	job->new_key = new_key;
	if (derive)
		job->derive = *derive;
	attach(s, c, job);
	return job;
}

bool job_take_rate(struct server *s, struct job *job)
{
	const struct policy *p = &job->key->policy;
	uint32_t retry_after_ms;

	if (limiter_take(&s->limiter, job->key->id, job->user->uid, p->rate, p->burst, clock_ns(),
		    &retry_after_ms))
		return true;
	job_fail(s, job, TPMPSK_STATUS_BUSY, retry_after_ms, "rate");
	return false;
}

static void job_free(struct server *s, struct job *job)
{
	detach(s, job);
	list_remove(&job->wait_link);
	s->n_jobs--;
	job->user->requests--;
	users_put(&s->users, job->user);
	key_unref(job->key);
	new_key_free(job->new_key);
	outlet_unref(job->outlet);
	slab_put(&s->jobs, job); /* wipes */
}

void job_submit(struct server *s, struct job *job)
{
	job->at_engine = true;
	/* A job of our own must not stand in the queue of a connection that may go away. */
	engine_submit(s->engine, job->conn ? &job->conn->flow : &job->user->background, job);
}

enum tpmpsk_status job_status_of(int result, const char **ret_detail)
{
	static const struct {
		int result;
		enum tpmpsk_status status;
		const char *detail;
	} table[] = {
		{ 0, TPMPSK_STATUS_OK, "" },
		{ -ENODEV, TPMPSK_STATUS_TPM_UNAVAILABLE, "the TPM cannot be reached" },
		{ -EREMCHG, TPMPSK_STATUS_TPM_UNAVAILABLE,
			"another TPM is there than the keys belong to" },
		{ -EBUSY, TPMPSK_STATUS_TPM_UNAVAILABLE, "the TPM cannot do it now" },
		{ -ETIMEDOUT, TPMPSK_STATUS_TPM_UNAVAILABLE, "the TPM does not answer" },
		{ -ESHUTDOWN, TPMPSK_STATUS_SHUTTING_DOWN, "" },
		{ -EKEYREJECTED, TPMPSK_STATUS_MALFORMED,
			"the TPM does not load the key: made by another TPM, or damaged" },
		{ -EINVAL, TPMPSK_STATUS_MALFORMED,
			"not a key as the purpose needs it, or one with a password" },
		{ -EPROTONOSUPPORT, TPMPSK_STATUS_UNSUPPORTED,
			"this TPM signs with an RSA-PSS salt that TLS 1.3 does not take" },
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
	/* Who joined the wait for an epoch secret while it was being fetched has waited for nobody else. */
	if (job->started_ns > job->received_ns)
		event->queue_us = (job->started_ns - job->received_ns) / 1000;
	event->tpm_us = (job->finished_ns - job->started_ns) / 1000;
}

static size_t encode_derived(const struct job *job, uint8_t *packet, size_t cap)
{
	size_t len;

	return tpmpsk_derived_encode(job->request_id, &job->derived, packet, cap, &len) == 0 ? len
											     : 0;
}

void job_deliver(struct job *job)
{
	uint8_t packet[TPMPSK_HEADER_SIZE + sizeof(struct tpmpsk_derived)];
	size_t len;

	if (job->kind != JOB_DERIVE || job->result < 0 || atomic_exchange(&job->answered, true))
		return;
	len = encode_derived(job, packet, sizeof(packet));
	job->sent = send(job->outlet->fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	sodium_memzero(packet, sizeof(packet));
}

/* The answer to a derive request whose job is done, as far as it has not been given. */
static void answer_derive(struct server *s, struct conn *c, struct job *job)
{
	struct audit_event event = {
		.opcode = job->opcode,
		.derive = &job->derive,
		.key = job->key->name,
		.unit = job->outlet->unit,
	};
	uint8_t packet[TPMPSK_HEADER_SIZE + sizeof(struct tpmpsk_derived)];
	const char *detail;

	event.status = job_status_of(job->result, &detail);
	fill_times(job, &event);
	if (event.status == TPMPSK_STATUS_MALFORMED) {
		/* The request was fine; it is our key that is not. */
		event.status = TPMPSK_STATUS_INTERNAL;
		if (log_allowed(&s->result_log))
			log_error("key %s: %s", job->key->name, detail);
	}
	record(s, job->user, job->pid, &event);
	if (event.status == TPMPSK_STATUS_OK)
		job->key->derivations++;
	if (job->sent || !c)
		return;
	if (event.status != TPMPSK_STATUS_OK) {
		conn_send_error(s, c, job->request_id, job->opcode, event.status, 0, detail);
		return;
	}
	conn_send(s, c, packet, encode_derived(job, packet, sizeof(packet)));
	sodium_memzero(packet, sizeof(packet));
}

void job_finish(struct server *s, struct job *job)
{
	struct conn *c = job->conn;

	detach(s, job);
	if (job->kind == JOB_EPOCH)
		session_fetched(s, job);
	else if (job->kind == JOB_DERIVE && (c || job->sent))
		answer_derive(s, c, job);
	else if (c)
		manage_finished(s, c, job);
	job_free(s, job);
}

void job_abandon(struct server *s, struct job *job)
{
	detach(s, job);
	if (job->at_engine && !engine_cancel(s->engine, job))
		return; /* an orphan */
	job_free(s, job);
}

void job_fail(struct server *s, struct job *job, enum tpmpsk_status status, uint32_t retry_after_ms,
	const char *detail)
{
	struct audit_event event = {
		.opcode = job->opcode,
		.status = status,
		.derive = job->kind == JOB_DERIVE ? &job->derive : NULL,
		.key = key_name(job->key, job->new_key),
		.unit = job->outlet->unit,
		.queue_us = (clock_ns() - job->received_ns) / 1000,
	};
	struct conn *c = job->conn;
	uint32_t id = job->request_id;

	/* The TPM thread may be sending the answer at this moment: then there is nothing left to say. */
	if (atomic_exchange(&job->answered, true)) {
		list_remove(&job->deadline_link);
		return;
	}
	record(s, c->user, c->peer.pid, &event);
	job_abandon(s, job);
	conn_send_error(s, c, id, event.opcode, status, retry_after_ms, detail);
}

uint64_t job_expire(struct server *s, uint64_t now_ns)
{
	while (!list_empty(&s->deadlines)) {
		struct job *job = list_entry(s->deadlines.next, struct job, deadline_link);

		if (job->deadline_ns > now_ns)
			return job->deadline_ns;
		job_fail(s, job, TPMPSK_STATUS_DEADLINE, 0, "");
	}
	return 0;
}

void job_fail_all(struct server *s, enum tpmpsk_status status)
{
	while (!list_empty(&s->deadlines))
		job_fail(
			s, list_entry(s->deadlines.next, struct job, deadline_link), status, 0, "");
}
