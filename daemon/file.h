/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file - small files, read whole and written whole.
 *
 * Trusts nothing that it opens: only regular files up to a bound are read, and nothing is written
 * over what exists. Blocks on the disk. Any thread. Returns 0 or -errno, which file_why() puts into
 * words.
 */
#ifndef TPMPSK_DAEMON_FILE_H
#define TPMPSK_DAEMON_FILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * *ret is malloc'ed, with a NUL behind its *ret_len bytes. own: it is one of our own files, so that
 * a symbolic link and a file that everybody may write to are refused. -ELOOP, -EPERM, -EINVAL (not
 * a regular file), -EFBIG (more than max bytes), or what the system says.
 */
int file_read(int dir, const char *name, bool own, size_t max, char **ret, size_t *ret_len)
	__attribute__((warn_unused_result));

/*
 * Makes a file of mode 0600 that is on the disk when this returns 0, and not there when it fails.
 */
int file_write_new(int dir, const char *name, const void *data, size_t len)
	__attribute__((warn_unused_result));

/* What became of the read or write: a constant, or strerror(3)'s. */
const char *file_why(int r);

#endif
