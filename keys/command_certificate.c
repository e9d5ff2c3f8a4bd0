/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands for keys with a certificate: the public half, and the request that an authority
 * makes a certificate from. The daemon says what the public key is, and signs what is built here if
 * it is a request for that key.
 */
#include "keys/command.h"
#include "keys/csr.h"
#include "keys/print.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PEM_COLUMNS 64

static const struct option csr_options[] = {
	{ "--subject", "DN", "whom it is for: CN=www.example.com,O=Example,C=DE", false },
	{ "--dns", "NAME...", "host names (subjectAltName)", true },
	{ "--ip", "ADDR...", "IP addresses (subjectAltName)", true },
	{ NULL, NULL, NULL, false },
};

/* A PEM block on standard output. */
static void print_pem(const char *label, const uint8_t *der, size_t der_len)
{
	char base64[sodium_base64_ENCODED_LEN(CSR_MAX, sodium_base64_VARIANT_ORIGINAL)];

	sodium_bin2base64(base64, sizeof(base64), der, der_len, sodium_base64_VARIANT_ORIGINAL);
	printf("-----BEGIN %s-----\n", label);
	for (size_t at = 0, len = strlen(base64); at < len; at += PEM_COLUMNS)
		printf("%.*s\n", PEM_COLUMNS, base64 + at);
	printf("-----END %s-----\n", label);
}

struct public_key {
	unsigned scheme;
	size_t len;
	uint8_t spki[TPMPSK_BLOB_MAX];
};

static const char *string_in(struct json_object *object, const char *field)
{
	struct json_object *value = json_object_object_get(object, field);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

/* What the daemon says of the key whose name is the first argument. */
static enum exit_code get_public_key(struct invocation *call, struct public_key *ret)
{
	_cleanup_(json_freep) struct json_object *key = NULL;
	enum exit_code code = ask_show(call, &key);
	const char *base64;

	if (code != EXIT_DONE)
		return code;
	base64 = string_in(key, "public_key");
	if (*base64 == 0)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_UNSUPPORTED),
			"a key for %s has no public half", string_in(key, "purpose"));
	ret->scheme = tpmpsk_scheme_by_algorithm(string_in(key, "algorithm"));
	if (ret->scheme == TPMPSK_SCHEME_NONE ||
		sodium_base642bin(ret->spki, sizeof(ret->spki), base64, strlen(base64), NULL,
			&ret->len, NULL, sodium_base64_VARIANT_ORIGINAL) < 0)
		return fail_protocol(call);
	return EXIT_DONE;
}

static enum exit_code run_public(struct invocation *call)
{
	struct public_key key = { 0 };
	enum exit_code code = get_public_key(call, &key);

	if (code == EXIT_DONE)
		print_pem("PUBLIC KEY", key.spki, key.len);
	return code;
}

static void strings_freep(const char ***strings)
{
	free(*strings);
}

/* All values of a list option, with a NULL at the end. */
static const char **all_of(const struct options *o, const char *name)
{
	const char **values = calloc(o->n_hits + 1, sizeof(*values));
	size_t pos = 0, n = 0;

	if (!values) {
		fputs("tpm-psk: no memory\n", stderr);
		exit(EXIT_FAILED);
	}
	while (n < o->n_hits && (values[n] = options_next(o, name, &pos)))
		n++;
	return values;
}

/* Fills info with what is to be signed. */
static enum exit_code build(
	struct invocation *call, const struct public_key *key, struct tpmpsk_key_csr *ret)
{
	_cleanup_(strings_freep) const char **dns = all_of(&call->options, "--dns");
	_cleanup_(strings_freep) const char **ip = all_of(&call->options, "--ip");
	const struct csr_options options = { options_get(&call->options, "--subject"), dns, ip };
	char error[CSR_ERROR_SIZE];
	int r = csr_info(&options, key->spki, key->len, ret->info, &ret->info_len, error);

	if (r == -EINVAL)
		return usage(call, "%s", error);
	if (r < 0)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_MALFORMED),
			"more names than a request of %d bytes holds", CSR_INFO_MAX);
	return EXIT_DONE;
}

static enum exit_code ask_signature(
	struct invocation *call, const struct tpmpsk_key_csr *m, struct tpmpsk_blob_reply *ret)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	enum exit_code code = ask(
		call, x, tpmpsk_key_csr_encode(0, m, x->packet, sizeof(x->packet), &x->len), true);

	if (code != EXIT_DONE)
		return code;
	return tpmpsk_blob_reply_decode(&x->reply.body, ret) < 0 ? fail_protocol(call) : EXIT_DONE;
}

static enum exit_code run_csr(struct invocation *call)
{
	struct tpmpsk_blob_reply signature;
	struct tpmpsk_key_csr m = { 0 };
	struct public_key key = { 0 };
	uint8_t csr[CSR_MAX];
	enum exit_code code = get_public_key(call, &key);
	size_t len;

	if (code == EXIT_DONE)
		code = build(call, &key, &m);
	if (code != EXIT_DONE)
		return code;
	strcpy(m.name, call->options.args[0]); /* ask_show() has checked it */
	code = ask_signature(call, &m, &signature);
	if (code != EXIT_DONE)
		return code;
	if (csr_finish(m.info, m.info_len, key.scheme, signature.data, signature.len, csr, &len) <
		0)
		return fail_protocol(call);
	print_pem("CERTIFICATE REQUEST", csr, len);
	return EXIT_DONE;
}

const struct command commands_certificate[] = {
	{ "key public", "NAME", 1, 1, { NULL, NULL },
		"Prints the public half of a certificate-verify key as PEM", NULL, run_public },
	{ "key csr", "NAME", 1, 1, { csr_options, NULL },
		"Prints a certificate request for a certificate-verify key as PEM",
		"The request is PKCS #10, signed with the key. --subject has the most particular "
		"part "
		"first,\n"
		"as RFC 4514 has it: CN, O, OU, L, ST, C, serialNumber, emailAddress, DC; a comma "
		"inside a\n"
		"value has a backslash before it. Give it to an authority, and what that returns "
		"to the\n"
		"program that uses the key.",
		run_csr },
	{ 0 },
};
