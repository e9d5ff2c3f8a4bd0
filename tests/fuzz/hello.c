/* SPDX-License-Identifier: BSD-2-Clause */
/* What a peer sends before anything is encrypted: the first byte says in what pieces, the rest is that. */
#include "client-lib/gnutls_inbox.h"
#include "client-lib/gnutls_parse.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define TAKEN_MAX 64 /* bytes at a time */

static void must_be_inside(const struct tpmpsk_span *s, const struct tpmpsk_message *m)
{
	fuzz_must(s->data >= m->body && s->size <= m->size &&
		  (size_t)(s->data - m->body) <= m->size - s->size);
}

/* Each kind of message is read as each: whoever sends it says what it is. */
static void read_message(const struct tpmpsk_message *m)
{
	struct tpmpsk_span s;
	struct tpmpsk_server_hello hello;

	fuzz_must(m->size <= TPMPSK_INBOX_MESSAGE_MAX);
	if (tpmpsk_parse_client_hello(m->body, m->size, &s)) {
		must_be_inside(&s, m);
		fuzz_must(s.size >= 1 && s.size <= TPMPSK_USERNAME_MAX);
	}
	if (tpmpsk_parse_client_key_exchange(m->body, m->size, &s))
		must_be_inside(&s, m);
	if (tpmpsk_parse_server_hello(m->body, m->size, &hello)) {
		s = (struct tpmpsk_span){ hello.random, TPMPSK_HELLO_RANDOM_SIZE };
		must_be_inside(&s, m);
	}
}

/* What goes on is what came, and nothing is kept that nobody waits for. */
static void take_all(struct tpmpsk_inbox *b, const uint8_t *data, size_t *gone, size_t read)
{
	uint8_t out[TAKEN_MAX];

	while (tpmpsk_inbox_has(b)) {
		size_t n = tpmpsk_inbox_take(b, out, sizeof(out));

		fuzz_must(n >= 1 && *gone + n <= read && memcmp(out, data + *gone, n) == 0);
		*gone += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tpmpsk_inbox b = { 0 };
	size_t step, read = 0, gone = 0;
	struct tpmpsk_message m;

	if (size < 1)
		return 0;
	step = 1 + data[0];
	data++;
	size--;
	while (read < size && !b.off) {
		size_t room, n;
		uint8_t *p = tpmpsk_inbox_fill(&b, &room);

		fuzz_must(p && room >= 1);
		n = room < step ? room : step;
		n = n < size - read ? n : size - read;
		memcpy(p, data + read, n);
		tpmpsk_inbox_filled(&b, n);
		read += n;
		while (tpmpsk_inbox_next(&b, &m) == 1) {
			fuzz_must(!tpmpsk_inbox_has(&b));
			read_message(&m);
		}
		take_all(&b, data, &gone, read);
	}
	fuzz_must(!b.off || gone == read);
	tpmpsk_inbox_done(&b);
	return 0;
}
