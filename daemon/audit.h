/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit - one JSON line for every decision: who asked for what, and what the answer was.
 *
 * Never a secret: no random, no input and no output of a derivation. What a client chose (the identity) is escaped. Lines are gathered
 * and written when the loop is about to wait. Loop thread only.
 */
#ifndef TPMPSK_DAEMON_AUDIT_H
#define TPMPSK_DAEMON_AUDIT_H

#include "proto/derive.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AUDIT_BUFFER_SIZE 65536

struct audit {
	int fd;        /* -1: off */
	uint64_t lost; /* lines that could not be written; said in the next one that can */
	uint64_t said; /* of these, so many are said in the buffer */
	bool torn;     /* the last write ended within a line */
	size_t len;
	char buffer[AUDIT_BUFFER_SIZE];
};

/*
 * How many refusals of one user are written in a second: what anybody can cause without end, forged identities from the network among
 * it, must not fill a disk. How many were left out stands in the next one that is written; the counts in `status` have them all.
 */
#define AUDIT_REFUSALS_PER_SECOND 1000

struct audit_budget {
	int64_t second;
	unsigned lines;
	uint64_t left_out;
};

struct audit_event {
	uint8_t opcode;
	enum tpmpsk_status status;
	const struct tpmpsk_derive
		*derive;             /* NULL when it is no derivation, or could not be read */
	const char *key;             /* NULL when it is not known, or the peer may not know */
	struct audit_budget *budget; /* of the user, for refusals; NULL: written in any case */
	uint64_t queue_us, tpm_us;   /* 0 when it did not come to that */
};

/* where: "stderr", "off" or a path, which is appended to and made 0600. 0 or -errno. */
int audit_open(struct audit *a, const char *where) __attribute__((warn_unused_result));
/* Changing the place in two steps, so that the first may fail without a trace: a descriptor (-1 for "off"), then the switch to it. */
int audit_prepare(const char *where, int *ret_fd) __attribute__((warn_unused_result));
void audit_switch(struct audit *a, int fd);
void audit_close(struct audit *a);

void audit_write(struct audit *a, uid_t uid, pid_t pid, const struct audit_event *e);
void audit_flush(struct audit *a);

/* An opcode's word, "key-import"; "request" for a number that is none. */
const char *audit_opcode_name(uint8_t opcode);

#endif
