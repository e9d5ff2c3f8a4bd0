/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print - what tpm-psk writes for people and programs.
 *
 * Text from the daemon or the command line is escaped before it reaches a terminal: no control
 * character, no byte that is not UTF-8, nothing that turns the reading direction round. Pure but
 * for the FILE; ends the program when there is no memory.
 */
#ifndef TPMPSK_KEYS_PRINT_H
#define TPMPSK_KEYS_PRINT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Whether text is UTF-8 that a terminal shows as it is. */
bool text_is_printable(const char *text);
/* text with what is not printable as \xNN, malloc'ed. */
char *text_escape(const char *text);
/* Characters of an escaped text. */
size_t text_width(const char *text);
/* text and spaces up to width; nothing is cut. */
void print_padded(FILE *f, const char *text, size_t width);

/* A value as an escaped line: strings bare, arrays joined by ", ", {"hex": X} as hex:X; malloc'ed. */
char *text_of_json(struct json_object *value);
/* The fields of an object, one aligned line each; those of an object inside as "tpm state". */
void print_fields(struct json_object *object);
/* For programs: indented, with a newline at the end. */
void print_json(struct json_object *value);

/* For the cleanup attribute. */
void text_freep(char **text);
void json_freep(struct json_object **object);

#endif
