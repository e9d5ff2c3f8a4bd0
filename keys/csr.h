/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * csr - certificate requests (PKCS #10, RFC 2986): what is to be signed, and the request around it.
 *
 * Knows no key and asks nobody. Outputs go to the caller's buffers. Errors are one sentence for the
 * person who typed. 0 or -errno: -EINVAL (error says why), -E2BIG (more than fits).
 */
#ifndef TPMPSK_KEYS_CSR_H
#define TPMPSK_KEYS_CSR_H

#include "proto/message.h"

#include <stddef.h>
#include <stdint.h>

#define CSR_ERROR_SIZE 200
#define CSR_INFO_MAX TPMPSK_TEXT_MAX
#define CSR_MAX (CSR_INFO_MAX + TPMPSK_SIGNATURE_MAX + 128)

struct csr_options {
	/*
	 * "CN=www.example.com,O=Example,C=DE", the most particular first and commas escaped by a
	 * backslash (RFC 4514, without "+"); NULL for an empty one.
	 */
	const char *subject;
	/* subjectAltName: host names, and IP addresses as text; NULL at the end of each. */
	const char *const *dns;
	const char *const *ip;
};

/* The CertificationRequestInfo for a SubjectPublicKeyInfo in DER. */
int csr_info(const struct csr_options *options, const uint8_t *spki, size_t spki_len,
	uint8_t info[CSR_INFO_MAX], size_t *ret_len, char error[CSR_ERROR_SIZE])
	__attribute__((warn_unused_result));

/* The request: info, the scheme's AlgorithmIdentifier, the signature. */
int csr_finish(const uint8_t *info, size_t info_len, unsigned scheme, const uint8_t *signature,
	size_t signature_len, uint8_t csr[CSR_MAX], size_t *ret_len)
	__attribute__((warn_unused_result));

#endif
