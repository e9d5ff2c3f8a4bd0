/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/secret.h"

#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define CHUNK_SIZE ((size_t)64 * 1024)

struct slab_chunk {
	struct slab_chunk *next;
	max_align_t blocks[];
};

void slab_init(struct slab *s, size_t size)
{
	size_t align = sizeof(max_align_t);

	*s = (struct slab){ .size = (size + align - 1) / align * align };
	assert(s->size <= CHUNK_SIZE - sizeof(struct slab_chunk));
}

void slab_done(struct slab *s)
{
	assert(s->in_use == 0);
	while (s->chunks) {
		struct slab_chunk *chunk = s->chunks;

		s->chunks = chunk->next;
		sodium_munlock(chunk, CHUNK_SIZE); /* wipes, too */
		munmap(chunk, CHUNK_SIZE);
	}
	s->free = NULL;
}

static void give_back(struct slab *s, void *block)
{
	*(void **)block = s->free;
	s->free = block;
}

static int grow(struct slab *s)
{
	struct slab_chunk *chunk;
	size_t n = (CHUNK_SIZE - sizeof(*chunk)) / s->size;

	chunk = mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (chunk == MAP_FAILED)
		return -ENOMEM;
	/* Without the right to lock, the pages are at least kept out of dumps; start-up has warned. */
	if (sodium_mlock(chunk, CHUNK_SIZE) < 0)
		(void)madvise(chunk, CHUNK_SIZE, MADV_DONTDUMP);
	chunk->next = s->chunks;
	s->chunks = chunk;
	for (size_t i = n; i > 0; i--)
		give_back(s, (uint8_t *)chunk->blocks + (i - 1) * s->size);
	return 0;
}

void *slab_get(struct slab *s)
{
	void *block;

	if (!s->free && grow(s) < 0)
		return NULL;
	block = s->free;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): grow() has added at least one block */
	s->free = *(void **)block;
	*(void **)block = NULL; /* the rest was wiped when it came back */
	s->in_use++;
	return block;
}

void slab_put(struct slab *s, void *block)
{
	assert(s->in_use > 0);
	sodium_memzero(block, s->size);
	give_back(s, block);
	s->in_use--;
}

/* Whether more than the limit could be locked: it is infinite, or we are privileged. */
static bool lock_is_unlimited(void)
{
	struct rlimit limit;
	size_t size;
	void *probe;
	bool locked;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return false;
	if (limit.rlim_cur == RLIM_INFINITY)
		return true;
	size = (size_t)limit.rlim_cur + CHUNK_SIZE;
	probe = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (probe == MAP_FAILED)
		return false;
	locked = mlock2(probe, size, MLOCK_ONFAULT) == 0;
	munmap(probe, size);
	return locked;
}

void secret_harden_process(void)
{
	const struct rlimit no_core = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warning_r(-errno, "forbid dumps");
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		log_warning_r(-errno, "forbid core files");
	/*
	 * Pages are locked as they are first used: locking all that is mapped would hold whole libraries in memory. Every later mapping
	 * counts in full against the limit all the same, so where there is one, only what exists now is locked here; the slabs lock
	 * themselves.
	 */
	if (mlockall(MCL_CURRENT | MCL_ONFAULT | (lock_is_unlimited() ? MCL_FUTURE : 0)) < 0)
		log_warning_r(-errno, "lock memory: secrets may reach swap (raise LimitMEMLOCK)");
}
