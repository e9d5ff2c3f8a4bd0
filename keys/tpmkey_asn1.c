/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpmkey.asn as a table for libtasn1. Made by that library's asn1_parser2array(), which also is
 * what asn1Parser of Debian's libtasn1-bin runs; checked in, so that building needs neither. A test
 * makes it anew and compares.
 */
#include "keys/tpmkey_asn1.h"

/* clang-format off */
const asn1_static_node tpmkey_asn1[] = {
  { "TPMPSK", 536875024, NULL },
  { NULL, 1073741836, NULL },
  { "TPMPolicy", 1610612741, NULL },
  { "commandCode", 1610620931, NULL },
  { NULL, 2056, "0"},
  { "commandPolicy", 536879111, NULL },
  { NULL, 2056, "1"},
  { "TPMAuthPolicy", 1610612741, NULL },
  { "name", 1610637346, NULL },
  { NULL, 2056, "0"},
  { "policy", 536879115, NULL },
  { NULL, 1073743880, "1"},
  { NULL, 2, "TPMPolicy"},
  { "TPMKey", 536870917, NULL },
  { "type", 1073741836, NULL },
  { "emptyAuth", 1610637316, NULL },
  { NULL, 2056, "0"},
  { "policy", 1610637323, NULL },
  { NULL, 1073743880, "1"},
  { NULL, 2, "TPMPolicy"},
  { "secret", 1610637319, NULL },
  { NULL, 2056, "2"},
  { "authPolicy", 1610637323, NULL },
  { NULL, 1073743880, "3"},
  { NULL, 2, "TPMAuthPolicy"},
  { "description", 1610637346, NULL },
  { NULL, 2056, "4"},
  { "rsaParent", 1610637316, NULL },
  { NULL, 2056, "5"},
  { "parent", 1073741827, NULL },
  { "pubkey", 1073741831, NULL },
  { "privkey", 7, NULL },
  { NULL, 0, NULL }
};
