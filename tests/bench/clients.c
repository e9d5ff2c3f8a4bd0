/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clients - derivations a second, and how long one takes, over the number of clients: on a TPM that
 * costs next to nothing, on one with a chip's latency, and for threads that share a handle. It is
 * what tests/bench/run.sh plots.
 */
#include "tests/bench/raw.h"
#include "tests/bench/slow.h"
#include "tests/bench/through.h"

struct raw_how {
	bool session;
	uint32_t latency_us;
};

static int measure_raw(const void *context, size_t n, struct bench_result *ret)
{
	const struct raw_how *how = context;
	struct slow_tpm tpm = { 0 };
	int r;

	r = slow_tpm_init(&tpm);
	slow_set(&tpm.slow, how->latency_us);
	if (r == 0)
		r = raw_run(
			&(struct raw_options){ .tcti = how->latency_us ? tpm.tcti : tpm.tpm.tcti,
				.session = how->session,
				.cure = true,
				.n = n,
				.in_len = THROUGH_INPUT_SIZE },
			ret);
	slow_tpm_done(&tpm);
	return r;
}

#define RAW(...)                                                                                   \
	.measure = measure_raw, .how = &(const struct raw_how)                                     \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define THROUGH(...)                                                                               \
	.measure = through_measure, .how = &(const struct through)                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

enum {
	RAW_PASSWORD,
	PASSWORD,
	RAW_ENCRYPTED = PASSWORD + 9,
	ENCRYPTED,
	RAW_SPI = ENCRYPTED + 9,
	SPI,
	RAW_I2C = SPI + 3,
	I2C,
	PROCESSES,
	THREADS,
	N_ROWS,
};

/* Latencies of a TPM that is wired up by SPI and by I2C. */
#define SPI_US 8000
#define SPI_SHARE (1. / 8)
#define I2C_US 40000
#define I2C_SHARE (1. / 32)

#define PASSWORD_ROW(I, CLIENTS)                                                                   \
	[PASSWORD + (I)] = { .name = "password, clients: " #CLIENTS,                               \
		THROUGH(.clients = CLIENTS),                                                       \
		.base = &rows[RAW_PASSWORD] }
#define ENCRYPTED_ROW(I, CLIENTS)                                                                  \
	[ENCRYPTED + (I)] = { .name = "encrypted, clients: " #CLIENTS,                             \
		THROUGH(.session = true, .clients = CLIENTS),                                      \
		.base = &rows[RAW_ENCRYPTED] }
#define SPI_ROW(I, CLIENTS, SHARE)                                                                 \
	[SPI + (I)] = { .name = "8 ms a command, clients: " #CLIENTS,                              \
		THROUGH(.session = true, .clients = CLIENTS, .latency_us = SPI_US),                \
		.share = SHARE,                                                                    \
		.base = &rows[RAW_SPI],                                                            \
		.ratio_min = 0.99 }
#define I2C_ROW(I, CLIENTS)                                                                        \
	[I2C + (I)] = { .name = "40 ms a command, clients: " #CLIENTS,                             \
		THROUGH(.session = true, .clients = CLIENTS, .latency_us = I2C_US),                \
		.share = I2C_SHARE,                                                                \
		.base = &rows[RAW_I2C],                                                            \
		.ratio_min = 0.99 }

static const struct bench_row rows[N_ROWS] = {
	[RAW_PASSWORD] = { .name = "password, raw ESYS loop", RAW(0) },
	PASSWORD_ROW(0, 1),
	PASSWORD_ROW(1, 2),
	PASSWORD_ROW(2, 4),
	PASSWORD_ROW(3, 8),
	PASSWORD_ROW(4, 16),
	PASSWORD_ROW(5, 32),
	PASSWORD_ROW(6, 64),
	PASSWORD_ROW(7, 128),
	PASSWORD_ROW(8, 256),
	[RAW_ENCRYPTED] = { .name = "encrypted, raw ESYS loop", RAW(.session = true) },
	ENCRYPTED_ROW(0, 1),
	ENCRYPTED_ROW(1, 2),
	ENCRYPTED_ROW(2, 4),
	ENCRYPTED_ROW(3, 8),
	ENCRYPTED_ROW(4, 16),
	ENCRYPTED_ROW(5, 32),
	ENCRYPTED_ROW(6, 64),
	ENCRYPTED_ROW(7, 128),
	ENCRYPTED_ROW(8, 256),
	[RAW_SPI] = { .name = "8 ms a command, raw ESYS loop",
		RAW(.session = true, .latency_us = SPI_US),
		.share = SPI_SHARE },
	SPI_ROW(0, 1, SPI_SHARE),
	SPI_ROW(1, 16, SPI_SHARE),
	SPI_ROW(2, 256, 2 * SPI_SHARE), /* or starting so many weighs more than what they do */
	[RAW_I2C] = { .name = "40 ms a command, raw ESYS loop",
		RAW(.session = true, .latency_us = I2C_US),
		.share = I2C_SHARE },
	I2C_ROW(0, 32),
	[PROCESSES] = { .name = "16 processes", THROUGH(.session = true, .clients = 16) },
	[THREADS] = { .name = "16 threads on one handle",
		THROUGH(.session = true, .clients = 1, .threads = 16),
		.base = &rows[PROCESSES],
		.ratio_min = 1 },
};

int main(int argc, char **argv)
{
	return bench_main(&(const struct bench){ .name = "clients",
				  .about = "Derivations through the daemon over the number of "
					   "clients, on software TPMs of their own.",
				  .what = "derivations",
				  .n = 2048,
				  .n_rows = N_ROWS,
				  .rows = rows },
		argc, argv);
}
