/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine - daemon/engine.h without a thread and without a TPM: what it is given is done by HMACs in software when the fuzz target says so.
 *
 * A key's secret stands in its file where the TPM's encrypted private area would. Linked in place of the daemon's own engine.
 */
#ifndef TPMPSK_TESTS_FUZZ_ENGINE_H
#define TPMPSK_TESTS_FUZZ_ENGINE_H

#include "daemon/engine.h"
#include "daemon/key_secrets.h"

/* Does the next queued job; with result < 0 it fails so. False: there was none. */
bool fuzz_engine_step(struct engine *e, int result);

/* Adds an object to a key file for an HMAC key, as this engine reads it. 0 or -errno. */
int fuzz_engine_key(struct keyfile *kf, const struct key_secret *secret);

#endif
