/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader - a cursor over one received message.
 *
 * Sticky at its first error: from then on every read gives zero, and tpmpsk_reader_finish() says so
 * once at the end. A message is decoded whole and finished before anything is done with what was
 * read. Reads only inside [data, data + len); borrows, never frees; allocates nothing.
 */
#ifndef TPMPSK_PROTO_READER_H
#define TPMPSK_PROTO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpmpsk_reader {
	const uint8_t *next;
	size_t left;
	bool failed;
};

void tpmpsk_reader_init(struct tpmpsk_reader *r, const void *data, size_t len);

/* Big-endian integers. */
uint8_t tpmpsk_read_u8(struct tpmpsk_reader *r);
uint16_t tpmpsk_read_u16(struct tpmpsk_reader *r);
uint32_t tpmpsk_read_u32(struct tpmpsk_reader *r);
uint64_t tpmpsk_read_u64(struct tpmpsk_reader *r);

/*
 * A byte string with a length of one or two bytes before it, copied to dst. More than cap bytes is
 * an error: the bound comes from the destination, never from the message. Returns the length.
 */
size_t tpmpsk_read_var8(struct tpmpsk_reader *r, uint8_t *dst, size_t cap);
size_t tpmpsk_read_var16(struct tpmpsk_reader *r, uint8_t *dst, size_t cap);
/* The same for text: NUL-terminated in dst (cap counts the NUL), and a NUL inside is an error. */
size_t tpmpsk_read_text8(struct tpmpsk_reader *r, char *dst, size_t cap);
size_t tpmpsk_read_text16(struct tpmpsk_reader *r, char *dst, size_t cap);
/* Exactly n bytes, without a length before them. */
void tpmpsk_read_bytes(struct tpmpsk_reader *r, uint8_t *dst, size_t n);

/* For a decoder's own checks ("must be 1 or 2"): from here on the message is bad. */
void tpmpsk_reader_fail(struct tpmpsk_reader *r);
/* 0 when all was read and nothing is left over, else -EBADMSG. */
int tpmpsk_reader_finish(const struct tpmpsk_reader *r) __attribute__((warn_unused_result));

#endif
