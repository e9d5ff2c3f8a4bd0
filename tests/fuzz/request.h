/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request - the language of the inputs of fuzz-request, for the target and for who writes seeds.
 *
 * An input is a list of steps: a byte kind * FUZZ_PEERS + peer, then what the kind says.
 */
#ifndef TPMPSK_TESTS_FUZZ_REQUEST_H
#define TPMPSK_TESTS_FUZZ_REQUEST_H

enum fuzz_step {
	FUZZ_PACKET, /* u16 length, so many bytes: the peer sends them */
	FUZZ_SESSION, /* u8 at, u8 xor: as a server, for the last session identity made, one byte changed */
	FUZZ_CLOCK,   /* u16: so many times 64 ms pass */
	FUZZ_HANG_UP, /* the peer goes, and comes back */
	FUZZ_HOLD,    /* u8: 1, jobs stay queued; 0, they go on */
	FUZZ_FAIL,    /* u8: the next job fails, in one of the ways that the TPM module knows */
	FUZZ_STEPS,
};

enum fuzz_peer {
	FUZZ_ADMIN,  /* on no key's list, at first */
	FUZZ_USER,   /* may use every key */
	FUZZ_SERVER, /* may be a server */
	FUZZ_STRANGER, /* is on no list, and uid 4000000000 is not what anybody would put there by chance */
	FUZZ_PEERS,
};

#endif
