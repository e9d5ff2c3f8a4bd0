/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/user.h"

#include "daemon/engine.h"

#include <assert.h>
#include <stdlib.h>

/* From this many on, those who are gone are looked through when a new one comes. */
#define SWEEP_FROM 64

void users_init(struct users *u, struct engine *engine)
{
	u->engine = engine;
	u->count = 0;
	for (size_t i = 0; i < USER_BUCKETS; i++)
		list_init(&u->buckets[i]);
}

static void forget(struct users *u, struct user *user)
{
	assert(user->refs == 0);
	list_remove(&user->link);
	u->count--;
	engine_account_remove(u->engine, &user->account);
	free(user);
}

/* Forgets who has gone; all of them, or only those who have nothing left to settle. */
static void sweep(struct users *u, bool all)
{
	for (size_t i = 0; i < USER_BUCKETS; i++) {
		struct list *it, *next;

		list_for_each_safe (it, next, &u->buckets[i]) {
			struct user *user = list_entry(it, struct user, link);

			if (user->refs == 0 &&
				(all || engine_account_settled(u->engine, &user->account)))
				forget(u, user);
		}
	}
}

void users_done(struct users *u)
{
	sweep(u, true);
	assert(u->count == 0);
}

struct user *users_get(struct users *u, uid_t uid)
{
	struct list *bucket = &u->buckets[uid % USER_BUCKETS];
	struct user *user;

	for (struct list *it = bucket->next; it != bucket; it = it->next) {
		user = list_entry(it, struct user, link);
		if (user->uid == uid) {
			user->refs++;
			return user;
		}
	}
	if (u->count >= SWEEP_FROM)
		sweep(u, false);
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	if (engine_account_add(u->engine, &user->account) < 0) {
		free(user);
		return NULL;
	}
	queue_flow_init(&user->background, &user->account);
	user->uid = uid;
	user->refs = 1;
	list_append(bucket, &user->link);
	u->count++;
	return user;
}

struct user *user_ref(struct user *user)
{
	assert(user->refs > 0);
	user->refs++;
	return user;
}

void users_put(struct users *u, struct user *user)
{
	assert(user->refs > 0);
	if (--user->refs == 0 && engine_account_settled(u->engine, &user->account))
		forget(u, user);
}
