/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan - where bytes stand in the whole memory of another process, as root sees it.
 */
#ifndef TPMPSK_TESTS_HOSTILE_SCAN_H
#define TPMPSK_TESTS_HOSTILE_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct scan_result {
	unsigned locked; /* places in pages that are locked: not written to swap */
	unsigned unlocked;
	char where[160]; /* the last one, for people */
};

/* Looks through everything that can be read. 0 or -errno. */
int scan_process(pid_t pid, const uint8_t *wanted, size_t len, struct scan_result *ret)
	__attribute__((warn_unused_result));

#endif
