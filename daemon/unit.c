/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A path is "/system.slice/nginx.service/..." or "/user.slice/user-1000.slice/session-3.scope": slices first, then the unit that the system's
 * manager made. What is below that may be somebody else's to name, so it is the first that is no slice.
 */
#include "daemon/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool ends_with(const char *name, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && memcmp(name + len - n, suffix, n) == 0;
}

static void copy(const char *name, size_t len, char ret[UNIT_SIZE])
{
	if (len >= UNIT_SIZE)
		len = UNIT_SIZE - 1;
	for (size_t i = 0; i < len; i++)
		ret[i] = name[i] > ' ' && name[i] <= '~' ? name[i] : '?';
	ret[len] = '\0';
}

/* path ends at a newline or NUL. */
static void unit_of_path(const char *path, char ret[UNIT_SIZE])
{
	while (*path == '/') {
		const char *name = path + 1;
		size_t len = strcspn(name, "/\n");

		path = name + len;
		if (ends_with(name, len, ".slice"))
			continue;
		if (ends_with(name, len, ".service") || ends_with(name, len, ".scope"))
			copy(name, len, ret);
		return;
	}
}

void unit_of_cgroups(const char *text, char ret[UNIT_SIZE])
{
	ret[0] = '\0';
	for (const char *line = text; *line && !*ret;
		line += strcspn(line, "\n"), line += *line == '\n') {
		const char *controllers = strchr(line, ':');
		const char *path = controllers ? strchr(controllers + 1, ':') : NULL;

		/* One tree for all, or the one that systemd keeps for itself beside others. */
		if (path && (strncmp(controllers, "::", 2) == 0 ||
				    strncmp(controllers, ":name=systemd:", 14) == 0))
			unit_of_path(path + 1, ret);
	}
}

void unit_read(pid_t pid, char ret[UNIT_SIZE])
{
	char path[32], text[4096];
	ssize_t n;
	int fd;

	ret[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* gone, or not ours to see */
	do
		n = read(fd, text, sizeof(text) - 1);
	while (n < 0 && errno == EINTR);
	close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	unit_of_cgroups(text, ret);
}
