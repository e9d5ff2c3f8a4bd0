/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the seeds that are made of the protocol's messages: `fuzz-seeds FOLDER` fills FOLDER/message and FOLDER/request, which exist.
 * They come from the samples of the protocol's own tests, so that a new message has its seed without further ado.
 */
#include "tests/fuzz/request.h"
#include "tests/proto/samples.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FILES_MAX 100

/* Files are named by numbers: a sample's name may hold what a file's may not. */
static bool write_file(
	const char *dir, const char *kind, unsigned number, const uint8_t *data, size_t len)
{
	char path[4096];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s/%03u", dir, kind, number);
	f = fopen(path, "we");
	ok = f && fwrite(data, 1, len, f) == len;
	if (f && fclose(f) != 0)
		ok = false;
	if (!ok)
		perror(path);
	return ok;
}

struct script {
	uint8_t bytes[4 * TPMPSK_MESSAGE_MAX];
	size_t len;
};

static void add_step(struct script *s, enum fuzz_step kind, enum fuzz_peer peer)
{
	s->bytes[s->len++] = (uint8_t)(kind * FUZZ_PEERS + peer);
}

static void add_packet(struct script *s, enum fuzz_peer peer, const uint8_t *packet, size_t len)
{
	add_step(s, FUZZ_PACKET, peer);
	s->bytes[s->len++] = (uint8_t)(len >> 8);
	s->bytes[s->len++] = (uint8_t)len;
	memcpy(s->bytes + s->len, packet, len);
	s->len += len;
}

/* One message by all peers, one after the other. */
static bool write_script(const char *dir, unsigned number, const uint8_t *packet, size_t len)
{
	struct script s = { .len = 0 };

	for (unsigned peer = 0; peer < FUZZ_PEERS && 4 * len < TPMPSK_MESSAGE_MAX; peer++)
		add_packet(&s, peer, packet, len);
	return write_file(dir, "request", number, s.bytes, s.len);
}

/* A session identity is made by one and brought by another, twice. */
static bool write_session(const char *dir, unsigned number, const uint8_t *packet, size_t len)
{
	struct script s = { .len = 0 };

	add_packet(&s, FUZZ_USER, packet, len);
	for (unsigned i = 0; i < 2; i++) {
		add_step(&s, FUZZ_SESSION, FUZZ_SERVER);
		s.bytes[s.len++] = 0;
		s.bytes[s.len++] = 0;
	}
	return write_file(dir, "request", number, s.bytes, s.len);
}

int main(int argc, char **argv)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	unsigned n = 0;
	size_t len;

	if (argc != 2) {
		fputs("usage: fuzz-seeds FOLDER\n", stderr);
		return 2;
	}
	for (const struct sample *s = samples; s->name && n < FILES_MAX; s++, n++) {
		if (s->write(packet, sizeof(packet), &len) < 0)
			return 1;
		if (!write_file(argv[1], "message", n, packet, len))
			return 1;
		if (!(s->opcode & TPMPSK_OP_REPLY) && !write_script(argv[1], n, packet, len))
			return 1;
		if (strcmp(s->name, "derive, session-identity, client") == 0 &&
			!write_session(argv[1], FILES_MAX, packet, len))
			return 1;
	}
	return 0;
}
