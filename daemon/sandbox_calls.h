/* SPDX-License-Identifier: BSD-2-Clause */
/* sandbox_calls - the part of the sandbox that is about system calls: seccomp. See sandbox.h. */
#ifndef TPMPSK_DAEMON_SANDBOX_CALLS_H
#define TPMPSK_DAEMON_SANDBOX_CALLS_H

#include <stdbool.h>

/* 1: in force. 0: not built in, or the kernel has none. -errno. network: the TPM is reached over TCP. */
int sandbox_restrict_calls(bool network) __attribute__((warn_unused_result));

#endif
