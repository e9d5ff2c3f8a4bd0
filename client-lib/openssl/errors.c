/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/openssl/module.h"

#include <stdarg.h>
#include <stdio.h>

/*
 * Errors go through the core's functions and not through ERR_raise(): that would be the error stack
 * of the libcrypto this module is linked with, which need not be the program's.
 */
#define IDENTITY_TEXT_SIZE (4 * TPMPSK_IDENTITY_SIZE_MAX + 1)

#define REASON(NUMBER, TEXT)                                                                       \
	{                                                                                          \
		NUMBER, (void *)(TEXT)                                                             \
	}
const OSSL_ITEM tpmpsk_reason_strings[] = {
	REASON(-TPMPSK_ERR_MALFORMED, "tpm-pskd: malformed"),
	REASON(-TPMPSK_ERR_UNSUPPORTED, "tpm-pskd: unsupported"),
	REASON(-TPMPSK_ERR_DENIED, "tpm-pskd: denied"),
	REASON(-TPMPSK_ERR_UNKNOWN_IDENTITY, "tpm-pskd: unknown-identity"),
	REASON(-TPMPSK_ERR_BUSY, "tpm-pskd: busy"),
	REASON(-TPMPSK_ERR_DEADLINE, "tpm-pskd: deadline"),
	REASON(-TPMPSK_ERR_TPM_UNAVAILABLE, "tpm-pskd: tpm-unavailable"),
	REASON(-TPMPSK_ERR_SHUTTING_DOWN, "tpm-pskd: shutting-down"),
	REASON(-TPMPSK_ERR_INTERNAL, "tpm-pskd: internal"),
	REASON(-TPMPSK_ERR_NO_DAEMON, "tpm-pskd: no-daemon"),
	REASON(-TPMPSK_ERR_PROTOCOL, "tpm-pskd: protocol-error"),
	REASON(-TPMPSK_ERR_INVALID, "tpm-pskd: invalid-argument"),
	REASON(-TPMPSK_ERR_SYSTEM, "tpm-pskd: system-error"),
	REASON(TPMPSK_REASON_PSK_KE,
		"psk_ke is refused for a PSK in the TPM: the key exchange must be psk_dhe_ke"),
	REASON(TPMPSK_REASON_EARLY_DATA, "early data is refused for a PSK in the TPM"),
	REASON(TPMPSK_REASON_MIXED_PSK,
		"in TLS 1.2 a PSK in the TPM works with plain PSK suites only, not with "
		"DHE-PSK, ECDHE-PSK or RSA-PSK"),
	REASON(TPMPSK_REASON_HASH,
		"a PSK in the TPM needs a suite with SHA-256 or SHA-384, and TLS 1.2 or 1.3"),
	REASON(TPMPSK_REASON_REFERENCE, "broken reference to a PSK in the TPM"),
	REASON(TPMPSK_REASON_USE, "a PSK in the TPM cannot be used for this"),
	REASON(TPMPSK_REASON_TOKEN, "too many PSKs in the TPM in use at the same time"),
	REASON(TPMPSK_REASON_CONFIGURATION, "wrong parameter in the configuration"),
	REASON(TPMPSK_REASON_LOADING, "the provider cannot start"),
	{ 0, NULL },
};

int tpmpsk_raise_at(const struct tpmpsk_provider *provider, const char *file, int line,
	const char *function, int reason, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	provider->core_new_error(provider->core);
	provider->core_set_error_debug(provider->core, file, line, function);
	provider->core_vset_error(provider->core, (uint32_t)reason, format, arguments);
	va_end(arguments);
	return 0;
}

/* As text that can stand in any log. */
static void describe(const struct tpmpsk_token *token, char text[IDENTITY_TEXT_SIZE])
{
	char *out = text;

	for (size_t i = 0; i < token->identity_len; i++) {
		uint8_t c = token->identity[i];

		if (c > 0x20 && c < 0x7f && c != '\\')
			*out++ = (char)c;
		else
			out += snprintf(out, 5, "\\x%02x", c);
	}
	*out = 0;
}

int tpmpsk_answered(const struct tpmpsk_provider *provider, int error,
	const struct tpmpsk_token *token, const char *what)
{
	char text[IDENTITY_TEXT_SIZE];

	if (error == 0)
		return 1;
	describe(token, text);
	return tpmpsk_raise(provider, -error, "identity %s: %s", text, what);
}
