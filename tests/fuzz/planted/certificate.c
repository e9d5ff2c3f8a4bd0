/* SPDX-License-Identifier: BSD-2-Clause */
/* The version is not looked at. */
#include "daemon/certificate.h"

#include <stdlib.h>
#include <string.h>

bool __real_certificate_request_ok(
	const uint8_t *info, size_t len, const struct tpm_signer *signer);
bool __wrap_certificate_request_ok(
	const uint8_t *info, size_t len, const struct tpm_signer *signer);

bool __wrap_certificate_request_ok(const uint8_t *info, size_t len, const struct tpm_signer *signer)
{
	uint8_t *copy = malloc(len + 1);
	bool taken;

	if (!copy)
		return false;
	memcpy(copy, info, len);
	for (size_t at = 2; at < 5 && at + 2 < len; at++)
		if (copy[at] == 0x02 && copy[at + 1] == 0x01) {
			copy[at + 2] = 0;
			break;
		}
	taken = __real_certificate_request_ok(copy, len, signer);
	free(copy);
	return taken;
}
