/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpm_tcti - between ESYS and the TCTI that leads to the TPM.
 *
 * Counts commands, and sends one again that the TPM was not ready for, so that nobody above has to
 * know. Part of the TPM module: the TPM thread's alone, and blocks as long as the TPM does. Every
 * answer is hostile; only the code in its header is looked at.
 */
#ifndef TPMPSK_DAEMON_TPM_TCTI_H
#define TPMPSK_DAEMON_TPM_TCTI_H

#include "daemon/tpm.h"

#include <tss2/tss2_tcti.h>

#define TPM_COMMAND_MAX 4096 /* bytes; longer ones are sent, but once only */

struct tpm_tcti {
	TSS2_TCTI_CONTEXT_COMMON_V1 common; /* first: ESYS knows us by it */
	TSS2_TCTI_CONTEXT *inner;           /* NULL: not open */
	struct tpm_stats *stats;
	size_t command_len; /* 0: none under way */
	uint8_t command[TPM_COMMAND_MAX];
};

/* name as the TCTI loader takes it. Counts in stats, which must outlive it. */
TSS2_RC tpm_tcti_open(struct tpm_tcti *t, const char *name, struct tpm_stats *stats)
	__attribute__((warn_unused_result));
/* Also one that is not open. */
void tpm_tcti_close(struct tpm_tcti *t);

TSS2_TCTI_CONTEXT *tpm_tcti_context(struct tpm_tcti *t);

#endif
