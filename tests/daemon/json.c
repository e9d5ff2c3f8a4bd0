/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/json.h"

#include "daemon/text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char error[JSON_ERROR_SIZE];

/* From a copy of exact size, so that ASan sees a read behind it. */
static int parse(const char *text, size_t len, struct json_object **ret)
{
	char *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, text, len);
	error[0] = '\0';
	r = json_parse_text(copy, len, ret, error);
	(void)json_line_of(copy, len, "a");
	free(copy);
	return r;
}

static void accepts(const char *text)
{
	struct json_object *o;

	cr_assert_eq(parse(text, strlen(text), &o), 0, "%s: %s", text, error);
	json_object_put(o);
}

static void rejects(const char *text, const char *why)
{
	struct json_object *o;

	cr_assert_eq(parse(text, strlen(text), &o), -EBADMSG, "%s", text);
	cr_assert(strstr(error, why), "%s: %s", text, error);
}

Test(json, takes_comments_of_both_kinds)
{
	accepts("// one\n{ /* two\n */ \"a\": /**/ 1 // \"a\": 2\n}\n// end");
	accepts("{ \"a\": \"// no comment\", \"b\": \"/* nor this\" }");
	accepts("{ \"a\": \"quote \\\" // inside\" }");
}

Test(json, names_the_line_of_an_error)
{
	rejects("{\n\n\"a\": x }", "line 3:");
	rejects("/*\n\n*/\n{ \"a\": }", "line 4:");
	rejects("{ \"a\": 1,\n", "line ");
	rejects("{ \"a\": 1 }\n}", "line 2:");
	rejects("", "line 1:");
}

Test(json, rejects_what_other_readers_let_pass)
{
	rejects("{ \"a\": 1 } { }", "line 1");
	rejects("{ 'a': 1 }", "line 1");
	rejects("{ \"a\": 1, }", "line 1");
	rejects("{ \"a\": NaN, \"b\": nan }", "line 1");
	rejects("{ \"a\": 1 /* }", "without its end");
	rejects("{ \"a\": \"\xff\" }", "line 1");
	rejects("{ \"a\": \"\xc0\x80\" }", "line 1");
	rejects("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "line 1");
}

Test(json, rejects_a_NUL)
{
	struct json_object *o;

	cr_assert_eq(parse("{}\n\0{}", 6, &o), -EBADMSG);
	cr_assert_str_eq(error, "line 2: a NUL byte");
}

Test(json, rejects_a_field_that_stands_twice)
{
	rejects("{ \"a\": 1,\n\"b\": 2,\n\"a\": 3 }", "line 3: field 'a'");
	rejects("{ \"a\": 1, /**/ \"a\" : 3 }", "field 'a'");
	rejects("{ \"a\": 1, \"\\u0061\": 3 }", "escape");
	rejects("{ \"a\": { \"b\": 1, \"b\": 1 } }", "field 'b'");
	accepts("{ \"a\": { \"a\": 1 }, \"b\": { \"a\": 1 }, \"c\": \"a\" }");
}

Test(json, rejects_more_fields_than_any_file_has)
{
	char text[4096] = "{", *end = text + 1;

	for (int i = 0; i < 100; i++)
		end += sprintf(end, "%s\"n%d\": 0", i ? "," : "", i);
	strcpy(end, "}");
	rejects(text, "too many fields");
}

Test(json, survives_every_prefix)
{
	static const char text[] = "{ /* c */ \"a\\\"\": [ 1, \"x\" ], // d\n \"b\": { \"hex\": "
				   "\"00\" }, \"c\": true }";

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		struct json_object *o;

		cr_assert_eq(parse(text, i, &o), -EBADMSG, "%zu", i);
	}
}

struct things {
	bool yes;
	uint32_t number;
	char *string;
	struct json_object *list;
};

static const struct json_field fields[] = {
	{ "yes", json_read_bool, offsetof(struct things, yes), 0, 0 },
	{ "number", json_read_uint32, offsetof(struct things, number), 3, 7 },
	{ "string", json_read_string, offsetof(struct things, string), 0, 0 },
	{ "list", json_read_array, offsetof(struct things, list), 0, 0 },
	{ 0 },
};

static int read_things(const char *text, struct things *things)
{
	struct json_object *o;
	int r;

	cr_assert_eq(parse(text, strlen(text), &o), 0, "%s", error);
	r = json_read_fields(o, fields, things, text, strlen(text), error);
	json_object_put(o);
	return r;
}

Test(json, reads_fields_by_the_table)
{
	struct things t = { .string = strdup("old") };

	cr_assert_eq(read_things("{ \"string\": \"new\", \"number\": 7, \"yes\": true }", &t), 0,
		"%s", error);
	cr_assert(t.yes);
	cr_assert_eq(t.number, 7);
	cr_assert_str_eq(t.string, "new");
	free(t.string);
}

Test(json, says_which_field_is_wrong_and_where)
{
	static const char *const texts[][2] = {
		{ "{\n\"yes\": 1 }", "line 2: field 'yes': must be true or false" },
		{ "{ \"number\": 2 }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"number\": 8 }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"number\": 5.0 }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"number\": -4294967291 }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"number\": 4294967301 }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"number\": 18446744073709551621 }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"number\": \"5\" }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"number\": null }",
			"line 1: field 'number': must be a whole number from 3 to 7" },
		{ "{ \"string\": \"\" }", "line 1: field 'string': is empty" },
		{ "{ \"string\": \"a\\u0000b\" }", "line 1: field 'string': must be a string" },
		{ "{ \"list\": {} }", "line 1: field 'list': must be an array" },
		{ "// \"nmber\":\n{ \"nmber\": 5 }", "line 2: field 'nmber': no such field" },
		{ "[]", "not a JSON object" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct things t = { 0 };

		cr_assert_eq(read_things(texts[i][0], &t), -EBADMSG, "%s", texts[i][0]);
		cr_assert_str_eq(error, texts[i][1]);
		free(t.string);
	}
}

Test(json, writes_bytes_as_a_string_or_in_hex)
{
	struct json_object *o = json_from_bytes((const uint8_t *)"J\xc3\xbcrgen", 7);

	cr_assert_str_eq(json_object_get_string(o), "J\xc3\xbcrgen");
	json_object_put(o);
	o = json_from_bytes((const uint8_t *)"a\0b", 3);
	cr_assert_str_eq(
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), "{\"hex\":\"610062\"}");
	json_object_put(o);
}

static bool printable(const char *s)
{
	size_t len = strlen(s);
	uint8_t *copy = malloc(len ? len : 1);
	bool is;

	memcpy(copy, s, len);
	is = text_is_printable(copy, len);
	free(copy);
	return is;
}

Test(text, knows_what_is_printable)
{
	static const char *const good[] = { "", " ", "Client1", "J\xc3\xbcrgen", "\xe2\x82\xac",
		"\xf0\x9f\x94\x91", "~" };
	static const char *const bad[] = { "\n", "\xc3(", "\xe2(\xa1", "\x1b[0m", "\x7f", "\x80",
		"\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xc2\x85", "a\xe2\x80\xae!",
		"\xef\xbb\xbf", "\xe2\x80\x8b", "\xf0\x80\x82\xac" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert(printable(good[i]), "%zu", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(printable(bad[i]), "%zu", i);
}

Test(text, shows_strings_so_that_they_do_no_harm)
{
	char buf[TEXT_SHOWN_SIZE], text[100];

	cr_assert_str_eq(text_show(buf,
				 "user:b\xc3\xbc"
				 "cher",
				 12),
		"user:b\xc3\xbc"
		"cher");
	cr_assert_str_eq(text_show(buf, "a\nb\x1b[31m\xff", 9), "a?b?[31m?");
	memset(text, 'x', sizeof(text));
	cr_assert_eq(strlen(text_show(buf, text, 64)), 64);
	cr_assert_str_eq(text_show(buf, text, 65) + 60, "xxxx...");
	memcpy(text + 63, "\xe2\x82\xac", 3);
	cr_assert_str_eq(text_show(buf, text, sizeof(text)) + 60, "xxx...");
}
