/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client whose memory is looked through: `memory-client SOCKET` derives once for each purpose, writes what it got to standard output,
 * wipes its own buffer, as a careful program does, and waits for the end of standard input. What is then left of a secret is the
 * library's fault.
 */
#include "client-lib/tpmpsk.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define SECRET_SIZE 32

/* More than SECRET_SIZE bytes are cut. */
static uint8_t secret[TPMPSK_HASH_SIZE_MAX];

static int hand_on(int r)
{
	if (r == 0 && write(STDOUT_FILENO, secret, SECRET_SIZE) != SECRET_SIZE)
		r = -1;
	explicit_bzero(secret, sizeof(secret));
	return r;
}

int main(int argc, char **argv)
{
	static const uint8_t identity[] = "Client1", server[] = "Client2";
	char name[TPMPSK_SESSION_IDENTITY_SIZE];
	uint8_t random[TPMPSK_TLS12_RANDOM_SIZE] = { 1 };
	struct tpmpsk *handle;
	size_t name_len;
	char byte;
	int r;

	if (argc != 2 || tpmpsk_open(&handle, argv[1]) < 0)
		return 2;
	r = hand_on(tpmpsk_tls12_session(
		handle, identity, sizeof(identity) - 1, random, random, sizeof(random), secret));
	if (r == 0)
		r = hand_on(tpmpsk_session_identity_client(
			handle, identity, sizeof(identity) - 1, name, &name_len, secret));
	if (r == 0)
		r = hand_on(tpmpsk_session_identity_client(
			handle, server, sizeof(server) - 1, name, &name_len, secret));
	if (r == 0)
		r = hand_on(tpmpsk_exporter_kdf(handle, identity, sizeof(identity) - 1, random,
			sizeof(random), secret, SECRET_SIZE));
	if (r == 0)
		r = hand_on(tpmpsk_tls13_handshake_secret(handle, identity, sizeof(identity) - 1,
			TPMPSK_HASH_SHA256, random, sizeof(random), secret));
	if (r == 0)
		r = hand_on(tpmpsk_tls12_master(handle, identity, sizeof(identity) - 1,
			TPMPSK_HASH_SHA384, random, random, secret));
	if (r == 0)
		r = hand_on(tpmpsk_psk_import(handle, identity, sizeof(identity) - 1,
			TPMPSK_HASH_SHA384, NULL, 0, 0x0304, 2, secret, &name_len));
	if (r == 0)
		while (read(STDIN_FILENO, &byte, 1) > 0)
			continue;
	tpmpsk_close(handle);
	return r == 0 ? 0 : 1;
}
