/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/writer.h"

#include <errno.h>
#include <string.h>

void tpmpsk_writer_init(struct tpmpsk_writer *w, void *data, size_t cap)
{
	*w = (struct tpmpsk_writer){ .data = data, .cap = cap };
}

void tpmpsk_writer_fail(struct tpmpsk_writer *w)
{
	w->failed = true;
}

/* Room for n more bytes, or NULL (and a failed writer). */
static uint8_t *give(struct tpmpsk_writer *w, size_t n)
{
	uint8_t *p = w->data + w->len;

	if (w->failed || w->cap - w->len < n) {
		tpmpsk_writer_fail(w);
		return NULL;
	}
	w->len += n;
	return p;
}

static void write_be(struct tpmpsk_writer *w, uint64_t value, size_t n)
{
	uint8_t *p = give(w, n);

	for (size_t i = n; p && i > 0; i--, value >>= 8)
		p[i - 1] = (uint8_t)value;
}

void tpmpsk_write_u8(struct tpmpsk_writer *w, uint8_t value)
{
	write_be(w, value, 1);
}

void tpmpsk_write_u16(struct tpmpsk_writer *w, uint16_t value)
{
	write_be(w, value, 2);
}

void tpmpsk_write_u32(struct tpmpsk_writer *w, uint32_t value)
{
	write_be(w, value, 4);
}

void tpmpsk_write_u64(struct tpmpsk_writer *w, uint64_t value)
{
	write_be(w, value, 8);
}

void tpmpsk_write_bytes(struct tpmpsk_writer *w, const void *src, size_t n)
{
	uint8_t *p = give(w, n);

	if (p && n > 0)
		memcpy(p, src, n);
}

void tpmpsk_write_var8(struct tpmpsk_writer *w, const void *src, size_t n)
{
	if (n > UINT8_MAX)
		tpmpsk_writer_fail(w);
	write_be(w, n, 1);
	tpmpsk_write_bytes(w, src, n);
}

void tpmpsk_write_var16(struct tpmpsk_writer *w, const void *src, size_t n)
{
	if (n > UINT16_MAX)
		tpmpsk_writer_fail(w);
	write_be(w, n, 2);
	tpmpsk_write_bytes(w, src, n);
}

int tpmpsk_writer_finish(const struct tpmpsk_writer *w, size_t *ret_len)
{
	if (w->failed)
		return -EMSGSIZE;
	*ret_len = w->len;
	return 0;
}
