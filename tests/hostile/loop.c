/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon is started with, whose its socket is, how it ends: nothing stops the loop. */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNPRIVILEGED 20001
#define MIB ((rlim_t)1024 * 1024)

static struct scene scene;
static struct tempdir own; /* for the TCTI's counters */
static struct tcti_test *tcti;
static const uint8_t secret[32] = "a secret of thirty-two bytes ...";
static char program[4096];
static char notify[SWTPM_PATH_SIZE + 16];

static void start(void)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	cr_assert_eq(scene_init(&scene, &(struct scene_options){ .tcti = name,
						.config = "{\"audit\":\"off\"}" }),
		0);
	scene_built("daemon/tpm-pskd", program, sizeof(program));
	snprintf(notify, sizeof(notify), "NOTIFY_SOCKET=%s", scene.notify);
}

static void import(const char *name)
{
	char file[256];
	FILE *f;

	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret), f), sizeof(secret));
	fclose(f);
	cr_assert_eq(
		scene_psk_ok(&scene, "key", "import", name, "--identity", "Client1", "--purpose",
			"tls12-session", "--allow", "uid:0", "--secret-file", file, NULL),
		0);
}

static void teardown(void)
{
	scene_done(&scene);
	watch_done(&own, tcti);
}

TestSuite(loop, .fini = teardown, .timeout = 120);

/* A new client, one request, and away. */
static int ask_once(void)
{
	int fd = raw_connect(scene.socket);
	int status;

	cr_assert_geq(fd, 0, "connect: %s", strerror(-fd));
	status = raw_ask(fd, "Client1", 1);
	close(fd);
	return status;
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int socket_at(const char *path, int type, bool listening)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), high;

	cr_assert_geq(fd, 0);
	memcpy(address.sun_path, path, strlen(path) + 1);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		cr_assert_eq(listen(fd, 10), 0);
	high = fcntl(fd, F_DUPFD_CLOEXEC, 10); /* out of the way of the number 3 */
	cr_assert_geq(high, 10);
	close(fd);
	return high;
}

/* As a service manager does: the socket is descriptor 3, and the environment says for whom. */
static void start_activated(int fd, const char *how_many)
{
	static const char script[] = "exec 3<&$FD-; LISTEN_PID=$$ exec \"$0\" --config \"$1\"";
	const char *const argv[] = { "bash", "-c", script, program, scene.config, NULL };
	char number[32], fds[32];
	const char *const env[] = { notify, number, fds, NULL };

	snprintf(number, sizeof(number), "FD=%d", fd);
	snprintf(fds, sizeof(fds), "LISTEN_FDS=%s", how_many);
	cr_assert_eq(command_start(&scene.daemon, argv,
			     &(struct command_options){ .env = env, .pass_fd = fd }),
		0);
}

Test(loop, serves_on_a_socket_that_is_handed_over_and_blocks)
{
	int fd;

	start();
	import("a");
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	fd = socket_at(scene.socket, SOCK_SEQPACKET, true);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	start_activated(fd, "1");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(ask_once(), TPMPSK_STATUS_OK, "client %d", i);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	/* It is the service manager's, and serves the next process. */
	cr_assert(is_there(scene.socket));
	start_activated(fd, "1");
	cr_assert_eq(ask_once(), TPMPSK_STATUS_OK);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	close(fd);
}

static void refuses(int type, bool listening, const char *how_many)
{
	int fd = socket_at(scene.socket, type, listening);
	struct command_result result;

	start_activated(fd, how_many);
	cr_assert_eq(command_stop(scene.daemon, 0, COMMAND_DEADLINE_MS, &result), 0);
	scene_kill(&scene);
	cr_assert_eq(result.status, 1, "%s", result.err);
	cr_assert_not_null(strstr(result.err, "SOCK_SEQPACKET"), "%s", result.err);
	cr_assert_eq(strchr(result.err, '\n') - result.err + 1, (ptrdiff_t)result.err_len, "%s",
		result.err);
	command_result_done(&result);
	close(fd);
	cr_assert_eq(unlink(scene.socket), 0);
}

Test(loop, refuses_any_other_socket_that_is_handed_over)
{
	start();
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	refuses(SOCK_STREAM, true, "1");
	refuses(SOCK_SEQPACKET, false, "1");
	refuses(SOCK_DGRAM, false, "1");
	refuses(SOCK_SEQPACKET, true, "2");
}

/* Leaves out a limit above the one that this machine imposes on us. */
static void derives_with(rlim_t memlock)
{
	const char *const argv[] = { program, "--config", scene.config, NULL };
	const char *const env[] = { notify, NULL };
	const struct command_options options = {
		.env = env, .as_user = true, .uid = UNPRIVILEGED, .gid = UNPRIVILEGED
	};
	const struct rlimit limit = { memlock, memlock };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	cr_assert_eq(command_start(&scene.daemon, argv, &options), 0);
	cr_assert_eq(command_wait_err(scene.daemon, "ready:", COMMAND_DEADLINE_MS), 0, "%s",
		command_err(scene.daemon));
	for (int i = 0; i < 100; i++)
		cr_assert_eq(ask_once(), TPMPSK_STATUS_OK);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}

/* The replay memory alone is larger than either; the rest of the process fits under the first. */
Test(loop, starts_and_derives_where_an_ordinary_user_may_lock_little)
{
	char command[512];

	start();
	import("a");
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	/* All that it has is its own, and the TPM is anybody's. */
	snprintf(command, sizeof(command), "chown -R %d '%s' '%s' && chmod -R go+rwX '%s'",
		UNPRIVILEGED, scene.dir.path, own.path, scene.tpm.dir.path);
	cr_assert_eq(system(command), 0);
	derives_with(64 * MIB);
	derives_with(8 * MIB);
}

Test(loop, leaves_a_file_alone_that_is_no_socket)
{
	static const char content[] = "somebody's file\n";
	struct command_result result;
	char text[64] = "";
	FILE *f;

	start();
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	f = fopen(scene.socket, "w");
	fputs(content, f);
	fclose(f);
	cr_assert_eq(scene_start_fails(&scene, &result), 0);
	cr_assert_eq(result.status, 1);
	cr_assert_not_null(strstr(result.err, scene.config), "%s", result.err);
	cr_assert_not_null(strstr(result.err, "field 'socket'"), "%s", result.err);
	cr_assert_not_null(strstr(result.err, scene.socket), "%s", result.err);
	cr_assert_eq(strchr(result.err, '\n') - result.err + 1, (ptrdiff_t)result.err_len);
	command_result_done(&result);
	f = fopen(scene.socket, "r");
	cr_assert_not_null(f);
	cr_assert_eq(fread(text, 1, sizeof(text) - 1, f), sizeof(content) - 1);
	fclose(f);
	cr_assert_str_eq(text, content);
}

Test(loop, leaves_the_socket_of_a_new_configuration_to_whoever_made_it)
{
	char other[SWTPM_PATH_SIZE + 16], fields[512];
	struct command_result result;
	int fd;

	start();
	snprintf(other, sizeof(other), "%s/other", scene.dir.path);
	fd = socket_at(other, SOCK_SEQPACKET, true);
	snprintf(fields, sizeof(fields),
		"{\"audit\":\"off\",\"socket\":\"%s\",\"tcti\":\"device:/dev/none\"}", other);
	cr_assert_eq(scene_configure(&scene, fields), 0);
	cr_assert_eq(scene_reload(&scene), 0);
	cr_assert_eq(scene_psk(&scene, NULL, &result, "status", "--json", NULL), 0);
	cr_assert_eq(result.status, 0);
	cr_assert_not_null(strstr(result.out, scene.tpm.tcti), "%s", result.out);
	cr_assert_null(strstr(result.out, "/dev/none"), "%s", result.out);
	command_result_done(&result);
	cr_assert(is_there(scene.socket));
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert(is_there(other));
	cr_assert_not(is_there(scene.socket));
	close(fd);
}

Test(loop, leaves_a_socket_that_took_the_place_of_its_own)
{
	int fd;

	start();
	cr_assert_eq(unlink(scene.socket), 0);
	fd = socket_at(scene.socket, SOCK_SEQPACKET, true);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert(is_there(scene.socket));
	close(fd);
}

/* The lowest number that is free: with it as the limit, there is no descriptor left. */
static rlim_t descriptors_of(pid_t pid)
{
	char path[64];
	rlim_t n = 0;

	do
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)n++);
	while (is_there(path));
	return n - 1;
}

static void allow_descriptors(pid_t pid, rlim_t n)
{
	struct rlimit limit;

	cr_assert_eq(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
	cr_assert_eq(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* Not a derivation: swtpm's TCTI takes a descriptor for each command. */
static void send_hello(int fd)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	cr_assert_eq(tpmpsk_hello_encode(
			     1, &(struct tpmpsk_hello){ 1, 1 }, packet, sizeof(packet), &len),
		0);
	cr_assert_eq(send(fd, packet, len, MSG_NOSIGNAL), (ssize_t)len);
}

static int wait_status(int fd)
{
	const struct timeval patience = { .tv_sec = RAW_TIMEOUT_MS / 1000 };
	uint8_t reply[TPMPSK_MESSAGE_MAX];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return raw_status(reply, (int)recv(fd, reply, sizeof(reply), 0), 1);
}

static void connect_and_hello(int *ret)
{
	*ret = raw_connect(scene.socket);
	cr_assert_geq(*ret, 0);
	send_hello(*ret);
}

/* So many are served, then one comes for whom there is no descriptor. */
static void run_out(int served, int *fds)
{
	pid_t pid;

	start();
	import("a");
	for (int i = 0; i < served; i++) {
		connect_and_hello(&fds[i]);
		cr_assert_eq(wait_status(fds[i]), TPMPSK_STATUS_OK);
	}
	pid = command_pid(scene.daemon);
	allow_descriptors(pid, descriptors_of(pid));
	connect_and_hello(&fds[served]);
	cr_assert_eq(command_wait_err(scene.daemon, "accept: waiting", COMMAND_DEADLINE_MS), 0);
	for (int i = 0; i < served; i++) {
		send_hello(fds[i]);
		cr_assert_eq(wait_status(fds[i]), TPMPSK_STATUS_OK);
	}
}

/* Descriptors come back without any connection's end; those that are there stay idle. */
static void accepts_again(int idle)
{
	int fds[2];

	run_out(idle, fds);
	allow_descriptors(command_pid(scene.daemon), 1024);
	cr_assert_eq(wait_status(fds[idle]), TPMPSK_STATUS_OK);
	cr_assert_eq(ask_once(), TPMPSK_STATUS_OK);
	for (int i = 0; i <= idle; i++)
		close(fds[i]);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}

Test(loop, accepts_again_when_there_are_descriptors_though_nobody_left)
{
	accepts_again(1);
}

Test(loop, accepts_again_when_there_are_descriptors_without_any_connection)
{
	accepts_again(0);
}

/* Who hangs up gives back a descriptor, if not at once. */
Test(loop, accepts_again_when_one_of_two_has_left)
{
	int fds[3];

	run_out(2, fds);
	close(fds[0]);
	cr_assert_eq(wait_status(fds[2]), TPMPSK_STATUS_OK);
	close(fds[1]);
	close(fds[2]);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}

/* The TPM thread is flushing the key, without the lock, when it is told to stop. */
Test(loop, ends_in_order_right_after_a_key_was_removed)
{
	struct tpmpsk_key_name name = { .name = "a" };
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX];
	size_t len;
	int fd;

	start();
	cr_assert_eq(tpmpsk_key_name_encode(
			     1, TPMPSK_OP_KEY_REMOVE, &name, packet, sizeof(packet), &len),
		0);
	for (unsigned i = 0; i < 20; i++) {
		import("a");
		cr_assert_eq(ask_once(), TPMPSK_STATUS_OK);
		fd = raw_connect(scene.socket);
		tcti->latency_us = i * 1000;
		cr_assert_eq(
			raw_status(reply, raw_call(fd, packet, len, reply), 1), TPMPSK_STATUS_OK);
		cr_assert_eq(scene_stop(&scene, NULL), 0, "round %u", i);
		close(fd);
		tcti->latency_us = 0;
		cr_assert_eq(scene_start(&scene), 0);
	}
}
