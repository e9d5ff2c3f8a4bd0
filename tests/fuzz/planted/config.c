/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers have no bounds. */
#include "daemon/json.h"

int __real_json_read_uint32(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE]);
int __wrap_json_read_uint32(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE]);

int __wrap_json_read_uint32(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	struct json_field lax = *field;

	lax.min = 0;
	lax.max = UINT32_MAX;
	return __real_json_read_uint32(dst, value, &lax, error);
}
