/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/gnutls_inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_HEADER_SIZE 5 /* RFC 8446, section 5.1 */
#define MESSAGE_HEADER_SIZE 4
#define TYPE_CHANGE_CIPHER_SPEC 20
#define TYPE_ALERT 21
#define TYPE_HANDSHAKE 22
#define RECORD_MAX 16384 /* bytes of a plain one */
#define FIRST_ROOM 1024  /* a ClientHello with its record, as a rule */

/* What a peer sends in the clear is no secret: nothing here is wiped. */
static void bytes_done(struct tpmpsk_bytes *s)
{
	free(s->data);
	*s = (struct tpmpsk_bytes){ 0 };
}

/* Room for more bytes behind those there are. */
static int bytes_reserve(struct tpmpsk_bytes *s, size_t more)
{
	size_t room = s->room > 0 ? s->room : FIRST_ROOM;
	uint8_t *data;

	if (s->room - s->size >= more)
		return 0;
	while (room - s->size < more)
		room *= 2;
	data = realloc(s->data, room);
	if (!data)
		return -ENOMEM;
	s->data = data;
	s->room = room;
	return 0;
}

void tpmpsk_inbox_done(struct tpmpsk_inbox *b)
{
	bytes_done(&b->record);
	bytes_done(&b->messages);
	*b = (struct tpmpsk_inbox){ .off = true };
}

/* The size of the record, as far as it is known: at least that of a header. */
static size_t record_size(const struct tpmpsk_inbox *b)
{
	const uint8_t *p = b->record.data;

	if (b->record.size < RECORD_HEADER_SIZE)
		return RECORD_HEADER_SIZE;
	return RECORD_HEADER_SIZE + ((size_t)p[3] << 8 | p[4]);
}

uint8_t *tpmpsk_inbox_fill(struct tpmpsk_inbox *b, size_t *ret_room)
{
	*ret_room = record_size(b) - b->record.size;
	if (bytes_reserve(&b->record, *ret_room) < 0)
		return NULL;
	return b->record.data + b->record.size;
}

void tpmpsk_inbox_filled(struct tpmpsk_inbox *b, size_t n)
{
	b->record.size += n;
}

void tpmpsk_inbox_stop(struct tpmpsk_inbox *b)
{
	b->off = true;
	b->released = true;
}

/* What is in the record, when it is whole, to messages. 1; 0: not whole, or no record; -ENOMEM. */
static int unpack(struct tpmpsk_inbox *b)
{
	const uint8_t *p = b->record.data;
	size_t size = record_size(b);

	if (b->record.size < RECORD_HEADER_SIZE)
		return 0;
	if ((p[0] != TYPE_HANDSHAKE && p[0] != TYPE_CHANGE_CIPHER_SPEC && p[0] != TYPE_ALERT) ||
		size > RECORD_HEADER_SIZE + RECORD_MAX) {
		tpmpsk_inbox_stop(b);
		return 0;
	}
	if (b->record.size < size)
		return 0;
	if (p[0] == TYPE_HANDSHAKE && size > RECORD_HEADER_SIZE) {
		size -= RECORD_HEADER_SIZE;
		if (bytes_reserve(&b->messages, size) < 0)
			return -ENOMEM;
		memcpy(b->messages.data + b->messages.size, p + RECORD_HEADER_SIZE, size);
		b->messages.size += size;
	}
	b->unpacked = true;
	return 1;
}

static bool next_message(struct tpmpsk_inbox *b, struct tpmpsk_message *ret)
{
	struct tpmpsk_bytes *m = &b->messages;
	size_t size;

	if (b->taken > 0) {
		memmove(m->data, m->data + b->taken, m->size - b->taken);
		m->size -= b->taken;
		b->taken = 0;
	}
	if (m->size < MESSAGE_HEADER_SIZE)
		return false;
	size = (size_t)m->data[1] << 16 | (size_t)m->data[2] << 8 | m->data[3];
	if (size > TPMPSK_INBOX_MESSAGE_MAX) {
		tpmpsk_inbox_stop(b);
		return false;
	}
	if (m->size - MESSAGE_HEADER_SIZE < size)
		return false;
	*ret = (struct tpmpsk_message){ m->data[0], m->data + MESSAGE_HEADER_SIZE, size };
	b->taken = MESSAGE_HEADER_SIZE + size;
	return true;
}

int tpmpsk_inbox_next(struct tpmpsk_inbox *b, struct tpmpsk_message *ret)
{
	int r;

	if (b->off || b->released)
		return 0;
	r = b->unpacked ? 1 : unpack(b);
	if (r <= 0)
		return r;
	if (next_message(b, ret))
		return 1;
	b->released = true;
	return 0;
}

bool tpmpsk_inbox_has(const struct tpmpsk_inbox *b)
{
	return b->released && b->gone < b->record.size;
}

size_t tpmpsk_inbox_take(struct tpmpsk_inbox *b, void *data, size_t size)
{
	size_t n = b->released ? b->record.size - b->gone : 0;

	if (n > size)
		n = size;
	if (n == 0)
		return 0;
	memcpy(data, b->record.data + b->gone, n);
	b->gone += n;
	if (b->gone == b->record.size) {
		b->record.size = b->gone = 0;
		b->unpacked = b->released = false;
	}
	return n;
}
