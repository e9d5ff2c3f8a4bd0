/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify - what a service manager hands over and is told: the listening socket, readiness, the watchdog.
 *
 * The protocols of sd_listen_fds(3) and sd_notify(3), which are a few lines of datagram and environment each. Without a service
 * manager every call does nothing.
 */
#ifndef TPMPSK_DAEMON_NOTIFY_H
#define TPMPSK_DAEMON_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "STATUS=…", "WATCHDOG=1". */
void notify_state(const char *state);
/* RELOADING=1 with the time that the protocol wants beside it. */
void notify_reloading(void);
/* How often a sign of life is wanted, in ns; 0 for never. */
uint64_t notify_watchdog_ns(void);
/* The one socket that was handed over, now close-on-exec; -ENOENT when there is none, -EINVAL when there are more. */
int notify_listen_fd(void);

#endif
