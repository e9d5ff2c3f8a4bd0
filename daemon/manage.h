/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * manage - the requests by which admins manage keys, and status.
 *
 * The caller has checked that the peer may send them. Each handler decodes its whole message, acts, and answers; those that need the TPM
 * answer in manage_finished().
 */
#ifndef TPMPSK_DAEMON_MANAGE_H
#define TPMPSK_DAEMON_MANAGE_H

#include "daemon/conn.h"
#include "daemon/job.h"
#include "daemon/server.h"

#include <json-c/json.h>

typedef void request_handler(
	struct server *s, struct conn *c, const struct tpmpsk_header *h, struct tpmpsk_reader *r);

request_handler manage_status, manage_key_new, manage_key_list, manage_key_show, manage_key_who,
	manage_key_remove, manage_key_csr, manage_key_check, manage_reload;

/* Answers with JSON, which must fit into a message; more: as the text reply has it. */
void manage_answer_text(struct server *s, struct conn *c, const struct tpmpsk_header *h, bool more,
	struct json_object *o);

/* A key was made, or was not: writes its files and answers. The job is already detached from the connection. */
void manage_finished(struct server *s, struct conn *c, struct job *job);

#endif
