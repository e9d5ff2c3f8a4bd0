/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/purpose.h"

#include <string.h>

static const char *const purposes[TPMPSK_PURPOSE_COUNT] = {
	[TPMPSK_PURPOSE_TLS12_SESSION] = "tls12-session",
	[TPMPSK_PURPOSE_SESSION_IDENTITY] = "session-identity",
	[TPMPSK_PURPOSE_EXPORTER_KDF] = "exporter-kdf",
	[TPMPSK_PURPOSE_EXPORTER_MAC] = "exporter-mac",
	[TPMPSK_PURPOSE_TLS12_MASTER] = "tls12-master",
	[TPMPSK_PURPOSE_TLS13_SCHEDULE] = "tls13-schedule",
	[TPMPSK_PURPOSE_PSK_IMPORT] = "psk-import",
	[TPMPSK_PURPOSE_CERTIFICATE_VERIFY] = "certificate-verify",
};

static const char *const roles[TPMPSK_ROLE_COUNT] = {
	[TPMPSK_ROLE_NONE] = "none",
	[TPMPSK_ROLE_CLIENT] = "client",
	[TPMPSK_ROLE_SERVER] = "server",
};

const char *tpmpsk_purpose_name(unsigned purpose)
{
	return purpose < TPMPSK_PURPOSE_COUNT ? purposes[purpose] : NULL;
}

unsigned tpmpsk_purpose_by_name(const char *name)
{
	for (unsigned i = 0; i < TPMPSK_PURPOSE_COUNT; i++)
		if (purposes[i] && strcmp(purposes[i], name) == 0)
			return i;
	return 0;
}

const char *tpmpsk_role_name(unsigned role)
{
	return role < TPMPSK_ROLE_COUNT ? roles[role] : NULL;
}
