/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/daemon/software_mac.h"

#include "daemon/hash.h"

#include <errno.h>

void software_key_init(struct software_key *key, uint8_t purpose, const uint8_t *secret, size_t len)
{
	*key = (struct software_key){ 0 };
	key->n_objects = key_secrets_make(purpose, secret, len, key->objects);
}

static int compute(void *context, unsigned object, const uint8_t *in, size_t in_len, uint8_t *mac,
	size_t *ret_len)
{
	struct software_key *key = context;
	const struct key_secret *secret = &key->objects[object];

	if (object >= key->n_objects)
		return -EOPNOTSUPP;
	key->commands++;
	hash_hmac(secret->digest, secret->bytes, secret->len, in, in_len, mac);
	*ret_len = tpmpsk_digest_size(secret->digest);
	return 0;
}

struct mac software_mac(struct software_key *key)
{
	return (struct mac){ .compute = compute, .context = key };
}
