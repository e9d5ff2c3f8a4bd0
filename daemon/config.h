/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config - the daemon's configuration file.
 *
 * Owns the format, its defaults and its checks. A config is a value: it is loaded whole or not at
 * all. Paths come out absolute, a relative one being relative to the file it stands in.
 */
#ifndef TPMPSK_DAEMON_CONFIG_H
#define TPMPSK_DAEMON_CONFIG_H

#include "daemon/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFIG_DEFAULT_PATH "/etc/tpm-pskd/tpm-pskd.json"
#define CONFIG_ERROR_SIZE 512

struct config_limits {
	uint32_t connections;
	uint32_t connections_per_user;
	uint32_t queue;
	uint32_t queue_per_user;
	uint32_t deadline_ms;
};

struct config {
	char *tcti;
	char *socket;
	mode_t socket_mode;
	char *keys;
	size_t n_admins;
	struct policy_who *admins;
	bool encrypt_sessions;
	uint32_t window_seconds;
	uint32_t replay_entries;
	struct config_limits limits;
	bool sandbox;
	char *audit; /* "stderr", "off" or an absolute path */
};

/*
 * path NULL: the default file, and built-in defaults when that file does not exist; a path that was
 * asked for must exist. On failure error is one line that names the file and, where there is one,
 * line and field. 0 or -errno.
 */
int config_load(const char *path, struct config *ret, char error[CONFIG_ERROR_SIZE])
	__attribute__((warn_unused_result));
void config_done(struct config *c);

bool config_is_admin(const struct config *c, const struct peer *peer);

#endif
