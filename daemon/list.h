/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list - a doubly linked list whose links live inside the things it links.
 *
 * A head and a member are the same type. An unlinked member points to itself, so unlinking twice is harmless. No allocation.
 */
#ifndef TPMPSK_DAEMON_LIST_H
#define TPMPSK_DAEMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

/* The struct around a member. */
#define list_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define list_for_each_safe(it, tmp, head)                                                          \
	for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head);                              \
		(it) = (tmp), (tmp) = (it)->next)

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *member)
{
	member->prev = head->prev;
	member->next = head;
	head->prev->next = member;
	head->prev = member;
}

static inline void list_remove(struct list *member)
{
	member->prev->next = member->next;
	member->next->prev = member->prev;
	list_init(member);
}

/* The first member, unlinked; NULL when there is none. */
static inline struct list *list_pop(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

#endif
