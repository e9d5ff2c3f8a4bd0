/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz - what the fuzz targets share: a cursor over the input, and the way to say that what must hold does not.
 *
 * A target is a libFuzzer program of one file. It reads its input as the daemon would meet it, and ends the process when a promise of
 * the module under test is broken, as the sanitizers do when memory is. Tests only.
 */
#ifndef TPMPSK_TESTS_FUZZ_FUZZ_H
#define TPMPSK_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* In the clear, so that a finding says what it is. */
#define fuzz_must(condition)                                                                       \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a list of choices; when it is used up, all of them are 0. */
struct fuzz_input {
	const uint8_t *next;
	size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->next++;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint8_t high = fuzz_u8(in);

	return (uint16_t)(high << 8 | fuzz_u8(in));
}

/* Up to n bytes of it. */
static inline const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t n, size_t *ret_len)
{
	const uint8_t *bytes = in->next;

	n = n < in->left ? n : in->left;
	in->next += n;
	in->left -= n;
	*ret_len = n;
	return bytes;
}

/*
 * Whether what is wanted stands anywhere in the data. Not memmem(3): libFuzzer listens to that and puts what is looked for into its next
 * inputs, which then hold it for no fault of the daemon's.
 */
__attribute__((no_sanitize("coverage"))) static inline bool fuzz_holds(
	const uint8_t *data, size_t len, const char *wanted, size_t wanted_len)
{
	for (size_t at = 0; at + wanted_len <= len; at++) {
		size_t same = 0;

		while (same < wanted_len && data[at + same] == (uint8_t)wanted[same])
			same++;
		if (same == wanted_len)
			return true;
	}
	return false;
}

#endif
