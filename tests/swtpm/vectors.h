/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vectors - the known answers in tests/data/vectors.json, by purpose.
 *
 * An entry is a JSON object whose byte strings are written in hex. Tests only. A file that is not
 * as expected ends the test: abort() with a message.
 */
#ifndef TPMPSK_TESTS_SWTPM_VECTORS_H
#define TPMPSK_TESTS_SWTPM_VECTORS_H

#include <stddef.h>
#include <stdint.h>

struct vectors;
struct vector; /* borrowed from its vectors */

struct vectors *vectors_load(void);
void vectors_free(struct vectors *v);

/* The entries of a purpose, one after the other: start with *pos = 0, ends with NULL. */
const struct vector *vectors_next(const struct vectors *v, const char *purpose, size_t *pos);

/* A field's hex as bytes; returns their number, 0 when the field is absent or empty. */
size_t vector_bytes(const struct vector *v, const char *field, void *buf, size_t cap);
/* A field's text, or NULL. */
const char *vector_text(const struct vector *v, const char *field);
/* A field's number, or the default. */
int64_t vector_number(const struct vector *v, const char *field, int64_t absent);

#endif
