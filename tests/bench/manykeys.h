/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * manykeys - a daemon with a great many keys, each with a secret and an identity of its own.
 *
 * The keys are made by the scene's TPM and written into its key directory by this process, which is
 * a great deal faster than asking the daemon for each: it is started afterwards. Key i answers to
 * the purpose tls12-session and the identity manykeys_ask() gives it, for root. 0 or -errno.
 */
#ifndef TPMPSK_TESTS_BENCH_MANYKEYS_H
#define TPMPSK_TESTS_BENCH_MANYKEYS_H

#include "keys/keyfile.h"
#include "proto/derive.h"
#include "tests/bench/slow.h"
#include "tests/swtpm/scene.h"

#include <stdbool.h>

struct manykeys {
	struct slow slow;
	struct scene scene;
	size_t n;
	struct keyfile *files;
};

/*
 * config: fields over the usual ones, a JSON object. one_secret: all keys are the TPM's first one
 * under names of their own, where nothing but their number counts. The daemon is not running yet.
 */
int manykeys_init(struct manykeys *m, size_t n, bool one_secret, const char *config)
	__attribute__((warn_unused_result));
/* Takes a zeroed struct. */
void manykeys_done(struct manykeys *m);

/* A request for key i, with a number in it that makes it another one than others. */
void manykeys_ask(size_t i, size_t number, struct tpmpsk_derive *ret);
/* Whether this is the answer to that. */
bool manykeys_check(size_t i, size_t number, const struct tpmpsk_derived *answer);

#endif
