/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/kdf.h"

#include "proto/writer.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

/* What a block of either function is computed over: the block before, then the same for all, then a counter. */
struct input {
	uint8_t bytes[MAC_SIZE_MAX + 2 + 1 + 6 + KDF_LABEL_MAX + 1 + KDF_SEED_MAX + 1];
};

int kdf_mac(const struct mac *mac, unsigned object, enum tpmpsk_digest digest, const uint8_t *in,
	size_t in_len, uint8_t *out)
{
	uint8_t whole[MAC_SIZE_MAX];
	size_t len;
	int r;

	r = mac->compute(mac->context, object, in, in_len, whole, &len);
	if (r == 0 && len != tpmpsk_digest_size(digest))
		r = -EINVAL;
	if (r == 0)
		memcpy(out, whole, len);
	sodium_memzero(whole, sizeof(whole));
	return r;
}

/* Writes what fits of a block into the output; returns how far that is full. */
static size_t append(uint8_t *out, size_t out_len, size_t done, const uint8_t *block, size_t len)
{
	size_t part = out_len - done < len ? out_len - done : len;

	memcpy(out + done, block, part);
	return done + part;
}

int kdf_p_hash(const struct mac *mac, unsigned object, enum tpmpsk_digest digest, const char *label,
	const uint8_t *seed, size_t seed_len, uint8_t *out, size_t out_len)
{
	uint8_t result[KDF_OUTPUT_MAX], block[MAC_SIZE_MAX];
	size_t size = tpmpsk_digest_size(digest), len, done = 0;
	struct tpmpsk_writer w;
	struct input in;
	int r;

	assert(out_len <= sizeof(result));
	/* Room for A(i) in front of what is the same in all: the label and the seed. */
	tpmpsk_writer_init(&w, in.bytes + size, sizeof(in.bytes) - size);
	tpmpsk_write_bytes(&w, label, strlen(label));
	tpmpsk_write_bytes(&w, seed, seed_len);
	r = tpmpsk_writer_finish(&w, &len);
	if (r == 0)
		r = kdf_mac(mac, object, digest, in.bytes + size, len, in.bytes); /* A(1) */
	while (r == 0) {
		r = kdf_mac(mac, object, digest, in.bytes, size + len, block);
		if (r < 0)
			break;
		done = append(result, out_len, done, block, size);
		if (done == out_len)
			break;
		r = kdf_mac(mac, object, digest, in.bytes, size, in.bytes); /* A(i + 1) */
	}
	if (r == 0)
		memcpy(out, result, out_len);
	sodium_memzero(result, sizeof(result));
	sodium_memzero(block, sizeof(block));
	sodium_memzero(&in, sizeof(in));
	return r;
}

int kdf_expand_label(const struct mac *mac, unsigned object, enum tpmpsk_digest digest,
	const char *label, const uint8_t *context, size_t context_len, uint8_t *out, size_t out_len)
{
	static const char prefix[] = "tls13 ";
	uint8_t result[KDF_OUTPUT_MAX];
	size_t size = tpmpsk_digest_size(digest), len, done = 0;
	struct tpmpsk_writer w;
	struct input in;
	int r;

	assert(out_len >= 1 && out_len <= sizeof(result));
	/* Room for T(i) in front of the HkdfLabel, and behind it for the counter. */
	tpmpsk_writer_init(&w, in.bytes + size, sizeof(in.bytes) - size - 1);
	tpmpsk_write_u16(&w, (uint16_t)out_len);
	tpmpsk_write_u8(&w, (uint8_t)(sizeof(prefix) - 1 + strlen(label)));
	tpmpsk_write_bytes(&w, prefix, sizeof(prefix) - 1);
	tpmpsk_write_bytes(&w, label, strlen(label));
	tpmpsk_write_var8(&w, context, context_len);
	r = tpmpsk_writer_finish(&w, &len);
	for (uint8_t i = 1; r == 0 && done < out_len; i++) {
		size_t before = i == 1 ? 0 : size; /* T(0) is empty */

		in.bytes[size + len] = i;
		r = kdf_mac(
			mac, object, digest, in.bytes + size - before, before + len + 1, in.bytes);
		if (r == 0)
			done = append(result, out_len, done, in.bytes, size);
	}
	if (r == 0)
		memcpy(out, result, out_len);
	sodium_memzero(result, sizeof(result));
	sodium_memzero(&in, sizeof(in));
	return r;
}
