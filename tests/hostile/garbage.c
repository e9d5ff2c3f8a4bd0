/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that is almost a message, and much that is none, against a running daemon, while a second client checks after each batch
 * that its own answers are right. A crash, a hang or a leak shows as a daemon that does not stop in order (its sanitizers see to that
 * in the sanitizer build).
 */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct scene scene;
static const char secret[] = "0123456789abcdef0123456789abcdef";
static char secret_file[256];
static int client = -1, witness = -1;

static void setup(void)
{
	FILE *f;

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(sodium_init() >= 0, 1);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .config = "{\"audit\":\"off\"}" }), 0);
	snprintf(secret_file, sizeof(secret_file), "%s/secret", scene.dir.path);
	f = fopen(secret_file, "w");
	fputs(secret, f);
	fclose(f);
	cr_assert_eq(
		scene_psk_ok(&scene, "key", "import", "k", "--identity", "Client1", "--purpose",
			"tls12-session", "--allow", "uid:0", "--secret-file", secret_file, NULL),
		0);
	cr_assert_eq(scene_psk_ok(&scene, "key", "generate", "other", "--identity", "Client2",
			     "--purpose", "tls12-session", "--allow", "uid:4", NULL),
		0);
	witness = raw_connect(scene.socket);
	cr_assert_geq(witness, 0);
}

static void teardown(void)
{
	struct command_result result;

	if (client >= 0)
		close(client);
	close(witness);
	cr_assert_eq(scene_stop(&scene, &result), 0);
	cr_assert_eq(result.status, 0, "the daemon ended with %d: %s", result.status, result.err);
	command_result_done(&result);
	scene_done(&scene);
}

TestSuite(garbage, .init = setup, .fini = teardown, .timeout = 600);

static void check_witness(void)
{
	static uint64_t seed;
	struct tpmpsk_derive q;
	struct tpmpsk_derived got;
	struct tpmpsk_reader r;
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX], want[32];
	size_t len;
	int n;

	raw_derive(&q, "Client1", seed++);
	cr_assert_eq(tpmpsk_derive_encode(77, &q, packet, sizeof(packet), &len), 0);
	n = raw_call(witness, packet, len, reply);
	cr_assert_eq(raw_status(reply, n, 77), TPMPSK_STATUS_OK);
	tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)n - TPMPSK_HEADER_SIZE);
	cr_assert_eq(tpmpsk_derived_decode(&r, &got), 0);
	raw_expected(&q, secret, strlen(secret), want);
	cr_assert_arr_eq(got.secret, want, 32);
}

/* Sends a packet; it must be answered, or the connection closed (and made anew for the next one). */
static void throw(const uint8_t *packet, size_t len)
{
	uint8_t reply[TPMPSK_MESSAGE_MAX];
	int n;

	if (client < 0)
		client = raw_connect(scene.socket);
	cr_assert_geq(client, 0);
	n = raw_call(client, packet, len, reply);
	cr_assert_geq(n, 0, "no answer to a packet of %zu bytes", len);
	if (n == 0) {
		close(client);
		client = -1;
	} else {
		cr_assert_geq(n, TPMPSK_HEADER_SIZE);
	}
}

/* One valid message of each kind; its length, 0 behind the last. */
static size_t valid_message(unsigned i, uint8_t *packet)
{
	static const char policy[] =
		"{\"identity\":\"x\",\"purpose\":\"tls12-session\",\"allow\":[\"uid:1\"]}";
	struct tpmpsk_hello hello = { 1, 1 };
	struct tpmpsk_key_new *key = calloc(1, sizeof(*key));
	struct tpmpsk_key_who *who = calloc(1, sizeof(*who));
	struct tpmpsk_key_list list = { .after = "a" };
	struct tpmpsk_key_name name = { .name = "k2" };
	struct tpmpsk_derive q;
	size_t len = 0, cap = TPMPSK_MESSAGE_MAX;
	int r = 0;

	raw_derive(&q, "Client1", 5);
	snprintf(key->name, sizeof(key->name), "n");
	snprintf(key->policy, sizeof(key->policy), "%s", policy);
	memcpy(key->payload, secret, 16);
	key->payload_len = 16;
	snprintf(who->name, sizeof(who->name),
		"other"); /* one change away from no right of the witness */
	snprintf(who->who, sizeof(who->who), "[\"uid:4\"]");
	switch (i) {
	case 0:
		r = tpmpsk_hello_encode(1, &hello, packet, cap, &len);
		break;
	case 1:
		r = tpmpsk_derive_encode(2, &q, packet, cap, &len);
		break;
	case 2:
		r = tpmpsk_empty_encode(3, TPMPSK_OP_STATUS, packet, cap, &len);
		break;
	case 3:
		r = tpmpsk_key_new_encode(4, TPMPSK_OP_KEY_IMPORT, key, packet, cap, &len);
		break;
	case 4:
		r = tpmpsk_key_new_encode(5, TPMPSK_OP_KEY_GENERATE, key, packet, cap, &len);
		break;
	case 5:
		r = tpmpsk_key_new_encode(6, TPMPSK_OP_KEY_ADOPT, key, packet, cap, &len);
		break;
	case 6:
		r = tpmpsk_key_list_encode(7, &list, packet, cap, &len);
		break;
	case 7:
		r = tpmpsk_key_name_encode(8, TPMPSK_OP_KEY_SHOW, &name, packet, cap, &len);
		break;
	case 8:
		r = tpmpsk_key_who_encode(9, TPMPSK_OP_KEY_ALLOW, who, packet, cap, &len);
		break;
	case 9:
		r = tpmpsk_key_who_encode(10, TPMPSK_OP_KEY_DENY, who, packet, cap, &len);
		break;
	case 10:
		r = tpmpsk_key_name_encode(11, TPMPSK_OP_KEY_REMOVE, &name, packet, cap, &len);
		break;
	case 11:
		r = tpmpsk_empty_encode(12, TPMPSK_OP_RELOAD, packet, cap, &len);
		break;
	default:
		break;
	}
	free(key);
	free(who);
	cr_assert_eq(r, 0);
	return len;
}

Test(garbage, survives_every_prefix_of_every_message)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	for (unsigned i = 0; (len = valid_message(i, packet)) > 0; i++) {
		for (size_t n = 0; n <= len; n++)
			throw(packet, n);
		check_witness();
	}
}

Test(garbage, survives_every_one_byte_change_of_every_message)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	for (unsigned i = 0; (len = valid_message(i, packet)) > 0; i++) {
		for (size_t at = 0; at < len; at++) {
			/* A key that is really made costs the TPM much: there, every bit; elsewhere every value. */
			unsigned step = i >= 3 && i <= 5 ? 0 : 1;

			for (unsigned x = 1; x < 256; x = step ? x + 1 : x * 2) {
				packet[at] ^= (uint8_t)x;
				throw(packet, len);
				packet[at] ^= (uint8_t)x;
			}
		}
		check_witness();
	}
}

Test(garbage, survives_a_hundred_thousand_random_packets)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX + 64];

	for (unsigned i = 0; i < 100000; i++) {
		size_t len = 1 + randombytes_uniform(i % 100 == 0 ? sizeof(packet) : 120);

		randombytes_buf(packet, len);
		/* Most get past the header, else all end there. */
		if (i % 4 && len >= TPMPSK_HEADER_SIZE) {
			packet[0] = TPMPSK_PROTOCOL_VERSION;
			packet[1] = (uint8_t)randombytes_uniform(34);
			packet[2] = packet[3] = 0;
		}
		throw(packet, len);
		if (i % 1000 == 0)
			check_witness();
	}
	check_witness();
}

Test(garbage, is_not_impressed_by_descriptors_and_long_packets)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX * 4] = { TPMPSK_PROTOCOL_VERSION, TPMPSK_OP_HELLO },
					    reply[TPMPSK_MESSAGE_MAX];
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { packet, TPMPSK_HEADER_SIZE + 2 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	client = raw_connect(scene.socket);
	cr_assert_geq(client, 0);
	cr_assert_eq(raw_status(reply, raw_call(client, packet, sizeof(packet), reply), 0),
		TPMPSK_STATUS_MALFORMED);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &witness, sizeof(int));
	packet[TPMPSK_HEADER_SIZE] = packet[TPMPSK_HEADER_SIZE + 1] = 1;
	for (int i = 0; i < 2000; i++) {
		cr_assert_gt(sendmsg(client, &msg, 0), 0);
		cr_assert_gt(recv(client, reply, sizeof(reply), 0), 0);
		cr_assert_eq(raw_status(reply, TPMPSK_HEADER_SIZE, 0), TPMPSK_STATUS_OK);
	}
	check_witness();
}

/* A client that asks and never reads fills its own socket, and nobody else waits for it. */
Test(garbage, lets_a_client_that_does_not_read_block_only_itself)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_derive q;
	unsigned sent = 0, answered = 0;
	size_t len;

	client = raw_connect(scene.socket);
	raw_derive(&q, "Client1", 9);
	while (sent < 100000) {
		cr_assert_eq(tpmpsk_derive_encode(sent, &q, packet, sizeof(packet), &len), 0);
		if (send(client, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		if (sent++ % 100 == 0)
			check_witness();
	}
	cr_assert_lt(sent, 100000);
	for (int i = 0; i < 50; i++)
		check_witness();
	/* Nothing was lost: every request that was taken is answered. */
	while (answered < sent) {
		cr_assert_gt(recv(client, reply, sizeof(reply), 0), 0);
		answered++;
	}
}
