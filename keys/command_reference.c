/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program is given in place of a PSK. No secret, but for the case that reference.h tells of.
 */
#include "keys/command.h"
#include "keys/print.h"
#include "proto/derive.h"
#include "proto/reference.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct option reference_options[] = {
	{ "--identity-hex", "HEX", "an identity that is not text, in place of IDENTITY", false },
	{ "--hex", NULL, "in hex digits, as the PSK files of most programs have it", false },
	{ NULL, NULL, NULL, false },
};

static enum exit_code read_identity(
	struct invocation *call, uint8_t identity[TPMPSK_IDENTITY_MAX], size_t *ret_len)
{
	const char *text = call->options.n_args > 0 ? call->options.args[0] : NULL;
	const char *digits = options_get(&call->options, "--identity-hex");

	if (!text == !digits)
		return usage(call, "one of IDENTITY and --identity-hex is needed");
	*ret_len = text ? strlen(text) : 0;
	if (text && *ret_len <= TPMPSK_IDENTITY_MAX)
		memcpy(identity, text, *ret_len);
	if ((digits && sodium_hex2bin(identity, TPMPSK_IDENTITY_MAX, digits, strlen(digits), NULL,
			       ret_len, NULL) < 0) ||
		*ret_len < 1 || *ret_len > TPMPSK_IDENTITY_MAX)
		return usage(call, "an identity has 1 to %d bytes", TPMPSK_IDENTITY_MAX);
	return EXIT_DONE;
}

static enum exit_code run_reference(struct invocation *call)
{
	bool hex = options_get(&call->options, "--hex");
	uint8_t identity[TPMPSK_IDENTITY_MAX], random[TPMPSK_REFERENCE_RANDOM_SIZE];
	char reference[TPMPSK_REFERENCE_SIZE_MAX + 1] = "";
	char digits[2 * TPMPSK_REFERENCE_SIZE_MAX + 1];
	size_t identity_len, len;
	enum exit_code code = read_identity(call, identity, &identity_len);

	if (code != EXIT_DONE)
		return code;
	randombytes_buf(random, sizeof(random));
	len = tpmpsk_reference_write(random, identity, identity_len, (uint8_t *)reference);
	if (!hex && (strlen(reference) != len || !text_is_printable(reference)))
		return usage(call, "--hex is needed for an identity that is not printable");
	puts(hex ? sodium_bin2hex(digits, sizeof(digits), (uint8_t *)reference, len) : reference);
	return EXIT_DONE;
}

const struct command commands_reference[] = {
	{ "reference", "[IDENTITY]", 0, 1, { reference_options, NULL },
		"Prints what stands in a program's configuration in place of a PSK",
		"For programs on OpenSSL with the provider of tpm-pskd, and a key of purpose "
		"tls12-master or\n"
		"tls13-schedule, or one of each, for IDENTITY. Each reference is another one; any "
		"will do.\n"
		"It is no secret as long as the provider is loaded. Should that fail, the program "
		"takes\n"
		"the reference itself for a PSK: who has read it could then pass for the peer.",
		run_reference },
	{ 0 },
};
