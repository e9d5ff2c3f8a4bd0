/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/reader.h"

#include <errno.h>
#include <string.h>

void tpmpsk_reader_init(struct tpmpsk_reader *r, const void *data, size_t len)
{
	*r = (struct tpmpsk_reader){ .next = data, .left = len };
}

void tpmpsk_reader_fail(struct tpmpsk_reader *r)
{
	r->failed = true;
	r->left = 0;
}

/* The next n bytes, or NULL (and a failed reader) when there are fewer. */
static const uint8_t *take(struct tpmpsk_reader *r, size_t n)
{
	const uint8_t *p = r->next;

	if (r->failed || r->left < n) {
		tpmpsk_reader_fail(r);
		return NULL;
	}
	r->next += n;
	r->left -= n;
	return p;
}

static uint64_t read_be(struct tpmpsk_reader *r, size_t n)
{
	const uint8_t *p = take(r, n);
	uint64_t value = 0;

	for (size_t i = 0; p && i < n; i++)
		value = value << 8 | p[i];
	return value;
}

uint8_t tpmpsk_read_u8(struct tpmpsk_reader *r)
{
	return (uint8_t)read_be(r, 1);
}

uint16_t tpmpsk_read_u16(struct tpmpsk_reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t tpmpsk_read_u32(struct tpmpsk_reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t tpmpsk_read_u64(struct tpmpsk_reader *r)
{
	return read_be(r, 8);
}

void tpmpsk_read_bytes(struct tpmpsk_reader *r, uint8_t *dst, size_t n)
{
	const uint8_t *p = take(r, n);

	if (p && n > 0)
		memcpy(dst, p, n);
	else if (n > 0)
		memset(dst, 0, n);
}

static size_t read_string(struct tpmpsk_reader *r, size_t len, uint8_t *dst, size_t cap)
{
	const uint8_t *p;

	if (len > cap)
		tpmpsk_reader_fail(r);
	p = take(r, len);
	if (!p)
		return 0;
	if (len > 0)
		memcpy(dst, p, len);
	return len;
}

static size_t read_text(struct tpmpsk_reader *r, size_t len, char *dst, size_t cap)
{
	len = read_string(r, len, (uint8_t *)dst, cap - 1);
	if (len > 0 && memchr(dst, 0, len)) {
		tpmpsk_reader_fail(r);
		len = 0;
	}
	dst[len] = 0;
	return len;
}

size_t tpmpsk_read_var8(struct tpmpsk_reader *r, uint8_t *dst, size_t cap)
{
	return read_string(r, tpmpsk_read_u8(r), dst, cap);
}

size_t tpmpsk_read_var16(struct tpmpsk_reader *r, uint8_t *dst, size_t cap)
{
	return read_string(r, tpmpsk_read_u16(r), dst, cap);
}

size_t tpmpsk_read_text8(struct tpmpsk_reader *r, char *dst, size_t cap)
{
	return read_text(r, tpmpsk_read_u8(r), dst, cap);
}

size_t tpmpsk_read_text16(struct tpmpsk_reader *r, char *dst, size_t cap)
{
	return read_text(r, tpmpsk_read_u16(r), dst, cap);
}

int tpmpsk_reader_finish(const struct tpmpsk_reader *r)
{
	return r->failed || r->left > 0 ? -EBADMSG : 0;
}
