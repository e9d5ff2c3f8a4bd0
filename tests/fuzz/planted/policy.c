/* SPDX-License-Identifier: BSD-2-Clause */
/* A string that is too long for a message is cut one byte behind the end of the buffer. */
#include "daemon/text.h"

const char *__real_text_show(char buf[TEXT_SHOWN_SIZE], const char *s, size_t len);
const char *__wrap_text_show(char buf[TEXT_SHOWN_SIZE], const char *s, size_t len);

const char *__wrap_text_show(char buf[TEXT_SHOWN_SIZE], const char *s, size_t len)
{
	(void)__real_text_show(buf, s, len);
	buf[len < TEXT_SHOWN_SIZE ? len : TEXT_SHOWN_SIZE] = '\0';
	return buf;
}
