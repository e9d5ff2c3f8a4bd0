/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/reference.h"

#include "proto/derive.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static_assert(TPMPSK_REFERENCE_SIZE_MAX == TPMPSK_REFERENCE_EXTRA + TPMPSK_IDENTITY_MAX,
	"a reference has room for every identity");

#define PREFIX_LEN (sizeof(TPMPSK_REFERENCE_PREFIX) - 1)
#define DIGITS (2 * TPMPSK_REFERENCE_RANDOM_SIZE)

static const char hex[] = "0123456789abcdef";

bool tpmpsk_reference_is(const void *psk, size_t len)
{
	return len >= PREFIX_LEN && memcmp(psk, TPMPSK_REFERENCE_PREFIX, PREFIX_LEN) == 0;
}

int tpmpsk_reference_identity(
	const void *psk, size_t len, const uint8_t **ret_identity, size_t *ret_identity_len)
{
	const uint8_t *text = psk;

	if (!tpmpsk_reference_is(psk, len) || len <= TPMPSK_REFERENCE_EXTRA ||
		len > TPMPSK_REFERENCE_SIZE_MAX)
		return -EINVAL;
	for (size_t i = PREFIX_LEN; i < PREFIX_LEN + DIGITS; i++)
		if (!memchr(hex, text[i], sizeof(hex) - 1))
			return -EINVAL;
	if (text[PREFIX_LEN + DIGITS] != ':')
		return -EINVAL;
	*ret_identity = text + TPMPSK_REFERENCE_EXTRA;
	*ret_identity_len = len - TPMPSK_REFERENCE_EXTRA;
	return 0;
}

size_t tpmpsk_reference_write(const uint8_t random[TPMPSK_REFERENCE_RANDOM_SIZE],
	const void *identity, size_t identity_len, uint8_t *buf)
{
	uint8_t *out = buf;

	if (identity_len < 1 || identity_len > TPMPSK_IDENTITY_MAX)
		return 0;
	out = mempcpy(out, TPMPSK_REFERENCE_PREFIX, PREFIX_LEN);
	for (size_t i = 0; i < TPMPSK_REFERENCE_RANDOM_SIZE; i++) {
		*out++ = (uint8_t)hex[random[i] >> 4];
		*out++ = (uint8_t)hex[random[i] & 15];
	}
	*out++ = ':';
	memcpy(out, identity, identity_len);
	return TPMPSK_REFERENCE_EXTRA + identity_len;
}
