/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret_file - bytes from a file or standard input into memory that is locked and wiped.
 *
 * Not through stdio, whose buffers stay behind. A file is a path, or "-" for standard input. Errors
 * are one sentence and never show what was read.
 */
#ifndef TPMPSK_KEYS_SECRET_FILE_H
#define TPMPSK_KEYS_SECRET_FILE_H

#include <stddef.h>
#include <stdint.h>

#define SECRET_FILE_ERROR_SIZE 200

/*
 * The bytes of a file, 1 to cap, as they are. 0, -EINVAL (none, or more than cap), -errno of
 * open(2) or read(2). After a failure buf is wiped.
 */
int secret_file_read(const char *path, uint8_t *buf, size_t cap, char error[SECRET_FILE_ERROR_SIZE],
	size_t *ret_len) __attribute__((warn_unused_result));

/* The same for hex digits of either case, white space between them ignored. */
int secret_file_read_hex(const char *path, uint8_t *buf, size_t cap,
	char error[SECRET_FILE_ERROR_SIZE], size_t *ret_len) __attribute__((warn_unused_result));

#endif
