/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/engine.h"

#include "daemon/hash.h"
#include "daemon/new_key.h"
#include "daemon/primary.h"
#include "daemon/purpose.h"
#include "daemon/user.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct engine {
	int event_fd;
	struct queue queue;
	struct list done;
	uint64_t jobs;
};

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int fuzz_engine_key(struct keyfile *kf, const struct key_secret *secret)
{
	const uint8_t pub[] = { 0, 1, secret->digest };
	uint8_t priv[2 + KEY_SECRET_MAX] = { 0, (uint8_t)secret->len };

	memcpy(priv + 2, secret->bytes, secret->len);
	return keyfile_add(kf, KEYFILE_PARENT_OWNER, pub, sizeof(pub), priv, 2 + secret->len);
}

/* An admin may have adopted what no engine has made. */
static bool is_ours(const struct keyfile_object *o)
{
	return o->pub_len == 3 &&
	       (o->pub[2] == TPMPSK_DIGEST_SHA256 || o->pub[2] == TPMPSK_DIGEST_SHA384);
}

static int compute(void *context, unsigned object, const uint8_t *in, size_t in_len, uint8_t *mac,
	size_t *ret_len)
{
	const struct key *k = context;
	const struct keyfile_object *o = &k->file.objects[object];

	if (object >= k->file.n_objects)
		return -EOPNOTSUPP;
	if (!is_ours(o))
		return -EKEYREJECTED;
	hash_hmac(o->pub[2], o->priv + 2, o->priv_len - 2u, in, in_len, mac);
	*ret_len = tpmpsk_digest_size(o->pub[2]);
	return 0;
}

static int fetch_epoch(struct job *job)
{
	uint8_t message[SESSION_MESSAGE_MAX], mac[MAC_SIZE_MAX];
	size_t len = session_epoch_message(
		job->session.version, session_epoch_of(job->session.unix_ms), message);
	int r = compute(job->key, 0, message, len, mac, &len);

	if (r == 0)
		memcpy(job->derived.secret, mac, SESSION_KEY_SIZE);
	return r;
}

static int create(struct new_key *n)
{
	static const struct key_secret random = { TPMPSK_DIGEST_SHA256, 32, { 1 } };
	int r = 0;

	if (n->n_secrets == 0)
		return fuzz_engine_key(&n->file, &random);
	for (size_t i = 0; r == 0 && i < n->n_secrets; i++)
		r = fuzz_engine_key(&n->file, &n->secrets[i]);
	return r;
}

static int perform(struct job *job)
{
	const struct mac mac = { .compute = compute, .context = job->key };

	switch (job->kind) {
	case JOB_DERIVE:
		return purpose_derive(&job->derive, &mac, &job->derived);
	case JOB_EPOCH:
		return fetch_epoch(job);
	case JOB_CREATE:
		return create(job->new_key);
	case JOB_CSR:
		return -EOPNOTSUPP; /* nothing here can sign */
	case JOB_ADOPT:
	case JOB_CHECK:
		break; /* what loads and what does not, is for the input to say */
	}
	return 0;
}

bool fuzz_engine_step(struct engine *e, int result)
{
	struct queue_entry *entry = queue_pop(&e->queue, NULL, NULL);
	struct job *job;

	if (!entry)
		return false;
	job = list_entry(entry, struct job, entry);
	job->started_ns = clock_ns();
	job->result = result < 0 ? result : perform(job);
	job->finished_ns = clock_ns();
	job_deliver(job);
	queue_charge(&e->queue, entry->account, 1000000);
	list_append(&e->done, &job->done_link);
	e->jobs++;
	return true;
}

int primary_open_tpm(struct keystore *keys, const struct tpm_options *options, struct tpm **ret,
	char error[KEYSTORE_ERROR_SIZE])
{
	(void)keys;
	(void)options;
	(void)error;
	*ret = NULL;
	return 0;
}

int engine_start(struct engine **ret, const struct tpm_options *options, struct tpm *tpm)
{
	struct engine *e = calloc(1, sizeof(*e));

	(void)options;
	(void)tpm;
	if (!e)
		return -ENOMEM;
	e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue_init(&e->queue);
	list_init(&e->done);
	*ret = e;
	return 0;
}

bool engine_stop(struct engine *e, unsigned timeout_ms)
{
	(void)timeout_ms;
	while (fuzz_engine_step(e, -ESHUTDOWN))
		continue;
	return true;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	queue_done(&e->queue);
	close(e->event_fd);
	free(e);
}

int engine_fd(const struct engine *e)
{
	return e->event_fd;
}

void engine_submit(struct engine *e, struct queue_flow *flow, struct job *job)
{
	queue_push(&e->queue, flow, &job->entry);
}

bool engine_cancel(struct engine *e, struct job *job)
{
	return queue_cancel(&e->queue, &job->entry);
}

struct job *engine_collect(struct engine *e)
{
	struct list *first = list_pop(&e->done);

	return first ? list_entry(first, struct job, done_link) : NULL;
}

void engine_forget(struct engine *e, const struct key *key)
{
	(void)e;
	(void)key;
}

void engine_status(struct engine *e, struct engine_status *ret)
{
	*ret = (struct engine_status){
		.state = "ready",
		.info = { .manufacturer = "SOFT", .slots = 1 },
		.stats = { .commands = e->jobs },
		.queued = e->queue.len,
	};
}

int engine_account_add(struct engine *e, struct queue_account *a)
{
	return queue_account_add(&e->queue, a);
}

void engine_account_remove(struct engine *e, struct queue_account *a)
{
	queue_account_remove(&e->queue, a);
}

bool engine_account_settled(struct engine *e, const struct queue_account *a)
{
	return queue_account_settled(&e->queue, a);
}

uint64_t engine_check(struct engine *e, uint64_t now_ns)
{
	(void)e;
	(void)now_ns;
	return 0;
}

bool engine_hopeless(const struct engine *e, uint64_t now_ns)
{
	(void)e;
	(void)now_ns;
	return false;
}
