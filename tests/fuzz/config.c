/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration files. */
#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

static char path[64];
static int fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fd = memfd_create("config", MFD_CLOEXEC);
	fuzz_must(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config c;

	fuzz_must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	if (config_load(path, &c, error) < 0) {
		/* One line that names the file. */
		fuzz_must(strncmp(error, path, strlen(path)) == 0 && !strchr(error, '\n'));
		return 0;
	}
	fuzz_must(*c.tcti && c.socket[0] == '/' && c.keys[0] == '/');
	fuzz_must(strlen(c.socket) < sizeof(((struct sockaddr_un *)0)->sun_path));
	fuzz_must(
		c.audit[0] == '/' || strcmp(c.audit, "stderr") == 0 || strcmp(c.audit, "off") == 0);
	fuzz_must(c.socket_mode > 0 && c.socket_mode <= 0777);
	fuzz_must(c.window_seconds >= 1 && c.window_seconds <= 300);
	fuzz_must(c.replay_entries >= 1024 && c.replay_entries <= 1u << 26);
	fuzz_must(c.limits.connections >= 1 && c.limits.connections <= 65536);
	fuzz_must(c.limits.connections_per_user >= 1 && c.limits.connections_per_user <= 65536);
	fuzz_must(c.limits.queue >= 1 && c.limits.queue <= 65536);
	fuzz_must(c.limits.queue_per_user >= 1 && c.limits.queue_per_user <= 65536);
	fuzz_must(c.limits.deadline_ms >= 10 && c.limits.deadline_ms <= 3600000);
	for (size_t i = 0; i < c.n_admins; i++)
		fuzz_must(c.admins[i].resolved);
	config_done(&c);
	return 0;
}
