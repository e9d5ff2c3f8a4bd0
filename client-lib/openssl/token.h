/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token - what libssl carries through its key schedule where a secret made of the PSK alone would
 * be: as long as that secret, but nothing that could be used as one.
 *
 * A token says which identity it stands for and which secret of the schedule. It begins with 16
 * bytes drawn at random in this process, so nothing from outside can be mistaken for one, and what
 * follows is a place in a table of the identities in use. The same identity has the same place, so
 * the table grows with how many identities a program uses and not with its handshakes; beyond
 * TPMPSK_TOKENS_MAX the identity that was unused for longest makes room, and its tokens are no
 * longer good.
 *
 * One table for the process. Any thread; a forked child has its parent's tokens. Never blocks but
 * for its own lock. Returns 0 or -errno.
 */
#ifndef TPMPSK_CLIENT_LIB_OPENSSL_TOKEN_H
#define TPMPSK_CLIENT_LIB_OPENSSL_TOKEN_H

#include "client-lib/tpmpsk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPMPSK_TOKENS_MAX 16384

enum tpmpsk_token_stage {
	TPMPSK_TOKEN_EARLY = 1, /* the early secret */
	TPMPSK_TOKEN_BINDER,    /* the binder key */
	TPMPSK_TOKEN_FINISHED,  /* the finished key made of it */
};

struct tpmpsk_token {
	enum tpmpsk_token_stage stage;
	enum tpmpsk_hash hash;
	size_t identity_len;
	uint8_t identity[TPMPSK_IDENTITY_SIZE_MAX];
};

/* Every user of the table takes a share in it; with the last one it is wiped and freed. */
int tpmpsk_tokens_ref(void) __attribute__((warn_unused_result));
void tpmpsk_tokens_unref(void);

/* Writes as many bytes as the hash has. -ENOMEM; -EINVAL: no identity, or no hash. */
int tpmpsk_token_write(const struct tpmpsk_token *token, uint8_t *out)
	__attribute__((warn_unused_result));

/* Whether these bytes were made here, or are what is left of a token. In constant time. */
bool tpmpsk_token_is(const void *data, size_t len);

/* -EINVAL: no token; -ESTALE: its place was given to another identity. */
int tpmpsk_token_read(const void *data, size_t len, struct tpmpsk_token *ret)
	__attribute__((warn_unused_result));

/* 32, 48, or 0 for what is no hash. */
size_t tpmpsk_hash_size(enum tpmpsk_hash hash);

#endif
