/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock - PATH.lock beside a path, for what only one process may do there at a time.
 *
 * The kernel lets go of it when the process ends, however it ends; a file that is left behind locks nobody out. Does not block.
 */
#ifndef TPMPSK_DAEMON_LOCK_H
#define TPMPSK_DAEMON_LOCK_H

/* 0 or -errno; -EBUSY: another process has it. */
int lock_take(const char *path, int *ret_fd) __attribute__((warn_unused_result));
/* Removes the file, too. fd may be negative. */
void lock_release(const char *path, int fd);

#endif
