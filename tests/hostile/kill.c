/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A daemon that is killed at random moments while keys are made, changed and removed. Whatever it had acknowledged by then is there
 * afterwards, and right; of what was under way, all or nothing is; and no other file.
 */
#include "tests/hostile/measure.h"
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 6
#define OPERATIONS_MAX_MS 40 /* after which the daemon is killed at the latest */

/* What is known of a key. Whoever is to make the next change to it says so before, and what became of it after. */
struct state {
	bool there;
	bool allowed;     /* user 0 may derive with it */
	uint32_t version; /* of its secret; 0: one that nobody knows */
};

static struct shared {
	struct state is[KEYS], becomes[KEYS];
	_Atomic int under_way; /* of this key; negative: nothing is */
	_Atomic unsigned started, acknowledged;
} *shared;

static struct scene scene;
static char adopted[TPMPSK_TEXT_MAX + 1]; /* a key file, of a key with the secret of version 1 */

static void secret_of(uint32_t version, uint8_t secret[32])
{
	crypto_hash_sha256(secret, (const uint8_t *)&version, sizeof(version));
}

static void key_name(unsigned key, char name[16])
{
	snprintf(name, 16, "k%u", key);
}

static int make_key(unsigned key, uint8_t opcode, const void *payload, size_t len)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_key_new m = { .payload_len = len };
	int n;

	key_name(key, m.name);
	snprintf(m.policy, sizeof(m.policy),
		"{\"identity\":\"k%u\",\"purpose\":\"tls12-session\",\"allow\":[\"uid:0\"]}", key);
	memcpy(m.payload, payload, len);
	if (tpmpsk_key_new_encode(1, opcode, &m, packet, sizeof(packet), &len) < 0)
		_exit(4);
	return raw_once(scene.socket, packet, len, reply, &n);
}

static int change_key(unsigned key, uint8_t opcode)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_key_who who = { .who = "[\"uid:0\"]" };
	struct tpmpsk_key_name name = { 0 };
	size_t len;
	int n, r;

	key_name(key, who.name);
	key_name(key, name.name);
	if (opcode == TPMPSK_OP_RELOAD)
		r = tpmpsk_empty_encode(1, opcode, packet, sizeof(packet), &len);
	else if (opcode == TPMPSK_OP_KEY_REMOVE)
		r = tpmpsk_key_name_encode(1, opcode, &name, packet, sizeof(packet), &len);
	else
		r = tpmpsk_key_who_encode(1, opcode, &who, packet, sizeof(packet), &len);
	if (r < 0)
		_exit(4);
	return raw_once(scene.socket, packet, len, reply, &n);
}

/* In a child: changes that follow from what is there, one after the other, until the daemon is gone. */
static void change_keys(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		unsigned key = randombytes_uniform(KEYS), what = randombytes_uniform(3);
		struct state s = shared->is[key];
		uint8_t secret[32];
		int status;

		shared->becomes[key] = s;
		if (!s.there) {
			shared->becomes[key] = (struct state){ true, true, 1 };
			if (what == 0)
				shared->becomes[key].version = 2 + randombytes_uniform(1000000);
			if (what == 1)
				shared->becomes[key].version = 0;
		} else if (what == 0) {
			shared->becomes[key] = (struct state){ false, false, 0 };
		} else if (what == 1) {
			shared->becomes[key].allowed = !s.allowed;
		}
		shared->under_way = (int)key;
		shared->started++;
		secret_of(shared->becomes[key].version, secret);
		if (!s.there)
			status = what == 0   ? make_key(key, TPMPSK_OP_KEY_IMPORT, secret, 32)
				 : what == 1 ? make_key(key, TPMPSK_OP_KEY_GENERATE, "", 0)
					     : make_key(key, TPMPSK_OP_KEY_ADOPT, adopted,
						       strlen(adopted));
		else
			status = change_key(key, what == 0   ? TPMPSK_OP_KEY_REMOVE
						 : what == 2 ? TPMPSK_OP_RELOAD
						 : s.allowed ? TPMPSK_OP_KEY_DENY
							     : TPMPSK_OP_KEY_ALLOW);
		if (status < 0)
			_exit(0); /* killed in the middle */
		if (status != TPMPSK_STATUS_OK) {
			fprintf(stderr, "key %u, %u: status %d\n", key, what, status);
			_exit(5);
		}
		shared->is[key] = shared->becomes[key];
		shared->under_way = -1;
		shared->acknowledged++;
	}
}

/* Whether a key is in that state: by what a derivation gives. */
static bool is_as(unsigned key, const struct state *s)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX], secret[32], want[32];
	struct tpmpsk_key_name name = { 0 };
	struct tpmpsk_derive q;
	struct tpmpsk_derived d;
	struct tpmpsk_reader r;
	char identity[16];
	int n, status;
	size_t len;

	key_name(key, name.name);
	cr_assert_eq(tpmpsk_key_name_encode(
			     1, TPMPSK_OP_KEY_SHOW, &name, packet, sizeof(packet), &len),
		0);
	if ((raw_once(scene.socket, packet, len, reply, &n) == TPMPSK_STATUS_OK) != s->there)
		return false;
	key_name(key, identity);
	raw_derive(&q, identity, key);
	cr_assert_eq(tpmpsk_derive_encode(1, &q, packet, sizeof(packet), &len), 0);
	status = raw_once(scene.socket, packet, len, reply, &n);
	if (!s->there || !s->allowed)
		return status == TPMPSK_STATUS_DENIED || status == TPMPSK_STATUS_UNKNOWN_IDENTITY;
	if (status != TPMPSK_STATUS_OK || s->version == 0)
		return status == TPMPSK_STATUS_OK;
	tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)n - TPMPSK_HEADER_SIZE);
	cr_assert_eq(tpmpsk_derived_decode(&r, &d), 0);
	secret_of(s->version, secret);
	raw_expected(&q, secret, sizeof(secret), want);
	return d.secret_len == 32 && memcmp(d.secret, want, 32) == 0;
}

static unsigned files(void)
{
	DIR *d = opendir(scene.keys);
	unsigned n = 0;

	cr_assert_not_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void check(unsigned round)
{
	unsigned there = 0;

	for (unsigned key = 0; key < KEYS; key++) {
		bool as_before = is_as(key, &shared->is[key]);

		if (!as_before && (int)key == shared->under_way) {
			cr_assert(is_as(key, &shared->becomes[key]), "round %u: key %u is neither",
				round, key);
			shared->is[key] = shared->becomes[key];
			as_before = true;
		}
		cr_assert(as_before, "round %u: key %u is not as acknowledged (%d %d %u)", round,
			key, shared->is[key].there, shared->is[key].allowed,
			shared->is[key].version);
		there += shared->is[key].there;
	}
	/* And `primary`. */
	cr_assert_eq(files(), 2 * there + 1, "round %u: %u files for %u keys", round, files(), there);
}

static void make_key_file(void)
{
	char path[256];
	uint8_t secret[32];
	size_t len;
	FILE *f;

	secret_of(1, secret);
	cr_assert_eq(make_key(0, TPMPSK_OP_KEY_IMPORT, secret, 32), TPMPSK_STATUS_OK);
	snprintf(path, sizeof(path), "%s/k0.pem", scene.keys);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	len = fread(adopted, 1, sizeof(adopted) - 1, f);
	fclose(f);
	adopted[len] = '\0';
	cr_assert_eq(change_key(0, TPMPSK_OP_KEY_REMOVE), TPMPSK_STATUS_OK);
}

static void set_up(void)
{
	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .config = "{\"audit\":\"off\"}" }), 0);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(shared, MAP_FAILED);
	shared->under_way = -1;
	make_key_file();
}

static void tear_down(void)
{
	scene_done(&scene);
	munmap(shared, sizeof(*shared));
}

TestSuite(kill, .init = set_up, .fini = tear_down, .timeout = 3600);

Test(kill, at_any_moment_loses_nothing_that_was_acknowledged)
{
	unsigned n = rounds(30), hits = 0;

	for (unsigned round = 0; round < n; round++) {
		unsigned started = shared->started;
		pid_t pid = fork();
		int status;

		if (pid == 0)
			change_keys();
		while (shared->started == started)
			sched_yield();
		usleep(randombytes_uniform(OPERATIONS_MAX_MS * 1000));
		scene_kill(&scene);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
		hits += shared->under_way >= 0;
		cr_assert_eq(scene_start(&scene), 0);
		check(round);
		shared->under_way = -1;
	}
	printf("# %u kills, %u of them in the middle of a change; %u changes acknowledged\n", n,
		hits, shared->acknowledged);
	cr_assert_gt(hits, n / 4);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}
