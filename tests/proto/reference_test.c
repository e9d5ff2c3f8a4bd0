/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/reference.h"

#include "tests/proto/heap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define REFERENCE "tpm-psk-reference:000102030405060708090a0b0c0d0e0f:Client1"

static const uint8_t random_bytes[TPMPSK_REFERENCE_RANDOM_SIZE] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
	10, 11, 12, 13, 14, 15 };

/* Reads from a copy of exact size. 0 and the identity's length, or an error. */
static int read_back(const void *psk, size_t len, size_t *ret_identity_len)
{
	_cleanup_(heap_freep) uint8_t *copy = heap_copy(psk, len, 0);
	const uint8_t *identity = NULL;
	size_t identity_len = 0;
	int r = tpmpsk_reference_identity(copy, len, &identity, &identity_len);

	if (r == 0) {
		cr_assert(identity > copy && identity + identity_len == copy + len);
		*ret_identity_len = identity_len;
	}
	return r;
}

Test(reference, is_text_with_the_identity_at_its_end)
{
	uint8_t buf[TPMPSK_REFERENCE_SIZE_MAX];
	size_t len = tpmpsk_reference_write(random_bytes, "Client1", 7, buf);

	cr_assert_eq(len, strlen(REFERENCE));
	cr_assert_arr_eq(buf, REFERENCE, len);
}

Test(reference, gives_back_any_identity)
{
	uint8_t identity[TPMPSK_REFERENCE_SIZE_MAX], buf[TPMPSK_REFERENCE_SIZE_MAX];

	for (size_t i = 0; i < sizeof(identity); i++)
		identity[i] = (uint8_t)(i % 3 == 0 ? ':' : i);
	for (size_t n = 0; n <= 130; n++) {
		size_t len = tpmpsk_reference_write(random_bytes, identity, n, buf), got = 0;

		if (n < 1 || n > 128) {
			cr_expect_eq(len, 0);
			continue;
		}
		cr_assert_eq(len, n + TPMPSK_REFERENCE_EXTRA);
		cr_assert(tpmpsk_reference_is(buf, len));
		cr_assert_eq(read_back(buf, len, &got), 0);
		cr_assert_eq(got, n);
		cr_assert_arr_eq(buf + len - n, identity, n);
	}
}

Test(reference, is_meant_by_the_prefix_and_whole_or_broken)
{
	size_t got;

	for (size_t n = 0; n <= strlen(REFERENCE); n++) {
		_cleanup_(heap_freep) uint8_t *copy = heap_copy(REFERENCE, n, 0);

		cr_expect_eq(tpmpsk_reference_is(copy, n), n >= strlen("tpm-psk-reference:"));
		cr_expect_eq(read_back(REFERENCE, n, &got),
			n > TPMPSK_REFERENCE_EXTRA ? 0 : -EINVAL, "%zu", n);
	}
}

Test(reference, is_broken_by_any_changed_byte_in_front_of_the_identity)
{
	char text[] = REFERENCE;
	size_t got;

	for (size_t i = 0; i < TPMPSK_REFERENCE_EXTRA; i++) {
		const char was = text[i];

		text[i] = 'G';
		cr_expect_eq(read_back(text, strlen(text), &got), -EINVAL, "%zu", i);
		text[i] = was;
	}
	cr_expect_eq(read_back(text, strlen(text), &got), 0);
}

Test(reference, has_no_identity_of_more_than_128_bytes)
{
	char text[300] = REFERENCE;
	size_t got = 0;

	memset(text + TPMPSK_REFERENCE_EXTRA, 'x', sizeof(text) - TPMPSK_REFERENCE_EXTRA);
	cr_expect_eq(read_back(text, TPMPSK_REFERENCE_EXTRA + 128, &got), 0);
	cr_expect_eq(got, 128);
	cr_expect_eq(read_back(text, TPMPSK_REFERENCE_EXTRA + 129, &got), -EINVAL);
}
