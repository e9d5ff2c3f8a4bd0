/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload - how a key that is not loaded comes back in: from its file or from a saved context, in the
 * session or without. Each with the HMAC it is for and the flush that makes room again.
 */
#include "tests/bench/raw.h"
#include "tests/bench/through.h"
#include "tests/swtpm/swtpm.h"

struct how {
	enum raw_way way;
	bool session, by_password;
};

static int measure(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct swtpm tpm;
	int r;

	r = swtpm_init(&tpm);
	if (r == 0)
		r = raw_run(&(struct raw_options){ .tcti = tpm.tcti,
				    .way = how->way,
				    .session = how->session,
				    .load_by_password = how->by_password,
				    .cure = true,
				    .n = n,
				    .in_len = THROUGH_INPUT_SIZE },
			ret);
	swtpm_done(&tpm);
	return r;
}

#define HOW(...)                                                                                   \
	.measure = measure, .how = &(const struct how)                                             \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

enum {
	KEPT,
	PERSISTENT,
	LOAD,
	CONTEXT,
	KEPT_SESSION,
	PERSISTENT_SESSION,
	LOAD_SESSION,
	CONTEXT_SESSION,
	LOAD_PASSWORD,
	N_ROWS,
};

static const struct bench_row rows[N_ROWS] = {
	[KEPT] = { .name = "password, kept loaded", HOW(RAW_KEPT) },
	[PERSISTENT] = { .name = "password, persistent", HOW(RAW_PERSISTENT), .base = &rows[KEPT] },
	[LOAD] = { .name = "password, load", HOW(RAW_LOAD), .base = &rows[KEPT] },
	[CONTEXT] = { .name = "password, load context", HOW(RAW_CONTEXT), .base = &rows[LOAD] },
	[KEPT_SESSION] = { .name = "encrypted, kept loaded", HOW(RAW_KEPT, true) },
	[PERSISTENT_SESSION] = { .name = "encrypted, persistent",
		HOW(RAW_PERSISTENT, true),
		.base = &rows[KEPT_SESSION] },
	[LOAD_SESSION] = { .name = "encrypted, load in the session",
		HOW(RAW_LOAD, true),
		.base = &rows[KEPT_SESSION] },
	[CONTEXT_SESSION] = { .name = "encrypted, load context",
		HOW(RAW_CONTEXT, true),
		.base = &rows[LOAD_SESSION] },
	[LOAD_PASSWORD] = { .name = "encrypted, load by password",
		HOW(RAW_LOAD, true, true),
		.base = &rows[LOAD_SESSION] },
};

int main(int argc, char **argv)
{
	return bench_main(&(const struct bench){ .name = "reload",
				  .about = "How a key comes back into a software TPM.",
				  .what = "HMACs",
				  .n = 1000,
				  .n_rows = N_ROWS,
				  .rows = rows },
		argc, argv);
}
