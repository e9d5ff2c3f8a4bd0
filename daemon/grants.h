/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grants - who may use some key of a purpose, whichever it is.
 *
 * A digest of all policies: for each purpose the users and the groups that any entry allows, sorted. It answers in the time of a few
 * comparisons, however many keys there are, so that the question can be asked before anything else of every request. A value, built anew
 * when a policy changes; loop thread only.
 */
#ifndef TPMPSK_DAEMON_GRANTS_H
#define TPMPSK_DAEMON_GRANTS_H

#include "daemon/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grants_ids {
	size_t count, room;
	uint32_t *ids; /* sorted, each once, when finished */
};

struct grants {
	struct grants_ids users[TPMPSK_PURPOSE_COUNT];
	struct grants_ids groups[TPMPSK_PURPOSE_COUNT];
};

/* From zeroes: add every policy, then finish. 0 or -ENOMEM. */
int grants_add(struct grants *g, const struct policy *p) __attribute__((warn_unused_result));
void grants_finish(struct grants *g);
/* Frees and zeroes. */
void grants_done(struct grants *g);

bool grants_any(const struct grants *g, const struct peer *peer, uint8_t purpose);

#endif
