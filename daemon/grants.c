/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/grants.h"

#include <errno.h>
#include <stdlib.h>

static int append(struct grants_ids *set, uint32_t id)
{
	if (set->count == set->room) {
		size_t room = set->room ? 2 * set->room : 8;
		uint32_t *ids = reallocarray(set->ids, room, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		set->ids = ids;
		set->room = room;
	}
	set->ids[set->count++] = id;
	return 0;
}

int grants_add(struct grants *g, const struct policy *p)
{
	for (size_t i = 0; i < p->n_allow; i++) {
		const struct policy_who *w = &p->allow[i];
		int r = 0;

		if (!policy_may_match(p, w))
			continue;
		if (w->kind == POLICY_UID)
			r = append(&g->users[p->purpose], w->id);
		else
			r = append(&g->groups[p->purpose], w->id);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_once(struct grants_ids *set)
{
	size_t kept = 0;

	if (set->count == 0)
		return;
	qsort(set->ids, set->count, sizeof(*set->ids), compare);
	for (size_t i = 1; i < set->count; i++)
		if (set->ids[i] != set->ids[kept])
			set->ids[++kept] = set->ids[i];
	set->count = kept + 1;
}

void grants_finish(struct grants *g)
{
	for (size_t i = 0; i < TPMPSK_PURPOSE_COUNT; i++) {
		sort_once(&g->users[i]);
		sort_once(&g->groups[i]);
	}
}

void grants_done(struct grants *g)
{
	for (size_t i = 0; i < TPMPSK_PURPOSE_COUNT; i++) {
		free(g->users[i].ids);
		free(g->groups[i].ids);
	}
	*g = (struct grants){ 0 };
}

static bool has(const struct grants_ids *set, uint32_t id)
{
	return set->count > 0 && bsearch(&id, set->ids, set->count, sizeof(id), compare);
}

bool grants_any(const struct grants *g, const struct peer *peer, uint8_t purpose)
{
	const struct grants_ids *groups = &g->groups[purpose];

	if (has(&g->users[purpose], peer->uid) || has(groups, peer->gid))
		return true;
	/* The shorter list is gone through, the longer one searched. */
	if (groups->count < peer->n_groups) {
		for (size_t i = 0; i < groups->count; i++)
			if (peer_in_group(peer, groups->ids[i]))
				return true;
	} else {
		for (size_t i = 0; i < peer->n_groups; i++)
			if (has(groups, peer->groups[i]))
				return true;
	}
	return false;
}
