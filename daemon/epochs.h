/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epochs - the epoch secrets of session-identity keys: one TPM command per key and epoch.
 *
 * Owns what is made from an epoch secret (the tag key and, in epoch mode, the PSK key) in locked memory, from when the TPM has computed
 * it until its time has left the window; S_n itself is not kept. Requests that come before the TPM's answer wait in the entry. Pure but
 * for its memory: the caller brings the time and sends what the TPM is to compute. Loop thread only.
 */
#ifndef TPMPSK_DAEMON_EPOCHS_H
#define TPMPSK_DAEMON_EPOCHS_H

#include "daemon/keystore.h"
#include "daemon/list.h"
#include "daemon/secret.h"
#include "daemon/session_identity.h"

#include <stdbool.h>
#include <stdint.h>

#define EPOCHS_BUCKETS 1024

struct epoch {
	struct list link;    /* in its bucket */
	struct list waiting; /* of jobs, by their wait_link, while it is being fetched */
	struct key *key;     /* a reference */
	enum session_version version;
	uint64_t number;
	bool fetching, ready;
	bool used;                /* asked for, and not only fetched ahead */
	struct session_keys keys; /* psk: zeroes in strict mode, a PSK comes from the TPM there */
};

struct epochs {
	struct list buckets[EPOCHS_BUCKETS];
	struct slab slab;
	size_t count;
};

void epochs_init(struct epochs *e);
/* Nothing may be waiting or being fetched. */
void epochs_done(struct epochs *e);

/* The mode of a key as the formulas count it. */
enum session_version epochs_version(const struct key *k);

/* The entry of a key and epoch, made when there is none; NULL without memory. */
struct epoch *epochs_get(struct epochs *e, struct key *k, uint64_t number);

/* The TPM's answer. */
void epochs_fill(struct epoch *entry, const uint8_t secret[SESSION_KEY_SIZE]);

/* Wipes and forgets an entry that nobody waits for. */
void epochs_drop(struct epochs *e, struct epoch *entry);

/*
 * Drops what is out of the window at now_ms, or belongs to a key that current() says is gone; then calls fetch() for the keys in
 * use whose next epoch is due to be fetched ahead: each key has its own moment in the last part of an epoch, so that the TPM sees
 * them one after the other.
 */
struct epochs_tick {
	uint64_t now_ms, window_ms;
	bool (*current)(void *context, const struct key *k);
	void (*fetch)(void *context, struct epoch *entry);
	void *context;
};
void epochs_tick(struct epochs *e, const struct epochs_tick *t);

#endif
