/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json - reading configuration and policy files with json-c, and telling a person where they are
 * wrong.
 *
 * Parses a whole text (comments allowed, UTF-8 checked, depth bounded, no field twice, nothing
 * behind the value), and walks an object's fields by a table, so that an unknown or ill-typed field
 * is an error that names it and its line. Returns 0 or -errno, with one line of text for the
 * person. No secrets pass through here.
 */
#ifndef TPMPSK_DAEMON_JSON_H
#define TPMPSK_DAEMON_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_ERROR_SIZE 200

/*
 * On failure error is "line N: what". 0, -EBADMSG, -ENOMEM. *ret is json_object_put() by the
 * caller; it is NULL for the text "null", which every reader below refuses.
 */
int json_parse_text(const char *text, size_t len, struct json_object **ret,
	char error[JSON_ERROR_SIZE]) __attribute__((warn_unused_result));

/* The line (from 1) on which "name" stands as a field, or 0. For messages only. */
unsigned json_line_of(const char *text, size_t len, const char *name);

struct json_field {
	const char *name;
	/*
	 * Reads value into dst, which lies at offset in the struct handed to json_read_fields(). 0
	 * or -errno; on failure error says what is wrong with the value, without the field's name.
	 */
	int (*read)(void *dst, struct json_object *value, const struct json_field *field,
		char error[JSON_ERROR_SIZE]);
	size_t offset;
	uint32_t min, max; /* bounds, for the readers that say so */
};

/*
 * Reads every field of object by the table, which ends with a NULL name. On failure error is "line
 * N: field 'x': what", or without the line when text is NULL.
 */
int json_read_fields(struct json_object *object, const struct json_field *fields, void *base,
	const char *text, size_t len, char error[JSON_ERROR_SIZE])
	__attribute__((warn_unused_result));

/*
 * Readers for the table: bool; uint32_t from min to max; char *, malloc'ed, not empty, without a
 * NUL inside.
 */
int json_read_bool(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE]);
int json_read_uint32(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE]);
int json_read_string(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE]);
/* struct json_object *, borrowed: an object or an array to be read afterwards. */
int json_read_object(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE]);
int json_read_array(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE]);

/* Whether it is a string, and one without a NUL inside: to C the whole of it. */
bool json_is_string(struct json_object *value);

/*
 * The bytes as a string when they are printable, else as {"hex": "..."}. NULL when out of memory.
 */
struct json_object *json_from_bytes(const uint8_t *bytes, size_t len);

/*
 * Adds a field, taking value over, also on failure. 0 or -ENOMEM, which is also the answer to a
 * NULL.
 */
int json_put(struct json_object *object, const char *name, struct json_object *value)
	__attribute__((warn_unused_result));

/* For the cleanup attribute of a struct json_object *. */
void json_freep(struct json_object **object);

#endif
