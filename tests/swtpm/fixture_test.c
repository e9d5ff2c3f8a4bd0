/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the other tests lean on must hold by itself: deadlines, captured output, users, a TPM that
 * comes and goes.
 */
#include "tests/swtpm/command.h"
#include "tests/swtpm/swtpm.h"
#include "tests/swtpm/vectors.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct command_result result;

static int sh(const char *script, const struct command_options *options)
{
	return command_run((const char *const[]){ "sh", "-c", script, NULL }, options, &result);
}

static void forget(void)
{
	command_result_done(&result);
}

Test(command, captures_output_errors_and_status, .fini = forget)
{
	const struct command_options options = { .input = "one\ntwo\n",
		.env = (const char *const[]){ "COLOUR=red", NULL } };

	cr_assert_eq(sh("cat; echo $COLOUR; echo oops >&2; exit 3", &options), 0);
	cr_assert_eq(result.status, 3);
	cr_assert_str_eq(result.out, "one\ntwo\nred\n");
	cr_assert_str_eq(result.err, "oops\n");
}

Test(command, kills_what_passes_its_deadline, .fini = forget)
{
	cr_assert_eq(
		sh("exec sleep 60", &(struct command_options){ .deadline_ms = 50 }), -ETIMEDOUT);
}

Test(command, runs_as_another_user_with_groups, .fini = forget)
{
	const struct command_options options = { .as_user = true,
		.uid = 4711,
		.gid = 4712,
		.n_groups = 2,
		.groups = (const gid_t[]){ 4712, 4713 } };

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(sh("id -u; id -G", &options), 0);
	cr_assert_str_eq(result.out, "4711\n4712 4713\n");
}

Test(command, reads_lines_of_a_running_program, .fini = forget)
{
	const char *const argv[] = { "sh", "-c",
		"echo first; echo second; echo err >&2; exec sleep 60", NULL };
	struct command *c;
	char line[64];

	cr_assert_eq(command_start(&c, argv, NULL), 0);
	cr_assert_eq(command_read_line(c, line, sizeof(line), COMMAND_DEADLINE_MS), 0);
	cr_assert_str_eq(line, "first");
	cr_assert_eq(command_read_line(c, line, sizeof(line), COMMAND_DEADLINE_MS), 0);
	cr_assert_str_eq(line, "second");
	cr_assert_eq(command_read_line(c, line, sizeof(line), 20), -ETIMEDOUT);
	cr_assert_eq(command_wait_err(c, "err\n", COMMAND_DEADLINE_MS), 0);
	cr_assert_eq(command_stop(c, SIGTERM, COMMAND_DEADLINE_MS, &result), 0);
	cr_assert_eq(result.status, 128 + SIGTERM);
	command_free(c);
}

static int read_public(const struct swtpm *t)
{
	char env[SWTPM_PATH_SIZE + 32];
	const char *const argv[] = { "tpm2_getcap", "properties-fixed", NULL };

	snprintf(env, sizeof(env), "TPM2TOOLS_TCTI=%s", t->tcti);
	forget();
	if (command_run(argv,
		    &(struct command_options){ .env = (const char *const[]){ env, NULL } },
		    &result) < 0)
		return -1;
	return result.status;
}

Test(swtpm, comes_and_goes_and_leaves_nothing, .fini = forget)
{
	struct swtpm t;
	struct stat st;
	char path[TEMPDIR_PATH_SIZE];

	cr_assert_eq(swtpm_init(&t), 0);
	memcpy(path, t.dir.path, sizeof(path));
	cr_assert_eq(read_public(&t), 0);
	swtpm_kill(&t);
	cr_assert_eq(swtpm_start(&t), 0);
	cr_assert_eq(read_public(&t), 0);
	cr_assert_eq(swtpm_reset(&t), 0);
	cr_assert_neq(read_public(&t), 0, "a TPM that was reset wants TPM2_Startup");
	cr_assert_eq(swtpm_replace(&t), 0);
	cr_assert_eq(read_public(&t), 0);
	swtpm_done(&t);
	cr_assert_lt(stat(path, &st), 0);
}

Test(vectors, are_found_by_purpose)
{
	struct vectors *v = vectors_load();
	const struct vector *entry;
	size_t pos = 0, n = 0;
	char key[256];

	while ((entry = vectors_next(v, "tls12-session", &pos))) {
		cr_assert_gt(vector_bytes(entry, "key", key, sizeof(key)), 0);
		cr_assert_eq(vector_bytes(entry, "absent", key, sizeof(key)), 0);
		n++;
	}
	cr_assert_gt(n, 3);
	vectors_free(v);
}
