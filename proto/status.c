/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/status.h"

static const char *const names[TPMPSK_STATUS_COUNT] = {
	[TPMPSK_STATUS_OK] = "ok",
	[TPMPSK_STATUS_MALFORMED] = "malformed",
	[TPMPSK_STATUS_UNSUPPORTED] = "unsupported",
	[TPMPSK_STATUS_DENIED] = "denied",
	[TPMPSK_STATUS_UNKNOWN_IDENTITY] = "unknown-identity",
	[TPMPSK_STATUS_EXISTS] = "exists",
	[TPMPSK_STATUS_BUSY] = "busy",
	[TPMPSK_STATUS_DEADLINE] = "deadline",
	[TPMPSK_STATUS_EXPIRED] = "expired",
	[TPMPSK_STATUS_FORGED] = "forged",
	[TPMPSK_STATUS_REPLAYED] = "replayed",
	[TPMPSK_STATUS_TPM_UNAVAILABLE] = "tpm-unavailable",
	[TPMPSK_STATUS_SHUTTING_DOWN] = "shutting-down",
	[TPMPSK_STATUS_INTERNAL] = "internal",
};

const char *tpmpsk_status_name(unsigned status)
{
	return status < TPMPSK_STATUS_COUNT ? names[status] : "invalid";
}
