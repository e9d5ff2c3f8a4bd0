/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json-c does the parsing, in its strict mode. What it lacks is done here on the text: comments
 * (strict mode knows none) are replaced by blanks before, so that offsets and lines stay; a field
 * that stands twice, of which json-c would silently keep the last, is found after. And json-c as of
 * 0.16 leaves out what it has no memory for, and says nothing: a rate, an entry of a list. So what
 * came out is counted against what is in the text.
 */
#include "daemon/json.h"

#include "daemon/text.h"
#include "keys/reserve.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define KEYS_MAX 64 /* in one text; no file here has as many */

/*
 * What json-c may want for a text as our files have them; one that is nothing but brackets makes it want more. See reserve.h for up to
 * what size this helps.
 */
#define RESERVE_BASE 16384
#define RESERVE_PER_BYTE 64

#define fail(error, r, ...) text_fail(error, JSON_ERROR_SIZE, r, __VA_ARGS__)

static unsigned line_at(const char *text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind the string that starts at p, or end. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p < end ? p + 1 : end;
}

/* Behind the comment that starts at p; p itself when none does; NULL when it has no end. */
static const char *skip_comment(const char *p, const char *end)
{
	const char *q;

	if (end - p < 2 || p[0] != '/')
		return p;
	if (p[1] == '/') {
		q = memchr(p, '\n', (size_t)(end - p));
		return q ? q : end;
	}
	if (p[1] != '*')
		return p;
	q = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
	return q ? q + 2 : NULL;
}

/*
 * What is wrong between p and behind, which json-c would let pass: it stops at a NUL, and takes
 * single quotes.
 */
static const char *wrong_with(const char *p, const char *behind)
{
	if (!behind)
		return "a comment without its end";
	if (*p == '\0' || memchr(p, '\0', (size_t)(behind - p)))
		return "a NUL byte";
	return *p == '\'' ? "single quotes" : NULL;
}

static int blank_comments(char *text, size_t len, char error[JSON_ERROR_SIZE])
{
	const char *const end = text + len;

	for (char *p = text; p < end;) {
		const char *behind = *p == '"' ? skip_string(p, end) : skip_comment(p, end);
		const char *wrong = wrong_with(p, behind);

		if (wrong)
			return fail(error, -EBADMSG, "line %u: %s",
				line_at(text, (size_t)(p - text)), wrong);
		if (behind == p)
			p++;
		else if (*p == '"')
			p += behind - p;
		for (; p < behind; p++)
			if (*p != '\n')
				*p = ' ';
	}
	return 0;
}

/* A walk over the fields' names in a text that is otherwise known to be JSON. */
struct walk {
	const char *next, *end;
	unsigned depth;
	unsigned opened; /* objects and arrays so far: each has its number */
	unsigned inside[DEPTH_MAX + 1];
};

struct name {
	const char *start; /* behind its quote */
	size_t len;
	unsigned object;
};

static void walk_bracket(struct walk *w, char c)
{
	if ((c == '{' || c == '[') && w->depth < DEPTH_MAX)
		w->inside[++w->depth] = ++w->opened;
	else if ((c == '}' || c == ']') && w->depth > 0)
		w->depth--;
}

/* The next string; false at the end. */
static bool walk_string(struct walk *w, const char **ret_start, size_t *ret_len)
{
	while (w->next < w->end) {
		const char *start = w->next, *behind = skip_comment(start, w->end);

		if (behind != start) {
			w->next = behind ? behind : w->end;
		} else if (*start != '"') {
			walk_bracket(w, *start);
			w->next++;
		} else {
			w->next = skip_string(start, w->end);
			*ret_start = start + 1;
			*ret_len = w->next - start < 2 ? 0 : (size_t)(w->next - start) - 2;
			return true;
		}
	}
	return false;
}

/* The next string with a colon behind it. */
static bool walk_name(struct walk *w, struct name *ret)
{
	const char *start;
	size_t len;

	while (walk_string(w, &start, &len)) {
		const char *behind = w->next;

		while (behind < w->end && is_blank(*behind))
			behind++;
		if (behind < w->end && *behind == ':') {
			*ret = (struct name){ start, len, w->inside[w->depth] };
			return true;
		}
	}
	return false;
}

static bool same_name(const struct name *a, const struct name *b)
{
	return a->object == b->object && a->len == b->len &&
	       memcmp(a->start, b->start, a->len) == 0;
}

static int check_names(const char *text, size_t len, char error[JSON_ERROR_SIZE])
{
	struct walk w = { .next = text, .end = text + len };
	struct name names[KEYS_MAX];
	char shown[TEXT_SHOWN_SIZE];

	for (size_t n = 0; n < KEYS_MAX; n++) {
		struct name *name = &names[n];
		unsigned line;

		if (!walk_name(&w, name))
			return 0;
		line = line_at(text, (size_t)(name->start - text));
		/*
		 * "a" and "\u0061" are one name: without escapes, bytes that differ are names that
		 * differ.
		 */
		if (memchr(name->start, '\\', name->len))
			return fail(error, -EBADMSG, "line %u: an escape in a field's name", line);
		for (size_t i = 0; i < n; i++)
			if (same_name(&names[i], name))
				return fail(error, -EBADMSG,
					"line %u: field '%s': stands here twice", line,
					text_show(shown, name->start, name->len));
	}
	return fail(error, -EBADMSG, "too many fields");
}

/*
 * Fields and elements of all objects and arrays in a text that is otherwise known to be JSON: what
 * opens one that is not empty, and each comma.
 */
static size_t items_in_text(const char *text, size_t len)
{
	const char *const end = text + len;
	bool opened = false;
	size_t n = 0;

	for (const char *p = text; p < end;) {
		char c = *p;

		p = c == '"' ? skip_string(p, end) : p + 1;
		if (is_blank(c))
			continue;
		n += opened && c != '}' && c != ']';
		n += c == ',';
		opened = c == '{' || c == '[';
	}
	return n;
}

/* The same of what was made of it, which is no deeper than DEPTH_MAX. */
static size_t items_in(struct json_object *o)
{
	size_t n = 0;

	if (json_object_is_type(o, json_type_array)) {
		n = json_object_array_length(o);
		for (size_t i = 0, all = n; i < all; i++)
			n += items_in(json_object_array_get_idx(o, i));
	} else if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, name, value)
		{
			(void)name;
			n += 1 + items_in(value);
		}
	}
	return n;
}

static void tokener_freep(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

int json_parse_text(
	const char *text, size_t len, struct json_object **ret, char error[JSON_ERROR_SIZE])
{
	__attribute__((cleanup(tokener_freep))) struct json_tokener *tok = NULL;
	__attribute__((cleanup(text_freep))) char *blanked = NULL;
	struct json_object *object;
	enum json_tokener_error e;
	size_t utf8_len;
	int r;

	blanked = malloc(len + 1);
	tok = json_tokener_new_ex(DEPTH_MAX);
	if (!blanked || !tok || len > INT_MAX / RESERVE_PER_BYTE - RESERVE_BASE ||
		!reserve(RESERVE_BASE + RESERVE_PER_BYTE * len))
		return fail(error, -ENOMEM, "out of memory");
	memcpy(blanked, text, len);
	blanked[len] = '\0';
	utf8_len = text_utf8_len((const uint8_t *)text, len);
	if (utf8_len < len)
		return fail(error, -EBADMSG, "line %u: not UTF-8", line_at(text, utf8_len));
	r = blank_comments(blanked, len, error);
	if (r < 0)
		return r;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tok, blanked, (int)len);
	e = json_tokener_get_error(tok);
	if (e != json_tokener_success) {
		size_t at = json_tokener_get_parse_end(tok);

		return fail(error, -EBADMSG, "line %u: %s", line_at(blanked, at < len ? at : len),
			e == json_tokener_continue ? "the text ends too early"
						   : json_tokener_error_desc(e));
	}
	r = check_names(blanked, len, error);
	if (r == 0 && items_in(object) != items_in_text(blanked, len))
		r = fail(error, -ENOMEM, "out of memory");
	if (r < 0) {
		json_object_put(object);
		return r;
	}
	*ret = object;
	return 0;
}

unsigned json_line_of(const char *text, size_t len, const char *name)
{
	struct walk w = { .next = text, .end = text + len };
	struct name found;

	while (walk_name(&w, &found))
		if (found.len == strlen(name) && memcmp(found.start, name, found.len) == 0)
			return line_at(text, (size_t)(found.start - text));
	return 0;
}

static int fail_field(char error[JSON_ERROR_SIZE], int r, const char *text, size_t len,
	const char *name, const char *why)
{
	unsigned line = text ? json_line_of(text, len, name) : 0;
	char shown[TEXT_SHOWN_SIZE];

	text_show(shown, name, strlen(name));
	if (line > 0)
		return fail(error, r, "line %u: field '%s': %s", line, shown, why);
	return fail(error, r, "field '%s': %s", shown, why);
}

int json_read_fields(struct json_object *object, const struct json_field *fields, void *base,
	const char *text, size_t len, char error[JSON_ERROR_SIZE])
{
	char why[JSON_ERROR_SIZE];

	if (!json_object_is_type(object, json_type_object))
		return fail(error, -EBADMSG, "not a JSON object");
	json_object_object_foreach(object, name, value)
	{
		const struct json_field *field = fields;
		int r;

		while (field->name && strcmp(field->name, name) != 0)
			field++;
		if (!field->name)
			return fail_field(error, -EBADMSG, text, len, name, "no such field");
		r = field->read((char *)base + field->offset, value, field, why);
		if (r < 0)
			return fail_field(error, r, text, len, name, why);
	}
	return 0;
}

int json_read_bool(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	(void)field;
	if (!json_object_is_type(value, json_type_boolean))
		return fail(error, -EBADMSG, "must be true or false");
	*(bool *)dst = json_object_get_boolean(value);
	return 0;
}

int json_read_uint32(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	int64_t n = -1;

	/*
	 * json-c gives the nearest int64_t for a number that is none, which is out of bounds all
	 * the same.
	 */
	if (json_object_is_type(value, json_type_int))
		n = json_object_get_int64(value);
	if (n < field->min || n > field->max)
		return fail(error, -EBADMSG, "must be a whole number from %u to %u", field->min,
			field->max);
	*(uint32_t *)dst = (uint32_t)n;
	return 0;
}

bool json_is_string(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) &&
	       strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

int json_read_string(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	char **string = dst;
	const char *s;
	char *copy;

	(void)field;
	if (!json_is_string(value))
		return fail(error, -EBADMSG, "must be a string");
	s = json_object_get_string(value);
	if (*s == '\0')
		return fail(error, -EBADMSG, "is empty");
	copy = strdup(s);
	if (!copy)
		return fail(error, -ENOMEM, "out of memory");
	free(*string);
	*string = copy;
	return 0;
}

int json_read_object(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	(void)field;
	if (!json_object_is_type(value, json_type_object))
		return fail(error, -EBADMSG, "must be an object");
	*(struct json_object **)dst = value;
	return 0;
}

int json_read_array(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	(void)field;
	if (!json_object_is_type(value, json_type_array))
		return fail(error, -EBADMSG, "must be an array");
	*(struct json_object **)dst = value;
	return 0;
}

int json_put(struct json_object *object, const char *name, struct json_object *value)
{
	if (value && json_object_object_add(object, name, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static struct json_object *hex_object(const uint8_t *bytes, size_t len)
{
	__attribute__((cleanup(text_freep))) char *hex = malloc(2 * len + 1);
	struct json_object *object = json_object_new_object();

	if (!hex || !object ||
		json_put(object, "hex",
			json_object_new_string(sodium_bin2hex(hex, 2 * len + 1, bytes, len))) < 0) {
		json_object_put(object);
		return NULL;
	}
	return object;
}

struct json_object *json_from_bytes(const uint8_t *bytes, size_t len)
{
	if (text_is_printable(bytes, len) && len <= INT_MAX)
		return json_object_new_string_len((const char *)bytes, (int)len);
	return hex_object(bytes, len);
}

void json_freep(struct json_object **object)
{
	json_object_put(*object);
}
