/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Using keys: loading, keeping loaded what is used most, and HMAC. A TPM has few slots (three in
 * libtpms) and some commands need one for themselves while they run, so "full" is no error here:
 * the key used least goes, and the command is sent again.
 *
 * A key may turn out to have a password although nobody gave us one. Unless the key is exempt, as
 * those are that we make, the TPM counts each such attempt, and locks out everybody after some. So
 * such a key is tried once, and when it has failed it is refused without the TPM for as long as the
 * connection lasts.
 */
#include "daemon/tpm_internal.h"

#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_sys.h>

#define SPARE_MS 1000    /* a key used within this time is in use; one that was not rests */
#define USES_HALVED 64   /* HMACs between two times that all counts of uses are halved */
#define PASSWORD_AREA 13 /* bytes that authorisation by an empty password adds to a command */

static struct tpm_loaded *find_loaded(struct tpm *t, uint64_t id)
{
	for (size_t i = 0; i < TPM_LOADED_MAX; i++)
		if (t->loaded[i].key.handle != ESYS_TR_NONE && t->loaded[i].id == id)
			return &t->loaded[i];
	return NULL;
}

static void unload(struct tpm *t, struct tpm_loaded *entry)
{
	tpm_flush(t, &entry->key.handle);
	t->stats.loaded--;
}

void tpm_flush_loaded(struct tpm *t)
{
	for (size_t i = 0; i < TPM_LOADED_MAX; i++)
		if (t->loaded[i].key.handle != ESYS_TR_NONE)
			unload(t, &t->loaded[i]);
}

bool tpm_is_loaded(const struct tpm *t, uint64_t id)
{
	return find_loaded((struct tpm *)t, id);
}

void tpm_forget(struct tpm *t, uint64_t id)
{
	struct tpm_loaded *entry = find_loaded(t, id);

	if (entry)
		unload(t, entry);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void tpm_work_for(struct tpm *t, uint32_t user)
{
	t->user = user;
}

/* What is not to be evicted as long as there is something else. */
enum spare {
	SPARE_OTHERS = 1 << 0,   /* what another user needs at the moment */
	SPARE_SIBLINGS = 1 << 1, /* the other objects of the key that is being loaded */
};

static bool are_siblings(uint64_t a, uint64_t b)
{
	return (a - 1) / KEYFILE_OBJECTS_MAX == (b - 1) / KEYFILE_OBJECTS_MAX;
}

static unsigned uses_of(const struct tpm_loaded *entry, int64_t recent)
{
	return entry->used_ms > recent ? entry->uses : 0;
}

/*
 * The key used least lately, and of several the one used longest ago, but not keep. By time alone,
 * each key that is asked for once would push out one that is asked for all the time; by uses alone,
 * two that are in use would push out each other beside one that was. And where one handshake needs
 * two objects, by uses alone they would push out each other beside one that was.
 */
static struct tpm_loaded *least_used(struct tpm *t, ESYS_TR keep, unsigned spare)
{
	struct tpm_loaded *found = NULL;
	int64_t recent = now_ms() - SPARE_MS;

	for (size_t i = 0; i < TPM_LOADED_MAX; i++) {
		struct tpm_loaded *entry = &t->loaded[i];

		if (entry->key.handle == ESYS_TR_NONE || entry->key.handle == keep)
			continue;
		if (spare & SPARE_OTHERS && entry->user != t->user && entry->used_ms > recent)
			continue;
		if (spare & SPARE_SIBLINGS && are_siblings(entry->id, t->loading))
			continue;
		if (!found || uses_of(entry, recent) < uses_of(found, recent) ||
			(uses_of(entry, recent) == uses_of(found, recent) &&
				entry->used < found->used))
			found = entry;
	}
	return found;
}

/* Flushes a key to make room; false when there is none to flush. */
static bool evict(struct tpm *t, ESYS_TR keep)
{
	static const unsigned spare[] = { SPARE_OTHERS | SPARE_SIBLINGS, SPARE_OTHERS, 0 };
	struct tpm_loaded *entry = NULL;

	for (size_t i = 0; !entry && i < sizeof(spare) / sizeof(spare[0]); i++)
		entry = least_used(t, keep, spare[i]);
	if (!entry)
		return false;
	unload(t, entry);
	t->stats.evictions++;
	return true;
}

bool tpm_made_room(struct tpm *t, TSS2_RC rc, ESYS_TR keep)
{
	if (!tpm_rc_is(rc, TPM2_RC_OBJECT_MEMORY) && !tpm_rc_is(rc, TPM2_RC_MEMORY))
		return false;
	return evict(t, keep);
}

/*
 * The hash of an HMAC key that we may use with an empty auth, or TPM2_ALG_NULL for any other kind
 * of object.
 */
static TPMI_ALG_HASH hmac_hash(const TPMT_PUBLIC *p)
{
	const TPMT_KEYEDHASH_SCHEME *scheme = &p->parameters.keyedHashDetail.scheme;
	const TPMA_OBJECT want = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH;

	if (p->type != TPM2_ALG_KEYEDHASH ||
		(p->objectAttributes & (want | TPMA_OBJECT_RESTRICTED)) != want)
		return TPM2_ALG_NULL;
	/* A key without a scheme takes the one that the command names. */
	if (scheme->scheme == TPM2_ALG_NULL)
		return TPM2_ALG_SHA256;
	if (scheme->scheme != TPM2_ALG_HMAC)
		return TPM2_ALG_NULL;
	switch (scheme->details.hmac.hashAlg) {
	case TPM2_ALG_SHA256:
	case TPM2_ALG_SHA384:
		return scheme->details.hmac.hashAlg;
	default:
		return TPM2_ALG_NULL;
	}
}

static enum tpmpsk_scheme signer_scheme(const TPMT_PUBLIC *p)
{
	struct tpm_signer signer;
	const char *why;

	return tpm_signer_from(p, &signer, &why) == 0 ? signer.scheme : TPMPSK_SCHEME_NONE;
}

static size_t hash_size(TPMI_ALG_HASH hash)
{
	return hash == TPM2_ALG_SHA384 ? TPM2_SHA384_DIGEST_SIZE : TPM2_SHA256_DIGEST_SIZE;
}

/* The library reads a public area to its own end, whatever the size in front of it says. */
static bool size_field_ok(const uint8_t *area, size_t len)
{
	return len >= 2 && (size_t)(area[0] << 8 | area[1]) == len - 2;
}

int tpm_unmarshal(const struct keyfile_object *o, TPM2B_PUBLIC *pub, TPM2B_PRIVATE *priv)
{
	size_t pub_used = 0, priv_used = 0;

	*pub = (TPM2B_PUBLIC){ 0 };
	*priv = (TPM2B_PRIVATE){ 0 };
	if (!size_field_ok(o->pub, o->pub_len) || !size_field_ok(o->priv, o->priv_len))
		return -EKEYREJECTED;
	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(o->pub, o->pub_len, &pub_used, pub) != TSS2_RC_SUCCESS ||
		Tss2_MU_TPM2B_PRIVATE_Unmarshal(o->priv, o->priv_len, &priv_used, priv) !=
			TSS2_RC_SUCCESS ||
		pub_used != o->pub_len || priv_used != o->priv_len)
		return -EKEYREJECTED;
	return 0;
}

static int parent_open(struct tpm *t, uint32_t parent, ESYS_TR *ret)
{
	ESYS_TR handle = ESYS_TR_NONE;
	TSS2_RC rc;
	int r;

	if (parent == KEYFILE_PARENT_OWNER) {
		r = tpm_fetch_primary(t);
		*ret = t->primary;
		return r;
	}
	rc = Esys_TR_FromTPMPublic(
		t->esys, parent, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle);
	r = tpm_check(t, rc, "look up a key's persistent parent");
	if (r < 0)
		return tpm_rc_is_about_input(rc) ? -EKEYREJECTED : r;
	*ret = handle;
	return 0;
}

static bool is_refused(const struct tpm *t, uint64_t id)
{
	for (size_t i = 0; i < t->refused.n; i++)
		if (t->refused.ids[i] == id)
			return true;
	return false;
}

static void refuse(struct tpm *t, uint64_t id)
{
	struct tpm_refused *x = &t->refused;

	x->ids[x->next] = id;
	x->next = (x->next + 1) % TPM_REFUSED_MAX;
	if (x->n < TPM_REFUSED_MAX)
		x->n++;
	if (tpm_may_log(t))
		log_warning("TPM: a key or its parent has a password: not tried again");
}

static void parent_close(struct tpm *t, ESYS_TR parent)
{
	if (parent == t->primary)
		tpm_park_primary(t);
	else
		Esys_TR_Close(t->esys, &parent);
}

/*
 * TPM2_Load by password is how a key comes back in. Measured with HMAC and flush around it
 * (tests/bench/reload.c) on a software TPM: in an encrypted session TPM2_Load takes a third to two
 * thirds more than TPM2_ContextLoad, which takes no session; by password a tenth. And a context would have to be
 * saved first, be kept for each key, and be replaced after each reset of the TPM; where commands are
 * slow, as in chips, both are one.
 *
 * There is nothing to encrypt: the private area is, by the TPM. What the session would do besides is
 * to see that nobody on the bus gives the TPM a key of theirs. The key's name does that, which has a
 * hash of its secret in it: ESYS compares the name that comes back with the public area that we
 * gave, and the TPM counts it into the authorisation of each HMAC in a session.
 */
int tpm_load(struct tpm *t, const struct keyfile_object *o, struct tpm_key *ret)
{
	TPM2B_PUBLIC pub;
	TPM2B_PRIVATE priv;
	ESYS_TR parent, handle = ESYS_TR_NONE;
	TSS2_RC rc;
	int r;

	r = tpm_unmarshal(o, &pub, &priv);
	if (r < 0)
		return r;
	ret->hash = hmac_hash(&pub.publicArea);
	ret->scheme = signer_scheme(&pub.publicArea);
	ret->counted = !(pub.publicArea.objectAttributes & TPMA_OBJECT_NODA);
	if (ret->hash == TPM2_ALG_NULL && ret->scheme == TPMPSK_SCHEME_NONE)
		return -EINVAL;
	r = parent_open(t, o->parent, &parent);
	if (r < 0)
		return r;
	do
		rc = Esys_Load(t->esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &priv,
			&pub, &handle);
	while (tpm_made_room(t, rc, ESYS_TR_NONE));
	parent_close(t, parent);
	t->stats.loads++;
	r = tpm_check(t, rc, "load a key");
	if (tpm_rc_is_auth(rc))
		/* The primary key has no password: then it is not the one we think. */
		return o->parent == KEYFILE_PARENT_OWNER ? -ESTALE : -EACCES;
	if (r < 0 && r != -ESTALE)
		return tpm_rc_is_about_input(rc) ? -EKEYREJECTED : r;
	if (r < 0)
		return r;
	ret->handle = handle;
	return 0;
}

/* So that uses of long ago count less and less, and a key that was hot yesterday does not stay. */
static void age_uses(struct tpm *t)
{
	if (t->clock % USES_HALVED != 0)
		return;
	for (size_t i = 0; i < TPM_LOADED_MAX; i++)
		t->loaded[i].uses /= 2;
}

int tpm_get_loaded(
	struct tpm *t, uint64_t id, const struct keyfile_object *o, struct tpm_loaded **ret)
{
	struct tpm_loaded *entry = find_loaded(t, id);
	struct tpm_key key;
	int r;

	if (!entry) {
		if (is_refused(t, id))
			return -EINVAL;
		t->loading = id;
		while (t->stats.loaded >= t->info.slots && evict(t, ESYS_TR_NONE))
			continue;
		r = tpm_load(t, o, &key);
		t->loading = 0;
		if (r == -EACCES) {
			refuse(t, id);
			r = -EINVAL;
		}
		if (r < 0)
			return r;
		for (entry = t->loaded; entry->key.handle != ESYS_TR_NONE; entry++)
			assert(entry < &t->loaded[TPM_LOADED_MAX - 1]);
		*entry = (struct tpm_loaded){ .id = id, .key = key };
		t->stats.loaded++;
	}
	entry->uses++;
	entry->used = ++t->clock;
	age_uses(t);
	entry->used_ms = now_ms();
	entry->user = t->user;
	*ret = entry;
	return 0;
}

/* For a TPM without TPM2_HMAC: the same in two commands. */
static TSS2_RC hmac_by_sequence(struct tpm *t, ESYS_TR key, ESYS_TR auth, TPMI_ALG_HASH hash,
	const TPM2B_MAX_BUFFER *in, TPM2B_DIGEST **ret)
{
	const TPM2B_AUTH no_auth = { .size = 0 };
	ESYS_TR sequence = ESYS_TR_NONE;
	TSS2_RC rc;

	do
		rc = Esys_HMAC_Start(
			t->esys, key, auth, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, hash, &sequence);
	while (tpm_made_room(t, rc, key));
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	rc = Esys_SequenceComplete(t->esys, sequence, auth, ESYS_TR_NONE, ESYS_TR_NONE, in,
		ESYS_TR_RH_NULL, ret, NULL);
	if (rc != TSS2_RC_SUCCESS)
		tpm_flush(t, &sequence);
	return rc;
}

/*
 * SAPI keeps the last answer in the buffer that it builds commands in, with the end of the command
 * behind it, and decryption leaves a copy on the stack. An HMAC of zeroes, marshalled and never sent,
 * covers the former: it has no authorisation in front of its input, so a password's is added. (A
 * session has more in front, and its input is encrypted.)
 */
static void wipe_buffer(struct tpm *t, size_t in_len)
{
	const size_t len = in_len + PASSWORD_AREA;
	TPM2B_MAX_BUFFER zeroes = { .size = TPM_MAC_MAX };
	TSS2_SYS_CONTEXT *sys;

	if (len > zeroes.size)
		zeroes.size = (UINT16)(len < TPM_INPUT_MAX ? len : TPM_INPUT_MAX);
	if (Esys_GetSysContext(t->esys, &sys) == TSS2_RC_SUCCESS)
		(void)!Tss2_Sys_HMAC_Prepare(sys, TPM2_RH_NULL, &zeroes, TPM2_ALG_SHA256);
	sodium_stackzero(STACK_TO_WIPE);
}

/* -EACCES: the authorisation was wrong, and not because of the session. */
static int hmac(struct tpm *t, const struct tpm_key *key, ESYS_TR auth, const uint8_t *in,
	size_t in_len, uint8_t *mac, size_t *ret_mac_len)
{
	TPM2B_MAX_BUFFER buffer = { .size = (UINT16)in_len };
	TPM2B_DIGEST *out = NULL;
	TSS2_RC rc;
	int r;

	if (key->hash == TPM2_ALG_NULL)
		return -EINVAL;
	memcpy(buffer.buffer, in, in_len);
	if (t->info.one_shot_hmac)
		rc = Esys_HMAC(t->esys, key->handle, auth, ESYS_TR_NONE, ESYS_TR_NONE, &buffer,
			key->hash, &out);
	else
		rc = hmac_by_sequence(t, key->handle, auth, key->hash, &buffer, &out);
	sodium_memzero(buffer.buffer, in_len);
	r = tpm_check(t, rc, "compute an HMAC");
	if (tpm_rc_is_auth(rc))
		r = auth == t->session ? tpm_session_check(t) : -EACCES;
	if (r == 0 && out && out->size == hash_size(key->hash)) {
		memcpy(mac, out->buffer, out->size);
		*ret_mac_len = out->size;
	} else if (r == 0) {
		r = -EIO;
	}
	if (out)
		sodium_memzero(out, sizeof(*out));
	Esys_Free(out);
	wipe_buffer(t, in_len);
	return r;
}

struct hmac_call {
	uint64_t id;
	const struct keyfile_object *object;
	const uint8_t *in;
	size_t in_len;
	uint8_t *mac;
	size_t *ret_mac_len;
};

int tpm_refuse_loaded(struct tpm *t, struct tpm_loaded *entry)
{
	if (entry->key.counted)
		refuse(t, entry->id);
	unload(t, entry);
	return -EINVAL;
}

static int hmac_call(struct tpm *t, void *arg)
{
	const struct hmac_call *c = arg;
	struct tpm_loaded *entry;
	int r;

	r = tpm_get_loaded(t, c->id, c->object, &entry);
	if (r < 0)
		return r;
	r = hmac(t, &entry->key, tpm_auth(t), c->in, c->in_len, c->mac, c->ret_mac_len);
	/* The command may have been damaged on its way. */
	if (r == -EACCES && (entry->worked || !entry->key.counted))
		r = hmac(t, &entry->key, tpm_auth(t), c->in, c->in_len, c->mac, c->ret_mac_len);
	if (r == 0)
		entry->worked = true;
	return r == -EACCES ? tpm_refuse_loaded(t, entry) : r;
}

int tpm_hmac(struct tpm *t, uint64_t id, const struct keyfile_object *object, const uint8_t *in,
	size_t in_len, uint8_t *mac, size_t *ret_mac_len)
{
	struct hmac_call call = { id, object, in, in_len, mac, ret_mac_len };

	assert(in_len <= TPM_INPUT_MAX);
	return tpm_retry(t, hmac_call, &call);
}

int tpm_spare_attempt(struct tpm *t)
{
	UINT32 counted = 0, allowed = 0;
	int r;

	r = tpm_lockout_counts(t, &counted, &allowed);
	if (r < 0 || counted + 1 <= (allowed + 1) / 2)
		return r;
	if (tpm_may_log(t))
		log_warning("TPM: has counted %u wrong passwords of %u that it allows: a key that "
			    "may have one is not tried",
			counted, allowed);
	return -EBUSY;
}

static int load_call(struct tpm *t, void *arg)
{
	struct tpm_key key;
	int r;

	r = tpm_load(t, arg, &key);
	if (r < 0)
		return r == -EACCES ? -EINVAL : r;
	tpm_flush(t, &key.handle);
	return 0;
}

int tpm_try_load(struct tpm *t, const struct keyfile_object *object)
{
	return tpm_retry(t, load_call, (void *)object);
}

/*
 * With an empty password in the clear, so that a failure is the key's and not a session's: what the
 * probe gives is of no use to anybody who listens.
 */
static int try_call(struct tpm *t, void *arg)
{
	static const uint8_t probe[] = "tpm-pskd adopts a key";
	uint8_t mac[TPM_MAC_MAX];
	struct tpm_key key;
	size_t mac_len;
	int r;

	r = tpm_load(t, arg, &key);
	if (r < 0)
		return r == -EACCES ? -EINVAL : r;
	r = key.hash == TPM2_ALG_SHA256 ? 0 : -EINVAL;
	if (r == 0 && key.counted)
		r = tpm_spare_attempt(t);
	if (r == 0)
		r = hmac(t, &key, ESYS_TR_PASSWORD, probe, sizeof(probe), mac, &mac_len);
	tpm_flush(t, &key.handle);
	return r == -EACCES ? -EINVAL : r;
}

int tpm_try_hmac(struct tpm *t, const struct keyfile_object *object)
{
	return tpm_retry(t, try_call, (void *)object);
}
