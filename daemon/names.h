/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * names - the numbers of the system's users and groups.
 *
 * The name service loads modules, reads files anywhere and talks to other daemons: not what a process with secrets should do, nor could
 * it behind its sandbox. So the daemon starts a process that does nothing else, before it has anything to lose, and asks that one. Where
 * none was started, in tests and in `--check-config`, the caller's own process looks them up. May block, for as long as the name
 * service does, NAMES_TIMEOUT_S at most. One thread at a time.
 */
#ifndef TPMPSK_DAEMON_NAMES_H
#define TPMPSK_DAEMON_NAMES_H

#include <stdint.h>

#define NAMES_MAX 256 /* bytes of a name that is looked up at all */
#define NAMES_TIMEOUT_S 20

enum names_kind {
	NAMES_USER,
	NAMES_GROUP,
};

/*
 * Starts the process, which ends with the one that started it. Once, while there is one thread and nothing open that it should not
 * have. 0 or -errno.
 */
int names_start(void) __attribute__((warn_unused_result));

/* 0, -ENOENT (there is no such user or group), -ENOMEM, or -EIO (nobody to ask, or no answer: nothing is known about the name). */
int names_lookup(enum names_kind kind, const char *name, uint32_t *ret)
	__attribute__((warn_unused_result));

#endif
