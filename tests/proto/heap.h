/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap - packets in allocations of their exact size, so that ASan sees an access beyond them.
 *
 * For the tests of proto/. Ends the test when there is no memory.
 */
#ifndef TPMPSK_TESTS_PROTO_HEAP_H
#define TPMPSK_TESTS_PROTO_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* len bytes of data and then extra zeroes. */
uint8_t *heap_copy(const void *data, size_t len, size_t extra);
void heap_freep(uint8_t **p);

#endif
