/* SPDX-License-Identifier: BSD-2-Clause */
/* The last byte of a record goes on changed when it takes up the last of the space for it. */
#include "client-lib/gnutls_inbox.h"

size_t __real_tpmpsk_inbox_take(struct tpmpsk_inbox *b, void *data, size_t size);
size_t __wrap_tpmpsk_inbox_take(struct tpmpsk_inbox *b, void *data, size_t size);

size_t __wrap_tpmpsk_inbox_take(struct tpmpsk_inbox *b, void *data, size_t size)
{
	size_t n = __real_tpmpsk_inbox_take(b, data, size);

	if (n == size && !tpmpsk_inbox_has(b))
		((uint8_t *)data)[n - 1] ^= 1;
	return n;
}
