/* SPDX-License-Identifier: BSD-2-Clause */
/* Two daemons that want the same socket, or the same key directory. */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scene one, two; /* each with a TPM of its own */

static void start(void)
{
	cr_assert_eq(scene_init(&one, &(struct scene_options){ .no_daemon = true }), 0);
	cr_assert_eq(scene_init(&two, &(struct scene_options){ .no_daemon = true }), 0);
}

static void teardown(void)
{
	scene_done(&one);
	scene_done(&two);
}

TestSuite(twins, .fini = teardown, .timeout = 120);

static void configure(struct scene *s, const char *socket, const char *keys)
{
	char fields[512];

	snprintf(fields, sizeof(fields), "{\"audit\":\"off\",\"socket\":\"%s\",\"keys\":\"%s\"}",
		socket, keys);
	cr_assert_eq(scene_configure(s, fields), 0);
}

static struct command *launch(const struct scene *s)
{
	char program[4096];
	const char *const argv[] = { program, "--config", s->config, NULL };
	struct command *c;

	scene_built("daemon/tpm-pskd", program, sizeof(program));
	cr_assert_eq(command_start(&c, argv, NULL), 0);
	return c;
}

/* Ends the daemon, and says whether it had been serving. */
static bool served(struct command *c)
{
	struct command_result result;
	bool ready = command_wait_err(c, "ready:", COMMAND_DEADLINE_MS) == 0;

	cr_assert_eq(command_stop(c, ready ? SIGTERM : 0, COMMAND_DEADLINE_MS, &result), 0);
	cr_assert_eq(result.status, ready ? 0 : 1, "%s", result.err);
	if (!ready)
		cr_assert_not_null(
			strstr(result.err, "another process is listening"), "%s", result.err);
	command_result_done(&result);
	command_free(c);
	return ready;
}

static void leave_a_dead_socket(void)
{
	struct command *c = launch(&one);

	cr_assert_eq(command_wait_err(c, "ready:", COMMAND_DEADLINE_MS), 0);
	command_free(c); /* kill -9 */
}

/* With a socket that a killed daemon left: both would remove it, and one of them the other's. */
Test(twins, that_start_at_once_do_not_take_each_others_socket)
{
	start();
	configure(&two, one.socket, two.keys);
	leave_a_dead_socket();
	for (int round = 0; round < 10; round++) {
		struct command *a = launch(&one), *b = launch(&two);
		bool first = command_wait_err(a, "ready:", COMMAND_DEADLINE_MS) == 0;
		struct ucred who;
		socklen_t len = sizeof(who);
		int fd;

		if (!first)
			cr_assert_eq(command_wait_err(b, "ready:", COMMAND_DEADLINE_MS), 0);
		/* Who says that it is ready is who answers. */
		fd = raw_connect(one.socket);
		cr_assert_geq(fd, 0, "round %d", round);
		cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len), 0);
		cr_assert_eq(who.pid, command_pid(first ? a : b), "round %d", round);
		close(fd);
		if (first) {
			cr_assert_not(served(b));
			cr_assert(served(a));
		} else {
			cr_assert_not(served(a));
			cr_assert(served(b));
		}
	}
}

Test(twins, of_which_one_is_about_to_bind_keep_out_of_its_way)
{
	char name[SWTPM_PATH_SIZE + 8];
	struct stat st;
	int fd;

	start();
	configure(&one, one.socket, one.keys);
	leave_a_dead_socket();
	snprintf(name, sizeof(name), "%s.lock", one.socket);
	fd = open(name, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0, "the dead hold no lock");
	cr_assert_not(served(launch(&one)));
	close(fd);
	cr_assert(served(launch(&one)));
	cr_assert_lt(lstat(name, &st), 0, "nothing is left of it");
}

Test(twins, with_one_key_directory_are_one_too_many)
{
	struct command_result result;

	start();
	configure(&two, two.socket, one.keys);
	cr_assert_eq(scene_start(&one), 0);
	cr_assert_eq(scene_start_fails(&two, &result), 0);
	cr_assert_eq(result.status, 1);
	cr_assert_not_null(strstr(result.err, "another tpm-pskd has it"), "%s", result.err);
	command_result_done(&result);
	cr_assert_eq(scene_psk_ok(&one, "status", NULL), 0);
	cr_assert_eq(scene_stop(&one, NULL), 0);
}
