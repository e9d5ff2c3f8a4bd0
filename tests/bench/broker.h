/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker - tpm2-abrmd on a D-Bus of its own, in front of a software TPM of its own.
 *
 * Both are Debian's programs and die with the process that started them. 0 or -errno; -EOPNOTSUPP
 * when they are not installed. Waits have deadlines.
 */
#ifndef TPMPSK_TESTS_BENCH_BROKER_H
#define TPMPSK_TESTS_BENCH_BROKER_H

#include "tests/bench/slow.h"

#define BROKER_TCTI "tabrmd:bus_type=session"

struct broker {
	struct slow_tpm tpm;
	struct tempdir dir;
	struct command *bus, *abrmd;
};

/*
 * Each TPM command takes so much longer. Sets DBUS_SESSION_BUS_ADDRESS for this process and its children: BROKER_TCTI finds
 * it there.
 */
int broker_init(struct broker *b, uint32_t latency_us) __attribute__((warn_unused_result));
/* Takes a zeroed struct. */
void broker_done(struct broker *b);

#endif
