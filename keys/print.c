/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/print.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Code points that change how the text around them is shown. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* The bytes of the printable character at s, or 0 when there is none. RFC 3629, section 4. */
static size_t printable(const unsigned char *s)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	if (n == 0 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || is_control(c))
		return 0;
	return n;
}

bool text_is_printable(const char *text)
{
	for (size_t n; *text; text += n)
		if ((n = printable((const unsigned char *)text)) == 0)
			return false;
	return true;
}

static char *allocate(size_t size)
{
	char *p = calloc(1, size);

	if (!p) {
		fputs("tpm-psk: no memory\n", stderr);
		exit(1);
	}
	return p;
}

char *text_escape(const char *text)
{
	char *out = allocate(4 * strlen(text) + 1);
	char *o = out;

	while (*text) {
		size_t n = printable((const unsigned char *)text);

		if (n > 0) {
			memcpy(o, text, n);
			o += n;
			text += n;
		} else {
			o += sprintf(o, "\\x%02x", (unsigned char)*text++);
		}
	}
	return out;
}

size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void print_padded(FILE *f, const char *text, size_t width)
{
	size_t have = text_width(text);

	fprintf(f, "%s%*s", text, (int)(have < width ? width - have : 0), "");
}

static char *join(struct json_object *array)
{
	size_t n = json_object_array_length(array), len = 1;
	char *out, *o;

	for (size_t i = 0; i < n; i++) {
		_cleanup_(text_freep) char *item =
			text_of_json(json_object_array_get_idx(array, i));

		len += strlen(item) + 2;
	}
	o = out = allocate(len);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(text_freep) char *item =
			text_of_json(json_object_array_get_idx(array, i));

		o += sprintf(o, "%s%s", i > 0 ? ", " : "", item);
	}
	return out;
}

char *text_of_json(struct json_object *value)
{
	struct json_object *hex;

	if (json_object_is_type(value, json_type_array))
		return join(value);
	if (json_object_object_get_ex(value, "hex", &hex)) {
		_cleanup_(text_freep) char *digits = text_escape(json_object_get_string(hex));
		size_t size = strlen(digits) + sizeof("hex:");
		char *out = allocate(size);

		snprintf(out, size, "hex:%s", digits);
		return out;
	}
	return text_escape(value ? json_object_get_string(value) : "-");
}

/* A field's name as people read it: "uptime_seconds" of "tpm" is "tpm uptime seconds". */
static char *label(const char *prefix, const char *name)
{
	_cleanup_(text_freep) char *text = text_escape(name);
	size_t size = strlen(prefix) + strlen(text) + 2;
	char *out = allocate(size);

	snprintf(out, size, "%s%s%s", prefix, *prefix ? " " : "", text);
	for (char *p = out; *p; p++)
		if (*p == '_')
			*p = ' ';
	return out;
}

static bool has_fields(struct json_object *value)
{
	struct json_object *hex;

	return json_object_is_type(value, json_type_object) &&
	       !json_object_object_get_ex(value, "hex", &hex);
}

static size_t label_width(struct json_object *object, const char *prefix)
{
	size_t widest = 0;

	json_object_object_foreach(object, name, value)
	{
		_cleanup_(text_freep) char *text = label(prefix, name);
		size_t width = has_fields(value) ? label_width(value, text) : text_width(text);

		if (width > widest)
			widest = width;
	}
	return widest;
}

static void print_level(struct json_object *object, const char *prefix, size_t width)
{
	json_object_object_foreach(object, name, value)
	{
		_cleanup_(text_freep) char *text = label(prefix, name);
		_cleanup_(text_freep) char *shown = NULL;

		if (has_fields(value)) {
			print_level(value, text, width);
			continue;
		}
		shown = text_of_json(value);
		print_padded(stdout, text, width + 2);
		puts(shown);
	}
}

void print_fields(struct json_object *object)
{
	print_level(object, "", label_width(object, ""));
}

void print_json(struct json_object *value)
{
	puts(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_SPACED |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
}

void text_freep(char **text)
{
	free(*text);
}

void json_freep(struct json_object **object)
{
	json_object_put(*object);
}
