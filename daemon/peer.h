/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer - who is at the other end of a connection: uid, primary gid, pid and all supplementary groups.
 *
 * Read once, at accept, from the kernel; nothing that the peer sends changes it. A value type with one allocation for the groups.
 */
#ifndef TPMPSK_DAEMON_PEER_H
#define TPMPSK_DAEMON_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	size_t n_groups;
	gid_t *groups; /* sorted */
};

/* 0 or -errno of getsockopt(2). */
int peer_read(int fd, struct peer *ret) __attribute__((warn_unused_result));
void peer_done(struct peer *p);

/* Whether gid is the primary or a supplementary group. */
bool peer_in_group(const struct peer *p, gid_t gid);

#endif
