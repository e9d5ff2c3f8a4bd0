/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/reader.h"
#include "tests/proto/heap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const uint8_t counting[15] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

Test(reader, reads_big_endian_integers)
{
	struct tpmpsk_reader r;

	tpmpsk_reader_init(&r, counting, sizeof(counting));
	cr_expect_eq(tpmpsk_read_u8(&r), 0x01);
	cr_expect_eq(tpmpsk_read_u16(&r), 0x0203);
	cr_expect_eq(tpmpsk_read_u32(&r), 0x04050607);
	cr_expect_eq(tpmpsk_read_u64(&r), 0x08090a0b0c0d0e0f);
	cr_expect_eq(tpmpsk_reader_finish(&r), 0);
}

Test(reader, gives_zero_for_an_integer_that_is_cut_short)
{
	for (size_t n = 0; n < 8; n++) {
		_cleanup_(heap_freep) uint8_t *cut = heap_copy(counting, n, 0);
		struct tpmpsk_reader r;

		tpmpsk_reader_init(&r, cut, n);
		cr_expect_eq(tpmpsk_read_u64(&r), 0);
		cr_expect_eq(tpmpsk_reader_finish(&r), -EBADMSG);
	}
}

Test(reader, stays_failed)
{
	struct tpmpsk_reader r;
	uint8_t bytes[4] = { 9, 9, 9, 9 };
	char text[4] = "old";

	tpmpsk_reader_init(&r, counting, sizeof(counting));
	tpmpsk_reader_fail(&r);
	cr_expect_eq(tpmpsk_read_u8(&r), 0);
	cr_expect_eq(tpmpsk_read_var8(&r, bytes, sizeof(bytes)), 0);
	cr_expect_eq(tpmpsk_read_var16(&r, bytes, sizeof(bytes)), 0);
	cr_expect_eq(tpmpsk_read_text8(&r, text, sizeof(text)), 0);
	cr_expect_str_eq(text, "");
	tpmpsk_read_bytes(&r, bytes, sizeof(bytes));
	cr_expect_eq(memcmp(bytes, "\0\0\0\0", 4), 0);
	cr_expect_eq(tpmpsk_reader_finish(&r), -EBADMSG);
}

Test(reader, reports_bytes_that_are_left_over)
{
	struct tpmpsk_reader r;

	tpmpsk_reader_init(&r, counting, 2);
	tpmpsk_read_u8(&r);
	cr_expect_eq(tpmpsk_reader_finish(&r), -EBADMSG);
}

Test(reader, takes_an_empty_message)
{
	struct tpmpsk_reader r;

	tpmpsk_reader_init(&r, NULL, 0);
	cr_expect_eq(tpmpsk_reader_finish(&r), 0);
}

static size_t read_var8(const void *data, size_t len, size_t cap, int *ret_finish)
{
	_cleanup_(heap_freep) uint8_t *copy = heap_copy(data, len, 0);
	_cleanup_(heap_freep) uint8_t *dst = heap_copy(NULL, 0, cap);
	struct tpmpsk_reader r;
	size_t n;

	tpmpsk_reader_init(&r, copy, len);
	n = tpmpsk_read_var8(&r, dst, cap);
	*ret_finish = tpmpsk_reader_finish(&r);
	return n;
}

Test(reader, bounds_a_string_by_its_destination)
{
	static const uint8_t message[] = { 4, 'a', 'b', 'c', 'd' };
	int finish;

	cr_expect_eq(read_var8(message, 5, 4, &finish), 4);
	cr_expect_eq(finish, 0);
	cr_expect_eq(read_var8(message, 5, 3, &finish), 0);
	cr_expect_eq(finish, -EBADMSG);
	cr_expect_eq(read_var8(message, 4, 4, &finish), 0);
	cr_expect_eq(finish, -EBADMSG);
	cr_expect_eq(read_var8("", 1, 0, &finish), 0);
	cr_expect_eq(finish, 0);
}

Test(reader, reads_a_string_with_a_length_of_two_bytes)
{
	uint8_t message[2 + 300] = { 300 >> 8, 300 & 0xff }, dst[300];
	struct tpmpsk_reader r;

	memset(message + 2, 'x', 300);
	tpmpsk_reader_init(&r, message, sizeof(message));
	cr_expect_eq(tpmpsk_read_var16(&r, dst, sizeof(dst)), 300);
	cr_expect_eq(dst[299], 'x');
	cr_expect_eq(tpmpsk_reader_finish(&r), 0);
}

static int read_text(const void *data, size_t len, size_t cap, char dst[8])
{
	struct tpmpsk_reader r;

	tpmpsk_reader_init(&r, data, len);
	tpmpsk_read_text8(&r, dst, cap);
	return tpmpsk_reader_finish(&r);
}

Test(reader, terminates_text_inside_its_destination)
{
	char text[8];

	cr_expect_eq(read_text("\3abc", 4, 4, text), 0);
	cr_expect_str_eq(text, "abc");
	cr_expect_eq(read_text("\3abc", 4, 3, text), -EBADMSG);
	cr_expect_str_eq(text, "");
	cr_expect_eq(read_text("\0", 1, 1, text), 0);
	cr_expect_str_eq(text, "");
}

Test(reader, refuses_a_nul_in_text)
{
	char text[8] = "old";

	cr_expect_eq(read_text("\3a\0c", 4, 8, text), -EBADMSG);
	cr_expect_str_eq(text, "");
}
