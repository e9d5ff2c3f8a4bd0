/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hostile/measure.h"

#include <dirent.h>
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

unsigned rounds(unsigned usual)
{
	const char *value = getenv("TPMPSK_ROUNDS");

	return value && *value ? (unsigned)strtoul(value, NULL, 10) : usual;
}

long long patience(long long usual_ms)
{
	return getenv("TSAN_OPTIONS") ? 5 * usual_ms : usual_ms;
}

int descriptors_of(pid_t pid)
{
	char path[64];
	DIR *d;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

int idle_descriptors_of(pid_t pid)
{
	int least = descriptors_of(pid);

	for (unsigned i = 0; i < 60; i++) {
		int n = descriptors_of(pid);

		least = n < least ? n : least;
		usleep(5000);
	}
	return least;
}

long memory_of(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

#ifdef __SANITIZE_ADDRESS__
	return 0;
#endif
	if (getenv("TSAN_OPTIONS"))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

/* TPM2_GetCapability(TPM2_CAP_HANDLES, kind << 24, 100), by hand. */
int handles_in(const char *tcti, unsigned kind)
{
	const uint8_t command[22] = { 0x80, 0x01, [5] = 22, 0, 0, 0x01, 0x7a, 0, 0, 0, 1,
		(uint8_t)kind, 0, 0, 0, 0, 0, 0, 100 };
	uint8_t response[4096];
	size_t size = sizeof(response);
	TSS2_TCTI_CONTEXT *context = NULL;
	uint32_t count = 0;
	int n = -1;

	if (Tss2_TctiLdr_Initialize(tcti, &context) != TSS2_RC_SUCCESS)
		return -1;
	if (Tss2_Tcti_Transmit(context, sizeof(command), command) == TSS2_RC_SUCCESS &&
		Tss2_Tcti_Receive(context, &size, response, TSS2_TCTI_TIMEOUT_BLOCK) ==
			TSS2_RC_SUCCESS &&
		size >= 19 && memcmp(response + 6, "\0\0\0\0", 4) == 0) {
		memcpy(&count, response + 15, 4);
		n = (int)be32toh(count);
	}
	Tss2_TctiLdr_Finalize(&context);
	return n;
}
