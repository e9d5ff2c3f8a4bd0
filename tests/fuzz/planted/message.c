/* SPDX-License-Identifier: BSD-2-Clause */
/* The bound of a byte string comes from the message and not from the destination. */
#include "proto/reader.h"

size_t __real_tpmpsk_read_var8(struct tpmpsk_reader *r, uint8_t *dst, size_t cap);
size_t __wrap_tpmpsk_read_var8(struct tpmpsk_reader *r, uint8_t *dst, size_t cap);

size_t __wrap_tpmpsk_read_var8(struct tpmpsk_reader *r, uint8_t *dst, size_t cap)
{
	(void)cap;
	return __real_tpmpsk_read_var8(r, dst, UINT8_MAX);
}
