/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status - how a request ended, on the wire and in words.
 *
 * A closed set: a reply carries one of these and nothing of errno or of the TPM's own codes. The
 * words are the same in the protocol, in tpmpsk_strerror(), on tpm-psk's standard error and in the
 * audit. Pure; any thread.
 */
#ifndef TPMPSK_PROTO_STATUS_H
#define TPMPSK_PROTO_STATUS_H

#include <stdint.h>

enum tpmpsk_status {
	TPMPSK_STATUS_OK = 0,
	/* the message or one of its values is not what PROTOCOL.md says */
	TPMPSK_STATUS_MALFORMED = 1,
	/* well-formed, but this daemon, key or TPM does not do it */
	TPMPSK_STATUS_UNSUPPORTED = 2,
	/* no right to it, whether or not it exists */
	TPMPSK_STATUS_DENIED = 3,
	/* no such key, told to those who may use another one */
	TPMPSK_STATUS_UNKNOWN_IDENTITY = 4,
	TPMPSK_STATUS_EXISTS = 5,
	/* a bound or rate was reached; retry_after_ms says when to come back */
	TPMPSK_STATUS_BUSY = 6,
	TPMPSK_STATUS_DEADLINE = 7,  /* not done in time, and will not be */
	TPMPSK_STATUS_EXPIRED = 8,   /* session identity outside the time window */
	TPMPSK_STATUS_FORGED = 9,    /* session identity with a wrong tag */
	TPMPSK_STATUS_REPLAYED = 10, /* session identity that another handshake has used */
	TPMPSK_STATUS_TPM_UNAVAILABLE = 11,
	TPMPSK_STATUS_SHUTTING_DOWN = 12,
	TPMPSK_STATUS_INTERNAL = 13,
	TPMPSK_STATUS_COUNT
};

/* The word for a status, a constant; "invalid" for a number that is none. */
const char *tpmpsk_status_name(unsigned status);

#endif
