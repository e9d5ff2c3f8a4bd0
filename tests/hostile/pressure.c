/* SPDX-License-Identifier: BSD-2-Clause */
/* Users who press on what they share, and what those learn who have no rights. */
#include "daemon/server.h"
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGER 20002
#define GROUP 30001

static struct scene scene;
static struct tempdir own; /* for the TCTI's counters and the audit */
static struct tcti_test *tcti;
static char audit[TEMPDIR_PATH_SIZE + 16];
static const uint8_t secret[32] = "a secret of thirty-two bytes ...";

static void configure(const char *more)
{
	char fields[512];

	snprintf(fields, sizeof(fields), "{\"audit\":\"%s\"%s%s}", audit, *more ? "," : "", more);
	cr_assert_eq(scene_configure(&scene, fields), 0);
}

static void start(const char *more)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	snprintf(audit, sizeof(audit), "%s/audit", own.path);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .tcti = name, .no_daemon = true }), 0);
	configure(more);
	cr_assert_eq(scene_start(&scene), 0);
}

/* A key NAME of that identity; rate NULL: without one. */
static void import(const char *name, const char *identity, const char *purpose, const char *mode,
	const char *who, const char *rate)
{
	char file[256];
	FILE *f;

	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret), f), sizeof(secret));
	fclose(f);
	cr_assert_eq(scene_psk_ok(&scene, "key", "import", name, "--identity", identity,
			     "--purpose", purpose, "--allow", who, "--secret-file", file,
			     mode   ? "--mode"
			     : rate ? "--rate"
				    : NULL,
			     mode ? mode : rate, mode && rate ? "--rate" : NULL, rate, NULL),
		0);
}

static void import_tls12(const char *who)
{
	import("a", "Client1", "tls12-session", NULL, who, NULL);
}

static void teardown(void)
{
	scene_done(&scene);
	watch_done(&own, tcti);
}

TestSuite(pressure, .fini = teardown, .timeout = 120);

static int connect_as(uid_t uid)
{
	int fd = raw_connect_as(scene.socket, uid, 0, NULL);

	cr_assert_geq(fd, 0, "connect: %s", strerror(-fd));
	return fd;
}

static void send_derive(int fd, uint32_t id, const struct tpmpsk_derive *q)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	cr_assert_eq(tpmpsk_derive_encode(id, q, packet, sizeof(packet), &len), 0);
	cr_assert_eq(send(fd, packet, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void send_tls12(int fd, uint32_t id, const char *identity)
{
	struct tpmpsk_derive q;

	raw_derive(&q, identity, id);
	send_derive(fd, id, &q);
}

static int wait_reply(int fd, uint8_t reply[TPMPSK_MESSAGE_MAX])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	cr_assert_eq(poll(&p, 1, RAW_TIMEOUT_MS), 1);
	return (int)recv(fd, reply, TPMPSK_MESSAGE_MAX, 0);
}

static int wait_status(int fd, uint32_t id)
{
	uint8_t reply[TPMPSK_MESSAGE_MAX];
	int n = wait_reply(fd, reply);

	return raw_status(reply, n, id);
}

static void hello(int fd)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	size_t len;

	cr_assert_eq(tpmpsk_hello_encode(
			     99, &(struct tpmpsk_hello){ 1, 1 }, packet, sizeof(packet), &len),
		0);
	cr_assert_eq(raw_status(reply, raw_call(fd, packet, len, reply), 99), TPMPSK_STATUS_OK);
}

/* Asks over each connection as soon as it has its answer. */
static void ask_in_turn(unsigned connections, unsigned requests)
{
	struct pollfd p[8];
	unsigned sent = 0, answered = 0;

	for (unsigned i = 0; i < connections; i++) {
		p[i] = (struct pollfd){ .fd = connect_as(0), .events = POLLIN };
		send_tls12(p[i].fd, 1, "Client1");
		sent++;
	}
	while (answered < requests) {
		cr_assert_gt(poll(p, connections, RAW_TIMEOUT_MS), 0);
		for (unsigned i = 0; i < connections; i++) {
			if (!p[i].revents)
				continue;
			cr_assert_eq(
				wait_status(p[i].fd, 1), TPMPSK_STATUS_OK, "request %u", answered);
			answered++;
			if (sent++ < requests)
				send_tls12(p[i].fd, 1, "Client1");
		}
	}
	for (unsigned i = 0; i < connections; i++)
		close(p[i].fd);
}

Test(pressure, never_is_too_much_from_one_who_asks_one_thing_after_the_other)
{
	start("\"limits\":{\"queue_per_user\":1}");
	import_tls12("uid:0");
	ask_in_turn(1, 2000);
}

Test(pressure, never_is_too_much_from_as_many_connections_as_the_bound)
{
	start("\"limits\":{\"queue_per_user\":4}");
	import_tls12("uid:0");
	ask_in_turn(4, 2000);
}

/* The order in which requests were taken is the order of the audit. */
static unsigned refusals_before(uid_t uid)
{
	char line[4096], mark[32];
	unsigned n = 0;
	bool found = false;
	FILE *f = fopen(audit, "r");

	cr_assert_not_null(f);
	snprintf(mark, sizeof(mark), "\"uid\":%u,", uid);
	while (!found && fgets(line, sizeof(line), f)) {
		found = strstr(line, mark);
		n += !found && strstr(line, "\"denied\"");
	}
	fclose(f);
	cr_assert(found);
	return n;
}

#define FLOOD 64
#define PACKETS 15

/* All has arrived when the daemon wakes up: who comes last does not wait for 64 connections. */
Test(pressure, of_many_connections_of_a_user_counts_as_one_users)
{
	int flood[FLOOD], other;

	start("");
	import_tls12("uid:0");
	for (unsigned i = 0; i < FLOOD; i++)
		flood[i] = connect_as(STRANGER);
	other = connect_as(STRANGER + 1);
	hello(other); /* they are accepted, in the order of connecting */
	kill(command_pid(scene.daemon), SIGSTOP);
	for (unsigned i = 0; i < FLOOD; i++)
		for (uint32_t id = 0; id < PACKETS; id++)
			send_tls12(flood[i], id, "Client1");
	send_tls12(other, 1, "Client1");
	kill(command_pid(scene.daemon), SIGCONT);
	cr_assert_eq(wait_status(other, 1), TPMPSK_STATUS_DENIED);
	for (unsigned i = 0; i < FLOOD; i++) {
		for (uint32_t id = 0; id < PACKETS; id++)
			cr_assert_eq(wait_status(flood[i], id), TPMPSK_STATUS_DENIED);
		close(flood[i]);
	}
	close(other);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert_leq(refusals_before(STRANGER + 1), 4 * SERVER_PACKETS);
}

/* Sends what goes, takes what comes. */
static void push(int fd)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_derive q;
	size_t len;

	raw_derive(&q, "Client1", 1);
	cr_assert_eq(tpmpsk_derive_encode(1, &q, packet, sizeof(packet), &len), 0);
	for (unsigned i = 0; i < 20; i++)
		if (send(fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	while (recv(fd, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		continue;
}

Test(pressure, of_one_without_rights_leaves_no_request_of_others_unanswered)
{
	int flood[FLOOD], other;

	start("");
	import_tls12("uid:0");
	for (unsigned i = 0; i < FLOOD; i++)
		flood[i] = connect_as(STRANGER);
	other = connect_as(0);
	for (unsigned n = 0; n < 100; n++) {
		send_tls12(other, n, "Client1");
		for (unsigned i = 0; i < FLOOD; i++)
			push(flood[i]);
		cr_assert_eq(wait_status(other, n), TPMPSK_STATUS_OK);
	}
	for (unsigned i = 0; i < FLOOD; i++)
		close(flood[i]);
	close(other);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}

/* The whole reply to the same request for a key. */
static int reply_to(int fd, const char *identity, uint8_t reply[TPMPSK_MESSAGE_MAX])
{
	send_tls12(fd, 7, identity);
	return wait_reply(fd, reply);
}

static void sees_no_difference(int fd)
{
	uint8_t there[TPMPSK_MESSAGE_MAX], missing[TPMPSK_MESSAGE_MAX];
	int n = reply_to(fd, "Client1", there), m = reply_to(fd, "Client9", missing);

	cr_assert_eq(raw_status(there, n, 7), TPMPSK_STATUS_DENIED);
	cr_assert_eq(n, m);
	cr_assert_arr_eq(there, missing, (size_t)n);
	close(fd);
}

Test(pressure, gets_the_same_bytes_for_a_key_that_is_there_and_for_none)
{
	static gid_t many[2000];
	int fd;

	start("");
	import_tls12("gid:30001");
	import("b", "Client2", "tls12-session", NULL, "uid:0", NULL);
	import("c", "Client1", "exporter-kdf", NULL, "uid:20002", NULL);
	for (unsigned i = 0; i < 2000; i++)
		many[i] = 40000 + i;
	sees_no_difference(connect_as(STRANGER));
	fd = raw_connect_as(scene.socket, STRANGER, 2000, many);
	cr_assert_geq(fd, 0);
	sees_no_difference(fd);
	/* One of them is the right one. */
	many[1234] = GROUP;
	fd = raw_connect_as(scene.socket, STRANGER, 2000, many);
	cr_assert_geq(fd, 0);
	cr_assert_eq(raw_ask(fd, "Client1", 1), TPMPSK_STATUS_OK);
	cr_assert_eq(raw_ask(fd, "Client9", 1), TPMPSK_STATUS_UNKNOWN_IDENTITY);
	close(fd);
}

/* A deadline that a reload made shorter does not wait behind those of before. */
Test(pressure, of_older_requests_holds_up_no_deadline_that_is_shorter)
{
	int older, newer;

	start("\"limits\":{\"deadline_ms\":60000}");
	import_tls12("uid:0");
	older = connect_as(0);
	newer = connect_as(0);
	cr_assert_eq(raw_ask(older, "Client1", 1), TPMPSK_STATUS_OK);
	tcti->latency_us = 1000000;
	for (uint32_t id = 1; id <= 4; id++)
		send_tls12(older, id, "Client1");
	hello(older); /* the daemon has them all */
	configure("\"limits\":{\"deadline_ms\":10}");
	cr_assert_eq(scene_reload(&scene), 0);
	send_tls12(newer, 1, "Client1");
	cr_assert_eq(wait_status(newer, 1), TPMPSK_STATUS_DEADLINE);
	tcti->latency_us = 0;
	for (uint32_t id = 1; id <= 4; id++)
		cr_assert_eq(wait_status(older, id), TPMPSK_STATUS_OK);
	close(older);
	close(newer);
}

static int ask_session(
	int fd, uint8_t role, const void *identity, size_t len, struct tpmpsk_derived *ret)
{
	struct tpmpsk_derive q = {
		.purpose = TPMPSK_PURPOSE_SESSION_IDENTITY, .role = role, .identity_len = len
	};
	uint8_t reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_error_reply error;
	struct tpmpsk_reader r;
	int n, status;

	memcpy(q.identity, identity, len);
	send_derive(fd, 1, &q);
	n = wait_reply(fd, reply);
	status = raw_status(reply, n, 1);
	tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)n - TPMPSK_HEADER_SIZE);
	if (status == TPMPSK_STATUS_OK) {
		cr_assert_eq(tpmpsk_derived_decode(&r, ret), 0);
	} else if (status == TPMPSK_STATUS_BUSY) {
		cr_assert_eq(tpmpsk_error_decode(&r, &error), 0);
		cr_assert(error.retry_after_ms > 0 && error.retry_after_ms <= 1000, "%u ms",
			error.retry_after_ms);
	}
	return status;
}

/* An identity is asked for and handed in: two tokens, of which one is there. */
static void spends_none(const char *identity)
{
	struct tpmpsk_derived d, e;
	int fd = connect_as(0), status;

	do {
		do
			status =
				ask_session(fd, TPMPSK_ROLE_CLIENT, identity, strlen(identity), &d);
		while (status == TPMPSK_STATUS_BUSY);
		cr_assert_eq(status, TPMPSK_STATUS_OK);
		status = ask_session(fd, TPMPSK_ROLE_SERVER, d.name, d.name_len, &e);
	} while (status == TPMPSK_STATUS_OK);
	cr_assert_eq(status, TPMPSK_STATUS_BUSY);
	while (status == TPMPSK_STATUS_BUSY)
		status = ask_session(fd, TPMPSK_ROLE_SERVER, d.name, d.name_len, &e);
	cr_assert_eq(status, TPMPSK_STATUS_OK);
	cr_assert_arr_eq(d.secret, e.secret, 32);
	cr_assert_eq(ask_session(fd, TPMPSK_ROLE_SERVER, d.name, d.name_len, &e),
		TPMPSK_STATUS_REPLAYED);
	close(fd);
}

Test(pressure, above_the_rate_spends_no_session_identity)
{
	start("");
	import("s", "strict", "session-identity", "strict", "uid:0", "1");
	import("e", "epoch", "session-identity", "epoch", "uid:0", "1");
	spends_none("strict");
	spends_none("epoch");
}

/* Who joins a wait has waited for a time that is not before it came. */
Test(pressure, on_an_epochs_start_is_told_right_in_the_audit)
{
	struct tpmpsk_derive q = { .purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_CLIENT,
		.identity = "epoch",
		.identity_len = 5 };
	int first, second, lines = 0;
	char line[4096];
	uint64_t before;
	FILE *f;

	start("");
	import("e", "epoch", "session-identity", "epoch", "uid:0", NULL);
	first = connect_as(0);
	second = connect_as(0);
	hello(first);
	hello(second);
	before = tcti_test_count(tcti, 0);
	tcti->latency_us = 200000;
	send_derive(first, 1, &q);
	while (tcti_test_count(tcti, 0) == before)
		sched_yield();
	send_derive(second, 1, &q);
	cr_assert_eq(wait_status(first, 1), TPMPSK_STATUS_OK);
	cr_assert_eq(wait_status(second, 1), TPMPSK_STATUS_OK);
	tcti->latency_us = 0;
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	f = fopen(audit, "r");
	while (fgets(line, sizeof(line), f)) {
		struct json_object *o = json_tokener_parse(line), *value;

		cr_assert_not_null(o);
		for (int i = 0; i < 2; i++)
			if (json_object_object_get_ex(o, i ? "tpm_us" : "queue_us", &value))
				cr_assert_lt(json_object_get_uint64(value), UINT64_C(100000000),
					"%s", line);
		lines += strstr(line, "session-identity") != NULL;
		json_object_put(o);
	}
	fclose(f);
	cr_assert_geq(lines, 2);
	close(first);
	close(second);
}

static void write_policy(const char *name, const char *identity, const char *who)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.json", scene.keys, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	cr_assert_eq(fchmod(fileno(f), 0600), 0);
	fprintf(f, "{\"identity\":\"%s\",\"purpose\":\"tls12-session\",\"allow\":[\"%s\"]}",
		identity, who);
	fclose(f);
}

/* A role that its purpose does not have is no right at all. */
Test(pressure, with_a_role_where_there_are_none_is_denied)
{
	int fd;

	start("");
	import_tls12("uid:20002");
	fd = connect_as(STRANGER);
	cr_assert_eq(raw_ask(fd, "Client1", 1), TPMPSK_STATUS_OK);
	write_policy("a", "Client1", "uid:20002:client");
	cr_assert_eq(scene_reload(&scene), 0);
	cr_assert_eq(raw_ask(fd, "Client1", 1), TPMPSK_STATUS_DENIED);
	cr_assert_eq(raw_ask(fd, "Client9", 1), TPMPSK_STATUS_DENIED);
	write_policy("a", "Client1", "uid:20002");
	cr_assert_eq(scene_reload(&scene), 0);
	cr_assert_eq(raw_ask(fd, "Client1", 1), TPMPSK_STATUS_OK);
	close(fd);
}

#define KEYS 2000

/* One key's file under so many names: nothing is loaded before it is used. */
static void copy_key(unsigned count)
{
	char from[256], to[256], name[32], identity[32];

	snprintf(from, sizeof(from), "%s/a.pem", scene.keys);
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "copy%u", i);
		snprintf(identity, sizeof(identity), "Copy%u", i);
		snprintf(to, sizeof(to), "%s/%s.pem", scene.keys, name);
		cr_assert_eq(link(from, to), 0);
		write_policy(name, identity, "uid:0");
	}
	cr_assert_eq(scene_reload(&scene), 0);
}

Test(pressure, of_quick_visitors_leaves_others_served_with_two_thousand_keys)
{
	struct command_result result;
	int fd;

	start("");
	import_tls12("uid:0");
	copy_key(KEYS);
	fd = connect_as(0);
	for (unsigned i = 0; i < 2000; i++) {
		int visitor = connect_as(STRANGER);

		if (i % 2)
			cr_assert_eq(raw_ask(visitor, "Copy7", i), TPMPSK_STATUS_DENIED);
		else
			send_tls12(visitor, i, "Copy7");
		close(visitor);
		if (i % 20 == 0)
			cr_assert_eq(raw_ask(fd, "Copy7", i), TPMPSK_STATUS_OK);
	}
	cr_assert_eq(scene_psk(&scene, NULL, &result, "status", "--json", NULL), 0);
	cr_assert_not_null(strstr(result.out, "2001"), "%s", result.out);
	command_result_done(&result);
	close(fd);
}
