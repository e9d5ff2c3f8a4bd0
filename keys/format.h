/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format - numbers as people read them, and colours where there is a terminal for them.
 *
 * Pure but for style_init(). Buffers are the caller's; each function returns the one it filled.
 */
#ifndef TPMPSK_KEYS_FORMAT_H
#define TPMPSK_KEYS_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#define FORMAT_SIZE 40

/* "1,234,567" */
char *format_count(char buf[FORMAT_SIZE], uint64_t n);
/* "3 keys", "1 key" */
char *format_several(char buf[2 * FORMAT_SIZE], uint64_t n, const char *one);
/* A number of things in a second: "1,234", "56.7", "0.12", "0" */
char *format_rate(char buf[FORMAT_SIZE], double per_second);
/* "0.012 ms", "12.3 ms", "1.5 s" */
char *format_us(char buf[FORMAT_SIZE], double us);
/* "3 d 4 h", "5 min 6 s", "7 s" */
char *format_seconds(char buf[FORMAT_SIZE], uint64_t seconds);
/* "512 B", "6.4 KiB", "60 MiB" */
char *format_bytes(char buf[FORMAT_SIZE], uint64_t bytes);

enum style {
	STYLE_PLAIN,
	STYLE_TITLE, /* the headings of a table */
	STYLE_GOOD,
	STYLE_WARNING,
	STYLE_BAD,
	STYLE_FAINT,
	STYLE_COUNT
};

/* What switches a style on, "" where there are no colours. STYLE_PLAIN switches all off. */
const char *style(enum style s);
/* Colours when standard output is a terminal that has them, and $NO_COLOR is not set. */
void style_init(void);

#endif
