/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * measure - what a process holds, and how many rounds a test has: few in a run of all tests, many in campaign.sh, which sets
 * $TPMPSK_ROUNDS.
 */
#ifndef TPMPSK_TESTS_HOSTILE_MEASURE_H
#define TPMPSK_TESTS_HOSTILE_MEASURE_H

#include <sys/types.h>

unsigned rounds(unsigned usual);
/* How long something may take: more under ThreadSanitizer. */
long long patience(long long usual_ms);

/* Open descriptors; -1 when there is no such process. */
int descriptors_of(pid_t pid);
/* The fewest within a moment: who was just left needs one to notice. */
int idle_descriptors_of(pid_t pid);
/*
 * Memory that it occupies, in KiB. 0 in a build with AddressSanitizer, which keeps back what was freed, and for a daemon under
 * ThreadSanitizer, which keeps records of it.
 */
long memory_of(pid_t pid);

/* Objects (kind 0x80) or loaded sessions (0x02) in the TPM at a socket that swtpm serves. -1: it does not answer. */
int handles_in(const char *tcti, unsigned kind);

#endif
