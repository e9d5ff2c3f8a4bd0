/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key files that somebody else wrote: what is taken is within bounds, and can be written and read again. An input that begins as DER
 * does is put into PEM first, so that what is inside the base64 can be changed byte by byte.
 */
#include "keys/keyfile.h"
#include "tests/fuzz/fuzz.h"

#include <sodium.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return sodium_init() < 0;
}

static void check_objects(const struct keyfile *kf)
{
	fuzz_must(kf->n_objects >= 1 && kf->n_objects <= KEYFILE_OBJECTS_MAX);
	for (size_t i = 0; i < kf->n_objects; i++) {
		const struct keyfile_object *o = &kf->objects[i];

		fuzz_must(o->parent == KEYFILE_PARENT_OWNER || o->parent >> 24 == 0x81);
		fuzz_must(o->pub_len >= 2 && o->pub_len <= KEYFILE_AREA_MAX);
		fuzz_must(o->priv_len >= 2 && o->priv_len <= KEYFILE_AREA_MAX);
		fuzz_must((o->pub[0] << 8 | o->pub[1]) == o->pub_len - 2);
		fuzz_must((o->priv[0] << 8 | o->priv[1]) == o->priv_len - 2);
	}
}

static void try(const char *pem, size_t len)
{
	struct keyfile kf, again;
	const char *why = NULL;
	char *text;
	size_t text_len;

	if (keyfile_decode(pem, len, &kf, &why) < 0) {
		fuzz_must(why && *why && kf.n_objects == 0);
		return;
	}
	check_objects(&kf);
	fuzz_must(keyfile_encode(&kf, &text, &text_len) == 0);
	fuzz_must(keyfile_decode(text, text_len, &again, &why) == 0);
	fuzz_must(keyfile_equal(&kf, &again));
	free(text);
	keyfile_done(&kf);
	keyfile_done(&again);
}

static void try_der(const uint8_t *der, size_t len)
{
	static char text[8192];
	char base64[sodium_base64_ENCODED_LEN(4096, sodium_base64_VARIANT_ORIGINAL)];
	int n;

	if (len > 4096)
		return;
	sodium_bin2base64(base64, sizeof(base64), der, len, sodium_base64_VARIANT_ORIGINAL);
	n = snprintf(text, sizeof(text),
		"-----BEGIN TSS2 PRIVATE KEY-----\n%s\n-----END TSS2 PRIVATE KEY-----\n", base64);
	try(text, (size_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == 0x30)
		try_der(data, size);
	else
		try((const char *)data, size);
	return 0;
}
