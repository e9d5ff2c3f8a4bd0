/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificate requests that the daemon is to sign: what is taken is one whole DER element of the right form, for that key, and nothing
 * that could also be the content of a CertificateVerify. An input whose first byte is odd is the inside of a request, around which what
 * must not vary is put: else few mistakes would get past the lengths and the key.
 */
#include "daemon/certificate.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define BODY_MAX 2000

/* A P-256 key's, RFC 5480, section 2; no point of the curve, which is nothing that the reader looks at. */
static const struct tpm_signer signer = {
	.scheme = TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256,
	.spki_len = 91,
	.spki = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
		0x04 },
};

/* From a copy of exactly its size, so that a byte read too far is seen. */
static bool ok(const uint8_t *info, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool taken;

	fuzz_must(copy);
	memcpy(copy, info, len);
	taken = certificate_request_ok(copy, len, &signer);
	free(copy);
	return taken;
}

/* The size of the outermost header, from what its own length says. */
static size_t header_of(const uint8_t *info)
{
	return info[1] < 0x80 ? 2 : 2 + (size_t)(info[1] & 0x7f);
}

static void try(uint8_t *info, size_t len)
{
	size_t header;

	if (!ok(info, len))
		return;
	fuzz_must(len > signer.spki_len + 5);
	header = header_of(info);
	fuzz_must(info[0] == 0x30 && header <= 4);
	fuzz_must(memcmp(info + header, "\x02\x01\x00\x30", 4) == 0); /* version 0, and a name */
	fuzz_must(fuzz_holds(info, len, (const char *)signer.spki, signer.spki_len));
	fuzz_must(!ok(info, len - 1));
	info[len] = 0;
	fuzz_must(!ok(info, len + 1));
}

/* SEQUENCE { INTEGER version, the name, the key, the attributes } */
static size_t compose(struct fuzz_input *in, uint8_t *info)
{
	uint8_t version = fuzz_u8(in), body[BODY_MAX + 128];
	size_t name_len, rest_len, len = 3, n = 0;
	const uint8_t *name = fuzz_bytes(in, fuzz_u8(in), &name_len);
	const uint8_t *rest = fuzz_bytes(in, BODY_MAX - name_len, &rest_len);

	memcpy(body, (const uint8_t[]){ 0x02, 0x01, version }, 3);
	memcpy(body + len, name, name_len);
	len += name_len;
	memcpy(body + len, signer.spki, signer.spki_len);
	len += signer.spki_len;
	memcpy(body + len, rest, rest_len);
	len += rest_len;
	info[n++] = 0x30;
	if (len >= 0x100)
		info[n++] = 0x82;
	else if (len >= 0x80)
		info[n++] = 0x81;
	if (len >= 0x100)
		info[n++] = (uint8_t)(len >> 8);
	info[n++] = (uint8_t)len;
	memcpy(info + n, body, len);
	return n + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t info[BODY_MAX + 140]; /* with a byte to spare */
	size_t len;

	if (fuzz_u8(&in) & 1) {
		len = compose(&in, info);
	} else {
		const uint8_t *raw = fuzz_bytes(&in, BODY_MAX, &len);

		memcpy(info, raw, len);
	}
	try(info, len);
	return 0;
}
