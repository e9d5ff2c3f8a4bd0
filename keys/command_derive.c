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
	{ "--purpose", "P", "that of a key: see 'tpm-psk key import --help'", false },
	{ "--client-random", "HEX",
		"tls12-session, tls12-master: 32 bytes; tls12-session also 28, without the time",
		false },
	{ "--server-random", "HEX", "tls12-session, tls12-master: as many bytes", false },
	{ "--role", "R",
		"client or server; for session-identity, client makes one and server takes one as "
		"ID",
		false },
	{ "--handshake", "HEX", "session-identity, server: names the handshake", false },
	{ "--ekm", "HEX", "exporter-kdf, exporter-mac: what the TLS exporter gave", false },
	{ "--length", "N", "exporter-kdf: bytes wanted, 16 to 64 (32)", false },
	{ "--hash", "H", "tls12-master, tls13-schedule, psk-import: sha256 (the default) or sha384",
		false },
	{ "--session-hash", "HEX", "tls12-master: for the extended master secret, no randoms then",
		false },
	{ "--transcript", "HEX",
		"tls13-schedule, for the binder, and certificate-verify: the transcript hash, 32 "
		"or 48 "
		"bytes",
		false },
	{ "--shared-secret", "HEX", "tls13-schedule: for the handshake secret, 32 to 1024 bytes",
		false },
	{ "--context", "HEX", "psk-import: up to 1024 bytes (none)", false },
	{ "--target-protocol", "P", "psk-import: tls13 (the default) or dtls13", false },
	{ "--target-kdf", "H", "psk-import: sha256 or sha384 (as --hash)", false },
	{ "--algorithm", "A",
		"certificate-verify: the key's, ecdsa-p256 (default), ecdsa-p384, rsa-2048",
		false },
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

static enum exit_code fill_role(struct invocation *call, struct tpmpsk_derive *q)
{
	const char *role = options_get(&call->options, "--role");

	if (role && strcmp(role, tpmpsk_role_name(TPMPSK_ROLE_CLIENT)) == 0)
		q->role = TPMPSK_ROLE_CLIENT;
	else if (role && strcmp(role, tpmpsk_role_name(TPMPSK_ROLE_SERVER)) == 0)
		q->role = TPMPSK_ROLE_SERVER;
	else
		return usage(call, "--role is client or server");
	return EXIT_DONE;
}

static enum exit_code fill_session_identity(struct invocation *call, struct tpmpsk_derive *q)
{
	struct tpmpsk_session_identity *in = &q->session_identity;
	enum exit_code code = fill_role(call, q);

	if (code != EXIT_DONE)
		return code;
	if (options_get(&call->options, "--handshake") &&
		(q->role != TPMPSK_ROLE_SERVER ||
			option_hex(&call->options, "--handshake", in->handshake,
				sizeof(in->handshake), &in->handshake_len) < 0))
		return usage(call, "--handshake is at most %d bytes in hex, for --role server",
			TPMPSK_HANDSHAKE_MAX);
	return EXIT_DONE;
}

static enum exit_code fill_exporter(struct invocation *call, struct tpmpsk_derive *q)
{
	struct tpmpsk_exporter *in = &q->exporter;
	char error[OPTIONS_ERROR_SIZE];
	uint32_t n = 32;

	if (option_hex(&call->options, "--ekm", in->ekm, sizeof(in->ekm), &in->ekm_len) < 0 ||
		in->ekm_len < TPMPSK_EKM_MIN)
		return usage(
			call, "--ekm is %d to %d bytes in hex", TPMPSK_EKM_MIN, TPMPSK_EKM_MAX);
	if (options_get_number(
		    &call->options, "--length", TPMPSK_KDF_MIN, TPMPSK_SECRET_MAX, error, &n) < 0)
		return usage(call, "%s", error);
	in->length = (uint8_t)n;
	return EXIT_DONE;
}

/* --hash or another such option; SHA-256 unless fallback says otherwise. 0 when it is neither. */
static uint8_t option_digest(const struct options *o, const char *name, uint8_t fallback)
{
	const char *word = options_get(o, name);

	return word ? (uint8_t)tpmpsk_digest_by_name(word) : fallback;
}

static enum exit_code read_hash(struct invocation *call, uint8_t *ret)
{
	*ret = option_digest(&call->options, "--hash", TPMPSK_DIGEST_SHA256);
	return *ret ? EXIT_DONE : usage(call, "--hash is sha256 or sha384");
}

/* Bytes that have the size of the hash. */
static bool option_of_hash_size(
	const struct options *o, const char *name, uint8_t *buf, uint8_t digest)
{
	size_t len = 0;

	return option_hex(o, name, buf, TPMPSK_DIGEST_SIZE_MAX, &len) == 0 &&
	       len == tpmpsk_digest_size(digest);
}

static enum exit_code fill_tls12_master(struct invocation *call, struct tpmpsk_derive *q)
{
	struct tpmpsk_tls12_master *in = &q->tls12_master;
	const struct options *o = &call->options;
	bool extended = options_get(o, "--session-hash");
	size_t client_len = 0, server_len = 0;
	enum exit_code code = read_hash(call, &in->digest);

	if (code != EXIT_DONE)
		return code;
	in->label = extended ? TPMPSK_TLS12_EXTENDED_MASTER : TPMPSK_TLS12_MASTER;
	if (extended && (options_get(o, "--client-random") || options_get(o, "--server-random")))
		return usage(call, "--session-hash stands in place of the randoms");
	if (extended && !option_of_hash_size(o, "--session-hash", in->session_hash, in->digest))
		return usage(
			call, "--session-hash is %zu bytes in hex", tpmpsk_digest_size(in->digest));
	if (!extended &&
		(option_hex(o, "--client-random", in->client_random, TPMPSK_RANDOM_SIZE,
			 &client_len) < 0 ||
			option_hex(o, "--server-random", in->server_random, TPMPSK_RANDOM_SIZE,
				&server_len) < 0 ||
			client_len != TPMPSK_RANDOM_SIZE || server_len != TPMPSK_RANDOM_SIZE))
		return usage(call,
			"--client-random and --server-random are %d bytes in hex; else "
			"--session-hash is needed",
			TPMPSK_RANDOM_SIZE);
	return EXIT_DONE;
}

static enum exit_code fill_tls13_schedule(struct invocation *call, struct tpmpsk_derive *q)
{
	struct tpmpsk_tls13_schedule *in = &q->tls13_schedule;
	const struct options *o = &call->options;
	bool binder = options_get(o, "--transcript");
	enum exit_code code = read_hash(call, &in->digest);

	if (code != EXIT_DONE)
		return code;
	in->step = binder ? TPMPSK_TLS13_BINDER : TPMPSK_TLS13_HANDSHAKE_SECRET;
	if (binder == !!options_get(o, "--shared-secret"))
		return usage(call, "one of --transcript and --shared-secret is needed, and not both");
	if (binder && !option_of_hash_size(o, "--transcript", in->transcript_hash, in->digest))
		return usage(
			call, "--transcript is %zu bytes in hex", tpmpsk_digest_size(in->digest));
	/* What else is wrong with it, the daemon says. */
	if (!binder && option_hex(o, "--shared-secret", in->shared, sizeof(in->shared),
			       &in->shared_len) < 0)
		return usage(call, "--shared-secret is %d to %d bytes in hex", TPMPSK_SHARED_MIN,
			TPMPSK_SHARED_MAX);
	return EXIT_DONE;
}

static enum exit_code fill_psk_import(struct invocation *call, struct tpmpsk_derive *q)
{
	struct tpmpsk_psk_import *in = &q->psk_import;
	const struct options *o = &call->options;
	const char *protocol = options_get(o, "--target-protocol");
	enum exit_code code = read_hash(call, &in->digest);

	if (code != EXIT_DONE)
		return code;
	if (!protocol || strcmp(protocol, "tls13") == 0)
		in->target_protocol = TPMPSK_IMPORT_TLS13;
	else if (strcmp(protocol, "dtls13") == 0)
		in->target_protocol = TPMPSK_IMPORT_DTLS13;
	else
		return usage(call, "--target-protocol is tls13 or dtls13");
	in->target_kdf = option_digest(o, "--target-kdf", in->digest);
	if (in->target_kdf == 0)
		return usage(call, "--target-kdf is sha256 or sha384");
	if (options_get(o, "--context") &&
		option_hex(o, "--context", in->context, sizeof(in->context), &in->context_len) < 0)
		return usage(call, "--context is at most %d bytes in hex", TPMPSK_CONTEXT_MAX);
	return EXIT_DONE;
}

static enum exit_code fill_certificate_verify(struct invocation *call, struct tpmpsk_derive *q)
{
	struct tpmpsk_certificate_verify *in = &q->certificate_verify;
	const char *algorithm = options_get(&call->options, "--algorithm");
	enum exit_code code = fill_role(call, q);

	if (code != EXIT_DONE)
		return code;
	in->scheme = algorithm ? (uint16_t)tpmpsk_scheme_by_algorithm(algorithm)
			       : TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256;
	if (in->scheme == TPMPSK_SCHEME_NONE)
		return usage(call, "--algorithm is ecdsa-p256, ecdsa-p384 or rsa-2048");
	if (option_hex(&call->options, "--transcript", in->transcript, sizeof(in->transcript),
		    &in->transcript_len) < 0 ||
		(in->transcript_len != TPMPSK_TRANSCRIPT_MIN &&
			in->transcript_len != TPMPSK_TRANSCRIPT_MAX))
		return usage(call, "--transcript is %d or %d bytes in hex", TPMPSK_TRANSCRIPT_MIN,
			TPMPSK_TRANSCRIPT_MAX);
	return EXIT_DONE;
}

/* Which of the options are for which purposes; an option of another one is a mistake. */
static enum exit_code check_options(struct invocation *call, uint8_t purpose)
{
	static const struct {
		const char *option;
		unsigned purposes; /* bit n: purpose number n */
	} table[] = {
		{ "--client-random",
			1u << TPMPSK_PURPOSE_TLS12_SESSION | 1u << TPMPSK_PURPOSE_TLS12_MASTER },
		{ "--server-random",
			1u << TPMPSK_PURPOSE_TLS12_SESSION | 1u << TPMPSK_PURPOSE_TLS12_MASTER },
		{ "--role", 1u << TPMPSK_PURPOSE_SESSION_IDENTITY |
				    1u << TPMPSK_PURPOSE_CERTIFICATE_VERIFY },
		{ "--handshake", 1u << TPMPSK_PURPOSE_SESSION_IDENTITY },
		{ "--ekm", 1u << TPMPSK_PURPOSE_EXPORTER_KDF | 1u << TPMPSK_PURPOSE_EXPORTER_MAC },
		{ "--length", 1u << TPMPSK_PURPOSE_EXPORTER_KDF },
		{ "--algorithm", 1u << TPMPSK_PURPOSE_CERTIFICATE_VERIFY },
		{ "--transcript", 1u << TPMPSK_PURPOSE_TLS13_SCHEDULE |
					  1u << TPMPSK_PURPOSE_CERTIFICATE_VERIFY },
		{ "--hash", 1u << TPMPSK_PURPOSE_TLS12_MASTER |
				    1u << TPMPSK_PURPOSE_TLS13_SCHEDULE |
				    1u << TPMPSK_PURPOSE_PSK_IMPORT },
		{ "--session-hash", 1u << TPMPSK_PURPOSE_TLS12_MASTER },
		{ "--shared-secret", 1u << TPMPSK_PURPOSE_TLS13_SCHEDULE },
		{ "--context", 1u << TPMPSK_PURPOSE_PSK_IMPORT },
		{ "--target-protocol", 1u << TPMPSK_PURPOSE_PSK_IMPORT },
		{ "--target-kdf", 1u << TPMPSK_PURPOSE_PSK_IMPORT },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (options_get(&call->options, table[i].option) &&
			!(table[i].purposes & 1u << purpose))
			return usage(call, "%s is not for %s", table[i].option,
				tpmpsk_purpose_name(purpose));
	return EXIT_DONE;
}

static enum exit_code (*const fill[TPMPSK_PURPOSE_COUNT])(
	struct invocation *call, struct tpmpsk_derive *q) = {
	[TPMPSK_PURPOSE_TLS12_SESSION] = fill_tls12_session,
	[TPMPSK_PURPOSE_SESSION_IDENTITY] = fill_session_identity,
	[TPMPSK_PURPOSE_EXPORTER_KDF] = fill_exporter,
	[TPMPSK_PURPOSE_EXPORTER_MAC] = fill_exporter,
	[TPMPSK_PURPOSE_TLS12_MASTER] = fill_tls12_master,
	[TPMPSK_PURPOSE_TLS13_SCHEDULE] = fill_tls13_schedule,
	[TPMPSK_PURPOSE_PSK_IMPORT] = fill_psk_import,
	[TPMPSK_PURPOSE_CERTIFICATE_VERIFY] = fill_certificate_verify,
};

static enum exit_code fill_identity(struct invocation *call, struct tpmpsk_derive *q)
{
	const char *text = options_get(&call->options, "--identity");

	if (!text == !options_get(&call->options, "--identity-hex"))
		return usage(call, "one of --identity and --identity-hex is needed, and not both");
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
	code = check_options(call, q->purpose);
	if (code == EXIT_DONE)
		code = fill_identity(call, q);
	return code == EXIT_DONE ? fill[q->purpose](call, q) : code;
}

/* "[session identity ]hex", or a signature's hex; not through stdio, whose buffer would keep it. */
static enum exit_code print_derived(struct invocation *call, const struct tpmpsk_derived *d)
{
	char line[TPMPSK_IDENTITY_MAX + 1 + 2 * TPMPSK_SIGNATURE_MAX + 1];
	size_t len = d->name_len;
	ssize_t n;

	memcpy(line, d->name, d->name_len);
	if (d->name_len > 0)
		line[len++] = ' ';
	if (d->secret_len > 0)
		sodium_bin2hex(line + len, sizeof(line) - len, d->secret, d->secret_len);
	else
		sodium_bin2hex(line + len, sizeof(line) - len, d->signature, d->signature_len);
	len += 2 * (d->secret_len > 0 ? d->secret_len : d->signature_len);
	line[len++] = '\n';
	do
		n = write(STDOUT_FILENO, line, len);
	while (n < 0 && errno == EINTR);
	sodium_memzero(line, sizeof(line));
	if (n != (ssize_t)len)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_SYSTEM), "cannot write the answer");
	return EXIT_DONE;
}

static void wipe_derive(struct tpmpsk_derive *q)
{
	sodium_memzero(q, sizeof(*q)); /* what an exporter gave is a secret, too */
}

static void wipe_derived(struct tpmpsk_derived *d)
{
	sodium_memzero(d, sizeof(*d));
}

static enum exit_code run_derive(struct invocation *call)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(wipe_derived) struct tpmpsk_derived d = { 0 };
	_cleanup_(wipe_derive) struct tpmpsk_derive q = { 0 };
	enum exit_code code = fill_derive(call, &q);

	if (code == EXIT_DONE)
		code = ask(call, x,
			tpmpsk_derive_encode(0, &q, x->packet, sizeof(x->packet), &x->len), true);
	if (code != EXIT_DONE)
		return code;
	if (tpmpsk_derived_decode(&x->reply.body, &d) < 0)
		return fail_protocol(call);
	return print_derived(call, &d);
}

const struct command commands_derive[] = {
	{ "derive", NULL, 0, 0, { derive_options, NULL },
		"Asks for the secret of one session and prints it in hex, behind the session "
		"identity if one was made; or for a signature",
		"--identity is the key's; for --role server, the session identity that the client\n"
		"sent. That is accepted once, or again with the same --handshake.\n"
		"This is for trying a key: while it runs, others can read what is given here.",
		run_derive },
	{ 0 },
};
