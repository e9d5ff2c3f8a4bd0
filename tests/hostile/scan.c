/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hostile/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW ((size_t)1 << 20)

struct region {
	unsigned long from, to, resident; /* kB */
	bool readable, locked;
	char name[100];
};

/* One region of /proc/PID/smaps; false at the end. */
static bool next_region(FILE *smaps, struct region *r, bool *started)
{
	static char line[512];
	char mode[8];

	if (!*started && !fgets(line, sizeof(line), smaps))
		return false;
	*started = true;
	*r = (struct region){ 0 };
	if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %99[^\n]", &r->from, &r->to, mode, r->name) < 3)
		return false;
	r->readable = mode[0] == 'r';
	while (fgets(line, sizeof(line), smaps)) {
		/* Fields are in capitals, and addresses in small letters and digits. */
		if (line[0] < 'A' || line[0] > 'Z')
			return true;
		if (sscanf(line, "Rss: %lu", &r->resident) == 1)
			continue;
		if (strncmp(line, "VmFlags:", 8) == 0)
			r->locked = strstr(line, " lo");
	}
	*started = false; /* no line is left over; the next call finds the end of the file */
	return true;
}

static unsigned count_in(
	int mem, const struct region *r, const uint8_t *wanted, size_t len, uint8_t *window)
{
	unsigned found = 0;

	for (unsigned long at = r->from; at < r->to; at += WINDOW) {
		size_t size = r->to - at < WINDOW + len - 1 ? r->to - at : WINDOW + len - 1;
		ssize_t n = pread(mem, window, size, (off_t)at);
		const uint8_t *p = window, *hit;

		while (n > 0 && (hit = memmem(p, (size_t)(window + n - p), wanted, len)) &&
			(size_t)(hit - window) < WINDOW) {
			found++;
			p = hit + 1;
		}
	}
	explicit_bzero(window, WINDOW + len - 1);
	return found;
}

int scan_process(pid_t pid, const uint8_t *wanted, size_t len, struct scan_result *ret)
{
	char path[64];
	struct region r;
	bool started = false;
	uint8_t *window = malloc(WINDOW + len);
	FILE *smaps;
	int mem;

	*ret = (struct scan_result){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	smaps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	while (smaps && mem >= 0 && window && next_region(smaps, &r, &started)) {
		unsigned n;

		/* What no page of is there holds nothing. */
		if (!r.readable || r.resident == 0)
			continue;
		n = count_in(mem, &r, wanted, len, window);
		if (n == 0)
			continue;
		*(r.locked ? &ret->locked : &ret->unlocked) += n;
		snprintf(ret->where, sizeof(ret->where), "%lx-%lx %s %s", r.from, r.to,
			r.locked ? "locked" : "unlocked", r.name);
	}
	free(window);
	if (smaps)
		fclose(smaps);
	if (mem < 0 || !smaps)
		return -EPERM;
	close(mem);
	return 0;
}
