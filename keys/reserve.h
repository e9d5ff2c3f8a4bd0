/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reserve - for libraries that go on with memory which they did not get (json-c 0.16, libtasn1 4.19).
 *
 * Before such a library is called, what it may want is asked for in one piece and given back; the allocator has it then for the small
 * pieces that follow in the same thread. Up to the size at which an allocator goes to the kernel for each piece, about 100 KiB, that holds
 * with those of today.
 */
#ifndef TPMPSK_KEYS_RESERVE_H
#define TPMPSK_KEYS_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static inline bool reserve(size_t size)
{
	void *volatile p = malloc(size); /* volatile: or the compiler leaves out the pair */
	bool there = p;

	free(p);
	return there;
}

#endif
