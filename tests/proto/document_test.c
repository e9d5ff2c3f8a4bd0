/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PROTOCOL.md against the code: each block of hex in it, "hex NAME", is what the encoder writes
 * for the sample of that name and what the decoder takes, and no message lacks an example.
 */
#include "tests/proto/samples.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FENCE "```"

struct example {
	char name[64];
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;
};

static FILE *open_document(void)
{
	const char *source = getenv("TPMPSK_SOURCE");
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/proto/PROTOCOL.md", source ? source : ".");
	f = fopen(path, "r");
	cr_assert(f, "%s", path);
	return f;
}

static void add_bytes(struct example *e, const char *line)
{
	unsigned byte;
	int used;

	for (; sscanf(line, "%2x%n", &byte, &used) == 1; line += used)
		e->packet[e->len++] = (uint8_t)byte;
	cr_assert(line[strspn(line, " \n")] == 0, "%s: not hex: %s", e->name, line);
}

/* The next block of hex; false at the end. */
static bool next_example(FILE *f, struct example *ret)
{
	char line[1024];

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, FENCE "hex %63[^\n]", ret->name) != 1)
			continue;
		ret->len = 0;
		while (fgets(line, sizeof(line), f) && strncmp(line, FENCE, strlen(FENCE)) != 0)
			add_bytes(ret, line);
		return true;
	}
	return false;
}

static const struct sample *sample_of(const char *name)
{
	for (const struct sample *s = samples; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static int decode_and_encode(const struct sample *s, const struct example *e)
{
	uint8_t again[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_header h;
	struct tpmpsk_reader r;
	size_t len;

	tpmpsk_reader_init(&r, e->packet, e->len);
	if (tpmpsk_header_decode(&r, &h) < 0)
		return -1;
	return s->rewrite(&r, &h, again, sizeof(again), &len);
}

Test(document, has_examples_that_the_decoder_takes)
{
	FILE *f = open_document();
	struct example e;
	size_t n = 0;

	for (; next_example(f, &e); n++) {
		const struct sample *s = sample_of(e.name);

		cr_assert(s, "there is no message called %s", e.name);
		cr_expect_eq(decode_and_encode(s, &e), 0, "%s", e.name);
	}
	fclose(f);
	cr_expect(n > 0);
}

Test(document, shows_every_message_as_the_encoder_writes_it)
{
	for (const struct sample *s = samples; s->name; s++) {
		uint8_t buf[TPMPSK_MESSAGE_MAX];
		FILE *f = open_document();
		struct example e = { .len = 0 };
		bool found = false;
		size_t len = 0;

		cr_assert_eq(s->write(buf, sizeof(buf), &len), 0);
		while (!found && next_example(f, &e))
			found = strcmp(e.name, s->name) == 0;
		fclose(f);
		cr_expect(found && e.len == len && memcmp(e.packet, buf, len) == 0, "%s", s->name);
	}
}

Test(document, names_every_status)
{
	for (unsigned i = 0; i < TPMPSK_STATUS_COUNT; i++) {
		char row[64], line[1024];
		FILE *f = open_document();
		bool found = false;

		snprintf(row, sizeof(row), "| %u | %s |", i, tpmpsk_status_name(i));
		while (!found && fgets(line, sizeof(line), f))
			found = strncmp(line, row, strlen(row)) == 0;
		fclose(f);
		cr_expect(found, "%s", row);
	}
}
