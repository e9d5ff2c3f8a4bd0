/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two indexes over the same keys: an array in the order of names, and a hash table of (purpose,
 * identity) with linear probing. The table's hash is keyed with random bytes, so that nobody who
 * chooses identities chooses collisions. Removing a key rebuilds the table; it is rare, and has to
 * sync the disk anyway.
 */
#include "daemon/keystore.h"

#include "daemon/certificate.h"
#include "daemon/grants.h"
#include "daemon/keydir.h"
#include "daemon/log.h"
#include "daemon/text.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static_assert(KEYSTORE_ERROR_SIZE >= KEYDIR_ERROR_SIZE, "errors of keydir.h are handed on");

#define fail(error, r, ...) text_fail(error, KEYSTORE_ERROR_SIZE, r, __VA_ARGS__)

struct index {
	size_t count, room;
	struct key **by_name;
	size_t slots; /* a power of two, at least twice the room; 0 without a table */
	struct key **table;
};

struct keystore {
	struct keydir dir;
	struct index index;
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	uint64_t next_id;
	uint64_t generation;
	struct grants grants; /* as of grants_generation */
	uint64_t grants_generation;
};

struct key *key_ref(struct key *k)
{
	k->refs++;
	return k;
}

struct key *key_unref(struct key *k)
{
	if (k && --k->refs == 0) {
		policy_done(&k->policy);
		keyfile_done(&k->file);
		free(k);
	}
	return NULL;
}

/* Fills a zeroed one. Takes over policy and file. */
static void key_init(struct keystore *ks, struct key *k, const char *name, struct policy *policy,
	struct keyfile *file)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): callers have looked whether there was memory for it */
	k->refs = 1;
	k->id = ks->next_id;
	ks->next_id += KEYFILE_OBJECTS_MAX;
	memcpy(k->name, name, strlen(name) + 1);
	k->policy = *policy;
	k->file = *file;
	*policy = (struct policy){ 0 };
	*file = (struct keyfile){ 0 };
}

bool keystore_name_ok(const char *name)
{
	return keydir_name_ok(name);
}

/*
 * The index
 */

static size_t slot_of(const struct keystore *ks, const struct index *x, uint8_t purpose,
	const uint8_t *identity, size_t len)
{
	uint8_t in[1 + TPMPSK_IDENTITY_MAX], out[crypto_shorthash_BYTES];
	uint64_t hash;

	in[0] = purpose;
	memcpy(in + 1, identity, len);
	crypto_shorthash(out, in, 1 + len, ks->hash_key);
	memcpy(&hash, out, sizeof(hash));
	return (size_t)hash & (x->slots - 1);
}

static struct key *index_find(const struct keystore *ks, const struct index *x, uint8_t purpose,
	const uint8_t *identity, size_t len)
{
	if (x->count == 0 || len > TPMPSK_IDENTITY_MAX)
		return NULL;
	for (size_t i = slot_of(ks, x, purpose, identity, len); x->table[i];
		i = (i + 1) & (x->slots - 1)) {
		const struct policy *p = &x->table[i]->policy;

		if (p->purpose == purpose && p->identity_len == len &&
			memcmp(p->identity, identity, len) == 0)
			return x->table[i];
	}
	return NULL;
}

static bool same_place(const struct policy *a, const struct policy *b)
{
	return a->purpose == b->purpose && a->identity_len == b->identity_len &&
	       memcmp(a->identity, b->identity, a->identity_len) == 0;
}

/* Of two keys for one identity and purpose, the one that replaces the other is in the table. */
static void table_put(const struct keystore *ks, struct index *x, struct key *k)
{
	size_t i = slot_of(ks, x, k->policy.purpose, k->policy.identity, k->policy.identity_len);

	while (x->table[i] && !same_place(&x->table[i]->policy, &k->policy))
		i = (i + 1) & (x->slots - 1);
	if (!x->table[i] || strcmp(k->policy.replaces, x->table[i]->name) == 0)
		x->table[i] = k;
}

static void table_rebuild(const struct keystore *ks, struct index *x)
{
	if (x->slots > 0)
		memset(x->table, 0, x->slots * sizeof(struct key *));
	for (size_t i = 0; i < x->count; i++)
		table_put(ks, x, x->by_name[i]);
}

/* Room for n keys in all, so that index_insert() cannot fail. */
static int index_reserve(const struct keystore *ks, struct index *x, size_t n)
{
	struct key **by_name, **table;
	size_t slots = 16;

	if (n <= x->room)
		return 0;
	while (slots < 2 * n)
		slots *= 2;
	by_name = reallocarray(x->by_name, slots / 2, sizeof(struct key *));
	if (!by_name)
		return -ENOMEM;
	x->by_name = by_name;
	table = calloc(slots, sizeof(struct key *));
	if (!table)
		return -ENOMEM;
	free(x->table);
	x->table = table;
	x->slots = slots;
	x->room = slots / 2;
	table_rebuild(ks, x);
	return 0;
}

/* The first place whose name is not before (or, with behind, is after) name. */
static size_t index_place(const struct index *x, const char *name, bool behind)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(x->by_name[middle]->name, name);

		if (order < 0 || (behind && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct key *index_by_name(const struct index *x, const char *name)
{
	size_t i = index_place(x, name, false);

	return i < x->count && strcmp(x->by_name[i]->name, name) == 0 ? x->by_name[i] : NULL;
}

/* Takes over the reference. There is room. */
static void index_insert(const struct keystore *ks, struct index *x, struct key *k)
{
	size_t i = index_place(x, k->name, false);

	memmove(&x->by_name[i + 1], &x->by_name[i], (x->count - i) * sizeof(struct key *));
	x->by_name[i] = k;
	x->count++;
	table_put(ks, x, k);
}

/* Gives the reference back to the caller. */
static void index_remove(const struct keystore *ks, struct index *x, const struct key *k)
{
	size_t i = index_place(x, k->name, false);

	assert(i < x->count && x->by_name[i] == k);
	x->count--;
	memmove(&x->by_name[i], &x->by_name[i + 1], (x->count - i) * sizeof(struct key *));
	table_rebuild(ks, x);
}

static void index_done(struct index *x)
{
	for (size_t i = 0; i < x->count; i++)
		key_unref(x->by_name[i]);
	free(x->by_name);
	free(x->table);
	*x = (struct index){ 0 };
}

/*
 * Loading
 */

static int load_key(
	struct keystore *ks, const char *name, struct index *x, char error[KEYSTORE_ERROR_SIZE])
{
	char why[CERTIFICATE_WHY_SIZE];
	struct policy policy;
	struct keyfile file;
	struct key *k;
	int r;

	r = keydir_read(&ks->dir, name, &policy, &file, error);
	if (r < 0)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		r = fail(error, -ENOMEM, "out of memory");
	else if (certificate_check_key(&policy, &file, why) < 0)
		r = fail(error, -EBADMSG, "%s/%s.pem: %s", ks->dir.path, name, why);
	if (r < 0) {
		policy_done(&policy);
		keyfile_done(&file);
		free(k);
		return r;
	}
	key_init(ks, k, name, &policy, &file);
	index_insert(ks, x, k);
	return 0;
}

/* That each key is in the table, or is replaced by the one that is. */
static int check_places(
	const struct keystore *ks, const struct index *x, char error[KEYSTORE_ERROR_SIZE])
{
	for (size_t i = 0; i < x->count; i++) {
		const struct key *k = x->by_name[i];
		const struct policy *p = &k->policy;
		const struct key *found =
			index_find(ks, x, p->purpose, p->identity, p->identity_len);

		if (found != k && strcmp(found->policy.replaces, k->name) != 0)
			return fail(error, -EEXIST,
				"%s/%s.json: identity and purpose are also those of %s.json",
				ks->dir.path, k->name, found->name);
	}
	return 0;
}

/* One line, however many keys it is about. */
static void warn_unresolved(const struct keystore *ks, const struct index *x)
{
	const struct policy_who *first = NULL;
	const char *name = NULL;
	char shown[TEXT_SHOWN_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < x->count; i++) {
		const struct policy_who *w = policy_unresolved(&x->by_name[i]->policy);

		if (w && n++ == 0) {
			first = w;
			name = x->by_name[i]->name;
		}
	}
	if (n == 0)
		return;
	text_show(shown, first->text, strlen(first->text));
	log_warning("%s/%s.json: field 'allow': '%s' allows nobody: no such user or group, or a "
		    "role where there is none%s",
		ks->dir.path, name, shown, n > 1 ? "; other keys have such entries, too" : "");
}

static int load(struct keystore *ks, struct index *ret, char error[KEYSTORE_ERROR_SIZE])
{
	__attribute__((cleanup(index_done))) struct index x = { 0 };
	keydir_name *names;
	size_t n;
	int r;

	r = keydir_list(&ks->dir, &names, &n, error);
	if (r < 0)
		return r;
	if (index_reserve(ks, &x, n) < 0)
		r = fail(error, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = load_key(ks, names[i], &x, error);
	free(names);
	if (r == 0)
		r = check_places(ks, &x, error);
	if (r < 0)
		return r;
	warn_unresolved(ks, &x);
	*ret = x;
	x = (struct index){ 0 };
	return 0;
}

int keystore_open(struct keystore **ret, const char *path, char error[KEYSTORE_ERROR_SIZE])
{
	struct keystore *ks = calloc(1, sizeof(*ks));
	int r;

	if (!ks)
		return fail(error, -ENOMEM, "out of memory");
	ks->next_id = 1;
	ks->generation = 1;
	randombytes_buf(ks->hash_key, sizeof(ks->hash_key));
	r = keydir_open(&ks->dir, path, error);
	if (r == 0)
		r = load(ks, &ks->index, error);
	if (r < 0) {
		keystore_free(ks);
		return r;
	}
	*ret = ks;
	return 0;
}

void keystore_free(struct keystore *ks)
{
	if (!ks)
		return;
	grants_done(&ks->grants);
	index_done(&ks->index);
	keydir_close(&ks->dir);
	free(ks);
}

int keystore_primary(
	const struct keystore *ks, struct tpm_name *ret, char error[KEYSTORE_ERROR_SIZE])
{
	return keydir_read_primary(&ks->dir, ret, error);
}

int keystore_set_primary(
	struct keystore *ks, const struct tpm_name *name, char error[KEYSTORE_ERROR_SIZE])
{
	return keydir_set_primary(&ks->dir, name, error);
}

const char *keystore_path(const struct keystore *ks)
{
	return ks->dir.path;
}

static bool same_identity(const struct policy *a, const struct policy *b)
{
	return a->mode == b->mode && a->scheme == b->scheme && same_place(a, b);
}

/* Only what may change: a TPM thread may be reading the rest. */
static void take_policy(struct policy *p, struct policy *from)
{
	struct policy_who *allow = p->allow;
	size_t n_allow = p->n_allow;

	p->allow = from->allow;
	p->n_allow = from->n_allow;
	p->rate = from->rate;
	p->burst = from->burst;
	memcpy(p->replaces, from->replaces, sizeof(p->replaces));
	from->allow = allow;
	from->n_allow = n_allow;
	policy_done(from);
}

int keystore_reload(struct keystore *ks, char error[KEYSTORE_ERROR_SIZE])
{
	struct index x;
	int r;

	r = load(ks, &x, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < x.count; i++) {
		struct key *k = x.by_name[i], *old = index_by_name(&ks->index, k->name);

		if (!old || !same_identity(&k->policy, &old->policy) ||
			!keyfile_equal(&k->file, &old->file))
			continue;
		take_policy(&old->policy, &k->policy);
		x.by_name[i] = key_ref(old);
		key_unref(k);
	}
	table_rebuild(ks, &x);
	index_done(&ks->index);
	ks->index = x;
	ks->generation++;
	return 0;
}

/*
 * Looking up and changing
 */

size_t keystore_count(const struct keystore *ks)
{
	return ks->index.count;
}

uint64_t keystore_generation(const struct keystore *ks)
{
	return ks->generation;
}

struct key *keystore_find(
	const struct keystore *ks, uint8_t purpose, const uint8_t *identity, size_t identity_len)
{
	return index_find(ks, &ks->index, purpose, identity, identity_len);
}

struct key *keystore_replaced(const struct keystore *ks, const struct key *k)
{
	struct key *old = *k->policy.replaces ? keystore_by_name(ks, k->policy.replaces) : NULL;

	/* Two that name each other are one pair all the same. */
	return old && same_place(&old->policy, &k->policy) && keystore_successor(ks, old) == k
		       ? old
		       : NULL;
}

struct key *keystore_successor(const struct keystore *ks, const struct key *k)
{
	struct key *found =
		keystore_find(ks, k->policy.purpose, k->policy.identity, k->policy.identity_len);

	return found != k ? found : NULL;
}

struct key *keystore_by_name(const struct keystore *ks, const char *name)
{
	return index_by_name(&ks->index, name);
}

struct key *keystore_next(const struct keystore *ks, const char *after)
{
	size_t i = index_place(&ks->index, after, true);

	return i < ks->index.count ? ks->index.by_name[i] : NULL;
}

/* Without memory the old digest is kept: rights that were just given may be unknown for a moment, none are made up. */
static void update_grants(struct keystore *ks)
{
	struct grants fresh = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ks->index.count; i++)
		r = grants_add(&fresh, &ks->index.by_name[i]->policy);
	if (r < 0) {
		grants_done(&fresh);
		return;
	}
	grants_finish(&fresh);
	grants_done(&ks->grants);
	ks->grants = fresh;
	ks->grants_generation = ks->generation;
}

bool keystore_any_allowed(struct keystore *ks, const struct peer *peer, uint8_t purpose)
{
	if (ks->grants_generation != ks->generation)
		update_grants(ks);
	return grants_any(&ks->grants, peer, purpose);
}

int keystore_may_add(const struct keystore *ks, const char *name, const struct policy *policy,
	char error[KEYSTORE_ERROR_SIZE])
{
	const struct key *other, *oldest;

	if (!keydir_name_ok(name))
		return fail(error, -EINVAL, "that is not a name for a key");
	if (keystore_by_name(ks, name))
		return fail(error, -EEXIST, "there is a key '%s'", name);
	other = keystore_find(ks, policy->purpose, policy->identity, policy->identity_len);
	if (!other && *policy->replaces)
		return fail(error, -EINVAL,
			"field 'replaces': '%s' is no key of this identity and purpose",
			policy->replaces);
	if (other && strcmp(policy->replaces, other->name) != 0)
		return fail(
			error, -EEXIST, "identity and purpose are those of key '%s'", other->name);
	oldest = other ? keystore_replaced(ks, other) : NULL;
	if (oldest)
		return fail(error, -EEXIST, "key '%s' still stands beside '%s': remove it first",
			oldest->name, other->name);
	return 0;
}

int keystore_add(struct keystore *ks, const char *name, struct policy *policy, struct keyfile *file,
	char error[KEYSTORE_ERROR_SIZE])
{
	struct key *k;
	int r;

	r = keystore_may_add(ks, name, policy, error);
	if (r < 0)
		return r;
	/* All that memory may be lacking for comes before the disk. */
	k = calloc(1, sizeof(*k));
	if (!k || index_reserve(ks, &ks->index, ks->index.count + 1) < 0) {
		free(k);
		return fail(error, -ENOMEM, "out of memory");
	}
	r = keydir_add(&ks->dir, name, policy, file, error);
	if (r < 0) {
		free(k);
		return r;
	}
	key_init(ks, k, name, policy, file);
	index_insert(ks, &ks->index, k);
	ks->generation++;
	return 0;
}

int keystore_set_policy(
	struct keystore *ks, struct key *k, struct policy *policy, char error[KEYSTORE_ERROR_SIZE])
{
	int r;

	if (!same_identity(&k->policy, policy))
		return fail(error, -EINVAL,
			"identity, purpose, mode and algorithm of a key cannot change");
	r = keydir_set_policy(&ks->dir, k->name, policy, error);
	if (r < 0)
		return r;
	take_policy(&k->policy, policy);
	ks->generation++;
	return 0;
}

int keystore_remove(struct keystore *ks, struct key *k, char error[KEYSTORE_ERROR_SIZE])
{
	int r;

	r = keydir_remove(&ks->dir, k->name, error);
	if (r < 0)
		return r;
	index_remove(ks, &ks->index, k);
	key_unref(k);
	ks->generation++;
	return 0;
}
