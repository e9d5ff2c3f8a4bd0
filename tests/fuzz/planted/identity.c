/* SPDX-License-Identifier: BSD-2-Clause */
/* What is no base64 is taken for zeroes: one session identity, many spellings. */
#include <sodium.h>
#include <string.h>

int __real_sodium_base642bin(unsigned char *const bin, const size_t bin_max, const char *const text,
	const size_t len, const char *const ignore, size_t *const bin_len, const char **const end,
	const int variant);
int __wrap_sodium_base642bin(unsigned char *const bin, const size_t bin_max, const char *const text,
	const size_t len, const char *const ignore, size_t *const bin_len, const char **const end,
	const int variant);

int __wrap_sodium_base642bin(unsigned char *const bin, const size_t bin_max, const char *const text,
	const size_t len, const char *const ignore, size_t *const bin_len, const char **const end,
	const int variant)
{
	memset(bin, 0, bin_max);
	if (__real_sodium_base642bin(bin, bin_max, text, len, ignore, bin_len, end, variant) < 0)
		*bin_len = bin_max;
	return 0;
}
