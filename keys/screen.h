/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * screen - a terminal that one page is drawn on, again and again.
 *
 * Owns the terminal between screen_open() and screen_close(): another screen than the shell's, no echo, no cursor. Whatever ends the
 * program in an orderly way or by a signal of the keyboard gives it back. There is one terminal, so there is one screen; one thread.
 */
#ifndef TPMPSK_KEYS_SCREEN_H
#define TPMPSK_KEYS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#define SCREEN_NOTHING 0   /* the time is over */
#define SCREEN_END (-1)    /* a signal to end */
#define SCREEN_RESIZE (-2) /* draw again */

/* Whether standard input and output are a terminal. */
bool screen_possible(void);

/* 0 or -errno. */
int screen_open(void) __attribute__((warn_unused_result));
void screen_close(void);

/* 80 and 24 when it cannot be told. */
void screen_size(size_t *ret_columns, size_t *ret_rows);

/* Draws a page of lines, each of which fits. */
void screen_draw(const char *text);

/* Waits for a key: its character, or one of the above. */
int screen_wait(int timeout_ms);

#endif
