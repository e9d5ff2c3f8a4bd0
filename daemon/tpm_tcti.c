/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TPM may put a command off: it tests itself, its memory that lasts is busy, somebody cancelled.
 * It has not begun with the command then, so the same bytes are right a second time, session
 * included. ESYS would ask again, too, for some of these codes. But it does so five times without a
 * pause, which no self-test is over by, and its version 3.2.1 then sends TPM2_HMAC with a handle that
 * was never given. So it must not see them: what has not passed in time is handed up marked as coming
 * from a resource manager, where ESYS lets it be.
 */
#include "daemon/tpm_tcti.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

#define MAGIC UINT64_C(0x74706d2d70736b64)
#define HEADER_SIZE 10 /* of a response: tag, size, code */
#define CODE_AT 6
#define PAUSE_MAX_MS 100

static uint32_t code_of(const uint8_t *response, size_t size)
{
	uint32_t code;

	if (size < HEADER_SIZE)
		return TPM2_RC_SUCCESS; /* torn: ESYS sees that */
	memcpy(&code, response + CODE_AT, sizeof(code));
	return be32toh(code);
}

/* Not TPM2_RC_LOCKOUT: that takes minutes to hours. */
static bool passes(uint32_t code)
{
	if ((code & TSS2_RC_LAYER_MASK) != TSS2_TPM_RC_LAYER &&
		(code & TSS2_RC_LAYER_MASK) != TSS2_RESMGR_TPM_RC_LAYER)
		return false;
	switch (code & ~TSS2_RC_LAYER_MASK) {
	case TPM2_RC_YIELDED:
	case TPM2_RC_CANCELED:
	case TPM2_RC_TESTING:
	case TPM2_RC_RETRY:
	case TPM2_RC_NV_RATE:
	case TPM2_RC_NV_UNAVAILABLE:
		return true;
	default:
		return false;
	}
}

static void wipe(struct tpm_tcti *t)
{
	sodium_memzero(t->command, t->command_len);
	t->command_len = 0;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
	struct tpm_tcti *t = (struct tpm_tcti *)context;
	TSS2_RC rc;

	t->stats->commands++;
	t->command_len = size <= sizeof(t->command) ? size : 0;
	memcpy(t->command, command, t->command_len);
	rc = Tss2_Tcti_Transmit(t->inner, size, command);
	if (rc != TSS2_RC_SUCCESS)
		wipe(t);
	return rc;
}

static void mark_as_managed(uint8_t *response)
{
	uint32_t code = code_of(response, HEADER_SIZE) & ~TSS2_RC_LAYER_MASK;

	code = htobe32(code | TSS2_RESMGR_TPM_RC_LAYER);
	memcpy(response + CODE_AT, &code, sizeof(code));
}

/* Lets time pass, longer each time; false when that has been enough. */
static bool wait_more(unsigned *waited_ms)
{
	unsigned ms = 1 + *waited_ms / 8;
	struct timespec pause;

	if (*waited_ms >= TPM_PATIENCE_MS)
		return false;
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	pause = (struct timespec){ .tv_nsec = (long)ms * 1000000 };
	nanosleep(&pause, NULL);
	*waited_ms += ms;
	return true;
}

static TSS2_RC receive_again(
	struct tpm_tcti *t, size_t *size, size_t cap, uint8_t *response, int32_t timeout)
{
	unsigned waited_ms = 0;
	TSS2_RC rc;

	while (passes(code_of(response, *size))) {
		if (t->command_len == 0 || !wait_more(&waited_ms)) {
			mark_as_managed(response);
			break;
		}
		t->stats->waits++;
		t->stats->commands++;
		rc = Tss2_Tcti_Transmit(t->inner, t->command_len, t->command);
		if (rc != TSS2_RC_SUCCESS)
			return rc;
		*size = cap;
		rc = Tss2_Tcti_Receive(t->inner, size, response, timeout);
		if (rc != TSS2_RC_SUCCESS)
			return rc;
	}
	return TSS2_RC_SUCCESS;
}

static TSS2_RC receive(
	TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response, int32_t timeout)
{
	struct tpm_tcti *t = (struct tpm_tcti *)context;
	size_t cap = *size;
	TSS2_RC rc;

	rc = Tss2_Tcti_Receive(t->inner, size, response, timeout);
	if (!response || rc == TSS2_TCTI_RC_TRY_AGAIN)
		return rc;
	if (rc == TSS2_RC_SUCCESS)
		rc = receive_again(t, size, cap, response, timeout);
	wipe(t);
	return rc;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
	(void)context; /* tpm_tcti_close() does */
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
	return Tss2_Tcti_Cancel(((struct tpm_tcti *)context)->inner);
}

static TSS2_RC get_poll_handles(
	TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
	return Tss2_Tcti_GetPollHandles(((struct tpm_tcti *)context)->inner, handles, n);
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
	return Tss2_Tcti_SetLocality(((struct tpm_tcti *)context)->inner, locality);
}

TSS2_RC tpm_tcti_open(struct tpm_tcti *t, const char *name, struct tpm_stats *stats)
{
	*t = (struct tpm_tcti){
		.common = { .magic = MAGIC,
			.version = 1,
			.transmit = transmit,
			.receive = receive,
			.finalize = finalize,
			.cancel = cancel,
			.getPollHandles = get_poll_handles,
			.setLocality = set_locality },
		.stats = stats,
	};
	return Tss2_TctiLdr_Initialize(name, &t->inner);
}

void tpm_tcti_close(struct tpm_tcti *t)
{
	if (t->inner)
		Tss2_TctiLdr_Finalize(&t->inner);
	wipe(t);
}

TSS2_TCTI_CONTEXT *tpm_tcti_context(struct tpm_tcti *t)
{
	return (TSS2_TCTI_CONTEXT *)&t->common;
}
