/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unit - which systemd unit a process runs in, for the audit.
 *
 * For people to read, and nothing is decided by it: the process that had the number may have ended, and another may have it since. Reads
 * /proc; what it finds there is hostile, since names below a delegated part of the tree are its owner's choice.
 */
#ifndef TPMPSK_DAEMON_UNIT_H
#define TPMPSK_DAEMON_UNIT_H

#include <sys/types.h>

#define UNIT_SIZE 129 /* longer names are cut */

/* "" when there is none, or it cannot be read. Printable ASCII. */
void unit_read(pid_t pid, char ret[UNIT_SIZE]);

/* The same from the text of /proc/PID/cgroup. */
void unit_of_cgroups(const char *text, char ret[UNIT_SIZE]);

#endif
