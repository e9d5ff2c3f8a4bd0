/* SPDX-License-Identifier: BSD-2-Clause */
/* sandbox_files - the part of the sandbox that is about files: Landlock. See sandbox.h. */
#ifndef TPMPSK_DAEMON_SANDBOX_FILES_H
#define TPMPSK_DAEMON_SANDBOX_FILES_H

#include "daemon/config.h"

#include <stdbool.h>

/* The version of Landlock that is in force now, 0 when the kernel has none, or -errno. network: the TPM is reached over TCP. */
int sandbox_restrict_files(const struct config *config, const char *config_path, bool network)
	__attribute__((warn_unused_result));

#endif
