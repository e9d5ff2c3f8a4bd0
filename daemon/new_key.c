/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/new_key.h"

#include <sodium.h>

struct new_key *new_key_new(void)
{
	struct new_key *n = sodium_malloc(sizeof(*n));

	if (n)
		sodium_memzero(n, sizeof(*n));
	return n;
}

void new_key_free(struct new_key *n)
{
	if (!n)
		return;
	policy_done(&n->policy);
	keyfile_done(&n->file);
	sodium_free(n); /* wipes */
}
