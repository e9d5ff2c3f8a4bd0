/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics - what the daemon has counted, for admins: totals, distributions, and each user with each key, page by page.
 */
#ifndef TPMPSK_DAEMON_METRICS_H
#define TPMPSK_DAEMON_METRICS_H

#include "daemon/manage.h"

request_handler metrics_request;

#endif
