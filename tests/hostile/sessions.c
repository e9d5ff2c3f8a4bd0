/* SPDX-License-Identifier: BSD-2-Clause */
/* Session identities from somebody who wants a PSK, or the TPM's time, without having the key. */
#include "daemon/session_identity.h"
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct scene scene;
static struct tempdir own;
static struct tcti_test *tcti;
static const uint8_t secret[] = "a secret that is shared by server and client";
static int fd = -1;

static void start(const char *config)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .tcti = name, .config = config }), 0);
	fd = raw_connect(scene.socket);
	cr_assert_geq(fd, 0);
}

static void import(const char *name, const char *identity, const char *mode, const char *who)
{
	char file[256];
	FILE *f;

	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret) - 1, f), sizeof(secret) - 1);
	fclose(f);
	cr_assert_eq(scene_psk_ok(&scene, "key", "import", name, "--identity", identity,
			     "--purpose", "session-identity", "--mode", mode, "--allow", who,
			     "--secret-file", file, NULL),
		0);
}

static void teardown(void)
{
	close(fd);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	scene_done(&scene);
	watch_done(&own, tcti);
}

#define QUIET "{\"audit\":\"off\"}"

TestSuite(sessions, .fini = teardown, .timeout = 300);

/* Asks; returns the status. */
static int ask(int socket, uint8_t role, const void *identity, size_t len, const char *handshake,
	struct tpmpsk_derived *ret)
{
	struct tpmpsk_derive q = {
		.purpose = TPMPSK_PURPOSE_SESSION_IDENTITY, .role = role, .identity_len = len
	};
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	static uint32_t id;
	struct tpmpsk_reader r;
	size_t packet_len;
	int n, status;

	memcpy(q.identity, identity, len);
	q.session_identity.handshake_len = strlen(handshake);
	memcpy(q.session_identity.handshake, handshake, strlen(handshake));
	cr_assert_eq(tpmpsk_derive_encode(++id, &q, packet, sizeof(packet), &packet_len), 0);
	n = raw_call(socket, packet, packet_len, reply);
	status = raw_status(reply, n, id);
	if (status == TPMPSK_STATUS_OK) {
		tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)n - TPMPSK_HEADER_SIZE);
		cr_assert_eq(tpmpsk_derived_decode(&r, ret), 0);
	}
	return status;
}

static int as_client(const char *identity, struct tpmpsk_derived *ret)
{
	return ask(fd, TPMPSK_ROLE_CLIENT, identity, strlen(identity), "", ret);
}

static int as_server(
	const void *wire, size_t len, const char *handshake, struct tpmpsk_derived *ret)
{
	return ask(fd, TPMPSK_ROLE_SERVER, wire, len, handshake, ret);
}

/* Over a connection of its own. */
static int as_server_elsewhere(const void *wire, size_t len, struct tpmpsk_derived *ret)
{
	int socket = raw_connect(scene.socket);
	int status = ask(socket, TPMPSK_ROLE_SERVER, wire, len, "", ret);

	close(socket);
	return status;
}

static void hmac(const void *key, size_t key_len, const void *in, size_t len, uint8_t out[32])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, in, len);
	crypto_auth_hmacsha256_final(&state, out);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What an honest client with the secret in software sends at a time of its choosing, and its PSK. */
static size_t software_client(
	enum session_version v, const char *identity, uint64_t ms, uint8_t *wire, uint8_t psk[32])
{
	struct session_identity s = { .version = v, .unix_ms = ms, .base_len = strlen(identity) };
	uint8_t message[SESSION_MESSAGE_MAX], epoch[32];
	struct session_keys keys;
	size_t len;

	randombytes_buf(s.nonce, sizeof(s.nonce));
	hmac(secret, sizeof(secret) - 1, message,
		session_epoch_message(v, session_epoch_of(ms), message), epoch);
	session_epoch_keys(epoch, &keys);
	session_tag(&s, (const uint8_t *)identity, &keys, s.tag);
	len = session_identity_print(&s, (const uint8_t *)identity, wire);
	if (v == SESSION_EPOCH)
		session_epoch_psk(wire, len, &keys, psk);
	else
		hmac(secret, sizeof(secret) - 1, message,
			session_psk_message(v, wire, len, message), psk);
	return len;
}

static void check_agreement(const char *identity, enum session_version v)
{
	struct tpmpsk_derived client, server;
	uint8_t wire[TPMPSK_IDENTITY_MAX], psk[32];
	size_t len;

	cr_assert_eq(as_client(identity, &client), TPMPSK_STATUS_OK);
	cr_assert_eq(client.name_len, strlen(identity) + SESSION_SUFFIX_SIZE);
	cr_assert_eq(as_server(client.name, client.name_len, "h1", &server), TPMPSK_STATUS_OK);
	cr_assert_arr_eq(client.secret, server.secret, 32);
	cr_assert_eq(as_server(client.name, client.name_len, "h1", &server), TPMPSK_STATUS_OK);
	cr_assert_arr_eq(client.secret, server.secret, 32);
	cr_assert_eq(
		as_server(client.name, client.name_len, "h2", &server), TPMPSK_STATUS_REPLAYED);
	len = software_client(v, identity, now_ms(), wire, psk);
	cr_assert_eq(as_server(wire, len, "", &server), TPMPSK_STATUS_OK);
	cr_assert_arr_eq(psk, server.secret, 32);
	cr_assert_eq(as_server(wire, len, "", &server), TPMPSK_STATUS_REPLAYED);
}

Test(sessions, agree_with_a_client_in_software_and_are_accepted_once)
{
	start(QUIET);
	import("s", "strict", "strict", "uid:0");
	import("e", "epoch", "epoch", "uid:0");
	check_agreement("strict", SESSION_STRICT);
	check_agreement("epoch", SESSION_EPOCH);
}

Test(sessions, are_refused_out_of_the_window_or_with_anything_changed)
{
	uint8_t wire[TPMPSK_IDENTITY_MAX], psk[32];
	struct tpmpsk_derived d;
	size_t len;

	start(QUIET);
	import("s", "Client1", "strict", "uid:0");
	import("t", "Client2", "epoch", "uid:0");
	len = software_client(SESSION_STRICT, "Client1", now_ms() - 31000, wire, psk);
	cr_assert_eq(as_server(wire, len, "", &d), TPMPSK_STATUS_EXPIRED);
	len = software_client(SESSION_STRICT, "Client1", now_ms() + 32000, wire, psk);
	cr_assert_eq(as_server(wire, len, "", &d), TPMPSK_STATUS_EXPIRED);
	len = software_client(SESSION_STRICT, "Client1", now_ms() + 20000, wire, psk);
	cr_assert_eq(as_server(wire, len, "", &d), TPMPSK_STATUS_OK);
	/* One letter of the suffix: another time, nonce or tag. */
	for (size_t at = 10; at < len; at++) {
		char was = (char)wire[at];
		int status;

		wire[at] = was == 'A' ? 'B' : 'A';
		status = as_server(wire, len, "", &d);
		cr_assert(status == TPMPSK_STATUS_FORGED || status == TPMPSK_STATUS_EXPIRED,
			"letter %zu: %d", at, status);
		wire[at] = (uint8_t)was;
	}
	/* Another key's identity before it, the other mode, cut short. */
	wire[6] = '2';
	cr_assert_eq(as_server(wire, len, "", &d), TPMPSK_STATUS_FORGED);
	wire[6] = '1';
	len = software_client(SESSION_EPOCH, "Client1", now_ms(), wire, psk);
	cr_assert_eq(as_server(wire, len, "", &d), TPMPSK_STATUS_FORGED);
	for (size_t n = 1; n < len; n++)
		cr_assert_eq(as_server(wire, n, "", &d), TPMPSK_STATUS_MALFORMED);
}

Test(sessions, forged_by_the_hundred_thousand_send_the_tpm_nothing)
{
	uint8_t wire[TPMPSK_IDENTITY_MAX], psk[32];
	struct tpmpsk_derived d;
	uint64_t before;
	size_t len;

	start(QUIET);
	import("s", "Client1", "strict", "uid:0");
	cr_assert_eq(as_client("Client1", &d), TPMPSK_STATUS_OK);
	before = tcti_test_count(tcti, 0);
	len = software_client(SESSION_STRICT, "Client1", now_ms(), wire, psk);
	for (unsigned i = 0; i < 100000; i++) {
		int status;

		if (i % 1000 == 0)
			len = software_client(SESSION_STRICT, "Client1", now_ms(), wire, psk);
		for (unsigned k = 1; k <= 16; k++) /* the tag's letters */
			wire[len - k] = (uint8_t)('A' + randombytes_uniform(26));
		status = as_server(wire, len, "x", &d);
		cr_assert_eq(status, TPMPSK_STATUS_FORGED, "%u: %d", i, status);
	}
	/* At most the epoch that began meanwhile. */
	cr_assert_leq(tcti_test_count(tcti, 0) - before, 3);
}

Test(sessions, of_an_epoch_cost_the_tpm_one_command)
{
	struct tpmpsk_derived d, e;
	uint64_t before;

	start(QUIET);
	import("e", "Client1", "epoch", "uid:0");
	cr_assert_eq(as_client("Client1", &d), TPMPSK_STATUS_OK);
	before = tcti_test_count(tcti, 0);
	for (unsigned i = 0; i < 500; i++) {
		cr_assert_eq(as_client("Client1", &d), TPMPSK_STATUS_OK);
		cr_assert_eq(as_server(d.name, d.name_len, "h", &e), TPMPSK_STATUS_OK);
		cr_assert_arr_eq(d.secret, e.secret, 32);
	}
	cr_assert_leq(tcti_test_count(tcti, 0) - before, 1);
}

/* With a key whose epoch's secret is there: what is asked for is answered in the loop. */
static void start_in_epoch(void)
{
	struct tpmpsk_derived d;

	start(QUIET);
	import("e", "Client1", "epoch", "uid:0");
	cr_assert_eq(as_client("Client1", &d), TPMPSK_STATUS_OK);
}

static size_t client_request(uint32_t id, uint8_t packet[TPMPSK_MESSAGE_MAX])
{
	const struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_CLIENT,
		.identity_len = 7,
		.identity = "Client1" };
	size_t len;

	cr_assert_eq(tpmpsk_derive_encode(id, &q, packet, TPMPSK_MESSAGE_MAX, &len), 0);
	return len;
}

/* More than the sockets have room for, and one answer is read only when nothing more can be sent. */
Test(sessions, that_are_asked_for_all_at_once_are_all_answered)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	uint32_t sent = 0, answered = 0;
	struct tpmpsk_derived d, e;
	struct tpmpsk_reader r;
	size_t len;
	ssize_t n;

	start_in_epoch();
	while (answered < 5000) {
		len = client_request(sent, packet);
		if (sent < 5000 && send(fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
			sent++;
			continue;
		}
		n = recv(fd, reply, sizeof(reply), 0);
		cr_assert_eq(raw_status(reply, (int)n, answered), TPMPSK_STATUS_OK);
		tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)n - TPMPSK_HEADER_SIZE);
		cr_assert_eq(tpmpsk_derived_decode(&r, &d), 0);
		if (answered++ % 100 == 0) {
			cr_assert_eq(as_server_elsewhere(d.name, d.name_len, &e), TPMPSK_STATUS_OK);
			cr_assert_arr_eq(d.secret, e.secret, 32);
		}
	}
	cr_assert_eq(recv(fd, reply, sizeof(reply), MSG_DONTWAIT), -1);
}

/* What was asked before the end is answered, though both are read at once. */
Test(sessions, that_are_asked_for_before_the_end_are_answered)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	size_t len;

	start_in_epoch();
	for (uint32_t id = 1; id <= 50; id++) {
		int own_fd = raw_connect(scene.socket);

		len = client_request(id, packet);
		cr_assert_eq(send(own_fd, packet, len, MSG_NOSIGNAL), (ssize_t)len);
		cr_assert_eq(shutdown(own_fd, SHUT_WR), 0);
		cr_assert_eq(raw_status(reply, (int)recv(own_fd, reply, sizeof(reply), 0), id),
			TPMPSK_STATUS_OK);
		close(own_fd);
	}
}

/* In another process, as another user. */
static int role_as(uint8_t role, const uint8_t *identity, size_t len)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct tpmpsk_derived d;
		int own_fd;

		raw_become(20001, 0);
		own_fd = raw_connect(scene.socket);
		_exit(own_fd < 0 ? 99 : ask(own_fd, role, identity, len, "", &d));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

Test(sessions, give_each_role_its_own_and_nothing_of_the_other)
{
	uint8_t wire[TPMPSK_IDENTITY_MAX], psk[32];
	size_t len;

	start(QUIET);
	import("c", "client-only", "strict", "uid:20001:client");
	import("s", "server-only", "strict", "uid:20001:server");
	cr_assert_eq(
		role_as(TPMPSK_ROLE_CLIENT, (const uint8_t *)"client-only", 11), TPMPSK_STATUS_OK);
	cr_assert_eq(role_as(TPMPSK_ROLE_CLIENT, (const uint8_t *)"server-only", 11),
		TPMPSK_STATUS_UNKNOWN_IDENTITY);
	len = software_client(SESSION_STRICT, "client-only", now_ms(), wire, psk);
	cr_assert_eq(role_as(TPMPSK_ROLE_SERVER, wire, len), TPMPSK_STATUS_UNKNOWN_IDENTITY);
	len = software_client(SESSION_STRICT, "server-only", now_ms(), wire, psk);
	cr_assert_eq(role_as(TPMPSK_ROLE_SERVER, wire, len), TPMPSK_STATUS_OK);
	/* A client's role names no session identity: the one it asks about is an identity like any other, and unknown. */
	cr_assert_eq(role_as(TPMPSK_ROLE_CLIENT, wire, len), TPMPSK_STATUS_UNKNOWN_IDENTITY);
}

Test(sessions, are_busy_when_the_replay_memory_is_full_and_served_after_the_window)
{
	struct tpmpsk_derived d;
	unsigned accepted = 0;
	long long until;
	int status;

	start("{\"audit\":\"off\",\"replay_entries\":1024,\"window_seconds\":1}");
	import("e", "Client1", "epoch", "uid:0");
	for (;;) {
		cr_assert_eq(as_client("Client1", &d), TPMPSK_STATUS_OK);
		status = as_server(d.name, d.name_len, "h", &d);
		if (status != TPMPSK_STATUS_OK)
			break;
		cr_assert_leq(++accepted, 1024);
	}
	cr_assert_eq(status, TPMPSK_STATUS_BUSY);
	cr_assert_geq(accepted, 1000);
	until = command_now_ms() + 20000;
	do {
		cr_assert_lt(command_now_ms(), until);
		cr_assert_eq(as_client("Client1", &d), TPMPSK_STATUS_OK);
		status = as_server(d.name, d.name_len, "h", &d);
	} while (status == TPMPSK_STATUS_BUSY);
	cr_assert_eq(status, TPMPSK_STATUS_OK);
}

/* Forged identities do not use up the rate that the right ones have. */
Test(sessions, keep_their_rate_while_others_are_forged)
{
	uint8_t wire[TPMPSK_IDENTITY_MAX], psk[32];
	struct tpmpsk_derived d;
	size_t len;
	char file[256];
	FILE *f;

	start(QUIET);
	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret) - 1, f), sizeof(secret) - 1);
	fclose(f);
	cr_assert_eq(scene_psk_ok(&scene, "key", "import", "s", "--identity", "Client1",
			     "--purpose", "session-identity", "--allow", "uid:0", "--rate", "1",
			     "--secret-file", file, NULL),
		0);
	for (unsigned i = 0; i < 100; i++) {
		len = software_client(SESSION_STRICT, "Client1", now_ms(), wire, psk);
		wire[len - 1] ^= 1;
		cr_assert_neq(as_server(wire, len, "", &d), TPMPSK_STATUS_BUSY);
	}
	len = software_client(SESSION_STRICT, "Client1", now_ms(), wire, psk);
	cr_assert_eq(as_server(wire, len, "", &d), TPMPSK_STATUS_OK);
	len = software_client(SESSION_STRICT, "Client1", now_ms(), wire, psk);
	cr_assert_eq(as_server(wire, len, "", &d), TPMPSK_STATUS_BUSY);
}
