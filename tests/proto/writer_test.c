/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/writer.h"
#include "tests/proto/heap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(writer, writes_big_endian_integers)
{
	static const uint8_t expected[15] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct tpmpsk_writer w;
	uint8_t buf[15];
	size_t len;

	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_u8(&w, 0x01);
	tpmpsk_write_u16(&w, 0x0203);
	tpmpsk_write_u32(&w, 0x04050607);
	tpmpsk_write_u64(&w, 0x08090a0b0c0d0e0f);
	cr_assert_eq(tpmpsk_writer_finish(&w, &len), 0);
	cr_expect_eq(len, sizeof(expected));
	cr_expect_eq(memcmp(buf, expected, sizeof(expected)), 0);
}

Test(writer, stays_inside_its_buffer_and_stays_failed)
{
	for (size_t cap = 0; cap < 8; cap++) {
		_cleanup_(heap_freep) uint8_t *buf = heap_copy(NULL, 0, cap);
		struct tpmpsk_writer w;
		size_t len = 4711;

		tpmpsk_writer_init(&w, buf, cap);
		tpmpsk_write_u64(&w, UINT64_MAX);
		tpmpsk_write_u8(&w, 1);
		cr_expect_eq(tpmpsk_writer_finish(&w, &len), -EMSGSIZE);
		cr_expect_eq(len, 4711);
		for (size_t i = 0; i < cap; i++)
			cr_expect_eq(buf[i], 0, "something was written behind the error");
	}
}

Test(writer, puts_the_length_before_a_string)
{
	struct tpmpsk_writer w;
	uint8_t buf[16];
	size_t len;

	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_var8(&w, "abc", 3);
	tpmpsk_write_var16(&w, "de", 2);
	tpmpsk_write_var8(&w, NULL, 0);
	tpmpsk_write_bytes(&w, "f", 1);
	cr_assert_eq(tpmpsk_writer_finish(&w, &len), 0);
	cr_expect_eq(len, 10);
	cr_expect_eq(memcmp(buf, "\3abc\0\2de\0f", 10), 0);
}

Test(writer, refuses_a_string_longer_than_its_length_field)
{
	static uint8_t source[UINT16_MAX + 1], buf[UINT16_MAX + 100];
	struct tpmpsk_writer w;
	size_t len;

	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_var8(&w, source, UINT8_MAX);
	tpmpsk_write_var16(&w, source, UINT16_MAX - 1000);
	cr_expect_eq(tpmpsk_writer_finish(&w, &len), 0);
	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_var8(&w, source, UINT8_MAX + 1);
	cr_expect_eq(tpmpsk_writer_finish(&w, &len), -EMSGSIZE);
	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_write_var16(&w, source, UINT16_MAX + 1);
	cr_expect_eq(tpmpsk_writer_finish(&w, &len), -EMSGSIZE);
}

Test(writer, can_be_failed_by_its_caller)
{
	struct tpmpsk_writer w;
	uint8_t buf[4];
	size_t len;

	tpmpsk_writer_init(&w, buf, sizeof(buf));
	tpmpsk_writer_fail(&w);
	cr_expect_eq(tpmpsk_writer_finish(&w, &len), -EMSGSIZE);
}
