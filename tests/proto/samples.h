/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * samples - one of every message of the protocol, for the tests that go through them all.
 *
 * A sample writes its packet, reads a packet of its kind and writes again what it has read: what
 * was accepted must come out as it went in.
 */
#ifndef TPMPSK_TESTS_PROTO_SAMPLES_H
#define TPMPSK_TESTS_PROTO_SAMPLES_H

#include "proto/message.h"

#define SAMPLE_ID 0x01020304u
#define SAMPLE_LENGTHS_MAX 3

struct sample {
	const char *name; /* as PROTOCOL.md heads its examples */
	uint8_t opcode;
	uint16_t status;
	/* Where the length fields stand in the packet (0: no more), and how wide they are. */
	struct {
		size_t at, width;
	} lengths[SAMPLE_LENGTHS_MAX];
	/* 0 and the packet in buf, or -errno of the encoder. */
	int (*write)(uint8_t *buf, size_t cap, size_t *ret_len);
	/* Decodes a body, then encodes it again. 0, or -errno of the decoder. */
	int (*rewrite)(struct tpmpsk_reader *r, const struct tpmpsk_header *h, uint8_t *buf,
		size_t cap, size_t *ret_len);
};

extern const struct sample samples[]; /* ends with a NULL name */

#endif
