/* SPDX-License-Identifier: BSD-2-Clause */
/* Session identities as the network brings them. */
#include "daemon/session_identity.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t wire[TPMPSK_IDENTITY_MAX], message[SESSION_MESSAGE_MAX];
	struct session_identity s, other;
	size_t len;

	if (!session_identity_parse(data, size, &s))
		return 0;
	fuzz_must(s.version == SESSION_STRICT || s.version == SESSION_EPOCH);
	fuzz_must(s.base_len >= 1 && s.base_len <= SESSION_BASE_MAX);
	fuzz_must(!memchr(data, 0, s.base_len));
	/* There is one way to write it, or one nonce would have several names. */
	len = session_identity_print(&s, data, wire);
	fuzz_must(len == size && memcmp(wire, data, size) == 0);
	fuzz_must(session_identity_parse(wire, len, &other) && other.unix_ms == s.unix_ms);
	fuzz_must(session_psk_message(s.version, wire, len, message) <= sizeof(message));
	return 0;
}
