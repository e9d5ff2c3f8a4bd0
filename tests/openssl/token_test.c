/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens by themselves: what they say, what is none, how many there may be, and that they hold
 * across threads and a fork.
 */
#include "client-lib/openssl/token.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void take_share(void)
{
	cr_assert_eq(tpmpsk_tokens_ref(), 0);
}

TestSuite(token, .init = take_share, .fini = tpmpsk_tokens_unref, .timeout = 60);

static struct tpmpsk_token token_of(const char *identity, enum tpmpsk_hash hash)
{
	struct tpmpsk_token t = {
		.stage = TPMPSK_TOKEN_EARLY, .hash = hash, .identity_len = strlen(identity)
	};

	memcpy(t.identity, identity, t.identity_len);
	return t;
}

static void write_numbered(unsigned int number, uint8_t out[32])
{
	struct tpmpsk_token t;
	char identity[16];

	snprintf(identity, sizeof(identity), "id-%u", number);
	t = token_of(identity, TPMPSK_HASH_SHA256);
	cr_assert_eq(tpmpsk_token_write(&t, out), 0);
}

static int read_numbered(unsigned int number, const uint8_t in[32])
{
	struct tpmpsk_token t;
	char identity[16];
	int r = tpmpsk_token_read(in, 32, &t);

	snprintf(identity, sizeof(identity), "id-%u", number);
	if (r == 0 && (t.identity_len != strlen(identity) ||
			      memcmp(t.identity, identity, t.identity_len) != 0))
		return -EBADMSG;
	return r;
}

Test(token, says_what_it_was_made_of)
{
	static const enum tpmpsk_token_stage stages[] = { TPMPSK_TOKEN_EARLY, TPMPSK_TOKEN_BINDER,
		TPMPSK_TOKEN_FINISHED };
	static const enum tpmpsk_hash hashes[] = { TPMPSK_HASH_SHA256, TPMPSK_HASH_SHA384 };

	for (size_t i = 0; i < 6; i++) {
		struct tpmpsk_token t = token_of("Client1", hashes[i % 2]), back;
		size_t size = tpmpsk_hash_size(t.hash);
		uint8_t *bytes = malloc(size);

		t.stage = stages[i / 2];
		cr_assert_eq(tpmpsk_token_write(&t, bytes), 0);
		cr_assert(tpmpsk_token_is(bytes, size));
		cr_assert_eq(tpmpsk_token_read(bytes, size, &back), 0);
		cr_assert_eq(back.stage, t.stage);
		cr_assert_eq(back.hash, t.hash);
		cr_assert_eq(back.identity_len, 7);
		cr_assert_arr_eq(back.identity, "Client1", 7);
		free(bytes);
	}
}

Test(token, needs_an_identity_and_a_hash)
{
	struct tpmpsk_token t = token_of("", TPMPSK_HASH_SHA256);
	uint8_t out[48];

	cr_assert_eq(tpmpsk_token_write(&t, out), -EINVAL);
	t.identity_len = TPMPSK_IDENTITY_SIZE_MAX + 1;
	cr_assert_eq(tpmpsk_token_write(&t, out), -EINVAL);
	t.identity_len = TPMPSK_IDENTITY_SIZE_MAX;
	cr_assert_eq(tpmpsk_token_write(&t, out), 0);
	t.hash = 3;
	cr_assert_eq(tpmpsk_token_write(&t, out), -EINVAL);
}

/* Each from an allocation of its size, for the address sanitizer. */
Test(token, is_none_when_cut_or_changed)
{
	struct tpmpsk_token t = token_of("Client1", TPMPSK_HASH_SHA384), back;
	uint8_t whole[48];

	cr_assert_eq(tpmpsk_token_write(&t, whole), 0);
	for (size_t len = 0; len < sizeof(whole); len++) {
		uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, whole, len);
		cr_assert_eq(tpmpsk_token_is(cut, len), len >= 16);
		cr_assert_eq(tpmpsk_token_read(cut, len, &back), -EINVAL);
		free(cut);
	}
	for (size_t bit = 0; bit < 28 * 8; bit++) { /* prefix, generation, place */
		uint8_t changed[48];

		memcpy(changed, whole, sizeof(whole));
		changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(tpmpsk_token_is(changed, sizeof(changed)), bit >= 128);
		cr_assert_lt(tpmpsk_token_read(changed, sizeof(changed), &back), 0);
	}
}

Test(token, differs_only_by_what_it_says)
{
	uint8_t first[32], other[32], again[32];

	write_numbered(1, first);
	write_numbered(2, other);
	write_numbered(1, again);
	cr_assert_arr_eq(first, again, 32);
	cr_assert_arr_neq(first, other, 32);
}

Test(token, makes_room_at_the_cost_of_what_was_unused_for_longest)
{
	static uint8_t tokens[TPMPSK_TOKENS_MAX + 2][32];
	unsigned int n = TPMPSK_TOKENS_MAX;

	for (unsigned int i = 0; i < n; i++)
		write_numbered(i, tokens[i]);
	for (unsigned int i = 0; i < n; i++)
		cr_assert_eq(read_numbered(i, tokens[i]), 0);
	cr_assert_eq(read_numbered(0, tokens[0]), 0); /* now 1 is the oldest */
	write_numbered(n, tokens[n]);
	write_numbered(n + 1, tokens[n + 1]);
	cr_assert_eq(read_numbered(0, tokens[0]), 0);
	cr_assert_eq(read_numbered(1, tokens[1]), -ESTALE);
	cr_assert_eq(read_numbered(2, tokens[2]), -ESTALE);
	for (unsigned int i = 3; i < n + 2; i++)
		cr_assert_eq(read_numbered(i, tokens[i]), 0);
	write_numbered(1, tokens[1]);
	cr_assert_eq(read_numbered(1, tokens[1]), 0);
}

Test(token, of_an_earlier_table_is_none)
{
	struct tpmpsk_token back;
	uint8_t bytes[32];

	write_numbered(1, bytes);
	cr_assert_eq(tpmpsk_tokens_ref(), 0);
	tpmpsk_tokens_unref();
	cr_assert_eq(read_numbered(1, bytes), 0, "gone before the last share is");
	tpmpsk_tokens_unref();
	cr_assert_eq(tpmpsk_tokens_ref(), 0);
	cr_assert_eq(tpmpsk_token_read(bytes, sizeof(bytes), &back), -EINVAL);
}

static void *use_many(void *arg)
{
	unsigned int *failed = arg;
	uint8_t bytes[32];

	for (unsigned int i = 0; i < 3000; i++) {
		write_numbered(i % 700, bytes);
		*failed += read_numbered(i % 700, bytes) != 0;
	}
	return NULL;
}

Test(token, may_be_used_by_threads_that_fork)
{
	unsigned int failed[4] = { 0 };
	pthread_t threads[4];
	uint8_t bytes[32];

	write_numbered(5000, bytes);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, use_many, &failed[i]), 0);
	for (unsigned int i = 0; i < 50; i++) {
		int status = -1;
		pid_t pid = fork();

		cr_assert_geq(pid, 0);
		if (pid == 0) {
			alarm(20); /* where the lock is lost, the child would wait for ever */
			write_numbered(i, (uint8_t[32]){ 0 });
			_exit(read_numbered(5000, bytes) == 0 ? 0 : 1);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(failed[i], 0);
	}
}
