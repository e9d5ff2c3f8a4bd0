/* SPDX-License-Identifier: BSD-2-Clause */
/* The TPM thread when the TPM does not come back from a command, or comes back as another one. */
#include "daemon/engine.h"
#include "daemon/new_key.h"
#include "daemon/user.h"

#include "tests/daemon/tpm_keys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

static struct tpm_bed bed;
static struct engine *engine;
static struct user user;
static struct new_key new_key;
static struct job jobs[4];

static void set_up(void)
{
	struct tpm_options options = { .tcti = bed.name, .encrypt_sessions = true };

	cr_assert_geq(sodium_init(), 0);
	tpm_bed_init(&bed);
	tpm_bed_open(&bed, true);
	tpm_bed_key(&bed, "secret", 6, &new_key.file);
	cr_assert_eq(engine_start(&engine, &options, bed.tpm), 0);
	bed.tpm = NULL; /* the engine's */
	cr_assert_eq(engine_account_add(engine, &user.account), 0);
	queue_flow_init(&user.background, &user.account);
}

static void tear_down(void)
{
	bed.tcti->hanging = 0;
	cr_assert(engine_stop(engine, COMMAND_DEADLINE_MS));
	while (engine_collect(engine))
		continue;
	engine_account_remove(engine, &user.account);
	engine_free(engine);
	keyfile_done(&new_key.file);
	tpm_bed_done(&bed);
}

TestSuite(engine, .init = set_up, .fini = tear_down, .timeout = 120);

/* One that is right when the TPM is ours and answers. */
static struct job *submit(size_t i)
{
	jobs[i] = (struct job){ .kind = JOB_ADOPT, .user = &user, .new_key = &new_key };
	list_init(&jobs[i].done_link);
	engine_submit(engine, &user.background, &jobs[i]);
	return &jobs[i];
}

static int result_of(const struct job *job)
{
	struct job *done;

	while (!(done = engine_collect(engine))) {
		struct pollfd p = { .fd = engine_fd(engine), .events = POLLIN };

		cr_assert_eq(poll(&p, 1, COMMAND_DEADLINE_MS), 1);
	}
	cr_assert_eq(done, job);
	return job->result;
}

static bool is_state(const char *word)
{
	struct engine_status status;

	engine_status(engine, &status);
	return strcmp(status.state, word) == 0;
}

static void wait_for(_Atomic uint32_t *flag)
{
	long long until = command_now_ms() + COMMAND_DEADLINE_MS;

	while (!*flag) {
		cr_assert_lt(command_now_ms(), until);
		poll(NULL, 0, 1);
	}
}

Test(engine, refuses_at_once_while_the_TPM_is_silent_and_goes_on_when_it_speaks)
{
	struct job *first, *queued, *late;
	uint64_t now;

	tcti_test_inject(bed.tcti, TCTI_TEST_HANG, TPM2_CC_HMAC, 0, 1, 0);
	first = submit(0);
	wait_for(&bed.tcti->hanging);
	queued = submit(1);
	now = clock_ns();
	cr_assert_leq(engine_check(engine, now), now + ENGINE_SILENT_NS);
	cr_assert_gt(engine_check(engine, now), now);
	cr_assert_null(engine_collect(engine));
	cr_assert(is_state("ready"));

	now += ENGINE_SILENT_NS;
	cr_assert_eq(engine_check(engine, now), 0);
	cr_assert_eq(result_of(queued), -ETIMEDOUT);
	cr_assert(is_state("silent"));
	late = submit(2);
	cr_assert_eq(result_of(late), -ETIMEDOUT);
	cr_assert_eq(engine_check(engine, now + 1), 0);
	cr_assert_not(engine_hopeless(engine, now));
	cr_assert(engine_hopeless(engine, now + ENGINE_HOPELESS_NS));

	bed.tcti->hanging = 0;
	cr_assert_eq(result_of(first), 0);
	cr_assert_eq(result_of(submit(3)), 0);
	cr_assert(is_state("ready"));
	cr_assert_eq(engine_check(engine, clock_ns()), 0);
	cr_assert_not(engine_hopeless(engine, UINT64_MAX));
}

Test(engine, serves_nobody_from_another_TPM_until_the_right_one_is_back)
{
	char script[300];

	cr_assert_eq(result_of(submit(0)), 0);
	cr_assert_eq(swtpm_replace(&bed.swtpm), 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(result_of(submit(i)), -EREMCHG);
	cr_assert(is_state("different"));
	/* Back with the state of before. */
	swtpm_stop(&bed.swtpm);
	snprintf(script, sizeof(script), "cd %s && rm -r state && mv old.* state",
		bed.swtpm.dir.path);
	cr_assert_eq(system(script), 0);
	cr_assert_eq(swtpm_start(&bed.swtpm), 0);
	for (long long until = command_now_ms() + 2000; result_of(submit(0)) < 0;) {
		cr_assert_lt(command_now_ms(), until);
		poll(NULL, 0, 10);
	}
	cr_assert(is_state("ready"));
}
