/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit - one JSON line for every decision: who asked for what, and what the answer was.
 *
 * Never a secret: no random, no input and no output of a derivation. What a client chose (the identity) is escaped. Lines are gathered
 * and written when the loop is about to wait. Where they go never stops the service: what cannot be written is counted. Loop thread only.
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
#define AUDIT_JOURNAL_SOCKET "/run/systemd/journal/socket"

enum audit_kind {
	AUDIT_OFF,
	AUDIT_STDERR,
	AUDIT_FILE,
	AUDIT_JOURNAL, /* a message with fields for each line, by the journal's own protocol */
};

/* Where lines go. */
struct audit_place {
	enum audit_kind kind;
	int fd;     /* -1: off */
	char *path; /* of a file, or of the journal's socket */
	dev_t dev;  /* of a file: it is noticed when it is moved away */
	ino_t ino;
};

struct audit {
	struct audit_place place;
	uint64_t lost;      /* lines that could not be written; said in the next one that can */
	uint64_t said;      /* of these, so many are said in the buffer */
	uint64_t lost_ever; /* all that were lost since the start */
	uint64_t left_out;  /* all that budgets left out */
	bool torn;          /* the last write ended within a line */
	int64_t looked; /* the second in which it was last looked whether the file is still there */
	bool gone;      /* it is not, and there is no other to be had */
	size_t len;
	char buffer
		[AUDIT_BUFFER_SIZE]; /* lines; for the journal its messages, each behind its length */
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
	const char *unit;            /* of the peer; NULL or "" when it is not known */
	struct audit_budget *budget; /* of the user, for refusals; NULL: written in any case */
	uint64_t queue_us, tpm_us;   /* 0 when it did not come to that */
};

/*
 * where: "stderr", "off", "journal" or a path, which is appended to and made 0600. When the file is moved away, a new one is made in its
 * place within a second. 0 or -errno.
 */
int audit_open(struct audit *a, const char *where) __attribute__((warn_unused_result));
/* Changing the place in two steps, so that the first may fail without a trace; the second takes the place over. */
int audit_prepare(const char *where, struct audit_place *ret) __attribute__((warn_unused_result));
int audit_prepare_journal(const char *socket, struct audit_place *ret)
	__attribute__((warn_unused_result));
void audit_place_done(struct audit_place *p);
void audit_switch(struct audit *a, struct audit_place *place);
void audit_close(struct audit *a);

void audit_write(struct audit *a, uid_t uid, pid_t pid, const struct audit_event *e);
void audit_flush(struct audit *a);

/* An opcode's word, "key-import"; "request" for a number that is none. */
const char *audit_opcode_name(uint8_t opcode);

#endif
