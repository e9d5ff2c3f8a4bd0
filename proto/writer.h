/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer - a cursor that builds one message in the caller's buffer.
 *
 * Sticky at its first error (no room, a string too long for its length field): from then on nothing
 * is written, and tpmpsk_writer_finish() says so. Never writes outside [data, data + cap);
 * allocates nothing. The buffer may hold secrets: whoever owns it wipes it.
 */
#ifndef TPMPSK_PROTO_WRITER_H
#define TPMPSK_PROTO_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpmpsk_writer {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool failed;
};

void tpmpsk_writer_init(struct tpmpsk_writer *w, void *data, size_t cap);

/* Big-endian integers. */
void tpmpsk_write_u8(struct tpmpsk_writer *w, uint8_t value);
void tpmpsk_write_u16(struct tpmpsk_writer *w, uint16_t value);
void tpmpsk_write_u32(struct tpmpsk_writer *w, uint32_t value);
void tpmpsk_write_u64(struct tpmpsk_writer *w, uint64_t value);

/* A byte string with a length of one or two bytes before it; n bytes at src, none when n is 0. */
void tpmpsk_write_var8(struct tpmpsk_writer *w, const void *src, size_t n);
void tpmpsk_write_var16(struct tpmpsk_writer *w, const void *src, size_t n);
/* Exactly n bytes, without a length before them. */
void tpmpsk_write_bytes(struct tpmpsk_writer *w, const void *src, size_t n);

void tpmpsk_writer_fail(struct tpmpsk_writer *w);
/* 0 and the message's length, or -EMSGSIZE. */
int tpmpsk_writer_finish(const struct tpmpsk_writer *w, size_t *ret_len)
	__attribute__((warn_unused_result));

#endif
