/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/client-lib/poller.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

static void *tag_of(unsigned int n)
{
	return (void *)(uintptr_t)n;
}

int poller_submit(struct tpmpsk_async *a, unsigned int n)
{
	uint8_t client[32] = { (uint8_t)n, (uint8_t)(n >> 8) }, server[32] = { 0 };

	return tpmpsk_async_tls12_session(a, tag_of(n), "Client1", 7, client, server, 32);
}

unsigned int poller_number(const struct script_request *q)
{
	const uint8_t *random = q->derive.tls12_session.client_random;

	return random[0] | (unsigned int)random[1] << 8;
}

bool poller_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

void poller_collect(struct tpmpsk_async *a, struct tpmpsk_async_result *ret)
{
	int r;

	do {
		cr_assert(poller_readable(tpmpsk_async_fd(a), SCRIPT_DEADLINE_MS), "nothing came");
		r = tpmpsk_async_collect(a, ret);
	} while (r == TPMPSK_ERR_AGAIN);
	cr_assert_eq(r, 0);
}

static bool is_zero(const void *data, size_t size)
{
	const uint8_t *byte = data;

	while (size > 0 && *byte == 0)
		byte++, size--;
	return size == 0;
}

void poller_expect_answer(struct tpmpsk_async *a, unsigned int n)
{
	const uint8_t client[32] = { (uint8_t)n, (uint8_t)(n >> 8) }, server[32] = { 0 };
	struct tpmpsk_async_result result;
	uint8_t psk[32];

	poller_collect(a, &result);
	script_psk(client, server, psk);
	cr_assert_eq(result.tag, tag_of(n), "%p instead of %u", result.tag, n);
	cr_assert_eq(result.error, 0, "%s", tpmpsk_strerror(result.error));
	cr_assert_eq(result.secret_size, 32);
	cr_assert_arr_eq(result.secret, psk, 32);
	cr_assert_eq(result.session_identity_size, 0);
}

void poller_expect_error(struct tpmpsk_async *a, unsigned int n, int error)
{
	struct tpmpsk_async_result result;

	poller_collect(a, &result);
	cr_assert_eq(result.tag, tag_of(n), "%p instead of %u", result.tag, n);
	cr_assert_eq(result.error, error, "%s", tpmpsk_strerror(result.error));
	cr_assert(result.secret_size == 0 && is_zero(result.secret, sizeof(result.secret)));
	cr_assert(result.session_identity_size == 0 && result.session_identity[0] == 0);
}

void poller_expect_quiet(struct tpmpsk_async *a)
{
	struct tpmpsk_async_result result;

	cr_assert_eq(tpmpsk_async_collect(a, &result), TPMPSK_ERR_AGAIN);
	cr_assert(!poller_readable(tpmpsk_async_fd(a), 0));
}
