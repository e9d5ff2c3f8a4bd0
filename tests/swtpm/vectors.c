/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/swtpm/vectors.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Both are json-c objects by another name, so that a test cannot take one for the other. */
static struct json_object *of_vectors(const struct vectors *v)
{
	return (struct json_object *)v;
}

static struct json_object *of_vector(const struct vector *v)
{
	return (struct json_object *)v;
}

static void fail(const char *what, const char *which)
{
	fprintf(stderr, "vectors.json: %s: %s\n", which, what);
	abort();
}

struct vectors *vectors_load(void)
{
	const char *source = getenv("TPMPSK_SOURCE");
	char path[4096];
	struct json_object *all;

	snprintf(path, sizeof(path), "%s/tests/data/vectors.json", source ? source : ".");
	all = json_object_from_file(path);
	if (!json_object_is_type(all, json_type_array))
		fail("cannot be read (is TPMPSK_SOURCE set?)", path);
	return (struct vectors *)all;
}

void vectors_free(struct vectors *v)
{
	json_object_put(of_vectors(v));
}

static struct json_object *field_of(const struct vector *v, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(of_vector(v), name, &value);
	return value;
}

const struct vector *vectors_next(const struct vectors *v, const char *purpose, size_t *pos)
{
	size_t n = json_object_array_length(of_vectors(v));

	while (*pos < n) {
		struct json_object *entry = json_object_array_get_idx(of_vectors(v), (*pos)++);
		const char *its = vector_text((const struct vector *)entry, "purpose");

		if (its && strcmp(its, purpose) == 0)
			return (const struct vector *)entry;
	}
	return NULL;
}

size_t vector_bytes(const struct vector *v, const char *field, void *buf, size_t cap)
{
	const char *hex = vector_text(v, field);
	size_t len = hex ? strlen(hex) / 2 : 0;

	if (len > cap)
		fail("longer than the test expects", field);
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			fail("is not hex", field);
		((uint8_t *)buf)[i] = (uint8_t)byte;
	}
	return len;
}

const char *vector_text(const struct vector *v, const char *field)
{
	return json_object_get_string(field_of(v, field));
}

int64_t vector_number(const struct vector *v, const char *field, int64_t absent)
{
	struct json_object *value = field_of(v, field);

	return value ? json_object_get_int64(value) : absent;
}
