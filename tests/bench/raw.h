/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw - what the TPM and tpm2-tss give without a daemon: one process, one key, HMAC after HMAC. The
 * yardstick of the bench, and in its other ways what programs do that have no daemon to ask.
 *
 * Connects to the TPM by itself, makes a key, leaves nothing behind. Blocks for as long as it
 * measures. Returns 0, -EIO or -ENOMEM, having said on standard error what failed. A process that
 * forks may use what its parent opened, one process at a time.
 */
#ifndef TPMPSK_TESTS_BENCH_RAW_H
#define TPMPSK_TESTS_BENCH_RAW_H

#include "keys/keyfile.h"
#include "tests/bench/bench.h"

#include <stdbool.h>
#include <stddef.h>

enum raw_way {
	RAW_KEPT,       /* the key is loaded once */
	RAW_LOAD,       /* loaded for each HMAC and flushed after it */
	RAW_CONTEXT,    /* the same, from a saved context */
	RAW_PERSISTENT, /* kept in the TPM's own memory for as long as it is open */
	RAW_WHOLE,      /* connection, primary key, key and session are made for each HMAC */
};

struct raw_options {
	const char *tcti;
	enum raw_way way;
	bool session; /* salted and encrypted, as the daemon's; else password authorisation */
	bool load_by_password; /* all the same */
	bool cure;     /* with one OpenSSL library context for all (daemon/ossl_lib_ctx.h) */
	size_t n;      /* raw_run(): HMACs to measure; a tenth more run first, unmeasured */
	size_t in_len; /* bytes of input, at most 1024 */
};

int raw_run(const struct raw_options *options, struct bench_result *ret)
	__attribute__((warn_unused_result));

/* The same in pieces. A failure to open leaves nothing to close; raw_close() takes NULL. */
struct raw;
int raw_open(struct raw **ret, const struct raw_options *options)
	__attribute__((warn_unused_result));
int raw_hmac(struct raw *w) __attribute__((warn_unused_result));
void raw_close(struct raw *w);
/* Another key under the same primary key in place of its own, to be loaded: RAW_LOAD only. */
int raw_take(struct raw *w, const struct keyfile_object *object)
	__attribute__((warn_unused_result));

/*
 * A session of its own for a process that uses what its parent opened without one, and its end; the
 * parent's keys stay.
 */
int raw_session_start(struct raw *w) __attribute__((warn_unused_result));
void raw_session_end(struct raw *w);

#endif
