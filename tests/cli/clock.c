/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock - another wall clock for a process that this is preloaded into.
 *
 * The file $TPMPSK_TEST_CLOCK says what time it is, and may be replaced at any moment: "+N" or "-N"
 * for so many milliseconds off the real time, "=N" for a unix time that stands still. All other
 * clocks stay what they are: those that measure time cannot be set on a real machine either.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long long now_ms(const struct timespec *real)
{
	const char *path = getenv("TPMPSK_TEST_CLOCK");
	long long ms = (long long)real->tv_sec * 1000 + real->tv_nsec / 1000000;
	char text[32] = "";
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return ms;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return text[0] == '=' ? atoll(text + 1) : ms + atoll(text);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t id, struct timespec * ret);
	long long ms;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	if (real(id, ret) < 0)
		return -1;
	if (id != CLOCK_REALTIME)
		return 0;
	ms = now_ms(ret);
	ret->tv_sec = (time_t)(ms / 1000);
	ret->tv_nsec = (long)(ms % 1000) * 1000000;
	return 0;
}
