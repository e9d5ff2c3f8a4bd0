/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hostile/raw.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int raw_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int raw_connect_as(const char *path, uid_t uid, size_t n_groups, const gid_t *groups)
{
	gid_t before[64];
	int fd, n = getgroups(64, before);

	if (n < 0 || setgroups(n_groups, groups) < 0)
		return -errno;
	fd = setegid(uid) == 0 && seteuid(uid) == 0 ? raw_connect(path) : -errno;
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups((size_t)n, before) < 0)
		_exit(99);
	return fd;
}

int raw_call(int fd, const void *packet, size_t len, uint8_t reply[TPMPSK_MESSAGE_MAX])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (send(fd, packet, len, MSG_NOSIGNAL) < 0)
		return errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
	n = poll(&p, 1, RAW_TIMEOUT_MS);
	if (n == 0)
		return -ETIMEDOUT;
	n = recv(fd, reply, TPMPSK_MESSAGE_MAX, 0);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	return (int)n;
}

int raw_status(const uint8_t *reply, int len, uint32_t id)
{
	struct tpmpsk_header h;
	struct tpmpsk_reader r;

	if (len < 0)
		return -1;
	tpmpsk_reader_init(&r, reply, (size_t)len);
	if (tpmpsk_header_decode(&r, &h) < 0 || h.id != id || !(h.opcode & TPMPSK_OP_REPLY) ||
		h.version != 1)
		return -1;
	return h.status;
}

void raw_derive(struct tpmpsk_derive *q, const char *identity, uint64_t seed)
{
	uint8_t both[64];

	memset(q, 0, sizeof(*q));
	q->purpose = TPMPSK_PURPOSE_TLS12_SESSION;
	q->identity_len = strlen(identity);
	memcpy(q->identity, identity, q->identity_len);
	crypto_hash_sha512(both, (const uint8_t *)&seed, sizeof(seed));
	q->tls12_session.random_len = TPMPSK_RANDOM_SIZE;
	memcpy(q->tls12_session.client_random, both, 32);
	memcpy(q->tls12_session.server_random, both + 32, 32);
}

int raw_ask(int fd, const char *identity, uint64_t seed)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_derive q;
	size_t len;

	raw_derive(&q, identity, seed);
	if (tpmpsk_derive_encode(1, &q, packet, sizeof(packet), &len) < 0)
		return -1;
	return raw_status(reply, raw_call(fd, packet, len, reply), 1);
}

void raw_expected(
	const struct tpmpsk_derive *q, const void *secret, size_t secret_len, uint8_t psk[32])
{
	static const char label[] = "pre master secret";
	const struct tpmpsk_tls12_session *in = &q->tls12_session;
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, secret, secret_len);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)label, sizeof(label) - 1);
	crypto_auth_hmacsha256_update(&state, in->client_random, in->random_len);
	crypto_auth_hmacsha256_update(&state, in->server_random, in->random_len);
	crypto_auth_hmacsha256_final(&state, psk);
}

void raw_become(unsigned uid, unsigned group)
{
	gid_t groups[1] = { group };

	if (setgroups(group ? 1 : 0, groups) < 0 || setgid(uid) < 0 || setuid(uid) < 0)
		_exit(99);
}

int raw_once(const char *socket, const uint8_t *packet, size_t len, uint8_t reply[TPMPSK_MESSAGE_MAX],
	int *ret_len)
{
	int fd = raw_connect(socket);

	if (fd < 0)
		return -1;
	*ret_len = raw_call(fd, packet, len, reply);
	close(fd);
	return *ret_len > 0 ? raw_status(reply, *ret_len, 1) : -1;
}
