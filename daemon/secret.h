/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret - memory for what must not leave the process: locked, not dumped, wiped when it is given back.
 *
 * A slab hands out blocks of one size from locked pages without a system call in the common case; secret_new() is for single, rare
 * ones. Neither is thread-safe: one owner each.
 */
#ifndef TPMPSK_DAEMON_SECRET_H
#define TPMPSK_DAEMON_SECRET_H

#include <stddef.h>

struct slab_chunk;

struct slab {
	size_t size; /* of a block */
	void *free;
	struct slab_chunk *chunks;
	size_t in_use;
};

void slab_init(struct slab *s, size_t size);
/* All blocks must be back. */
void slab_done(struct slab *s);
/* Zeroed; NULL without memory. */
void *slab_get(struct slab *s);
void slab_put(struct slab *s, void *block);

/* Process-wide, once at start: no core dump, no ptrace by others of the same user, pages locked as far as the limits allow. */
void secret_harden_process(void);

#endif
