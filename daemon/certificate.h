/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certificate - keys of purpose certificate-verify beside their use: whether policy and key file
 * are of one kind, and which certificate requests may be signed.
 *
 * What comes in is hostile until it has returned success. Pure; any thread.
 */
#ifndef TPMPSK_DAEMON_CERTIFICATE_H
#define TPMPSK_DAEMON_CERTIFICATE_H

#include "daemon/policy.h"
#include "daemon/tpm.h"
#include "keys/keyfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERTIFICATE_WHY_SIZE 200

/*
 * For a purpose whose keys sign: the file holds one signing key, of the algorithm that the policy
 * names; a policy that names none is given the key's. Any other purpose: nothing to check. 0, or
 * -EINVAL with a sentence that says what is wrong.
 */
int certificate_check_key(struct policy *policy, const struct keyfile *file,
	char why[CERTIFICATE_WHY_SIZE]) __attribute__((warn_unused_result));

/*
 * Whether info is a CertificationRequestInfo (RFC 2986, section 4.1), whole and in DER, for exactly
 * this public key. Nothing else that is ever signed has that shape: a CertificateVerify begins with
 * spaces, and a certificate has a serial number and a validity.
 */
bool certificate_request_ok(const uint8_t *info, size_t len, const struct tpm_signer *signer)
	__attribute__((warn_unused_result));

#endif
