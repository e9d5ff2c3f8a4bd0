/* SPDX-License-Identifier: BSD-2-Clause */
/* A value of the DER is copied without a look at how much room there is. */
#include <libtasn1.h>

int __real_asn1_read_value(asn1_node_const root, const char *name, void *value, int *len);
int __wrap_asn1_read_value(asn1_node_const root, const char *name, void *value, int *len);

int __wrap_asn1_read_value(asn1_node_const root, const char *name, void *value, int *len)
{
	if (value)
		*len += 32;
	return __real_asn1_read_value(root, name, value, len);
}
