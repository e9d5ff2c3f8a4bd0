/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What is UTF-8 and not printable: controls, invisible signs, and those that change the direction
 * of writing.
 */
static const struct {
	uint32_t first, last;
} unprintable[] = {
	{ 0x0000, 0x001f },
	{ 0x007f, 0x009f },
	{ 0x00ad, 0x00ad },
	{ 0x061c, 0x061c },
	{ 0x180e, 0x180e },
	{ 0x200b, 0x200f },
	{ 0x2028, 0x202e },
	{ 0x2060, 0x206f },
	{ 0xe000, 0xf8ff },
	{ 0xfdd0, 0xfdef },
	{ 0xfeff, 0xfeff },
	{ 0xfff0, 0xffff },
	{ 0xe0000, UINT32_MAX },
};

/* One character, RFC 3629, section 4. Returns its bytes, or 0 when there is none. */
static size_t read_char(const uint8_t *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80       ? 1
		   : s[0] >> 5 == 6  ? 2
		   : s[0] >> 4 == 14 ? 3
		   : s[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

static bool is_printable(uint32_t c)
{
	for (size_t i = 0; i < sizeof(unprintable) / sizeof(unprintable[0]); i++)
		if (c >= unprintable[i].first && c <= unprintable[i].last)
			return false;
	return true;
}

size_t text_utf8_len(const uint8_t *bytes, size_t len)
{
	size_t i = 0, n = 1;
	uint32_t c;

	for (; i < len && n > 0; i += n)
		n = read_char(bytes + i, len - i, &c);
	return i;
}

bool text_is_printable(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t c;

		n = read_char(bytes + i, len - i, &c);
		if (n == 0 || !is_printable(c))
			return false;
	}
	return true;
}

const char *text_show(char buf[TEXT_SHOWN_SIZE], const char *s, size_t len)
{
	const uint8_t *bytes = (const uint8_t *)s;
	const size_t room = TEXT_SHOWN_SIZE - sizeof("...");
	char *out = buf;

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t c;
		bool shown;

		n = read_char(bytes + i, len - i, &c);
		shown = n > 0 && is_printable(c);
		if (n == 0)
			n = 1;
		if ((size_t)(out - buf) + (shown ? n : 1) > room) {
			out = stpcpy(out, "...");
			break;
		}
		if (shown)
			out = mempcpy(out, s + i, n);
		else
			*out++ = '?';
	}
	*out = '\0';
	return buf;
}

int text_fail(char *error, size_t size, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return r;
}

void text_freep(char **p)
{
	free(*p);
}
