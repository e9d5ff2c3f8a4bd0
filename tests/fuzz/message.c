/* SPDX-License-Identifier: BSD-2-Clause */
/* Every message of the protocol, both ways: what was accepted must come out as it went in. */
#include "tests/fuzz/fuzz.h"
#include "tests/proto/samples.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_reader r;
	struct tpmpsk_header h;
	size_t len;

	tpmpsk_reader_init(&r, data, size);
	if (tpmpsk_header_decode(&r, &h) < 0)
		return 0;
	for (const struct sample *s = samples; s->name; s++) {
		struct tpmpsk_reader body = r;

		if (s->opcode != h.opcode || (s > samples && s[-1].rewrite == s->rewrite))
			continue;
		if (s->rewrite(&body, &h, again, sizeof(again), &len) < 0)
			continue;
		/* A decoder does not look at the header, which says what it is a decoder for. */
		fuzz_must(len == size);
		fuzz_must(memcmp(again + TPMPSK_HEADER_SIZE, data + TPMPSK_HEADER_SIZE,
				  size - TPMPSK_HEADER_SIZE) == 0);
	}
	return 0;
}
