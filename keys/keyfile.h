/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyfile - the TSS2 PRIVATE KEY format: PEM around the ASN.1 `TPMKey`, as tpm2-tools and OpenSSL's
 * TPM providers write it.
 *
 * Owns the encoding and nothing else: no files, no TPM. What it reads is hostile until it has
 * returned 0. Knows no ESYS type: public and private areas are byte strings as the TPM marshals
 * them. One file holds one to KEYFILE_OBJECTS_MAX PEM blocks.
 */
#ifndef TPMPSK_KEYS_KEYFILE_H
#define TPMPSK_KEYS_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYFILE_OBJECTS_MAX 4
#define KEYFILE_AREA_MAX 1024  /* bytes of one area */
#define KEYFILE_SIZE_MAX 16384 /* bytes of a file that is read at all; a full one is shorter */
#define KEYFILE_PARENT_OWNER 0x40000001u /* the owner hierarchy's ECC P-256 storage primary */

/* One object of the TPM, as it is loaded: what a loadable key (OID 2.23.133.10.1.3) holds. */
struct keyfile_object {
	uint32_t parent; /* KEYFILE_PARENT_OWNER or a persistent handle, 0x81000000 to 0x81ffffff */
	uint16_t pub_len;  /* a marshalled TPM2B_PUBLIC, its size field included */
	uint16_t priv_len; /* a marshalled TPM2B_PRIVATE, its size field included */
	uint8_t *pub;      /* one allocation holds both areas; priv points into it */
	uint8_t *priv;
};

struct keyfile {
	size_t n_objects;
	struct keyfile_object objects[KEYFILE_OBJECTS_MAX];
};

/*
 * Copies both areas. 0, -EINVAL when one is empty, longer than KEYFILE_AREA_MAX or not as long as
 * its size field says, -E2BIG when full, -ENOMEM.
 */
int keyfile_add(struct keyfile *kf, uint32_t parent, const void *pub, size_t pub_len,
	const void *priv, size_t priv_len) __attribute__((warn_unused_result));

/*
 * Frees the areas and zeroes the struct; takes a zeroed one. The areas are encrypted by the TPM and
 * are no secret.
 */
void keyfile_done(struct keyfile *kf);

/* Whether both hold the same objects in the same order. */
bool keyfile_equal(const struct keyfile *a, const struct keyfile *b);

/*
 * Parses PEM text of len bytes (no NUL needed). Text outside the blocks is skipped, as PEM readers
 * do. On failure *ret_why is a constant sentence that says what is wrong and *ret is zeroed. 0,
 * -EBADMSG (not such a file), -EOPNOTSUPP (a kind of key that is not taken: with a policy,
 * importable, sealed data, under another parent), -E2BIG (too much of it), -ENOMEM.
 */
int keyfile_decode(const char *pem, size_t len, struct keyfile *ret, const char **ret_why)
	__attribute__((warn_unused_result));

/* *ret_pem is malloc'ed, NUL-terminated text that tpm2-tools loads. 0 or -ENOMEM. */
int keyfile_encode(const struct keyfile *kf, char **ret_pem, size_t *ret_len)
	__attribute__((warn_unused_result));

#endif
