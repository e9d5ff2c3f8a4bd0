/* SPDX-License-Identifier: BSD-2-Clause */
/* Epoch secrets of two hundred keys over a clock that the test moves; the TPM's answers are made up. */
#include "daemon/epochs.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 200
#define WINDOW UINT64_C(30000)
#define START (UINT64_C(5966667) * SESSION_EPOCH_MS) /* an epoch's beginning */

static struct epochs e;
static struct key *keys[KEYS];
static unsigned fetched; /* since it was last set to 0 */
static bool gone;        /* what current() says */
static const uint8_t secret[SESSION_KEY_SIZE] = "the TPM's answer";

static bool current(void *context, const struct key *k)
{
	(void)context;
	(void)k;
	return !gone;
}

static void fetch(void *context, struct epoch *entry)
{
	(void)context;
	fetched++;
	epochs_fill(entry, secret);
}

static void tick(uint64_t now)
{
	epochs_tick(&e,
		&(struct epochs_tick){
			.now_ms = now, .window_ms = WINDOW, .current = current, .fetch = fetch });
}

static void setup(void)
{
	cr_assert_geq(sodium_init(), 0);
	gone = false;
	epochs_init(&e);
	for (unsigned i = 0; i < KEYS; i++) {
		keys[i] = calloc(1, sizeof(*keys[i]));
		keys[i]->refs = 1;
		keys[i]->id = (uint64_t)i * KEYFILE_OBJECTS_MAX;
		keys[i]->policy.mode = POLICY_EPOCH;
	}
}

static void teardown(void)
{
	epochs_done(&e);
	for (unsigned i = 0; i < KEYS; i++)
		key_unref(keys[i]);
}

TestSuite(epochs, .init = setup, .fini = teardown);

/* What a request does. */
static struct epoch *use(struct key *k, uint64_t now)
{
	struct epoch *entry = epochs_get(&e, k, session_epoch_of(now));

	if (!entry->ready)
		fetch(NULL, entry);
	entry->used = true;
	return entry;
}

static void use_all(uint64_t now)
{
	for (unsigned i = 0; i < KEYS; i++)
		use(keys[i], now);
}

Test(epochs, ask_the_tpm_once_for_each_key_and_epoch)
{
	use_all(START);
	cr_assert_eq(fetched, KEYS);
	for (uint64_t t = START; t < START + SESSION_EPOCH_MS - WINDOW - 120000; t += 1000) {
		use_all(t);
		tick(t);
	}
	cr_assert_eq(fetched, KEYS);
}

Test(epochs, are_fetched_ahead_one_after_the_other_and_before_anybody_needs_them)
{
	unsigned most = 0;

	use_all(START);
	for (uint64_t t = START; t < START + SESSION_EPOCH_MS; t += 1000) {
		use_all(t);
		fetched = 0;
		tick(t);
		most = fetched > most ? fetched : most;
	}
	cr_assert_leq(most, 10, "%u at once", most);
	fetched = 0;
	use_all(START + SESSION_EPOCH_MS);
	cr_assert_eq(fetched, 0);
	/* Peers with fast clocks use them a window earlier. */
	cr_assert_eq(e.count, 2 * KEYS);
}

Test(epochs, are_there_a_window_before_their_time)
{
	use_all(START);
	for (uint64_t t = START; t <= START + SESSION_EPOCH_MS - WINDOW; t += 1000)
		tick(t);
	fetched = 0;
	use_all(START + SESSION_EPOCH_MS);
	cr_assert_eq(fetched, 0);
}

Test(epochs, are_not_fetched_for_keys_that_nobody_uses)
{
	use(keys[0], START);
	for (uint64_t t = START; t < START + 3 * SESSION_EPOCH_MS; t += 1000)
		tick(t);
	cr_assert_eq(fetched, 2); /* its own, and the next one, which nobody used */
}

Test(epochs, are_wiped_when_their_window_has_passed)
{
	use_all(START);
	tick(START + SESSION_EPOCH_MS + WINDOW);
	cr_assert_eq(e.count, KEYS);
	tick(START + SESSION_EPOCH_MS + WINDOW + 1);
	cr_assert_eq(e.count, 0);
	cr_assert_eq(e.slab.in_use, 0);
}

Test(epochs, are_wiped_when_the_clock_was_wrong)
{
	use_all(START + 100 * SESSION_EPOCH_MS);
	tick(START);
	cr_assert_eq(e.count, 0);
}

Test(epochs, of_a_key_that_is_gone_are_wiped)
{
	use_all(START);
	gone = true;
	tick(START);
	cr_assert_eq(e.count, 0);
}

static bool is_zero(const crypto_auth_hmacsha256_state *state)
{
	return sodium_is_zero((const unsigned char *)state, sizeof(*state));
}

Test(epochs, keep_no_psk_key_in_strict_mode)
{
	struct epoch *entry;

	keys[0]->policy.mode = POLICY_STRICT;
	entry = use(keys[0], START);
	cr_assert(is_zero(&entry->keys.psk));
	cr_assert_not(is_zero(&entry->keys.tag));
	entry = use(keys[1], START);
	cr_assert_not(is_zero(&entry->keys.psk));
}
