/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/engine.h"

#include "daemon/log.h"
#include "daemon/new_key.h"
#include "daemon/purpose.h"
#include "daemon/user.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define RETRY_NS UINT64_C(250000000) /* between two attempts to open a TPM that was lost */
#define SAY_NS UINT64_C(60000000000) /* between two lines that it is still lost */
#define BATCH 16                     /* answered jobs after which the loop is woken all the same */
#define LINGER_NS                                                                                  \
	UINT64_C(2000000) /* how long answered jobs wait for somebody else to wake the loop */
#define FORGET_MAX 32     /* more than this at a time are left to be evicted */

struct engine {
	struct tpm_options options;
	char *tcti;
	pthread_t thread;
	int event_fd;
	uint64_t retry_ns; /* when a lost TPM is tried again; TPM thread only */
	uint64_t say_ns;   /* when it is said again that it is lost; TPM thread only */
	int lost;          /* why it is lost, as tpm_open() says it; TPM thread only */
	struct log_limit lost_log;
	struct tpm *tpm; /* NULL while lost; TPM thread only */

	_Atomic uint64_t busy_ns; /* since when the TPM thread has been with the TPM; 0: it is not */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t work;  /* for the TPM thread */
	pthread_cond_t end;   /* for who stops it */
	struct queue queue;
	struct list done;
	unsigned n_unseen; /* of done, since the loop last looked */
	bool woken;        /* the loop has been told to look */
	bool stopping;
	bool ended; /* the TPM thread will touch nothing any more */
	bool silent; /* the TPM has had the thread for too long: nothing is queued */
	const char *state;
	size_t n_forget;
	uint64_t forget[FORGET_MAX];
	struct tpm_info info;
	struct tpm_stats past; /* of TPM contexts closed before */
	struct tpm_stats now;
};

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};
}

static void add_stats(struct tpm_stats *sum, const struct tpm_stats *s)
{
	sum->commands += s->commands;
	sum->loads += s->loads;
	sum->evictions += s->evictions;
	sum->rebuilds += s->rebuilds;
	sum->waits += s->waits;
}

/* TPM thread: what the loop may know of the TPM. */
static void publish(struct engine *e)
{
	e->state = e->tpm ? "ready" : e->lost == -EREMCHG ? "different" : "unavailable";
	if (e->tpm) {
		e->info = *tpm_info(e->tpm);
		e->now = *tpm_stats(e->tpm);
	} else {
		add_stats(&e->past, &e->now);
		e->now = (struct tpm_stats){ 0 };
	}
}

static void lose_tpm(struct engine *e, int why)
{
	tpm_free(e->tpm);
	e->tpm = NULL;
	e->lost = why;
	e->retry_ns = clock_ns();
}

/* Opens a lost TPM when it is time to. */
static void find_tpm(struct engine *e)
{
	uint64_t now = clock_ns();
	int r;

	if (e->tpm || now < e->retry_ns)
		return;
	e->options.quiet = now < e->say_ns;
	if (!e->options.quiet)
		e->say_ns = now + SAY_NS;
	r = tpm_open(&e->tpm, &e->options);
	if (r < 0) {
		e->tpm = NULL;
		e->lost = r == -EREMCHG ? r : -ENODEV;
		e->retry_ns = clock_ns() + RETRY_NS;
		return;
	}
	e->say_ns = 0;
	log_notice("TPM: available again");
}

struct mac_context {
	struct tpm *tpm;
	const struct key *key;
};

static int mac_by_tpm(void *context, unsigned object, const uint8_t *in, size_t in_len,
	uint8_t *mac, size_t *ret_len)
{
	struct mac_context *c = context;

	if (object >= c->key->file.n_objects)
		return -EOPNOTSUPP;
	return tpm_hmac(c->tpm, c->key->id + object, &c->key->file.objects[object], in, in_len, mac,
		ret_len);
}

static int sign_by_tpm(void *context, enum tpmpsk_scheme scheme, const uint8_t *digest,
	uint8_t *signature, size_t *ret_len)
{
	struct mac_context *c = context;

	if (c->key->file.n_objects != 1)
		return -EINVAL;
	return tpm_sign(
		c->tpm, c->key->id, &c->key->file.objects[0], scheme, digest, signature, ret_len);
}

static int derive(struct engine *e, struct job *job)
{
	struct mac_context context = { e->tpm, job->key };
	const struct mac mac = { mac_by_tpm, &context, sign_by_tpm };

	return purpose_derive(&job->derive, &mac, &job->derived);
}

static int create(struct engine *e, struct job *job)
{
	struct new_key *n = job->new_key;
	int r = 0;

	keyfile_done(&n->file); /* what a TPM that was lost in the middle had made already */
	if (purpose_signs(n->policy.purpose))
		return tpm_create_signer(e->tpm, n->policy.scheme, &n->file);
	if (n->n_secrets == 0)
		return tpm_create_hmac(e->tpm, TPMPSK_DIGEST_SHA256, NULL, 0, &n->file);
	for (size_t i = 0; r == 0 && i < n->n_secrets; i++) {
		const struct key_secret *secret = &n->secrets[i];

		if (secret->digest == TPMPSK_DIGEST_SHA384 && !tpm_info(e->tpm)->sha384)
			continue;
		r = tpm_create_hmac(e->tpm, secret->digest, secret->bytes, secret->len, &n->file);
	}
	return r;
}

static int adopt(struct engine *e, struct job *job)
{
	const struct new_key *n = job->new_key;

	if (purpose_signs(n->policy.purpose))
		return tpm_try_signer(e->tpm, &n->file.objects[0]);
	return tpm_try_hmac(e->tpm, &n->file.objects[0]);
}

static int check(struct engine *e, struct job *job)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < job->key->file.n_objects; i++)
		r = tpm_try_load(e->tpm, &job->key->file.objects[i]);
	return r;
}

static int sign_request(struct engine *e, struct job *job)
{
	struct mac_context context = { e->tpm, job->key };

	return sign_by_tpm(&context, job->key->policy.scheme, job->digest, job->derived.signature,
		&job->derived.signature_len);
}

static int fetch_epoch(struct engine *e, struct job *job)
{
	uint8_t message[SESSION_MESSAGE_MAX];
	struct mac_context context = { e->tpm, job->key };
	size_t len = session_epoch_message(
		job->session.version, session_epoch_of(job->session.unix_ms), message);
	uint8_t mac[TPM_MAC_MAX];
	int r;

	r = mac_by_tpm(&context, 0, message, len, mac, &len);
	if (r == 0)
		memcpy(job->derived.secret, mac, SESSION_KEY_SIZE);
	sodium_memzero(mac, sizeof(mac));
	return r;
}

static int (*const tasks[])(struct engine *e, struct job *job) = {
	[JOB_DERIVE] = derive,
	[JOB_CREATE] = create,
	[JOB_ADOPT] = adopt,
	[JOB_CHECK] = check,
	[JOB_CSR] = sign_request,
	[JOB_EPOCH] = fetch_epoch,
};

/* A TPM that is lost in the middle is opened again at once, and the job gets a second chance. */
static int perform(struct engine *e, struct job *job)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		int r;

		find_tpm(e);
		if (!e->tpm)
			return e->lost;
		tpm_work_for(e->tpm, job->user->uid);
		r = tasks[job->kind](e, job);
		if (r != -ENODEV && r != -EREMCHG)
			return r;
		if (log_allowed(&e->lost_log))
			log_error("TPM: lost");
		lose_tpm(e, r);
	}
	return e->lost;
}

/* TPM thread: gives up the lock and goes to the TPM, from which it may not come back. Returns the time. */
static uint64_t enter_tpm(struct engine *e)
{
	uint64_t now = clock_ns();

	e->busy_ns = now;
	pthread_mutex_unlock(&e->lock);
	return now;
}

static void leave_tpm(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	if (e->silent)
		log_notice("TPM: answers again, after %" PRIu64 " s",
			(clock_ns() - e->busy_ns) / 1000000000);
	e->silent = false;
	e->busy_ns = 0;
}

static void forget_keys(struct engine *e)
{
	while (e->n_forget > 0) {
		uint64_t id = e->forget[--e->n_forget];

		enter_tpm(e);
		for (unsigned i = 0; e->tpm && i < KEYFILE_OBJECTS_MAX; i++)
			tpm_forget(e->tpm, id + i);
		leave_tpm(e);
	}
}

/*
 * A job that is answered already need not wake the loop at once: it is collected with the next event, with the others of its batch, or
 * when the TPM has nothing more to do. Lock held.
 */
static void wake_loop(struct engine *e)
{
	const uint64_t one = 1;

	if (e->woken)
		return;
	e->woken = true;
	if (write(e->event_fd, &one, sizeof(one)) < 0)
		log_error_r(-errno, "wake the loop");
}

static void finish(struct engine *e, struct job *job)
{
	list_append(&e->done, &job->done_link);
	if (!job->sent || ++e->n_unseen >= BATCH)
		wake_loop(e);
}

/* Without the TPM. Lock held. */
static void refuse(struct engine *e, struct job *job, int r)
{
	job->result = r;
	job->started_ns = job->finished_ns = clock_ns();
	finish(e, job);
}

static void refuse_queued(struct engine *e, int r)
{
	for (struct queue_entry *entry; (entry = queue_pop(&e->queue, NULL, NULL));)
		refuse(e, list_entry(entry, struct job, entry), r);
}

static void wait_without_tpm(struct engine *e)
{
	struct timespec until = timespec_of(e->retry_ns);

	if (clock_ns() < e->retry_ns)
		pthread_cond_timedwait(&e->work, &e->lock, &until);
	enter_tpm(e);
	find_tpm(e);
	leave_tpm(e);
	publish(e);
}

/* Nothing is queued. Lock held. */
static void wait_for_work(struct engine *e)
{
	struct timespec until;

	if (!e->tpm) {
		wait_without_tpm(e);
	} else if (list_empty(&e->done)) {
		pthread_cond_wait(&e->work, &e->lock);
	} else {
		/* A client that asks one thing after the other wakes the loop by its next request: give it a moment. */
		until = timespec_of(clock_ns() + LINGER_NS);
		if (pthread_cond_timedwait(&e->work, &e->lock, &until) == ETIMEDOUT &&
			!list_empty(&e->done))
			wake_loop(e);
	}
}

/* A load costs several HMACs: requests for keys that are there go before those that push them out. */
static bool needs_no_load(void *context, const struct queue_entry *entry)
{
	const struct engine *e = context;
	const struct job *job = list_entry((struct queue_entry *)entry, struct job, entry);

	return !job->key ||
	       (e->tpm && tpm_is_loaded(e->tpm, job->key->id + purpose_object(&job->derive)));
}

static void *tpm_thread(void *context)
{
	struct engine *e = context;

	pthread_mutex_lock(&e->lock);
	while (!e->stopping) {
		struct queue_entry *entry;
		struct job *job;

		forget_keys(e);
		entry = queue_pop(&e->queue, needs_no_load, e);
		if (!entry) {
			if (!e->stopping) /* set while the lock was open in forget_keys(), perhaps */
				wait_for_work(e);
			continue;
		}
		job = list_entry(entry, struct job, entry);
		job->started_ns = enter_tpm(e);

		job->result = perform(e, job);
		job->finished_ns = clock_ns();
		job_deliver(job);

		leave_tpm(e);
		publish(e);
		queue_charge(&e->queue, entry->account, job->finished_ns - job->started_ns);
		finish(e, job);
	}
	refuse_queued(e, -ESHUTDOWN);
	pthread_mutex_unlock(&e->lock);
	lose_tpm(e, -ENODEV);

	pthread_mutex_lock(&e->lock);
	e->ended = true;
	pthread_cond_signal(&e->end);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

static void destroy_locks(struct engine *e)
{
	pthread_cond_destroy(&e->work);
	pthread_cond_destroy(&e->end);
	pthread_mutex_destroy(&e->lock);
}

static int start_thread(struct engine *e)
{
	pthread_condattr_t attr;
	int r;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->work, &attr);
	pthread_cond_init(&e->end, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&e->lock, NULL);
	r = pthread_create(&e->thread, NULL, tpm_thread, e);
	if (r == 0)
		return 0;
	destroy_locks(e);
	return -r;
}

int engine_start(struct engine **ret, const struct tpm_options *options, struct tpm *tpm)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->event_fd = -1;
	queue_init(&e->queue);
	list_init(&e->done);
	e->options = *options;
	e->tcti = strdup(options->tcti);
	r = -ENOMEM;
	if (!e->tcti)
		goto fail;
	e->options.tcti = e->tcti;
	e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = -errno;
	if (e->event_fd < 0)
		goto fail;
	e->options.primary = *tpm_primary(tpm);
	e->tpm = tpm;
	publish(e);
	r = start_thread(e);
	if (r < 0)
		goto fail;
	*ret = e;
	return 0;

fail:
	if (e->event_fd >= 0)
		close(e->event_fd);
	free(e->tcti);
	free(e);
	return r;
}

bool engine_stop(struct engine *e, unsigned timeout_ms)
{
	struct timespec until = timespec_of(clock_ns() + (uint64_t)timeout_ms * 1000000);
	bool ended;

	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	pthread_cond_signal(&e->work);
	while (!e->ended && pthread_cond_timedwait(&e->end, &e->lock, &until) == 0)
		continue;
	ended = e->ended;
	pthread_mutex_unlock(&e->lock);
	if (ended)
		pthread_join(e->thread, NULL);
	return ended;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	queue_done(&e->queue);
	destroy_locks(e);
	close(e->event_fd);
	free(e->tcti);
	free(e);
}

int engine_fd(const struct engine *e)
{
	return e->event_fd;
}

void engine_submit(struct engine *e, struct queue_flow *flow, struct job *job)
{
	pthread_mutex_lock(&e->lock);
	if (e->silent)
		refuse(e, job, -ETIMEDOUT);
	else
		queue_push(&e->queue, flow, &job->entry);
	pthread_mutex_unlock(&e->lock);
	/* Behind the unlock, or the TPM thread would wake up to wait for the lock. */
	pthread_cond_signal(&e->work);
}

bool engine_cancel(struct engine *e, struct job *job)
{
	bool cancelled;

	pthread_mutex_lock(&e->lock);
	cancelled = queue_cancel(&e->queue, &job->entry);
	pthread_mutex_unlock(&e->lock);
	return cancelled;
}

struct job *engine_collect(struct engine *e)
{
	struct list *first;
	uint64_t count;

	pthread_mutex_lock(&e->lock);
	first = list_pop(&e->done);
	e->n_unseen = 0;
	/* Cleared under the lock that it is set under, and only when nothing is left: no wake-up is lost. */
	if (!first && e->woken) {
		e->woken = false;
		if (read(e->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			log_error_r(-errno, "clear the wake-up");
	}
	pthread_mutex_unlock(&e->lock);
	return first ? list_entry(first, struct job, done_link) : NULL;
}

uint64_t engine_check(struct engine *e, uint64_t now_ns)
{
	uint64_t since = e->busy_ns;
	bool fell_silent;

	if (since == 0)
		return 0;
	if (now_ns < since + ENGINE_SILENT_NS)
		return since + ENGINE_SILENT_NS;
	pthread_mutex_lock(&e->lock);
	fell_silent = !e->silent && e->busy_ns == since;
	if (fell_silent) {
		e->silent = true;
		refuse_queued(e, -ETIMEDOUT);
	}
	pthread_mutex_unlock(&e->lock);
	if (fell_silent)
		log_error("TPM: has not answered for %" PRIu64 " s; all requests are refused until it does",
			(now_ns - since) / 1000000000);
	return 0;
}

bool engine_hopeless(const struct engine *e, uint64_t now_ns)
{
	uint64_t since = e->busy_ns;

	return since != 0 && now_ns > since + ENGINE_HOPELESS_NS;
}

void engine_forget(struct engine *e, const struct key *key)
{
	pthread_mutex_lock(&e->lock);
	if (e->n_forget < FORGET_MAX)
		e->forget[e->n_forget++] = key->id;
	pthread_cond_signal(&e->work);
	pthread_mutex_unlock(&e->lock);
}

void engine_status(struct engine *e, struct engine_status *ret)
{
	pthread_mutex_lock(&e->lock);
	*ret = (struct engine_status){
		.state = e->silent ? "silent" : e->state,
		.info = e->info,
		.stats = e->now,
		.queued = e->queue.len,
	};
	add_stats(&ret->stats, &e->past);
	pthread_mutex_unlock(&e->lock);
}

int engine_account_add(struct engine *e, struct queue_account *a)
{
	int r;

	pthread_mutex_lock(&e->lock);
	r = queue_account_add(&e->queue, a);
	pthread_mutex_unlock(&e->lock);
	return r;
}

void engine_account_remove(struct engine *e, struct queue_account *a)
{
	pthread_mutex_lock(&e->lock);
	queue_account_remove(&e->queue, a);
	pthread_mutex_unlock(&e->lock);
}

bool engine_account_settled(struct engine *e, const struct queue_account *a)
{
	bool settled;

	pthread_mutex_lock(&e->lock);
	settled = queue_account_settled(&e->queue, a);
	pthread_mutex_unlock(&e->lock);
	return settled;
}
