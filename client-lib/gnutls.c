/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/gnutls_internal.h"

#include <gnutls/crypto.h>
#include <stdbool.h>
#include <string.h>

static _Thread_local int last_error;

int tpmpsk_gnutls_last_error(void)
{
	return last_error;
}

int tpmpsk_gnutls_allocate_client_credentials(gnutls_psk_client_credentials_t *ret_credentials)
{
#ifdef HAVE_GNUTLS_BINDER_HASH
	return gnutls_psk_allocate_client_credentials2(ret_credentials, GNUTLS_MAC_SHA256);
#else
	return gnutls_psk_allocate_client_credentials(ret_credentials);
#endif
}

int tpmpsk_gnutls_allocate_server_credentials(gnutls_psk_server_credentials_t *ret_credentials)
{
#ifdef HAVE_GNUTLS_BINDER_HASH
	return gnutls_psk_allocate_server_credentials2(ret_credentials, GNUTLS_MAC_SHA256);
#else
	return gnutls_psk_allocate_server_credentials(ret_credentials);
#endif
}

bool tpmpsk_gnutls_is_tls12_client(gnutls_session_t session)
{
	return gnutls_handshake_get_last_in(session) == GNUTLS_HANDSHAKE_SERVER_HELLO_DONE;
}

static void free_name(gnutls_ext_priv_data_t name)
{
	gnutls_free(name);
}

/*
 * What names this handshake to the daemon, which lets the callback run again within it: a random
 * number that goes with the session. The handshake's own randoms are no such name. The client's may
 * be a recording, and GnuTLS draws the server's anew when it has sent a HelloRetryRequest.
 */
static int handshake_name(gnutls_session_t session, const uint8_t **ret)
{
	gnutls_ext_priv_data_t name;
	int r;

	if (gnutls_ext_get_data(session, TPMPSK_EXTENSION_NAME, &name) == 0) {
		*ret = name;
		return 0;
	}
	name = gnutls_malloc(TPMPSK_HANDSHAKE_NAME_SIZE);
	if (!name)
		return TPMPSK_ERR_SYSTEM;
	r = gnutls_rnd(GNUTLS_RND_NONCE, name, TPMPSK_HANDSHAKE_NAME_SIZE);
	if (r == 0)
		r = gnutls_session_ext_register(session, "tpmpsk handshake", TPMPSK_EXTENSION_NAME,
			GNUTLS_EXT_NONE, NULL, NULL, free_name, NULL, NULL, 0);
	if (r < 0) {
		gnutls_free(name);
		return TPMPSK_ERR_SYSTEM;
	}
	gnutls_ext_set_data(session, TPMPSK_EXTENSION_NAME, name);
	*ret = name;
	return 0;
}

static int tls12_session(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *identity, uint8_t psk[TPMPSK_PSK_SIZE])
{
	gnutls_datum_t client = { 0 }, server = { 0 };

	gnutls_session_get_random(session, &client, &server);
	if (client.size != server.size)
		return TPMPSK_ERR_INVALID;
	return tpmpsk_tls12_session(
		handle, identity->data, identity->size, client.data, server.data, client.size, psk);
}

static int copy_datum(const void *data, size_t size, gnutls_datum_t *ret)
{
	unsigned char *copy = gnutls_malloc(size);

	if (!copy)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(copy, data, size);
	*ret = (gnutls_datum_t){ copy, (unsigned int)size };
	return 0;
}

static int gnutls_code(int error)
{
	switch (error) {
	case 0:
		return 0;
	case TPMPSK_ERR_DENIED:
	case TPMPSK_ERR_UNKNOWN_IDENTITY:
		return GNUTLS_E_INSUFFICIENT_CREDENTIALS;
	case TPMPSK_ERR_DEADLINE:
		return GNUTLS_E_TIMEDOUT;
	case TPMPSK_ERR_UNSUPPORTED:
		return GNUTLS_E_UNIMPLEMENTED_FEATURE;
	case TPMPSK_ERR_INVALID:
		return GNUTLS_E_INVALID_REQUEST;
	case TPMPSK_ERR_SYSTEM:
		return GNUTLS_E_MEMORY_ERROR;
	default:
		return GNUTLS_E_USER_ERROR;
	}
}

int tpmpsk_gnutls_result(int error)
{
	last_error = error;
	return gnutls_code(error);
}

/* What the client sends as its identity, and the PSK for it. */
struct client_psk {
	char name[TPMPSK_SESSION_IDENTITY_SIZE];
	size_t name_size;
	uint8_t psk[TPMPSK_PSK_SIZE];
};

/*
 * When GnuTLS asks again in one handshake, it gets another session identity: after a
 * HelloRetryRequest the server so sees two, each for the first time, and need not be able to tell
 * that both came in one handshake. Giving the same one again would take keeping the PSK.
 */
static int client_ask(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *identity, struct client_psk *ret)
{
	if (!tpmpsk_gnutls_is_tls12_client(session))
		return tpmpsk_session_identity_client(handle, identity->data, identity->size,
			ret->name, &ret->name_size, ret->psk);
	if (identity->size > TPMPSK_IDENTITY_SIZE_MAX)
		return TPMPSK_ERR_INVALID;
	memcpy(ret->name, identity->data, identity->size);
	ret->name_size = identity->size;
	return tls12_session(handle, session, identity, ret->psk);
}

int tpmpsk_gnutls_client_outputs(const void *name, size_t name_size,
	const uint8_t psk[TPMPSK_PSK_SIZE], gnutls_datum_t *ret_username, gnutls_datum_t *ret_key)
{
	gnutls_datum_t username;
	int r;

	r = copy_datum(name, name_size, &username);
	if (r < 0)
		return tpmpsk_gnutls_result(TPMPSK_ERR_SYSTEM);
	r = copy_datum(psk, TPMPSK_PSK_SIZE, ret_key);
	if (r < 0) {
		gnutls_free(username.data);
		return tpmpsk_gnutls_result(TPMPSK_ERR_SYSTEM);
	}
	*ret_username = username;
	return tpmpsk_gnutls_result(0);
}

int tpmpsk_gnutls_client(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *identity, unsigned int flags, gnutls_datum_t *ret_username,
	gnutls_datum_t *ret_key)
{
	struct client_psk psk;
	int r;

	if (!handle || !session || !identity || !identity->data || flags != 0 || !ret_username ||
		!ret_key)
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	r = client_ask(handle, session, identity, &psk);
	if (r < 0)
		return tpmpsk_gnutls_result(r);
	r = tpmpsk_gnutls_client_outputs(psk.name, psk.name_size, psk.psk, ret_username, ret_key);
	explicit_bzero(&psk, sizeof(psk));
	return r;
}

/*
 * Whether an error tells something about the identity. Being busy and having no TPM do as well: who
 * has no right to a key, or names one that is not there, is answered without either.
 */
static bool is_about_identity(int error)
{
	switch (error) {
	case TPMPSK_ERR_UNSUPPORTED:
	case TPMPSK_ERR_NO_DAEMON:
	case TPMPSK_ERR_PROTOCOL:
	case TPMPSK_ERR_INVALID:
	case TPMPSK_ERR_SYSTEM:
		return false;
	default:
		return true;
	}
}

/* Whether the identity is none that could ever have a PSK in this handshake. */
static bool is_unacceptable(int error)
{
	switch (error) {
	case TPMPSK_ERR_MALFORMED:
	case TPMPSK_ERR_DENIED:
	case TPMPSK_ERR_UNKNOWN_IDENTITY:
	case TPMPSK_ERR_EXPIRED:
	case TPMPSK_ERR_FORGED:
	case TPMPSK_ERR_REPLAYED:
		return true;
	default:
		return false;
	}
}

static int server_refuse(gnutls_session_t session, int error)
{
	/*
	 * GnuTLS turns whatever a server's callback returns into GNUTLS_E_SRP_PWD_ERROR, and that
	 * into internal_error: the right alert has to be on its way before.
	 */
	if (is_unacceptable(error))
		gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_UNKNOWN_PSK_IDENTITY);
	return GNUTLS_E_SRP_PWD_ERROR;
}

static int server_psk(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *username, uint8_t psk[TPMPSK_PSK_SIZE])
{
	const uint8_t *name;
	int r;

	/* No key has such a name, and the daemon need not be asked. */
	if (username->size < 1 || username->size > TPMPSK_IDENTITY_SIZE_MAX)
		return TPMPSK_ERR_UNKNOWN_IDENTITY;
	if (gnutls_protocol_get_version(session) != GNUTLS_TLS1_3)
		return tls12_session(handle, session, username, psk);
	r = handshake_name(session, &name);
	if (r < 0)
		return r;
	return tpmpsk_session_identity_server(
		handle, username->data, username->size, name, TPMPSK_HANDSHAKE_NAME_SIZE, psk);
}

int tpmpsk_gnutls_server_output(gnutls_session_t session, int error, unsigned int flags,
	uint8_t psk[TPMPSK_PSK_SIZE], gnutls_datum_t *ret_key)
{
	bool reveal = flags & TPMPSK_GNUTLS_REVEAL_UNKNOWN;
	int r = 0;

	last_error = error;
	if (error < 0 && (reveal || !is_about_identity(error)))
		return server_refuse(session, error);

	if (error < 0)
		r = gnutls_rnd(GNUTLS_RND_KEY, psk, TPMPSK_PSK_SIZE);
	if (r == 0)
		r = copy_datum(psk, TPMPSK_PSK_SIZE, ret_key);
	if (r < 0)
		last_error = TPMPSK_ERR_SYSTEM;
	return r;
}

int tpmpsk_gnutls_server(struct tpmpsk *handle, gnutls_session_t session,
	const gnutls_datum_t *username, unsigned int flags, gnutls_datum_t *ret_key)
{
	uint8_t psk[TPMPSK_PSK_SIZE];
	int r;

	if (!handle || !session || !username || !ret_key || flags & ~TPMPSK_GNUTLS_REVEAL_UNKNOWN) {
		tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
		return GNUTLS_E_SRP_PWD_ERROR;
	}
	r = server_psk(handle, session, username, psk);
	r = tpmpsk_gnutls_server_output(session, r, flags, psk, ret_key);
	explicit_bzero(psk, sizeof(psk));
	return r;
}
