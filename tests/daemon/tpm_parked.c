/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the module keeps in the TPM, and how it comes back in: as little as can be where others use
 * the TPM as well. Whose TPM it is, the module tells by the TCTI's name, so here a file of that name
 * stands for the device.
 */
#include "tests/daemon/tpm_keys.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define SECRET "Beans"

static struct tpm_bed bed;
static struct keyfile key;

/* What the clock is ahead, so that time passes without waiting for it. */
static time_t ahead_s;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret);

	ret->tv_sec += ahead_s;
	return r;
}

static void open_as(const char *folder, const char *name)
{
	char path[128], file[160];

	snprintf(path, sizeof(path), "%s/%s", bed.swtpm.dir.path, folder);
	mkdir(path, 0700);
	snprintf(file, sizeof(file), "%s/%s", path, name);
	tcti_test_unmap(bed.tcti);
	bed.tcti = tcti_test_map(file);
	cr_assert_not_null(bed.tcti);
	tcti_test_name(bed.name, sizeof(bed.name), file, bed.swtpm.tcti);
	tpm_bed_open(&bed, true);
	tpm_bed_key(&bed, SECRET, strlen(SECRET), &key);
}

static void set_up(void)
{
	tpm_bed_init(&bed);
}

static void tear_down(void)
{
	keyfile_done(&key);
	tpm_bed_done(&bed);
}

TestSuite(tpm_parked, .init = set_up, .fini = tear_down, .timeout = 120);

static bool right(uint64_t id)
{
	return tpm_bed_right(&bed, id, &key, SECRET, strlen(SECRET), "input", 5);
}

static uint64_t sent(uint32_t code)
{
	return tcti_test_count(bed.tcti, code);
}

/* What is in the TPM now: all that came, but for what went. */
static uint64_t there(void)
{
	return sent(TPM2_CC_CreatePrimary) + sent(TPM2_CC_StartAuthSession) + sent(TPM2_CC_Load) +
	       sent(TPM2_CC_ContextLoad) - sent(TPM2_CC_FlushContext);
}

Test(tpm_parked, keeps_one_key_and_a_session_behind_a_resource_manager)
{
	open_as("dev", "tpmrm0");
	cr_assert(tpm_info(bed.tpm)->shared);
	cr_assert_eq(there(), 1);
	cr_assert(right(1));
	cr_assert_eq(there(), 2);
	cr_assert(right(2));
	cr_assert_eq(there(), 2);
}

Test(tpm_parked, leaves_two_slots_to_others_beside_a_resource_manager)
{
	open_as("dev", "tpm0");
	cr_assert_not(tpm_info(bed.tpm)->shared);
	cr_assert_eq(tpm_info(bed.tpm)->slots, 1);
	cr_assert(right(1) && right(2));
	cr_assert_eq(there(), 2);
}

Test(tpm_parked, keeps_the_primary_key_where_nobody_else_is)
{
	open_as("own", "tpm");
	cr_assert(right(1) && right(2));
	cr_assert_eq(sent(TPM2_CC_ContextSave), 0);
	cr_assert_eq(there(), 4);
}

Test(tpm_parked, sends_one_command_for_an_HMAC_under_a_loaded_key)
{
	uint64_t before;

	open_as("dev", "tpmrm0");
	cr_assert(right(1));
	before = sent(0);
	cr_assert(right(1));
	cr_assert_eq(sent(0), before + 1);
}

Test(tpm_parked, makes_the_primary_key_once)
{
	struct keyfile k;

	open_as("dev", "tpmrm0");
	for (uint64_t id = 1; id < 5; id++)
		cr_assert(right(id));
	tpm_bed_key(&bed, "another", 7, &k);
	keyfile_done(&k);
	cr_assert_eq(sent(TPM2_CC_CreatePrimary), 1);
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
}

Test(tpm_parked, comes_back_after_a_reset)
{
	open_as("dev", "tpmrm0");
	cr_assert(right(1));
	cr_assert_eq(swtpm_reset(&bed.swtpm), 0);
	cr_assert(right(2));
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 1);
	cr_assert(right(1));
}

Test(tpm_parked, has_the_primary_key_anew_when_its_context_is_refused)
{
	static const TPM2_RC codes[] = { TPM2_RC_INTEGRITY + TPM2_RC_P + TPM2_RC_1,
		TPM2_RC_HANDLE + TPM2_RC_P + TPM2_RC_1, TPM2_RC_REFERENCE_H0 };

	open_as("dev", "tpmrm0");
	for (uint64_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_ContextLoad, 0, 1, codes[i]);
		cr_assert(right(10 + i), "%x", codes[i]);
		cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, i + 1, "%x", codes[i]);
	}
}

Test(tpm_parked, keeps_what_is_used_much_and_not_for_ever)
{
	open_as("own", "tpm");
	cr_assert_eq(tpm_info(bed.tpm)->slots, 2);
	for (int i = 0; i < 10; i++)
		cr_assert(right(1));
	cr_assert(right(2) && right(3) && right(4));
	cr_assert(tpm_is_loaded(bed.tpm, 1));
	for (uint64_t i = 0; i < 400; i++)
		cr_assert(right(2 + i % 2));
	cr_assert_not(tpm_is_loaded(bed.tpm, 1));
}

Test(tpm_parked, lets_what_rests_go_before_what_is_in_use)
{
	open_as("own", "tpm");
	cr_assert_eq(tpm_info(bed.tpm)->slots, 2);
	for (int i = 0; i < 10; i++)
		cr_assert(right(1));
	ahead_s = 2;
	cr_assert(right(5) && right(9));
	cr_assert_not(tpm_is_loaded(bed.tpm, 1));
	cr_assert(tpm_is_loaded(bed.tpm, 5) && tpm_is_loaded(bed.tpm, 9));
}

/*
 * Somebody on the bus gives the TPM a key of theirs, and so its name comes back: a byte of the name
 * is another, which begins behind header, handle and two sizes.
 */
Test(tpm_parked, does_not_take_another_key_for_the_one_it_loaded)
{
	const struct tpm_options options = { bed.name, false };
	uint8_t mac[TPM_MAC_MAX];
	size_t len;

	open_as("own", "tpm");
	tpm_free(bed.tpm);
	bed.tpm = NULL;
	cr_assert_eq(tpm_open(&bed.tpm, &options), 0);
	tcti_test_inject(bed.tcti, TCTI_TEST_FLIP, TPM2_CC_Load, 0, UINT32_MAX, 30);
	cr_assert_lt(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), 0);
	bed.tcti->fault = TCTI_TEST_NO_FAULT;
	tpm_bed_open(&bed, true);
	cr_assert(right(1));
}
