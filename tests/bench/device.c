/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device - a TPM behind the kernel's driver: on /dev/tpm0, which one process has for itself, and on
 * /dev/tpmrm0, where the kernel swaps everybody's keys and sessions in and out with each command.
 * For the virtual machine of tests/vm; anywhere else it uses the machine's own TPM, and leaves in it
 * what was there before.
 */
#include "tests/bench/raw.h"
#include "tests/bench/through.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DIRECT "/dev/tpm0"
#define MANAGED "/dev/tpmrm0"

struct how {
	const char *device;
	enum raw_way way;
	bool session;
};

static int measure_raw(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	char tcti[64] = "device:";

	if (access(how->device, R_OK | W_OK) < 0)
		return -EOPNOTSUPP;
	return raw_run(&(struct raw_options){ .tcti = strncat(tcti, how->device, 32),
			       .way = how->way,
			       .session = how->session,
			       .cure = true,
			       .n = n,
			       .in_len = THROUGH_INPUT_SIZE },
		ret);
}

static int measure_daemon(const void *context, size_t n, struct bench_result *ret)
{
	const struct through *how = context;

	if (access(how->tcti + strlen("device:"), R_OK | W_OK) < 0)
		return -EOPNOTSUPP;
	return through_measure(how, n, ret);
}

#define RAW(...)                                                                                   \
	.measure = measure_raw, .how = &(const struct how)                                         \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define DAEMON(DEVICE, ...)                                                                        \
	.measure = measure_daemon, .how = &(const struct through)                                  \
	{                                                                                          \
		.tcti = "device:" DEVICE, .clients = 1, __VA_ARGS__                                \
	}

enum {
	DIRECT_KEPT,
	DIRECT_SESSION,
	DIRECT_LOAD,
	DIRECT_CONTEXT,
	DIRECT_DAEMON,
	DIRECT_DAEMON_SESSION,
	MANAGED_KEPT,
	MANAGED_SESSION,
	MANAGED_LOAD,
	MANAGED_CONTEXT,
	MANAGED_PERSISTENT,
	MANAGED_PERSISTENT_SESSION,
	MANAGED_DAEMON,
	MANAGED_DAEMON_SESSION,
	N_ROWS,
};

static const struct bench_row rows[N_ROWS] = {
	[DIRECT_KEPT] = { .name = "tpm0, key kept loaded, password", RAW(DIRECT, RAW_KEPT) },
	[DIRECT_SESSION] = { .name = "tpm0, key kept loaded, encrypted",
		RAW(DIRECT, RAW_KEPT, true),
		.base = &rows[DIRECT_KEPT] },
	[DIRECT_LOAD] = { .name = "tpm0, load, HMAC, flush, password",
		RAW(DIRECT, RAW_LOAD),
		.base = &rows[DIRECT_KEPT] },
	[DIRECT_CONTEXT] = { .name = "tpm0, load context, HMAC, flush, password",
		RAW(DIRECT, RAW_CONTEXT),
		.base = &rows[DIRECT_KEPT] },
	[DIRECT_DAEMON] = { .name = "tpm0, tpm-pskd, password",
		DAEMON(DIRECT),
		.base = &rows[DIRECT_KEPT] },
	[DIRECT_DAEMON_SESSION] = { .name = "tpm0, tpm-pskd, encrypted",
		DAEMON(DIRECT, .session = true),
		.base = &rows[DIRECT_SESSION] },
	[MANAGED_KEPT] = { .name = "tpmrm0, key kept loaded, password",
		RAW(MANAGED, RAW_KEPT),
		.base = &rows[DIRECT_KEPT] },
	[MANAGED_SESSION] = { .name = "tpmrm0, key kept loaded, encrypted",
		RAW(MANAGED, RAW_KEPT, true),
		.base = &rows[DIRECT_SESSION] },
	[MANAGED_LOAD] = { .name = "tpmrm0, load, HMAC, flush, password",
		RAW(MANAGED, RAW_LOAD),
		.base = &rows[DIRECT_LOAD] },
	[MANAGED_CONTEXT] = { .name = "tpmrm0, load context, HMAC, flush, password",
		RAW(MANAGED, RAW_CONTEXT),
		.base = &rows[DIRECT_CONTEXT] },
	[MANAGED_PERSISTENT] = { .name = "tpmrm0, persistent key, password",
		RAW(MANAGED, RAW_PERSISTENT),
		.base = &rows[DIRECT_KEPT] },
	[MANAGED_PERSISTENT_SESSION] = { .name = "tpmrm0, persistent key, encrypted",
		RAW(MANAGED, RAW_PERSISTENT, true),
		.base = &rows[DIRECT_SESSION] },
	[MANAGED_DAEMON] = { .name = "tpmrm0, tpm-pskd, password",
		DAEMON(MANAGED),
		.base = &rows[MANAGED_KEPT] },
	[MANAGED_DAEMON_SESSION] = { .name = "tpmrm0, tpm-pskd, encrypted",
		DAEMON(MANAGED, .session = true),
		.base = &rows[MANAGED_SESSION] },
};

int main(int argc, char **argv)
{
	return bench_main(
		&(const struct bench){ .name = "device",
			.about = "HMACs by the machine's own TPM: /dev/tpm0, /dev/tpmrm0.",
			.what = "HMACs",
			.n = 200,
			.n_rows = N_ROWS,
			.rows = rows },
		argc, argv);
}
