/* SPDX-License-Identifier: BSD-2-Clause */
/* What clients and the log see of a TPM that fails: each row of daemon/FAULTS.md, against a running daemon. */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define WRONG -2
#define FOREVER UINT32_MAX
#define RESUME_MS 2000 /* after which it must be as before */

static struct scene scene;
static struct tempdir own; /* for the TCTI's counters */
static struct tcti_test *tcti;
static const uint8_t secret[32] = "a secret of thirty-two bytes ...";
static uint64_t seed;

static int import(const char *name)
{
	struct command_result result;
	char file[256];
	int status;
	FILE *f;

	snprintf(file, sizeof(file), "%s/secret", scene.dir.path);
	f = fopen(file, "w");
	cr_assert_eq(fwrite(secret, 1, sizeof(secret), f), sizeof(secret));
	fclose(f);
	cr_assert_eq(scene_psk(&scene, NULL, &result, "key", "import", name, "--identity", name,
			     "--purpose", "tls12-session", "--allow", "uid:0", "--secret-file",
			     file, NULL),
		0);
	status = result.status;
	if (status != 0)
		cr_assert_not_null(strstr(result.err, "tpm-unavailable"), "%s", result.err);
	command_result_done(&result);
	return status;
}

static void start(const char *config)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	cr_assert_eq(
		scene_init(&scene, &(struct scene_options){ .tcti = name, .config = config }), 0);
	cr_assert_eq(import("a"), 0);
}

static void teardown(void)
{
	if (tcti)
		tcti->hanging = 0;
	scene_done(&scene);
	watch_done(&own, tcti);
}

TestSuite(faults, .fini = teardown, .timeout = 300);

/* The status of a derivation under key "a", or WRONG. */
static int ask(void)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX], reply[TPMPSK_MESSAGE_MAX], want[32];
	struct tpmpsk_derive q;
	struct tpmpsk_derived d;
	struct tpmpsk_reader r;
	int fd = raw_connect(scene.socket), n, status;
	size_t len;

	cr_assert_geq(fd, 0);
	raw_derive(&q, "a", ++seed);
	cr_assert_eq(tpmpsk_derive_encode(1, &q, packet, sizeof(packet), &len), 0);
	n = raw_call(fd, packet, len, reply);
	close(fd);
	status = raw_status(reply, n, 1);
	if (status != TPMPSK_STATUS_OK)
		return status;
	tpmpsk_reader_init(&r, reply + TPMPSK_HEADER_SIZE, (size_t)n - TPMPSK_HEADER_SIZE);
	cr_assert_eq(tpmpsk_derived_decode(&r, &d), 0);
	raw_expected(&q, secret, sizeof(secret), want);
	return d.secret_len == 32 && memcmp(d.secret, want, 32) == 0 ? TPMPSK_STATUS_OK : WRONG;
}

static void serves_again(const char *what)
{
	long long until = command_now_ms() + RESUME_MS;
	int status;

	while ((status = ask()) != TPMPSK_STATUS_OK) {
		cr_assert_neq(status, WRONG, "%s", what);
		cr_assert_lt(command_now_ms(), until, "%s: status %d", what, status);
		usleep(1000);
	}
}

static void has_logged(const char *what, const char *text)
{
	char *err = command_err(scene.daemon);

	cr_assert_not_null(strstr(err, text), "%s: no '%s' in:\n%s", what, text, err);
	free(err);
}

static void no_fault(void)
{
}

static void reset(void)
{
	cr_assert_eq(swtpm_reset(&scene.tpm), 0);
}

static void kill_tpm(void)
{
	swtpm_kill(&scene.tpm);
}

static void restart(void)
{
	kill_tpm();
	cr_assert_eq(swtpm_start(&scene.tpm), 0);
}

static void start_tpm(void)
{
	cr_assert_eq(swtpm_start(&scene.tpm), 0);
}

#define OK TPMPSK_STATUS_OK
#define UNAVAILABLE TPMPSK_STATUS_TPM_UNAVAILABLE

static const struct row {
	const char *name; /* as in FAULTS.md */
	int status;       /* what the client gets */
	const char *log;  /* what the daemon says; "": nothing */
	void (*happen)(void);
	void (*pass)(void); /* what ends it; NULL: it is over with the first request */
	enum tcti_test_fault fault;
	TPM2_CC command;
	uint32_t times, value;
} rows[] = {
	{ "reset", OK, "it lost what we left there", reset },
	{ "restarted", OK, "it lost what we left there", restart },
	{ "gone", UNAVAILABLE, "TPM: lost", kill_tpm, start_tpm },
	{ "connection cut", OK, "TPM: lost", .fault = TCTI_TEST_DROP, .command = TPM2_CC_HMAC,
		.times = 1 },
	{ "RETRY", OK, "", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC, .times = 20,
		.value = TPM2_RC_RETRY },
	{ "YIELDED", OK, "", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC, .times = 20,
		.value = TPM2_RC_YIELDED },
	{ "TESTING", OK, "", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC, .times = 20,
		.value = TPM2_RC_TESTING },
	{ "CANCELED", OK, "", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC, .times = 20,
		.value = TPM2_RC_CANCELED },
	{ "NV_RATE", OK, "", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC, .times = 20,
		.value = TPM2_RC_NV_RATE },
	{ "NV_UNAVAILABLE", OK, "", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC, .times = 20,
		.value = TPM2_RC_NV_UNAVAILABLE },
	{ "any of these for longer", UNAVAILABLE, "compute an HMAC", no_fault, no_fault,
		TCTI_TEST_ANSWER, TPM2_CC_HMAC, FOREVER, TPM2_RC_TESTING },
	{ "LOCKOUT", UNAVAILABLE, "compute an HMAC", no_fault, no_fault, TCTI_TEST_ANSWER,
		TPM2_CC_HMAC, FOREVER, TPM2_RC_LOCKOUT },
	{ "OBJECT_MEMORY", OK, "", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC, .times = 1,
		.value = TPM2_RC_OBJECT_MEMORY },
	{ "SESSION_MEMORY", OK, "it is full", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC,
		.times = 1, .value = TPM2_RC_SESSION_MEMORY },
	{ "SESSION_HANDLES", OK, "it is full", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC,
		.times = 1, .value = TPM2_RC_SESSION_HANDLES },
	{ "full for longer", UNAVAILABLE, "it is full", no_fault, no_fault, TCTI_TEST_ANSWER,
		TPM2_CC_HMAC, FOREVER, TPM2_RC_OBJECT_MEMORY },
	{ "HANDLE", OK, "it lost what we left there", .fault = TCTI_TEST_ANSWER,
		.command = TPM2_CC_HMAC, .times = 1, .value = TPM2_RC_HANDLE + TPM2_RC_1 },
	{ "REFERENCE_H0", OK, "it lost what we left there", .fault = TCTI_TEST_ANSWER,
		.command = TPM2_CC_HMAC, .times = 1, .value = TPM2_RC_REFERENCE_H0 },
	{ "REFERENCE_S0", OK, "it lost what we left there", .fault = TCTI_TEST_ANSWER,
		.command = TPM2_CC_HMAC, .times = 1, .value = TPM2_RC_REFERENCE_S0 },
	{ "CONTEXT_GAP", OK, "it lost what we left there", .fault = TCTI_TEST_ANSWER,
		.command = TPM2_CC_HMAC, .times = 1, .value = TPM2_RC_CONTEXT_GAP },
	{ "INITIALIZE", OK, "it lost what we left there", .fault = TCTI_TEST_ANSWER,
		.command = TPM2_CC_HMAC, .times = 1, .value = TPM2_RC_INITIALIZE },
	{ "AUTH_FAIL", OK, "compute an HMAC", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC,
		.times = 1, .value = TPM2_RC_AUTH_FAIL + TPM2_RC_S + TPM2_RC_1 },
	{ "executed, and told otherwise", OK, "it lost what we left there",
		.fault = TCTI_TEST_REPLACE, .command = TPM2_CC_HMAC, .times = 1,
		.value = TPM2_RC_RETRY },
	{ "FAILURE", OK, "TPM: lost", .fault = TCTI_TEST_ANSWER, .command = TPM2_CC_HMAC,
		.times = 1, .value = TPM2_RC_FAILURE },
	{ "FAILURE for longer", UNAVAILABLE, "TPM: lost", no_fault, no_fault, TCTI_TEST_ANSWER, 0,
		FOREVER, TPM2_RC_FAILURE },
	{ "any other code", TPMPSK_STATUS_INTERNAL, "compute an HMAC", .fault = TCTI_TEST_ANSWER,
		.command = TPM2_CC_HMAC, .times = 1, .value = TPM2_RC_NV_DEFINED },
	{ "nothing", OK, "TPM: lost", .fault = TCTI_TEST_TRUNCATE, .command = TPM2_CC_HMAC,
		.times = 1, .value = 0 },
	{ "half a header", OK, "TPM: lost", .fault = TCTI_TEST_TRUNCATE, .command = TPM2_CC_HMAC,
		.times = 1, .value = 5 },
	{ "a response cut short", OK, "TPM: lost", .fault = TCTI_TEST_TRUNCATE,
		.command = TPM2_CC_HMAC, .times = 1, .value = 30 },
	{ "garbage", OK, "TPM: lost", .fault = TCTI_TEST_GARBAGE, .command = TPM2_CC_HMAC,
		.times = 1 },
	{ "garbage for longer", UNAVAILABLE, "TPM: lost", no_fault, no_fault, TCTI_TEST_GARBAGE, 0,
		FOREVER, 0 },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void play(const struct row *row)
{
	const char *what = row->name;
	char other[32];

	cr_assert_eq(ask(), OK, "%s", what);
	if (row->happen)
		row->happen();
	if (row->fault != TCTI_TEST_NO_FAULT)
		tcti_test_inject(tcti, row->fault, row->command, 0, row->times, row->value);
	cr_assert_eq(ask(), row->status, "%s", what);
	if (row->pass) {
		snprintf(other, sizeof(other), "b%zu", (size_t)(row - rows));
		if (row->times == FOREVER)
			cr_assert_eq(import(other) == 0, row->command == TPM2_CC_HMAC, "%s", what);
		tcti->fault = TCTI_TEST_NO_FAULT;
		row->pass();
	}
	serves_again(what);
	cr_assert_eq(tcti->fault, TCTI_TEST_NO_FAULT, "%s", what);
	has_logged(what, row->log);
}

/* Each with a daemon of its own: there is a bound on the lines about the TPM. */
Test(faults, have_the_effects_that_the_table_says)
{
	start("{\"audit\":\"off\"}");
	for (size_t i = 0; i < N_ROWS; i++) {
		cr_assert_eq(scene_start(&scene), 0);
		play(&rows[i]);
		cr_assert_eq(scene_stop(&scene, NULL), 0, "%s", rows[i].name);
	}
}

static char *table(void)
{
	static char text[32768];
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/daemon/FAULTS.md", getenv("TPMPSK_SOURCE"));
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

Test(faults, are_all_in_the_table_and_the_other_way_round)
{
	const char *text = strstr(table(), "## The TPM");
	char *end = text ? strstr(text, "\n## ") : NULL;
	size_t n = 0;

	cr_assert(text && end);
	*end = '\0';
	for (const char *p = text; (p = strstr(p, "\n| ")); p++)
		n++;
	/* One more is the table's head, and three have tests of their own below. */
	cr_assert_eq(n, 1 + N_ROWS + 3, "%zu rows", n);
	for (size_t i = 0; i < N_ROWS; i++) {
		char row[80];

		snprintf(row, sizeof(row), "\n| %s |", rows[i].name);
		cr_assert_not_null(strstr(text, row), "%s", row);
	}
	cr_assert_not_null(strstr(text, "\n| no answer |"));
	cr_assert_not_null(strstr(text, "\n| another TPM |"));
	cr_assert_not_null(strstr(text, "\n| a password on a key |"));
}

static void has_state(const char *word)
{
	struct command_result result;
	char text[64];

	snprintf(text, sizeof(text), "\"state\": \"%s\"", word);
	cr_assert_eq(scene_psk(&scene, NULL, &result, "status", "--json", NULL), 0);
	cr_assert_not_null(strstr(result.out, text), "%s", result.out);
	command_result_done(&result);
}

/* The one that waits gets its deadline; who comes later is not kept waiting. */
Test(faults, no_answer_at_all_holds_up_nobody)
{
	long long before;
	int status;

	start("{\"audit\":\"off\",\"limits\":{\"deadline_ms\":500}}");
	cr_assert_eq(ask(), OK);
	tcti_test_inject(tcti, TCTI_TEST_HANG, TPM2_CC_HMAC, 0, 1, 0);
	cr_assert_eq(ask(), TPMPSK_STATUS_DEADLINE);
	cr_assert(tcti->hanging);
	before = command_now_ms();
	while ((status = ask()) == TPMPSK_STATUS_DEADLINE)
		cr_assert_lt(command_now_ms() - before, COMMAND_DEADLINE_MS);
	cr_assert_eq(status, UNAVAILABLE);
	before = command_now_ms();
	cr_assert_eq(ask(), UNAVAILABLE);
	cr_assert_eq(import("b"), 1);
	cr_assert_lt(command_now_ms() - before, 400, "at once");
	has_state("silent");
	has_logged("no answer", "has not answered for 10 s");
	tcti->hanging = 0;
	serves_again("no answer");
	has_state("ready");
	has_logged("no answer", "answers again");
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}

static void put_back_the_first(void)
{
	char script[300];

	swtpm_stop(&scene.tpm);
	snprintf(script, sizeof(script), "cd %s && rm -r state && mv old.* state",
		scene.tpm.dir.path);
	cr_assert_eq(system(script), 0);
	cr_assert_eq(swtpm_start(&scene.tpm), 0);
}

Test(faults, another_TPM_is_given_nothing_to_do)
{
	struct command_result result;

	start("{\"audit\":\"off\"}");
	cr_assert_eq(ask(), OK);
	cr_assert_eq(swtpm_replace(&scene.tpm), 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(ask(), UNAVAILABLE);
	cr_assert_eq(import("b"), 1);
	has_state("different");
	has_logged("another TPM", "another one than the keys belong to");
	put_back_the_first();
	serves_again("another TPM");
	has_state("ready");

	/* It is not served from after a restart, either. */
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert_eq(swtpm_replace(&scene.tpm), 0);
	cr_assert_eq(scene_start_fails(&scene, &result), 0);
	cr_assert_eq(result.status, 1);
	cr_assert_not_null(strstr(result.err, "/keys/primary: "), "%s", result.err);
	cr_assert_not_null(
		strstr(result.err, "another one than these keys belong to"), "%s", result.err);
	cr_assert_eq(strchr(result.err, '\n') - result.err + 1, (ptrdiff_t)result.err_len, "%s",
		result.err);
	command_result_done(&result);
	put_back_the_first();
	cr_assert_eq(scene_start(&scene), 0);
	cr_assert_eq(ask(), OK);
}

static const char *primary_file(void)
{
	static char path[SWTPM_PATH_SIZE + 16];

	snprintf(path, sizeof(path), "%s/primary", scene.keys);
	return path;
}

/* Keys of before the name was written down; the first that loads is the proof. */
Test(faults, are_told_from_the_keys_where_no_name_was_written)
{
	start("{\"audit\":\"off\"}");
	cr_assert_eq(access(primary_file(), F_OK), 0);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert_eq(unlink(primary_file()), 0);
	cr_assert_eq(swtpm_replace(&scene.tpm), 0);
	cr_assert_eq(scene_start(&scene), 0);
	cr_assert_neq(access(primary_file(), F_OK), 0, "none of the keys loads");
	has_logged("no name", "none of the keys in");
	cr_assert_eq(ask(), TPMPSK_STATUS_INTERNAL);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	put_back_the_first();
	cr_assert_eq(scene_start(&scene), 0);
	cr_assert_eq(access(primary_file(), F_OK), 0);
	cr_assert_eq(ask(), OK);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
}

Test(faults, of_before_are_forgotten_where_there_are_no_keys)
{
	start("{\"audit\":\"off\"}");
	cr_assert_eq(scene_psk_ok(&scene, "key", "remove", "a", NULL), 0);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert_eq(swtpm_replace(&scene.tpm), 0);
	cr_assert_eq(scene_start(&scene), 0);
	cr_assert_eq(import("a"), 0);
	cr_assert_eq(ask(), OK);
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	cr_assert_eq(scene_start(&scene), 0);
	cr_assert_eq(ask(), OK);
}
