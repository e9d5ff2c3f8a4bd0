/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/digest.h"

#include <string.h>

static const struct {
	const char *name;
	size_t size;
} digests[TPMPSK_DIGEST_COUNT] = {
	[TPMPSK_DIGEST_SHA256] = { "sha256", 32 },
	[TPMPSK_DIGEST_SHA384] = { "sha384", 48 },
};

size_t tpmpsk_digest_size(unsigned digest)
{
	return digest < TPMPSK_DIGEST_COUNT ? digests[digest].size : 0;
}

const char *tpmpsk_digest_name(unsigned digest)
{
	return digest < TPMPSK_DIGEST_COUNT ? digests[digest].name : NULL;
}

unsigned tpmpsk_digest_by_name(const char *name)
{
	for (unsigned i = 0; i < TPMPSK_DIGEST_COUNT; i++)
		if (digests[i].name && strcmp(digests[i].name, name) == 0)
			return i;
	return 0;
}
