/* SPDX-License-Identifier: BSD-2-Clause */
/* What the TPM module does when the TPM is reset, gone, full of leftovers, or answers nonsense. */
#include "daemon/tpm.h"

#include "tests/daemon/tpm_keys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define SECRET "a secret of the bed"

static struct tpm_bed bed;
static struct keyfile key;

static void set_up(void)
{
	tpm_bed_init(&bed);
	tpm_bed_open(&bed, true);
	tpm_bed_key(&bed, SECRET, strlen(SECRET), &key);
}

static void tear_down(void)
{
	keyfile_done(&key);
	tpm_bed_done(&bed);
}

TestSuite(tpm_faults, .init = set_up, .fini = tear_down, .timeout = 120);

static bool right(uint64_t id)
{
	return tpm_bed_right(&bed, id, &key, SECRET, strlen(SECRET), "input", 5);
}

static uint64_t sent(uint32_t code)
{
	return tcti_test_count(bed.tcti, code);
}

Test(tpm_faults, leaves_no_sequence_behind_that_failed)
{
	uint8_t mac[TPM_MAC_MAX];
	size_t len;

	bed.tcti->hide_hmac = 1;
	tpm_bed_open(&bed, true);
	tcti_test_inject(
		bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_SequenceComplete, 0, 5, TPM2_RC_NV_DEFINED);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), -EIO);
	cr_assert(right(1));
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
}

/* In a process that dies without cleaning up. */
static void use_and_die(bool right_at_the_end)
{
	const struct tpm_options options = { bed.name, true };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		bool ok = tpm_open(&bed.tpm, &options) == 0;

		for (uint64_t id = 1; ok && id <= 2; id++)
			ok = right(id) || (id == 2 && !right_at_the_end);
		_exit(ok ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

Test(tpm_faults, flushes_what_killed_predecessors_left)
{
	tpm_free(bed.tpm);
	bed.tpm = NULL;
	for (int i = 0; i < 5; i++)
		use_and_die(true);
	tpm_bed_open(&bed, true);
	cr_assert_geq(tpm_info(bed.tpm)->slots, 2);
	cr_assert(right(1));
}

Test(tpm_faults, flushes_a_sequence_that_a_predecessor_did_not_complete)
{
	bed.tcti->hide_hmac = 1;
	tpm_free(bed.tpm);
	bed.tpm = NULL;
	for (int i = 0; i < 5; i++) {
		tcti_test_inject(bed.tcti, TCTI_TEST_DROP, TPM2_CC_SequenceComplete, 1, 1, 0);
		use_and_die(false);
	}
	tpm_bed_open(&bed, true);
	cr_assert(right(1));
}

Test(tpm_faults, survives_a_reset_of_the_TPM)
{
	cr_assert(right(1));
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(swtpm_reset(&bed.swtpm), 0);
		cr_assert(right(1));
	}
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 3);
	cr_assert_eq(swtpm_reset(&bed.swtpm), 0);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), 0);
}

Test(tpm_faults, survives_a_reset_with_password_authorisation)
{
	struct keyfile k;

	tpm_bed_open(&bed, false);
	cr_assert(right(1));
	cr_assert_eq(swtpm_reset(&bed.swtpm), 0);
	cr_assert(right(1));
	cr_assert_eq(swtpm_reset(&bed.swtpm), 0);
	tpm_bed_key(&bed, "another", 7, &k);
	cr_assert(tpm_bed_right(&bed, 2, &k, "another", 7, "input", 5));
	keyfile_done(&k);
}

/* What the resource manager, or another user of a TPM that we took for ours, may do to us. */
Test(tpm_faults, survives_the_loss_of_session_and_objects)
{
	static const TPM2_RC losses[] = { TPM2_RC_REFERENCE_H0, TPM2_RC_REFERENCE_S0,
		TPM2_RC_CONTEXT_GAP, TPM2_RC_INITIALIZE, TPM2_RC_HANDLE + TPM2_RC_1,
		TSS2_RESMGR_TPM_RC_LAYER | (TPM2_RC_HANDLE + TPM2_RC_1) };

	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_HMAC, 0, 1, losses[i]);
		cr_assert(right(1), "after %x", losses[i]);
		cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, i + 1);
	}
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_HMAC, 0, 2, TPM2_RC_REFERENCE_S0);
	cr_assert_not(right(1), "one rebuild, not one after the other");
	cr_assert(right(1));
}

/* What the call comes to when the TPM answers so many HMACs with a code. */
static int answered(uint32_t times, TPM2_RC code)
{
	uint8_t mac[TPM_MAC_MAX] = { 0 };
	size_t len;

	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_HMAC, 0, times, code);
	return tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len);
}

Test(tpm_faults, asks_again_when_the_TPM_wants_that)
{
	static const TPM2_RC codes[] = { TPM2_RC_RETRY, TPM2_RC_YIELDED, TPM2_RC_TESTING,
		TPM2_RC_CANCELED, TPM2_RC_NV_RATE, TPM2_RC_NV_UNAVAILABLE };

	cr_assert(right(1));
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		uint64_t waits = tpm_stats(bed.tpm)->waits;

		/* More often than ESYS asks by itself. */
		cr_assert_eq(answered(20, codes[i]), 0, "%x", codes[i]);
		cr_assert_gt(tpm_stats(bed.tpm)->waits, waits, "%x", codes[i]);
		cr_assert(right(1));
	}
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
}

Test(tpm_faults, asks_again_whatever_the_command_is)
{
	static const TPM2_CC commands[] = { TPM2_CC_GetCapability, TPM2_CC_CreatePrimary,
		TPM2_CC_StartAuthSession, TPM2_CC_Load, TPM2_CC_HMAC, TPM2_CC_Create };
	struct keyfile k;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		tcti_test_inject(
			bed.tcti, TCTI_TEST_ANSWER, commands[i], 0, 20, TPM2_RC_TESTING);
		tpm_bed_open(&bed, true);
		cr_assert(right(1), "%x", commands[i]);
		tpm_bed_key(&bed, SECRET, strlen(SECRET), &k);
		keyfile_done(&k);
		cr_assert_eq(bed.tcti->fault, TCTI_TEST_NO_FAULT, "%x", commands[i]);
	}
}

Test(tpm_faults, does_not_ask_for_ever)
{
	static const TPM2_RC codes[] = { TPM2_RC_RETRY, TPM2_RC_NV_UNAVAILABLE };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		long long before = command_now_ms();

		cr_assert_eq(answered(UINT32_MAX, codes[i]), -EBUSY);
		cr_assert_geq(command_now_ms() - before, TPM_PATIENCE_MS);
		bed.tcti->fault = TCTI_TEST_NO_FAULT;
		cr_assert(right(1));
	}
	/* A lockout takes longer than anybody waits. */
	cr_assert_eq(answered(1, TPM2_RC_LOCKOUT), -EBUSY);
	cr_assert(right(1));
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
}

Test(tpm_faults, tells_a_TPM_that_is_full_from_one_that_lost_its_way)
{
	static const TPM2_RC full[] = { TPM2_RC_OBJECT_MEMORY, TPM2_RC_SESSION_MEMORY,
		TPM2_RC_MEMORY, TPM2_RC_SESSION_HANDLES, TPM2_RC_OBJECT_HANDLES };
	static const TPM2_RC lost[] = { TPM2_RC_FAILURE, TPM2_RC_UPGRADE, TPM2_RC_REBOOT };

	for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
		cr_assert_eq(answered(1, full[i]), 0, "%x", full[i]);
		cr_assert_eq(answered(100, full[i]), -EBUSY, "%x", full[i]);
		bed.tcti->fault = TCTI_TEST_NO_FAULT;
		cr_assert(right(1));
	}
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		cr_assert_eq(answered(1, lost[i]), -ENODEV, "%x", lost[i]);
		tpm_bed_open(&bed, true);
		cr_assert(right(1));
	}
}

/* The TPM did it and counted on, but what arrives is "retry": every further command has a wrong HMAC. */
Test(tpm_faults, starts_a_session_anew_that_is_out_of_step)
{
	static const TPM2_CC commands[] = { TPM2_CC_HMAC, TPM2_CC_Create };
	struct keyfile k;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		tpm_bed_open(&bed, true);
		tcti_test_inject(
			bed.tcti, TCTI_TEST_REPLACE, commands[i], 0, 1, TPM2_RC_RETRY);
		cr_assert(right(1), "%x", commands[i]);
		tpm_bed_key(&bed, SECRET, strlen(SECRET), &k);
		keyfile_done(&k);
		cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 1, "%x", commands[i]);
	}
}

Test(tpm_faults, knows_another_TPM_from_its_own)
{
	struct tpm_options options = { .tcti = bed.name, .encrypt_sessions = true };
	uint8_t mac[TPM_MAC_MAX] = { 0 };
	struct tpm *other;
	size_t len;

	options.primary = *tpm_primary(bed.tpm);
	cr_assert_eq(options.primary.len, 34);
	cr_assert(right(1));
	cr_assert_eq(swtpm_replace(&bed.swtpm), 0);
	cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), -EREMCHG);
	tpm_free(bed.tpm);
	bed.tpm = NULL;
	cr_assert_eq(tpm_open(&other, &options), -EREMCHG);
	options.primary.len = 0;
	cr_assert_eq(tpm_open(&other, &options), 0);
	cr_assert_eq(tpm_try_load(other, &key.objects[0]), -EKEYREJECTED);
	tpm_free(other);
}

Test(tpm_faults, says_so_when_the_TPM_is_gone_and_can_be_opened_anew)
{
	uint8_t mac[TPM_MAC_MAX];
	size_t len;

	swtpm_kill(&bed.swtpm);
	cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), -ENODEV);
	cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), -ENODEV);
	cr_assert_eq(swtpm_start(&bed.swtpm), 0);
	tpm_bed_open(&bed, true);
	cr_assert(right(1));
}

Test(tpm_faults, gives_no_answer_when_the_response_is_torn_or_wrong)
{
	static const struct {
		enum tcti_test_fault fault;
		uint32_t value;
	} faults[] = { { TCTI_TEST_TRUNCATE, 0 }, { TCTI_TEST_TRUNCATE, 4 },
		{ TCTI_TEST_TRUNCATE, 20 }, { TCTI_TEST_GARBAGE, 0 }, { TCTI_TEST_DROP, 0 } };
	uint8_t mac[TPM_MAC_MAX];
	size_t len;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		tcti_test_inject(bed.tcti, faults[i].fault, TPM2_CC_HMAC, 0, 1, faults[i].value);
		cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), -ENODEV,
			"%zu", i);
		tpm_bed_open(&bed, true);
		cr_assert(right(1));
	}
}

/* Lines on standard error while a client makes the TPM refuse n times. */
static size_t lines_logged(int n)
{
	int err = dup(STDERR_FILENO), file = memfd_create("stderr", MFD_CLOEXEC);
	char text[8192];
	ssize_t len;
	size_t lines = 0;

	cr_assert(err >= 0 && file >= 0);
	dup2(file, STDERR_FILENO);
	for (int i = 0; i < n; i++)
		cr_expect_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EKEYREJECTED);
	dup2(err, STDERR_FILENO);
	close(err);
	len = pread(file, text, sizeof(text), 0);
	close(file);
	for (ssize_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

Test(tpm_faults, does_not_let_clients_fill_the_log)
{
	key.objects[0].priv[40] ^= 1;
	cr_assert_eq(lines_logged(2), 2);
	cr_assert_eq(lines_logged(100), 8);
}

Test(tpm_faults, starts_up_a_TPM_that_nobody_has_started)
{
	cr_assert_eq(swtpm_reset(&bed.swtpm), 0);
	tpm_bed_open(&bed, true);
	cr_assert_eq(sent(TPM2_CC_Startup), 1);
}
