/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text - bytes from outside in messages to people, and the messages themselves.
 *
 * Pure functions over the caller's buffers; any thread. Nothing secret is passed to these.
 */
#ifndef TPMPSK_DAEMON_TEXT_H
#define TPMPSK_DAEMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_SHOWN_SIZE 68 /* 64 bytes, "..." and a NUL */

/* How many bytes from the first on are UTF-8: len when all are. */
size_t text_utf8_len(const uint8_t *bytes, size_t len);

/* Whether bytes are UTF-8 without anything that is not seen or turns the text around. */
bool text_is_printable(const uint8_t *bytes, size_t len);

/*
 * A string as it may stand in a message, harmless on a terminal and in a log: cut after 64 bytes,
 * '?' for what is not printable. Returns buf.
 */
const char *text_show(char buf[TEXT_SHOWN_SIZE], const char *s, size_t len);

/*
 * Writes a message, cut to size, and returns r: `return text_fail(error, sizeof(error), -EBADMSG,
 * "...")`.
 */
int text_fail(char *error, size_t size, int r, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* For the cleanup attribute of a char *. */
void text_freep(char **p);

#endif
