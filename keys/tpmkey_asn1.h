/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpmkey_asn1 - the ASN.1 definition of a TSS2 PRIVATE KEY, for libtasn1's asn1_array2tree().
 * Constant; for keyfile.c alone.
 */
#ifndef TPMPSK_KEYS_TPMKEY_ASN1_H
#define TPMPSK_KEYS_TPMKEY_ASN1_H

#include <libtasn1.h>

extern const asn1_static_node tpmkey_asn1[];

#endif
