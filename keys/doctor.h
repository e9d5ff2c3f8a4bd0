/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor - what tpm-psk doctor looks at, one function for each thing, and how it tells.
 *
 * Each check prints one finding or several: fine, worth knowing, or wrong with the next command to type. Nothing is changed by any of
 * them, and nothing is derived unless that was asked for.
 */
#ifndef TPMPSK_KEYS_DOCTOR_H
#define TPMPSK_KEYS_DOCTOR_H

#include "keys/command.h"

struct doctor {
	struct invocation *call;
	unsigned wrong, notes;
	const char *config_path;
	char tcti[256], socket[256]; /* as the configuration has them; tcti: the daemon's own, once it has told */
	bool configured;             /* that configuration was read */
	bool answers;                /* the daemon does */
	bool tpm_ready;              /* and says that its TPM does */
	bool admin;                  /* we are one of its admins */
};

/* A finding: about what, and a sentence. */
void doctor_ok(struct doctor *d, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Worth knowing, and not wrong by itself; next may be NULL. */
void doctor_note(struct doctor *d, const char *what, const char *next, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* next: the command to type. */
void doctor_wrong(struct doctor *d, const char *what, const char *next, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* doctor_tpm.c: the device that the configuration names: is it there, whose is it, who has it, is it locked out? */
void doctor_tpm(struct doctor *d);

#endif
