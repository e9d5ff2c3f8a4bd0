/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the running daemon cannot do any more, tried from inside it, and that it can do all the same what it has to. Each attempt is also
 * made with the sandbox switched off, where it fares otherwise: else it would show nothing about the sandbox.
 */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"
#include "tests/tcti/intruder.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Under sanitizers the daemon has no more of a sandbox than they can live in. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SANDBOX_LENIENT)
#define LENIENT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LENIENT 1
#endif
#endif
#ifndef LENIENT
#define LENIENT 0
#endif

#define DEADLINE_MS 20000

static struct scene scene;
static struct tempdir own;
static struct tcti_test *tcti;
static const uint8_t secret[32] = "a secret of thirty-two bytes ...";

static void teardown(void)
{
	scene_done(&scene);
	watch_done(&own, tcti);
}

TestSuite(sandbox, .fini = teardown, .timeout = 180);

static void write_secret(char path[256])
{
	FILE *f;

	snprintf(path, 256, "%s/secret", own.path);
	f = fopen(path, "we");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(secret, 1, sizeof(secret), f), sizeof(secret));
	fclose(f);
}

/* A daemon with the key "web" and, in a folder of its own, a configuration of these fields. */
static void start(const char *fields)
{
	char name[WATCH_NAME_SIZE], path[256];

	if (LENIENT)
		cr_skip_test("no sandbox under sanitizers");
	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .tcti = name, .config = fields }), 0);
	write_secret(path);
	cr_assert_eq(
		scene_psk_ok(&scene, "key", "import", "web", "--identity", "Client1", "--purpose",
			"tls12-session", "--allow", "uid:0", "--secret-file", path, NULL),
		0);
}

static int ask(void)
{
	static uint64_t seed;
	int fd = raw_connect(scene.socket), status;

	if (fd < 0)
		return -1;
	status = raw_ask(fd, "Client1", ++seed);
	close(fd);
	return status;
}

static int try(enum intruder_attempt what, const char *path)
{
	snprintf(tcti->path, sizeof(tcti->path), "%s", path ? path : "");
	tcti->attempt = what;
	cr_assert_eq(ask(), TPMPSK_STATUS_OK);
	cr_assert_eq(tcti->attempt, INTRUDER_NOTHING, "nothing was tried");
	return tcti->outcome;
}

static bool has_landlock(void)
{
	char *log = command_err(scene.daemon);
	bool has = log && !strstr(log, "no Landlock");

	free(log);
	return has;
}

static const struct attempt {
	const char *what;
	enum intruder_attempt attempt;
	const char *path;
	int outcome; /* inside */
	int without; /* with the sandbox switched off */
	bool by_landlock;
} attempts[] = {
	{ "open /etc/shadow", INTRUDER_READ, "/etc/shadow", -EACCES, 0, true },
	{ "open /etc/passwd", INTRUDER_READ, "/etc/passwd", -EACCES, 0, true },
	{ "list /root", INTRUDER_LIST, "/root", -EACCES, 0, true },
	{ "list /", INTRUDER_LIST, "/", -EACCES, 0, true },
	{ "make a file in /tmp", INTRUDER_CREATE, "/tmp/tpm-pskd-intruder", -EACCES, 0, true },
	{ "make a file in /dev/shm", INTRUDER_CREATE, "/dev/shm/tpm-pskd-intruder", -EACCES, 0,
		true },
	{ "chmod", INTRUDER_CHMOD, "/etc/shadow", -EPERM, 0, false },
	{ "execve", INTRUDER_EXECVE, NULL, -EPERM, -ENOENT, false },
	{ "fork", INTRUDER_FORK, NULL, -EPERM, 0, false },
	{ "fork by clone3", INTRUDER_CLONE3, NULL, -ENOSYS, 0, false },
	{ "socket(AF_INET)", INTRUDER_INET, NULL, -EPERM, 0, false },
	{ "socket(AF_INET6)", INTRUDER_INET6, NULL, -EPERM, 0, false },
	{ "socket(AF_NETLINK)", INTRUDER_NETLINK, NULL, -EPERM, 0, false },
	{ "ptrace", INTRUDER_PTRACE, NULL, -EPERM, -ESRCH, false },
	{ "process_vm_readv", INTRUDER_PEEK, NULL, -EPERM, 0, false },
	{ "kill", INTRUDER_SIGNAL, NULL, -EPERM, 0, false },
	{ "writable code", INTRUDER_CODE, NULL, -EPERM, 0, false },
	{ "code that was written", INTRUDER_CODE_LATER, NULL, -EPERM, 0, false },
	{ "setuid", INTRUDER_ROOT, NULL, -EPERM, 0, false },
	{ "unshare", INTRUDER_UNSHARE, NULL, -EPERM, 0, false },
	{ "become dumpable", INTRUDER_DUMPABLE, NULL, -EPERM, 0, false },
	{ "keyctl", INTRUDER_KEYRING, NULL, -EPERM, 0, false },
	{ "setrlimit", INTRUDER_LIMIT, NULL, -EPERM, 0, false },
	/* What has to work. */
	{ "a thread", INTRUDER_THREAD, NULL, 0, 0, false },
	{ "socket(AF_UNIX)", INTRUDER_UNIX, NULL, 0, 0, false },
	{ "open a library", INTRUDER_READ, "/usr/lib/os-release", 0, 0, true },
};

Test(sandbox, holds_against_attempts_from_inside)
{
	if (geteuid() != 0)
		cr_skip_test("others may not open /etc/shadow anyway");
	start("{\"audit\":\"off\"}");
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		const struct attempt *a = &attempts[i];
		int outcome = try(a->attempt, a->path);

		if (a->by_landlock && !has_landlock())
			continue;
		cr_expect_eq(outcome, a->outcome, "%s: %s", a->what, strerror(-outcome));
	}
}

Test(sandbox, is_what_the_attempts_fail_for)
{
	if (geteuid() != 0)
		cr_skip_test("others may not open /etc/shadow anyway");
	start("{\"audit\":\"off\",\"sandbox\":false}");
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		const struct attempt *a = &attempts[i];
		int outcome = try(a->attempt, a->path);

		/* Whatever it comes to here, where attempts may fail for reasons of the machine's, is not what the sandbox says. */
		if (a->without != a->outcome)
			cr_expect_neq(outcome, a->outcome, "%s: %s", a->what, strerror(-outcome));
	}
}

/* The value in a line of /proc/PID/task/TID/status. */
static void read_status(const char *tid, const char *field, char value[64])
{
	char path[PATH_MAX], line[256];
	FILE *f;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", command_pid(scene.daemon), tid);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	while (!*value && fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
			sscanf(line + strlen(field) + 1, "%63s", value);
	fclose(f);
	cr_assert(*value, "%s", field);
}

static unsigned for_each_thread(void (*check)(const char *tid))
{
	char path[PATH_MAX];
	struct dirent *e;
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", command_pid(scene.daemon));
	dir = opendir(path);
	cr_assert_not_null(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		check(e->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

/* Without the right to lock more than a limit that could not be lifted, the next allocation could fail. */
#define IPC_LOCK "0000000000004000"

static void check_confined(const char *tid)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	char value[64];

	read_status(tid, "NoNewPrivs", value);
	cr_expect_str_eq(value, "1");
	read_status(tid, "Seccomp", value);
	cr_expect_str_eq(value, "2");
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		read_status(tid, sets[i], value);
		cr_expect(strcmp(value, "0000000000000000") == 0 || strcmp(value, IPC_LOCK) == 0,
			"thread %s: %s: %s", tid, sets[i], value);
	}
}

Test(sandbox, holds_every_thread_without_a_capability_left)
{
	start("{\"audit\":\"off\"}");
	cr_assert_eq(ask(), TPMPSK_STATUS_OK);
	cr_expect_geq(for_each_thread(check_confined), 2);
}

static void wait_until_served(void)
{
	long long until = command_now_ms() + DEADLINE_MS;

	while (ask() != TPMPSK_STATUS_OK) {
		const struct timespec tick = { .tv_nsec = 5000000 };

		cr_assert_lt(command_now_ms(), until, "the TPM is not served again");
		nanosleep(&tick, NULL);
	}
}

/* The TCTI is closed and loaded anew, its library and its socket are found again. */
Test(sandbox, lets_a_lost_TPM_be_found_again)
{
	start("{\"audit\":\"off\"}");
	for (int i = 0; i < 3; i++) {
		swtpm_kill(&scene.tpm);
		cr_assert_neq(ask(), TPMPSK_STATUS_OK);
		cr_assert_eq(swtpm_start(&scene.tpm), 0);
		wait_until_served();
	}
}

static bool holds_text(const char *path, const char *text)
{
	char buf[4096] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	return strstr(buf, text);
}

static bool comes_to_hold(const char *path, const char *text)
{
	long long until = command_now_ms() + DEADLINE_MS;

	while (!holds_text(path, text)) {
		const struct timespec tick = { .tv_nsec = 2000000 };

		if (command_now_ms() > until)
			return false;
		nanosleep(&tick, NULL);
	}
	return true;
}

/* Files are replaced by renaming, as editors and logrotate do, so that the new ones are not the ones that were open at the start. */
Test(sandbox, lets_configuration_keys_and_audit_be_read_anew)
{
	char log[256], old[300], json[300], edited[300];

	start("{\"audit\":\"audit.log\"}");
	snprintf(log, sizeof(log), "%s/audit.log", scene.dir.path);
	snprintf(old, sizeof(old), "%s.1", log);
	snprintf(json, sizeof(json), "%s/web.json", scene.keys);
	snprintf(edited, sizeof(edited), "%s/edited", scene.dir.path);
	cr_assert_eq(ask(), TPMPSK_STATUS_OK);
	cr_assert_eq(rename(log, old), 0);
	unlink(scene.config); /* another inode, not the old one written over */
	cr_assert_eq(
		scene_configure(&scene, "{\"audit\":\"audit.log\",\"admins\":[\"user:root\"]}"), 0);
	cr_assert_eq(scene_reload(&scene), 0);
	cr_assert_eq(ask(), TPMPSK_STATUS_OK);
	cr_expect(comes_to_hold(log, "\"status\":\"ok\""), "the new audit file");
	/* Names of users are looked up, by a process that may. */
	cr_expect_eq(
		scene_psk_ok(&scene, "key", "allow", "web", "user:daemon", "group:daemon", NULL),
		0);
	cr_expect_neq(
		scene_psk_ok(&scene, "key", "allow", "web", "user:nobody-by-this-name", NULL), 0);
	cr_expect_eq(scene_psk_ok(&scene, "key", "generate", "more", "--identity", "Client2",
			     "--purpose", "tls12-session", "--allow", "user:root", NULL),
		0);
	cr_expect_eq(scene_psk_ok(&scene, "key", "remove", "more", NULL), 0);
	cr_expect(holds_text(json, "user:daemon"));
	cr_expect_eq(scene_stop(&scene, NULL), 0);
	cr_expect_neq(access(scene.socket, F_OK), 0, "the socket was not removed");
}

/* The pid of the process that looks up names, 0 when there is none. */
static pid_t names_pid(pid_t daemon)
{
	char path[64], line[64] = "";
	pid_t pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", daemon, daemon);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f))
		pid = (pid_t)strtol(line, NULL, 10);
	if (f)
		fclose(f);
	return pid;
}

static void wait_until_gone(pid_t pid)
{
	long long until = command_now_ms() + DEADLINE_MS;

	while (kill(pid, 0) == 0) {
		const struct timespec tick = { .tv_nsec = 2000000 };

		cr_assert_lt(command_now_ms(), until, "process %d is still there", pid);
		nanosleep(&tick, NULL);
	}
}

Test(sandbox, leaves_no_process_behind_however_the_daemon_ends)
{
	pid_t pid;

	start("{\"audit\":\"off\"}");
	pid = names_pid(command_pid(scene.daemon));
	cr_assert_gt(pid, 0);
	/* What is sent to all processes of a service is not for this one: it is needed until the end. */
	cr_assert_eq(kill(pid, SIGTERM), 0);
	cr_assert_eq(kill(pid, SIGHUP), 0);
	cr_expect_eq(scene_psk_ok(&scene, "key", "allow", "web", "user:daemon", NULL), 0);
	scene_kill(&scene);
	wait_until_gone(pid);
	cr_assert_eq(scene_start(&scene), 0);
	pid = names_pid(command_pid(scene.daemon));
	cr_assert_gt(pid, 0);
	cr_expect_eq(scene_stop(&scene, NULL), 0);
	wait_until_gone(pid);
}

/* Nobody to ask is not the same as no such user: everybody would lose their rights at a reload. */
Test(sandbox, keeps_the_old_state_when_names_cannot_be_looked_up)
{
	pid_t pid;

	start("{\"audit\":\"off\"}");
	cr_assert_eq(scene_psk_ok(&scene, "key", "allow", "web", "user:daemon", NULL), 0);
	pid = names_pid(command_pid(scene.daemon));
	cr_assert_gt(pid, 0);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_expect_neq(scene_psk_ok(&scene, "reload", NULL), 0);
	cr_expect_eq(ask(), TPMPSK_STATUS_OK);
	cr_expect_neq(scene_psk_ok(&scene, "key", "allow", "web", "user:root", NULL), 0);
}
