/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gnutls_inbox - what came in of a handshake and was not yet given to GnuTLS.
 *
 * Between the network and GnuTLS, so that a message can be read, and held back, before GnuTLS acts
 * on it. Takes one TLS record after the other, in pieces of any size, and gives the handshake
 * messages in them, which may span records. A record goes on once all messages that end in it were
 * taken, and never is more read than the record that GnuTLS wants next. When something comes in
 * that is no part of a plain handshake, or a message larger than GnuTLS takes, all goes on unread
 * from there: GnuTLS judges it.
 *
 * Used by one thread. Owns its memory: at most one record and one message. Not exported.
 */
#ifndef TPMPSK_CLIENT_LIB_GNUTLS_INBOX_H
#define TPMPSK_CLIENT_LIB_GNUTLS_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPMPSK_INBOX_MESSAGE_MAX 131072 /* bytes of a message's body, as GnuTLS has it */

struct tpmpsk_bytes {
	uint8_t *data; /* malloc()ed */
	size_t room, size;
};

struct tpmpsk_inbox {
	struct tpmpsk_bytes record;   /* as far as it came in */
	struct tpmpsk_bytes messages; /* without records, from the last one taken on */
	size_t taken;                 /* of messages: the size of that one */
	size_t gone;                  /* of the record: what went on */
	bool unpacked;                /* what is in the record is in messages, too */
	bool released;                /* the record may go on */
	bool off;                     /* nothing more is looked at */
};

struct tpmpsk_message {
	uint8_t type;
	const uint8_t *body; /* until the next one is asked for */
	size_t size;
};

/* Frees; a zeroed inbox is an empty one. */
void tpmpsk_inbox_done(struct tpmpsk_inbox *b);

/*
 * Where the next bytes from the network are to be put, and at least one and at most *ret_room of
 * them: what is still missing of a record's header, or of the record. Nothing may be left that may
 * go on. NULL: no memory. tpmpsk_inbox_filled() says how many came.
 */
uint8_t *tpmpsk_inbox_fill(struct tpmpsk_inbox *b, size_t *ret_room);
void tpmpsk_inbox_filled(struct tpmpsk_inbox *b, size_t n);

/*
 * 1: *ret is the next message. 0: there is no whole one, and if the record is whole, it may go on.
 * -ENOMEM.
 */
int tpmpsk_inbox_next(struct tpmpsk_inbox *b, struct tpmpsk_message *ret)
	__attribute__((warn_unused_result));

/* No message more is wanted: whatever is here, and comes, may go on. The last one stays. */
void tpmpsk_inbox_stop(struct tpmpsk_inbox *b);

/* Up to size of the bytes that may go on; 0: none. */
size_t tpmpsk_inbox_take(struct tpmpsk_inbox *b, void *data, size_t size);

/* Whether there are such. */
bool tpmpsk_inbox_has(const struct tpmpsk_inbox *b);

#endif
