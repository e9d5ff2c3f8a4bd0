/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in the memory of the processes of a running system, all of it read as root can: of the daemon, of tpm-psk when it is about
 * to end, and of a client. The keys' secrets: nowhere. What was handed out for one session: nowhere once it has been. What session
 * identities of an epoch are checked with: in the daemon's locked pages. Each is looked for in whole, and by halves, since an allocator
 * writes over the beginning of what is freed.
 */
#include "tests/hostile/raw.h"
#include "tests/hostile/scan.h"
#include "tests/swtpm/scene.h"

#include "daemon/hash.h"
#include "daemon/key_secrets.h"
#include "daemon/session_identity.h"

#include <assert.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Sanitizers keep what is freed, and fill terabytes with notes about it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define SECRET_SIZE 32

static struct scene scene;
static uint8_t secrets[7][SECRET_SIZE];

static const struct {
	const char *name, *identity, *purpose, *mode;
} keys[] = {
	{ "tls12", "Client1", "tls12-session", NULL },
	{ "strict", "Client1", "session-identity", "strict" },
	{ "epoch", "Client2", "session-identity", "epoch" },
	{ "kdf", "Client1", "exporter-kdf", NULL },
	{ "schedule", "Client1", "tls13-schedule", NULL },
	{ "master", "Client1", "tls12-master", NULL },
	{ "imported", "Client1", "psk-import", NULL },
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))
#define FIRST_SCHEDULE 4 /* from here on, what the TPM holds is made from the secret */
static_assert(sizeof(secrets) == N_KEYS * SECRET_SIZE, "a secret for each key");

static void set_up(void)
{
	if (SANITIZED)
		cr_skip_test("sanitizers keep copies");
	if (geteuid() != 0)
		cr_skip_test("only root may look");
	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .config = "{\"audit\":\"off\"}" }), 0);
	for (size_t i = 0; i < N_KEYS; i++)
		cr_assert_eq(getrandom(secrets[i], SECRET_SIZE, 0), SECRET_SIZE);
}

static void tear_down(void)
{
	scene_done(&scene);
}

TestSuite(memory, .init = set_up, .fini = tear_down, .timeout = 180);

static void count(pid_t pid, const uint8_t *wanted, size_t len, struct scan_result *ret)
{
	cr_assert_eq(scan_process(pid, wanted, len, ret), 0);
}

static void expect_nowhere(pid_t pid, const uint8_t *wanted, size_t len, const char *what)
{
	static const char *const parts[] = { "", ", first half", ", second half" };
	const uint8_t *from[] = { wanted, wanted, wanted + len / 2 };

	for (size_t i = 0; i < 3; i++) {
		struct scan_result r;

		count(pid, from[i], i == 0 ? len : len / 2, &r);
		cr_expect_eq(r.locked + r.unlocked, 0, "%s%s: %u times, %s", what, parts[i],
			r.locked + r.unlocked, r.where);
	}
}

static void expect_no_key(pid_t pid, const char *when)
{
	char what[100];

	for (size_t i = 0; i < N_KEYS; i++) {
		snprintf(what, sizeof(what), "%s: the secret of key %s", when, keys[i].name);
		expect_nowhere(pid, secrets[i], SECRET_SIZE, what);
	}
}

/* tpm-psk, which stops when it is about to end, its memory as it left it. */
static void import(size_t number)
{
	char program[4096];
	int in[2], status;
	pid_t pid;

	scene_built("keys/tpm-psk", program, sizeof(program));
	cr_assert_eq(pipe(in), 0);
	cr_assert_eq(write(in[1], secrets[number], SECRET_SIZE), SECRET_SIZE);
	close(in[1]);
	pid = fork();
	if (pid == 0) {
		dup2(in[0], STDIN_FILENO);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(program, "tpm-psk", "--socket", scene.socket, "key", "import",
			keys[number].name, "--identity", keys[number].identity, "--purpose",
			keys[number].purpose, "--allow", "uid:0", "--secret-file", "-",
			keys[number].mode ? "--mode" : (char *)NULL, keys[number].mode, NULL);
		_exit(99);
	}
	close(in[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSTOPPED(status)); /* after execve(2) */
	cr_assert_eq(
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL), 0);
	do {
		cr_assert_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSTOPPED(status), "tpm-psk: %x", status);
	} while (status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8));
	expect_nowhere(pid, secrets[number], SECRET_SIZE, "tpm-psk at its end: the secret");
	cr_assert_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

static void import_all(void)
{
	for (size_t i = 0; i < N_KEYS; i++)
		import(i);
}

Test(memory, of_tpm_psk_and_daemon_holds_no_secret_that_was_imported)
{
	struct scan_result r;
	pid_t daemon = command_pid(scene.daemon);

	/* That something is found at all: the name of the socket, which the daemon knows. */
	count(daemon, (const uint8_t *)scene.socket, strlen(scene.socket), &r);
	cr_assert_gt(r.locked + r.unlocked, 0);
	import_all();
	expect_no_key(daemon, "after import");
	cr_assert_eq(scene_reload(&scene), 0);
	expect_no_key(daemon, "after a reload");
}

/* What the client got, from its other end. */
static void read_secret(int fd, uint8_t ret[SECRET_SIZE])
{
	cr_assert_eq(read(fd, ret, SECRET_SIZE), SECRET_SIZE, "the client did not get it");
}

struct client {
	pid_t pid;
	int in, out;
};

static struct client start_client(void)
{
	char program[4096];
	struct client c;
	int in[2], out[2];

	scene_built("tests/hostile/memory-client", program, sizeof(program));
	cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	c.pid = fork();
	if (c.pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl(program, "memory-client", scene.socket, NULL);
		_exit(99);
	}
	close(in[0]);
	close(out[1]);
	c.in = in[1];
	c.out = out[0];
	return c;
}

static void end_client(struct client *c)
{
	int status;

	close(c->in);
	cr_assert_eq(waitpid(c->pid, &status, 0), c->pid);
	cr_assert_eq(status, 0);
	close(c->out);
}

Test(memory, of_client_and_daemon_holds_no_session_secret_once_it_was_handed_out)
{
	static const char *const what[] = { "tls12-session", "session-identity, strict",
		"session-identity, epoch", "exporter-kdf", "the handshake secret",
		"the master secret", "the imported PSK" };
	uint8_t got[N_KEYS][SECRET_SIZE];
	pid_t daemon = command_pid(scene.daemon);
	struct client c;

	import_all();
	c = start_client();
	for (size_t i = 0; i < N_KEYS; i++)
		read_secret(c.out, got[i]);
	for (size_t i = 0; i < N_KEYS; i++) {
		expect_nowhere(c.pid, got[i], SECRET_SIZE, what[i]);
		expect_nowhere(daemon, got[i], SECRET_SIZE, what[i]);
		expect_nowhere(c.pid, secrets[i], SECRET_SIZE, "in the client: the key's secret");
	}
	expect_no_key(daemon, "after derivations");
	end_client(&c);
}

/* What lies between a PSK and what the TPM holds, and that itself. */
static void expect_nothing_between(pid_t daemon, size_t number, enum tpmpsk_purpose purpose)
{
	static const uint8_t zeroes[TPMPSK_DIGEST_SIZE_MAX];
	struct key_secret objects[KEYFILE_OBJECTS_MAX];
	size_t n = key_secrets_make((uint8_t)purpose, secrets[number], SECRET_SIZE, objects);
	uint8_t early[TPMPSK_DIGEST_SIZE_MAX];

	/* Not a premaster secret that is longer than that: half of it is zeroes, and the rest is the PSK. */
	for (size_t i = 0; i < n && objects[i].len <= TPMPSK_DIGEST_SIZE_MAX; i++)
		expect_nowhere(daemon, objects[i].bytes, objects[i].len, "an object's secret");
	for (enum tpmpsk_digest d = TPMPSK_DIGEST_SHA256; d < TPMPSK_DIGEST_COUNT; d++) {
		hash_hmac(d, zeroes, tpmpsk_digest_size(d), secrets[number], SECRET_SIZE, early);
		expect_nowhere(daemon, early, tpmpsk_digest_size(d), "the early secret");
	}
}

Test(memory, of_the_daemon_holds_nothing_of_a_key_schedule)
{
	pid_t daemon = command_pid(scene.daemon);
	uint8_t got[SECRET_SIZE];
	struct client c;

	import_all();
	c = start_client();
	for (size_t i = 0; i < N_KEYS; i++)
		read_secret(c.out, got);
	expect_nothing_between(daemon, FIRST_SCHEDULE, TPMPSK_PURPOSE_TLS13_SCHEDULE);
	expect_nothing_between(daemon, FIRST_SCHEDULE + 1, TPMPSK_PURPOSE_TLS12_MASTER);
	expect_nothing_between(daemon, FIRST_SCHEDULE + 2, TPMPSK_PURPOSE_PSK_IMPORT);
	end_client(&c);
}

static void hmac(const uint8_t *key, const void *in, size_t len, uint8_t out[32])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, 32);
	crypto_auth_hmacsha256_update(&state, in, len);
	crypto_auth_hmacsha256_final(&state, out);
}

/* In locked pages, and somewhere when it should be there. */
static void expect_locked(pid_t pid, const uint8_t *wanted, const char *what)
{
	struct scan_result r;

	count(pid, wanted, SESSION_KEY_SIZE, &r);
	cr_expect_geq(r.locked, 1, "%s is not there", what);
	cr_expect_eq(r.unlocked, 0, "%s: %s", what, r.where);
}

/*
 * What the daemon keeps of a key: for each of the two hashes of an HMAC its state behind the block
 * that the key makes, and that block, as libsodium leaves it.
 */
static void expect_begun(
	pid_t pid, const crypto_auth_hmacsha256_state *begun, bool there, const char *what)
{
	const uint8_t *parts[] = { (const uint8_t *)begun->ictx.state, begun->ictx.buf,
		(const uint8_t *)begun->octx.state, begun->octx.buf };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (there)
			expect_locked(pid, parts[i], what);
		else
			expect_nowhere(pid, parts[i], SESSION_KEY_SIZE, what);
	}
}

static void check_epoch(pid_t daemon, size_t number, enum session_version version)
{
	uint8_t message[SESSION_MESSAGE_MAX], s[32], key[32];
	struct session_keys made;
	uint64_t epoch = session_epoch_of((uint64_t)time(NULL) * 1000);
	size_t len = session_epoch_message(version, epoch, message);

	hmac(secrets[number], message, len, s);
	session_epoch_keys(s, &made);
	expect_nowhere(daemon, s, sizeof(s), "the epoch's secret itself");
	hmac(s, "tag", 3, key);
	expect_nowhere(daemon, key, sizeof(key), "the key for tags itself");
	hmac(s, "psk", 3, key);
	expect_nowhere(daemon, key, sizeof(key), "the key for PSKs itself");
	expect_begun(daemon, &made.tag, true, "the HMAC for tags");
	expect_begun(daemon, &made.psk, version == SESSION_EPOCH, "the HMAC for PSKs");
}

static bool may_lock(void)
{
	char path[64], line[256];
	bool unlimited = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", command_pid(scene.daemon));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmLck:", 6) == 0)
			unlimited = strtoul(line + 6, NULL, 10) > 0;
	if (f)
		fclose(f);
	return unlimited;
}

Test(memory, of_the_daemon_holds_what_belongs_to_an_epoch_in_locked_pages_only)
{
	pid_t daemon = command_pid(scene.daemon);
	uint8_t got[SECRET_SIZE];
	struct client c;
	time_t before;

	if (!may_lock())
		cr_skip_test("the daemon may lock nothing here");
	import_all();
	before = time(NULL) * 1000 / SESSION_EPOCH_MS;
	c = start_client();
	for (size_t i = 0; i < N_KEYS; i++)
		read_secret(c.out, got);
	end_client(&c);
	if (time(NULL) * 1000 / SESSION_EPOCH_MS != before)
		cr_skip_test("an epoch ended in the middle");
	check_epoch(daemon, 1, SESSION_STRICT);
	check_epoch(daemon, 2, SESSION_EPOCH);
	cr_assert_eq(scene_reload(&scene), 0);
	check_epoch(daemon, 1, SESSION_STRICT);
	check_epoch(daemon, 2, SESSION_EPOCH);
}

Test(memory, of_the_daemon_goes_to_no_core_file)
{
	char path[64], line[256];
	bool none = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/limits", command_pid(scene.daemon));
	f = fopen(path, "re");
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f)) {
		char soft[32], hard[32];

		if (sscanf(line, "Max core file size %31s %31s", soft, hard) == 2)
			none = strcmp(soft, "0") == 0 && strcmp(hard, "0") == 0;
	}
	fclose(f);
	cr_expect(none);
}
