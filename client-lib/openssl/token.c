/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table is an array of places that grows; each is in a chain of those whose identities have the
 * same hash, and in the list of all by their last use. Indices in place of pointers survive the
 * growing.
 */
#include "client-lib/openssl/token.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX_SIZE 16
#define CHAINS 1024
#define PLACES_FIRST 16
#define NONE UINT32_MAX

struct place {
	uint64_t generation; /* another one each time the place is given to an identity */
	uint32_t in_chain;   /* the next of its chain */
	uint32_t newer, older;
	uint8_t identity_len;
	uint8_t identity[TPMPSK_IDENTITY_SIZE_MAX];
};

/* How a token is laid out; what is longer is filled up with zeroes. */
struct wire {
	uint8_t prefix[PREFIX_SIZE];
	uint64_t generation;
	uint32_t place;
	uint8_t stage;
	uint8_t hash;
	uint8_t zero[2];
};
static_assert(sizeof(struct wire) == 32, "a token is as long as the shortest hash");

static struct {
	pthread_mutex_t lock;
	unsigned int refs;
	uint8_t prefix[PREFIX_SIZE];
	struct place *places;
	uint32_t count, capacity;
	uint64_t generations;
	uint32_t newest, oldest;
	uint32_t chains[CHAINS];
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static int watch_error;

/* A child must find the table whole and the lock free, whatever other threads were at. */
static void before_fork(void)
{
	pthread_mutex_lock(&table.lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&table.lock);
}

static void watch_forks(void)
{
	watch_error = pthread_atfork(before_fork, after_fork, after_fork);
}

size_t tpmpsk_hash_size(enum tpmpsk_hash hash)
{
	switch (hash) {
	case TPMPSK_HASH_SHA256:
		return 32;
	case TPMPSK_HASH_SHA384:
		return 48;
	}
	return 0;
}

static int table_init(void)
{
	if (getentropy(table.prefix, sizeof(table.prefix)) < 0)
		return -errno;
	table.newest = table.oldest = NONE;
	for (size_t i = 0; i < CHAINS; i++)
		table.chains[i] = NONE;
	return 0;
}

static void table_done(void)
{
	OPENSSL_cleanse(table.prefix, sizeof(table.prefix));
	if (table.places)
		OPENSSL_cleanse(table.places, table.capacity * sizeof(*table.places));
	free(table.places);
	table.places = NULL;
	table.count = table.capacity = 0;
}

int tpmpsk_tokens_ref(void)
{
	int r = 0;

	pthread_once(&watch_once, watch_forks);
	if (watch_error != 0)
		return -watch_error;
	pthread_mutex_lock(&table.lock);
	if (table.refs == 0)
		r = table_init();
	if (r == 0)
		table.refs++;
	pthread_mutex_unlock(&table.lock);
	return r;
}

void tpmpsk_tokens_unref(void)
{
	pthread_mutex_lock(&table.lock);
	if (--table.refs == 0)
		table_done();
	pthread_mutex_unlock(&table.lock);
}

/* FNV-1a. The identities are those that the program has configured, nobody's choice from outside. */
static uint32_t *chain_of(const uint8_t *identity, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ identity[i]) * 16777619u;
	return &table.chains[(h ^ h >> 16) % CHAINS];
}

static void unlink_from_uses(uint32_t i)
{
	struct place *p = &table.places[i];

	*(p->newer == NONE ? &table.newest : &table.places[p->newer].older) = p->older;
	*(p->older == NONE ? &table.oldest : &table.places[p->older].newer) = p->newer;
}

static void link_as_newest(uint32_t i)
{
	struct place *p = &table.places[i];

	p->newer = NONE;
	p->older = table.newest;
	*(p->older == NONE ? &table.oldest : &table.places[p->older].newer) = i;
	table.newest = i;
}

static void use(uint32_t i)
{
	if (table.newest == i)
		return;
	unlink_from_uses(i);
	link_as_newest(i);
}

static uint32_t find(const uint8_t *identity, size_t len)
{
	uint32_t i = *chain_of(identity, len);

	while (i != NONE && (table.places[i].identity_len != len ||
				    memcmp(table.places[i].identity, identity, len) != 0))
		i = table.places[i].in_chain;
	return i;
}

static int grow(void)
{
	uint32_t capacity = table.capacity ? table.capacity * 2 : PLACES_FIRST;
	struct place *places = calloc(capacity, sizeof(*places));

	if (!places)
		return -ENOMEM;
	if (table.places) {
		memcpy(places, table.places, table.count * sizeof(*places));
		OPENSSL_cleanse(table.places, table.capacity * sizeof(*places));
	}
	free(table.places);
	table.places = places;
	table.capacity = capacity;
	return 0;
}

/* Takes the place of the identity that was unused for longest. */
static uint32_t evict(void)
{
	uint32_t i = table.oldest;
	struct place *p = &table.places[i];
	uint32_t *at = chain_of(p->identity, p->identity_len);

	while (*at != i)
		at = &table.places[*at].in_chain;
	*at = p->in_chain;
	unlink_from_uses(i);
	OPENSSL_cleanse(p, sizeof(*p));
	return i;
}

static int add(const uint8_t *identity, size_t len, uint32_t *ret)
{
	uint32_t *chain = chain_of(identity, len);
	struct place *p;
	uint32_t i;
	int r;

	if (table.count < TPMPSK_TOKENS_MAX) {
		r = table.count == table.capacity ? grow() : 0;
		if (r < 0)
			return r;
		i = table.count++;
	} else {
		i = evict();
	}
	p = &table.places[i];
	p->generation = ++table.generations;
	p->identity_len = (uint8_t)len;
	memcpy(p->identity, identity, len);
	p->in_chain = *chain;
	*chain = i;
	link_as_newest(i);
	*ret = i;
	return 0;
}

/* The place of an identity, and the generation it is of. */
static int place_of(const uint8_t *identity, size_t len, struct wire *wire)
{
	uint32_t i;
	int r = 0;

	pthread_mutex_lock(&table.lock);
	i = find(identity, len);
	if (i == NONE)
		r = add(identity, len, &i);
	if (r == 0) {
		use(i);
		memcpy(wire->prefix, table.prefix, PREFIX_SIZE);
		wire->place = htobe32(i);
		wire->generation = htobe64(table.places[i].generation);
	}
	pthread_mutex_unlock(&table.lock);
	return r;
}

int tpmpsk_token_write(const struct tpmpsk_token *token, uint8_t *out)
{
	struct wire wire = { .stage = (uint8_t)token->stage, .hash = (uint8_t)token->hash };
	size_t size = tpmpsk_hash_size(token->hash);
	int r;

	if (size == 0 || token->identity_len < 1 || token->identity_len > TPMPSK_IDENTITY_SIZE_MAX)
		return -EINVAL;
	r = place_of(token->identity, token->identity_len, &wire);
	if (r < 0)
		return r;
	memset(out, 0, size);
	memcpy(out, &wire, sizeof(wire));
	OPENSSL_cleanse(&wire, sizeof(wire));
	return 0;
}

bool tpmpsk_token_is(const void *data, size_t len)
{
	return len >= PREFIX_SIZE && CRYPTO_memcmp(data, table.prefix, PREFIX_SIZE) == 0;
}

int tpmpsk_token_read(const void *data, size_t len, struct tpmpsk_token *ret)
{
	struct wire wire;
	uint32_t i;
	int r = -ESTALE;

	if (!tpmpsk_token_is(data, len) || len < sizeof(wire))
		return -EINVAL;
	memcpy(&wire, data, sizeof(wire));
	if (len != tpmpsk_hash_size(wire.hash))
		return -EINVAL;
	i = be32toh(wire.place);
	pthread_mutex_lock(&table.lock);
	if (i < table.count && be64toh(wire.generation) == table.places[i].generation) {
		use(i);
		ret->stage = wire.stage;
		ret->hash = wire.hash;
		ret->identity_len = table.places[i].identity_len;
		memcpy(ret->identity, table.places[i].identity, ret->identity_len);
		r = 0;
	}
	pthread_mutex_unlock(&table.lock);
	OPENSSL_cleanse(&wire, sizeof(wire));
	return r;
}
