/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/sha384.h"

#include <sodium.h>
#include <string.h>

void sha384_init(crypto_hash_sha512_state *state)
{
	static const uint64_t beginning[8] = {
		UINT64_C(0xcbbb9d5dc1059ed8),
		UINT64_C(0x629a292a367cd507),
		UINT64_C(0x9159015a3070dd17),
		UINT64_C(0x152fecd8f70e5939),
		UINT64_C(0x67332667ffc00b31),
		UINT64_C(0x8eb44a8768581511),
		UINT64_C(0xdb0c2e0d64f98fa7),
		UINT64_C(0x47b5481dbefa4fa4),
	};

	crypto_hash_sha512_init(state);
	_Static_assert(
		sizeof(state->state) == sizeof(beginning), "the state is public in sodium.h");
	memcpy(state->state, beginning, sizeof(beginning));
}

void sha384(const uint8_t *in, size_t in_len, uint8_t digest[SHA384_SIZE])
{
	crypto_hash_sha512_state state;
	uint8_t whole[crypto_hash_sha512_BYTES];

	sha384_init(&state);
	crypto_hash_sha512_update(&state, in, in_len);
	crypto_hash_sha512_final(&state, whole); /* wipes the state */
	memcpy(digest, whole, SHA384_SIZE);
	sodium_memzero(whole, sizeof(whole));
}
