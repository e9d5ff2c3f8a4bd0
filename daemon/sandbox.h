/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox - what the process gives up once it is set up.
 *
 * From then on it has no capabilities and gets none, cannot start programs or processes, opens only the files that its configuration
 * names, reaches nothing over a network, and cannot look into or signal other processes. What it asks for all the same fails with EPERM
 * (system calls) or EACCES (files); it is not killed, because a library that tries something and can do without must not end the
 * service, and because an end forgets which session identities were used.
 *
 * Loop thread, before there is a second one: much of this counts for one thread and those that it starts.
 */
#ifndef TPMPSK_DAEMON_SANDBOX_H
#define TPMPSK_DAEMON_SANDBOX_H

#include "daemon/config.h"

#include <stdbool.h>

/* What is not in force. */
struct sandbox_gaps {
	bool off; /* all of it, by the configuration */
	bool files, calls;
};

/*
 * Everything that the configuration names may be used from here on: the TPM and its TCTI (also to connect again), the key directory, the
 * socket's directory, the audit's and the configuration file's. config_path NULL: the default. What the kernel does not have is left
 * out, and *ret_gaps says so. 0 or -errno: what it has could not be had.
 */
int sandbox_enter(const struct config *config, const char *config_path,
	struct sandbox_gaps *ret_gaps) __attribute__((warn_unused_result));
/* Says what is not in force: of a daemon that serves, and not between the lines of one that does not start. */
void sandbox_log_gaps(const struct sandbox_gaps *gaps);

#endif
