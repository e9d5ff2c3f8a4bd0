/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One derivation by hand: for trying a key, and for tests. A purpose is one entry of a table.
 */
#include "keys/command.h"
#include "keys/print.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

static const struct option derive_options[] = {
	{ "--identity", "ID", "the PSK identity", false },
	{ "--identity-hex", "HEX", "the same, for one that is not text", false },
	{ "--purpose", "P", "tls12-session", false },
	{ "--client-random", "HEX", "tls12-session: 32 bytes, or 28 without the time", false },
	{ "--server-random", "HEX", "tls12-session: as many bytes", false },
	{ NULL, NULL, NULL, false },
};

/* Hex digits of an option, at most cap bytes. 0 or -EINVAL. */
static int option_hex(
	const struct options *o, const char *name, uint8_t *buf, size_t cap, size_t *ret_len)
{
	const char *text = options_get(o, name);

	return !text || sodium_hex2bin(buf, cap, text, strlen(text), NULL, ret_len, NULL) < 0
		       ? -EINVAL
		       : 0;
}

static enum exit_code fill_tls12_session(struct invocation *call, struct tpmpsk_derive *q)
{
	struct tpmpsk_tls12_session *in = &q->tls12_session;
	const struct options *o = &call->options;
	size_t server_len = 0;

	if (option_hex(o, "--client-random", in->client_random, sizeof(in->client_random),
		    &in->random_len) < 0 ||
		option_hex(o, "--server-random", in->server_random, sizeof(in->server_random),
			&server_len) < 0 ||
		in->random_len != server_len ||
		(server_len != TPMPSK_RANDOM_SIZE && server_len != TPMPSK_RANDOM_SHORT_SIZE))
		return usage(call,
			"--client-random and --server-random are %d bytes in hex, or both %d",
			TPMPSK_RANDOM_SIZE, TPMPSK_RANDOM_SHORT_SIZE);
	return EXIT_DONE;
}

static enum exit_code (*const fill[TPMPSK_PURPOSE_COUNT])(
	struct invocation *call, struct tpmpsk_derive *q) = {
	[TPMPSK_PURPOSE_TLS12_SESSION] = fill_tls12_session,
};

static enum exit_code fill_identity(struct invocation *call, struct tpmpsk_derive *q)
{
	const char *text = options_get(&call->options, "--identity");

	if (!text == !options_get(&call->options, "--identity-hex"))
		return usage(call, "one of --identity and --identity-hex is needed");
	q->identity_len = text ? strlen(text) : 0;
	if (text && q->identity_len <= sizeof(q->identity))
		memcpy(q->identity, text, q->identity_len);
	if ((!text && option_hex(&call->options, "--identity-hex", q->identity, sizeof(q->identity),
			      &q->identity_len) < 0) ||
		q->identity_len < 1 || q->identity_len > sizeof(q->identity))
		return usage(call, "an identity has 1 to %d bytes", TPMPSK_IDENTITY_MAX);
	return EXIT_DONE;
}

static enum exit_code fill_derive(struct invocation *call, struct tpmpsk_derive *q)
{
	const char *purpose = options_get(&call->options, "--purpose");
	enum exit_code code;

	if (!purpose)
		return usage(call, "--purpose is missing");
	q->purpose = (uint8_t)tpmpsk_purpose_by_name(purpose);
	if (q->purpose == 0)
		return usage(call, "there is no purpose '%s'", purpose);
	code = fill_identity(call, q);
	return code == EXIT_DONE ? fill[q->purpose](call, q) : code;
}

/* Not through stdio, whose buffer would keep it. */
static enum exit_code print_secret(struct invocation *call, const struct tpmpsk_derived *d)
{
	char line[2 * TPMPSK_SECRET_MAX + 1];
	size_t len = 2 * d->secret_len;
	ssize_t n;

	sodium_bin2hex(line, sizeof(line), d->secret, d->secret_len);
	line[len] = '\n';
	do
		n = write(STDOUT_FILENO, line, len + 1);
	while (n < 0 && errno == EINTR);
	sodium_memzero(line, sizeof(line));
	if (n != (ssize_t)len + 1)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_SYSTEM), "cannot write the answer");
	return EXIT_DONE;
}

static void wipe_derived(struct tpmpsk_derived *d)
{
	sodium_memzero(d, sizeof(*d));
}

static enum exit_code run_derive(struct invocation *call)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(wipe_derived) struct tpmpsk_derived d = { 0 };
	struct tpmpsk_derive q = { 0 };
	enum exit_code code = fill_derive(call, &q);

	if (code == EXIT_DONE)
		code = ask(call, x,
			tpmpsk_derive_encode(0, &q, x->packet, sizeof(x->packet), &x->len), true);
	if (code != EXIT_DONE)
		return code;
	if (tpmpsk_derived_decode(&x->reply.body, &d) < 0)
		return fail_protocol(call);
	return print_secret(call, &d);
}

const struct command commands_derive[] = {
	{ "derive", NULL, 0, 0, { derive_options, NULL },
		"Asks for the secret of one session and prints it in hex", NULL, run_derive },
	{ 0 },
};
