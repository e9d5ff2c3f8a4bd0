/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transact - one request and its answer over a handle; what the typed calls and tpm-psk are built
 * on. Not exported.
 *
 * Threads, deadlines, reconnection: as tpmpsk.h says. The reply's buffer may hold secrets: the
 * caller wipes it.
 */
#ifndef TPMPSK_CLIENT_LIB_TRANSACT_H
#define TPMPSK_CLIENT_LIB_TRANSACT_H

#include "client-lib/tpmpsk.h"
#include "proto/message.h"

#include <stdbool.h>

struct tpmpsk_reply {
	struct tpmpsk_reader body;       /* behind the header; points into data */
	struct tpmpsk_error_reply error; /* what the daemon said with a refusal; else zeroes */
	size_t len;
	uint8_t data[TPMPSK_MESSAGE_MAX];
};

/*
 * Sends the packet (its id is set here) and waits. idempotent: may be sent again on a new
 * connection when the old one broke before the answer came; one that was never sent is sent again
 * in any case. Returns 0 with the body of an ok reply, or TPMPSK_ERR_* with data wiped; a daemon's
 * refusal also fills ret->error.
 */
int tpmpsk_transact(struct tpmpsk *h, uint8_t *packet, size_t len, bool idempotent,
	struct tpmpsk_reply *ret) __attribute__((warn_unused_result));

#endif
