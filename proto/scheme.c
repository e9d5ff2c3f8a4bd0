/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/scheme.h"

#include <string.h>

static const struct {
	unsigned scheme;
	size_t digest_size;
	const char *algorithm, *name;
} schemes[] = {
	{ TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256, 32, "ecdsa-p256", "ecdsa_secp256r1_sha256" },
	{ TPMPSK_SCHEME_ECDSA_SECP384R1_SHA384, 48, "ecdsa-p384", "ecdsa_secp384r1_sha384" },
	{ TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256, 32, "rsa-2048", "rsa_pss_rsae_sha256" },
};
#define N_SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

const char *tpmpsk_scheme_algorithm(unsigned scheme)
{
	for (size_t i = 0; i < N_SCHEMES; i++)
		if (schemes[i].scheme == scheme)
			return schemes[i].algorithm;
	return NULL;
}

unsigned tpmpsk_scheme_by_algorithm(const char *algorithm)
{
	for (size_t i = 0; i < N_SCHEMES; i++)
		if (strcmp(schemes[i].algorithm, algorithm) == 0)
			return schemes[i].scheme;
	return TPMPSK_SCHEME_NONE;
}

const char *tpmpsk_scheme_name(unsigned scheme)
{
	for (size_t i = 0; i < N_SCHEMES; i++)
		if (schemes[i].scheme == scheme)
			return schemes[i].name;
	return NULL;
}

size_t tpmpsk_scheme_digest_size(unsigned scheme)
{
	for (size_t i = 0; i < N_SCHEMES; i++)
		if (schemes[i].scheme == scheme)
			return schemes[i].digest_size;
	return 0;
}
