/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/proto/heap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

uint8_t *heap_copy(const void *data, size_t len, size_t extra)
{
	uint8_t *p = malloc(len + extra);

	cr_assert(p || len + extra == 0);
	if (len > 0)
		memcpy(p, data, len);
	if (extra > 0)
		memset(p + len, 0, extra);
	return p;
}

void heap_freep(uint8_t **p)
{
	free(*p);
}
