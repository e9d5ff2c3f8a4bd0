/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every n-th allocation, system call and TPM command of a scenario fails: the daemon starts, keys are made, used, changed and removed, and
 * it ends. Whatever fails, nobody gets a wrong answer, what was acknowledged holds, nothing is left over, and the daemon serves afterwards.
 *
 * $TPMPSK_ROUNDS says how many places are tried of each kind, spread over all there are; 0: each one.
 */
#include "tests/hostile/measure.h"
#include "tests/hostile/raw.h"
#include "tests/inject/inject.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include "daemon/keystore.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define USUAL 100
#define RECOVER_MS 5000

static struct scene scene;
static struct tempdir own;
static struct tcti_test *tcti;
static struct inject *inject;
static const uint8_t secret[32] = "a secret of thirty-two bytes ...";
static char preload[4200], file[TEMPDIR_PATH_SIZE + 64];
static const char *const env[] = { preload, file, NULL };

/* What clients know of the key that the scenario makes. */
static enum { ABSENT, PRESENT, UNKNOWN } made;

static void map_inject(void)
{
	int fd;

	snprintf(file, sizeof(file), "TPMPSK_INJECT=%s/inject", own.path);
	fd = open(strchr(file, '=') + 1, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, sizeof(*inject)), 0);
	inject = mmap(NULL, sizeof(*inject), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(inject, MAP_FAILED);
	close(fd);
}

static int make(const char *name)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_key_new m = { .payload_len = sizeof(secret) };
	size_t len;
	int n;

	snprintf(m.name, sizeof(m.name), "%s", name);
	snprintf(m.policy, sizeof(m.policy),
		"{\"identity\":\"%s\",\"purpose\":\"tls12-session\",\"allow\":[\"uid:0\"]}", name);
	memcpy(m.payload, secret, sizeof(secret));
	cr_assert_eq(
		tpmpsk_key_new_encode(1, TPMPSK_OP_KEY_IMPORT, &m, packet, sizeof(packet), &len),
		0);
	return raw_once(scene.socket, packet, len, reply, &n);
}

static int derive(const char *name)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX], want[32];
	struct tpmpsk_derive q;
	struct tpmpsk_derived d;
	struct tpmpsk_reader r;
	size_t len;
	int n, status;

	raw_derive(&q, name, 1);
	cr_assert_eq(tpmpsk_derive_encode(1, &q, packet, sizeof(packet), &len), 0);
	status = raw_once(scene.socket, packet, len, reply, &n);
	if (status != TPMPSK_STATUS_OK)
		return status;
	tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)n - TPMPSK_HEADER_SIZE);
	cr_assert_eq(tpmpsk_derived_decode(&r, &d), 0);
	raw_expected(&q, secret, sizeof(secret), want);
	cr_assert(d.secret_len == 32 && memcmp(d.secret, want, 32) == 0, "a wrong answer");
	return status;
}

static int simple(uint8_t opcode, const char *name)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	struct tpmpsk_key_who who = { .who = "[\"uid:4711\"]" };
	struct tpmpsk_key_name key = { 0 };
	struct tpmpsk_key_list list = { 0 };
	size_t len = 0;
	int n, r;

	snprintf(who.name, sizeof(who.name), "%s", name);
	snprintf(key.name, sizeof(key.name), "%s", name);
	if (opcode == TPMPSK_OP_KEY_REMOVE || opcode == TPMPSK_OP_KEY_SHOW)
		r = tpmpsk_key_name_encode(1, opcode, &key, packet, sizeof(packet), &len);
	else if (opcode == TPMPSK_OP_KEY_ALLOW)
		r = tpmpsk_key_who_encode(1, opcode, &who, packet, sizeof(packet), &len);
	else if (opcode == TPMPSK_OP_KEY_LIST)
		r = tpmpsk_key_list_encode(1, &list, packet, sizeof(packet), &len);
	else
		r = tpmpsk_empty_encode(1, opcode, packet, sizeof(packet), &len);
	cr_assert_eq(r, 0);
	return raw_once(scene.socket, packet, len, reply, &n);
}

static void scenario(void)
{
	int status = make("made");

	if (status == TPMPSK_STATUS_OK)
		made = PRESENT;
	else if (status < 0)
		made = UNKNOWN; /* the connection was closed: it may have been done */
	(void)derive("kept");
	(void)simple(TPMPSK_OP_KEY_ALLOW, "kept");
	(void)simple(TPMPSK_OP_KEY_SHOW, "kept");
	(void)simple(TPMPSK_OP_KEY_LIST, "");
	(void)simple(TPMPSK_OP_STATUS, "");
	(void)simple(TPMPSK_OP_RELOAD, "");
	status = derive("made");
	cr_assert(made != PRESENT || status != TPMPSK_STATUS_UNKNOWN_IDENTITY);
	status = simple(TPMPSK_OP_KEY_REMOVE, "made");
	if (status == TPMPSK_STATUS_OK)
		made = ABSENT;
	else if (status < 0)
		made = UNKNOWN;
	(void)derive("kept");
}

/* Reads the directory as a start would. */
static void check_directory(const char *what, unsigned n)
{
	char error[KEYSTORE_ERROR_SIZE];
	struct keystore *keys;
	const struct key *kept, *other;

	cr_assert_eq(keystore_open(&keys, scene.keys, error), 0, "%s %u: %s", what, n, error);
	kept = keystore_by_name(keys, "kept");
	other = keystore_by_name(keys, "made");
	cr_assert_not_null(kept, "%s %u", what, n);
	cr_assert_geq(kept->policy.n_allow, 1, "%s %u", what, n);
	cr_assert(made == UNKNOWN || !other == (made == ABSENT), "%s %u: key is %s", what, n,
		other ? "there" : "gone");
	made = other ? PRESENT : ABSENT;
	keystore_free(keys);
}

static void disarm(void)
{
	inject->nth = 0;
	inject->every = 0;
	tcti->fault = TCTI_TEST_NO_FAULT;
}

/* With nothing failing any more, all is well again. */
static void serves(const char *what, unsigned n, int descriptors)
{
	long long until = command_now_ms() + RECOVER_MS;
	int status;

	while ((status = derive("kept")) != TPMPSK_STATUS_OK) {
		cr_assert_lt(command_now_ms(), until, "%s %u: no service, but status %d: %s", what,
			n, status, command_err(scene.daemon));
		usleep(1000);
	}
	while (descriptors > 0 && descriptors_of(command_pid(scene.daemon)) > descriptors) {
		cr_assert_lt(command_now_ms(), until, "%s %u: %d descriptors", what, n,
			descriptors_of(command_pid(scene.daemon)));
		usleep(1000);
	}
}

/* One run, with something armed. Returns the descriptors that the daemon had in the end. */
static int play(const char *what, unsigned n, int descriptors)
{
	static char program[4096];
	const char *const args[] = { program, "--config", scene.config, NULL };
	struct command_result result;
	bool ready;
	int used = -1;

	inject->started = 0;
	scene_built("daemon/tpm-pskd", program, sizeof(program));
	cr_assert_eq(
		command_start(&scene.daemon, args, &(struct command_options){ .env = env }), 0);
	ready = command_wait_err(scene.daemon, "ready:", COMMAND_DEADLINE_MS) == 0;
	if (ready) {
		inject->started = 1;
		scenario();
		disarm();
		serves(what, n, descriptors);
		used = descriptors_of(command_pid(scene.daemon));
	}
	cr_assert_eq(command_stop(scene.daemon, ready ? SIGTERM : 0, COMMAND_DEADLINE_MS, &result),
		0, "%s %u: does not end", what, n);
	disarm();
	/* Ended in order; or did not start, and said why. */
	cr_assert_eq(result.status, ready ? 0 : 1, "%s %u: status %d: %s", what, n, result.status,
		result.err);
	cr_assert_gt(result.err_len, 0, "%s %u", what, n);
	command_result_done(&result);
	scene_kill(&scene);
	check_directory(what, n);
	return used;
}

static void set_up(void)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	map_inject();
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s/tests/inject/inject.so",
		getenv("TPMPSK_BUILD"));
	cr_assert_eq(scene_init(&scene, &(struct scene_options){ .tcti = name,
						.config = "{\"audit\":\"off\"}" }),
		0);
	cr_assert_eq(make("kept"), TPMPSK_STATUS_OK);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}

static void tear_down(void)
{
	scene_done(&scene);
	if (inject)
		munmap(inject, sizeof(*inject));
	watch_done(&own, tcti);
}

TestSuite(failing, .init = set_up, .fini = tear_down, .timeout = 20000);

static unsigned step_of(uint64_t count)
{
	unsigned n = rounds(USUAL);

	return n == 0 || count <= n ? 1 : (unsigned)(count / n);
}

static unsigned from(unsigned step)
{
	const char *value = getenv("TPMPSK_FROM");

	if (value && *value)
		return (unsigned)strtoul(value, NULL, 10);
	return step == 1 ? 1 : 1 + randombytes_uniform(step);
}

static void each(enum inject_class class, const char *what, int error)
{
	uint64_t before = inject->counts[class], count;
	int descriptors = play(what, 0, 0);
	unsigned step, tried = 0;

	cr_assert_gt(descriptors, 0);
	count = inject->counts[class] - before;
	cr_assert_gt(count, 0, "%s", what);
	step = step_of(count);
	for (unsigned n = from(step); n <= count; n += step) {
		uint64_t injected = inject->injected;

		inject->error = (uint32_t)error;
		inject->which = class;
		inject->nth = n;
		play(what, n, descriptors);
		tried += inject->injected != injected;
	}
	printf("# %s: %u of %lu calls failed, one in each run\n", what, tried,
		(unsigned long)count);
	cr_assert_gt(tried, 0);
}

Test(failing, reads_are_survived)
{
	each(INJECT_READ, "read", EIO);
}

Test(failing, writes_are_survived)
{
	each(INJECT_WRITE, "write", ENOSPC);
}

Test(failing, openings_are_survived)
{
	each(INJECT_OPEN, "open", EMFILE);
}

Test(failing, renamings_are_survived)
{
	each(INJECT_RENAME, "rename", EIO);
}

Test(failing, syncs_are_survived)
{
	each(INJECT_FSYNC, "fsync", EIO);
}

Test(failing, accepting_is_survived)
{
	each(INJECT_ACCEPT, "accept", EMFILE);
}

Test(failing, waiting_is_survived)
{
	each(INJECT_EPOLL, "epoll", ENOMEM);
}

Test(failing, allocations_are_survived)
{
	each(INJECT_ALLOC, "alloc", ENOMEM);
}

/* Whatever may be interrupted is, again and again, and nobody notices. */
Test(failing, interruptions_are_not_noticed)
{
	for (uint32_t every = 2; every < 6; every++) {
		play("interrupted", 0, 0);
		inject->error = EINTR;
		inject->every = every;
		play("interrupted", every, 0);
	}
	cr_assert_gt(inject->injected, 0);
}

static void each_command(const char *what, enum tcti_test_fault fault, uint32_t value)
{
	uint64_t before = tcti->commands, count;
	int descriptors = play(what, 0, 0);
	unsigned step;

	count = tcti->commands - before;
	step = step_of(count);
	for (unsigned n = from(step); n <= count; n += step) {
		tcti_test_inject(tcti, fault, 0, n - 1, 1, value);
		play(what, n, descriptors);
	}
	printf("# %s: in every %u-th of %lu TPM commands\n", what, step, (unsigned long)count);
}

Test(failing, commands_of_the_TPM_are_survived)
{
	each_command("TPM failure", TCTI_TEST_ANSWER, TPM2_RC_FAILURE);
	each_command("TPM cut", TCTI_TEST_DROP, 0);
	each_command("TPM garbage", TCTI_TEST_GARBAGE, 0);
	each_command("TPM executed, and told otherwise", TCTI_TEST_REPLACE, TPM2_RC_RETRY);
}
