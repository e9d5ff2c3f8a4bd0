/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static int compare(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return x < y ? -1 : x > y;
}

int peer_read(int fd, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	gid_t *groups = NULL;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	/* The first call says how much there is; a peer's list is fixed at connect, so the second one fits. */
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) < 0 && errno != ERANGE)
		return -errno;
	if (len > 0) {
		groups = malloc(len);
		if (!groups)
			return -ENOMEM;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0) {
			int r = -errno;

			free(groups);
			return r;
		}
	}
	if (len > 0)
		qsort(groups, len / sizeof(gid_t), sizeof(gid_t), compare);
	*ret = (struct peer){
		.uid = cred.uid,
		.gid = cred.gid,
		.pid = cred.pid,
		.groups = groups,
		.n_groups = len / sizeof(gid_t),
	};
	return 0;
}

void peer_done(struct peer *p)
{
	free(p->groups);
	*p = (struct peer){ 0 };
}

bool peer_in_group(const struct peer *p, gid_t gid)
{
	return p->gid == gid ||
	       (p->n_groups > 0 && bsearch(&gid, p->groups, p->n_groups, sizeof(gid), compare));
}
