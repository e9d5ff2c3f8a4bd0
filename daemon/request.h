/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request - what the daemon does with a message: decode, decide, hand on.
 *
 * Owns the table of opcodes and who may send them. Nothing that a peer sent is acted on before the whole message has been decoded, and
 * no answer depends on more of a key than the peer may know of it. Loop thread.
 */
#ifndef TPMPSK_DAEMON_REQUEST_H
#define TPMPSK_DAEMON_REQUEST_H

#include "daemon/conn.h"
#include "daemon/server.h"

/* One packet of len bytes as received; more than TPMPSK_MESSAGE_MAX bytes were cut off. */
void request_handle(struct server *s, struct conn *c, const uint8_t *packet, size_t len);

#endif
