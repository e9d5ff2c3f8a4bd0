/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/daemon/software_mac.h"

#include <errno.h>
#include <sodium.h>

static int compute(void *context, unsigned object, const uint8_t *in, size_t in_len, uint8_t *mac,
	size_t *ret_len)
{
	struct software_key *key = context;
	crypto_auth_hmacsha256_state state;

	if (object != 0)
		return -EINVAL;
	key->commands++;
	crypto_auth_hmacsha256_init(&state, key->secret, key->secret_len);
	crypto_auth_hmacsha256_update(&state, in, in_len);
	crypto_auth_hmacsha256_final(&state, mac);
	*ret_len = crypto_auth_hmacsha256_BYTES;
	return 0;
}

struct mac software_mac(struct software_key *key)
{
	return (struct mac){ .compute = compute, .context = key };
}
