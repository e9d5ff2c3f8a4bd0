/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No copy of a secret stays in the process that put it into the TPM. The test looks through all its
 * writable memory, as one who can read /proc/PID/mem would, for the secret and for its first and
 * second half, because an allocator writes over the start of what is freed.
 */
#include "daemon/tpm.h"

#include "tests/daemon/tpm_keys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define CHUNK 4096

/* Its shadow is terabytes to read, and it keeps what is freed on purpose. */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

static struct tpm_bed bed;
static struct keyfile key;
/* What is looked for, with every byte inverted, so that the test does not find itself. */
static uint8_t inverted[TPM_INPUT_MAX];

static void set_up(void)
{
	tpm_bed_init(&bed);
	tpm_bed_open(&bed, true);
}

static void tear_down(void)
{
	keyfile_done(&key);
	tpm_bed_done(&bed);
}

TestSuite(tpm_memory, .init = set_up, .fini = tear_down, .timeout = 120);

static bool stands_at(const uint8_t *p, const uint8_t *wanted, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((p[i] ^ wanted[i]) != 0xff)
			return false;
	return true;
}

/* How often the wanted bytes stand in a region. Reads through /proc, and cleans up what it read. */
static size_t count_in(int mem, uintptr_t from, uintptr_t to, const uint8_t *wanted, size_t len)
{
	static uint8_t window[CHUNK + TPM_INPUT_MAX];
	const uintptr_t own = (uintptr_t)window;
	size_t found = 0;

	for (uintptr_t at = from; at < to; at += CHUNK) {
		ssize_t n;

		if (at < own + sizeof(window) && own < at + sizeof(window))
			continue;
		n = pread(mem, window, sizeof(window), (off_t)at);
		for (ssize_t i = 0; i < CHUNK && i + (ssize_t)len <= n; i++)
			found += stands_at(window + i, wanted, len);
		sodium_memzero(window, sizeof(window));
	}
	return found;
}

static size_t count_in_memory(const uint8_t *wanted, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from, to;
	size_t found = 0;
	char line[512], mode[8];

	cr_assert(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w')
			continue;
		found += count_in(mem, from, to, wanted, len);
	}
	fclose(maps);
	close(mem);
	return found;
}

/* Fills buf from a descriptor, past stdio and everything else that would keep a copy. */
static void draw_secret(uint8_t *buf, size_t len)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(read(fd, buf, len), (ssize_t)len);
	close(fd);
	for (size_t i = 0; i < len; i++)
		inverted[i] = (uint8_t)~buf[i];
}

static void check_create_for(enum tpmpsk_digest digest, size_t len, int expected)
{
	uint8_t *secret =
		mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (UNDER_ASAN)
		cr_skip_test("the address sanitizer keeps copies");
	draw_secret(secret, len);
	cr_assert_eq(
		count_in_memory(inverted, len), 1, "the search does not find the secret at all");
	r = tpm_create_hmac(bed.tpm, digest, secret, len, &key);
	cr_assert_eq(r, expected);
	sodium_memzero(secret, len);
	cr_assert_eq(count_in_memory(inverted, len), 0);
	cr_assert_eq(count_in_memory(inverted, len / 2), 0);
	cr_assert_eq(count_in_memory(inverted + len / 2, len / 2), 0);
	munmap(secret, CHUNK);
}

static void check_create(size_t len, int expected)
{
	check_create_for(TPMPSK_DIGEST_SHA256, len, expected);
}

Test(tpm_memory, holds_no_secret_after_a_key_was_made)
{
	check_create(32, 0);
}

Test(tpm_memory, holds_no_secret_of_the_greatest_size)
{
	check_create(64, 0);
	check_create_for(TPMPSK_DIGEST_SHA384, 128, 0);
}

Test(tpm_memory, holds_no_secret_after_a_key_was_made_in_a_session_on_demand)
{
	tpm_bed_open(&bed, false);
	check_create(64, 0);
}

Test(tpm_memory, holds_no_secret_after_the_TPM_refused)
{
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_Create, 0, 1, TPM2_RC_NV_DEFINED);
	check_create(64, -EIO);
}

Test(tpm_memory, holds_no_secret_after_a_rebuild_in_the_middle)
{
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_Create, 0, 1, TPM2_RC_REFERENCE_S0);
	check_create(64, 0);
}

Test(tpm_memory, holds_no_secret_after_the_connection_broke)
{
	tcti_test_inject(bed.tcti, TCTI_TEST_DROP, TPM2_CC_Create, 0, 1, 0);
	check_create(64, -ENODEV);
}

Test(tpm_memory, holds_no_secret_after_a_torn_response)
{
	tcti_test_inject(bed.tcti, TCTI_TEST_TRUNCATE, TPM2_CC_Create, 0, 1, 40);
	check_create(64, -ENODEV);
}

static void check_answer(bool encrypt_sessions)
{
	uint8_t *mac =
		mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t mac_len;

	if (UNDER_ASAN)
		cr_skip_test("the address sanitizer keeps copies");
	tpm_bed_open(&bed, encrypt_sessions);
	tpm_bed_key(&bed, "secret", 6, &key);
	cr_assert_eq(
		tpm_hmac(bed.tpm, 1, &key.objects[0], (const uint8_t *)"in", 2, mac, &mac_len), 0);
	for (size_t i = 0; i < mac_len; i++)
		inverted[i] = (uint8_t)~mac[i];
	cr_assert_eq(count_in_memory(inverted, mac_len), 1);
	sodium_memzero(mac, mac_len);
	cr_assert_eq(count_in_memory(inverted, mac_len / 2), 0);
	cr_assert_eq(count_in_memory(inverted + mac_len / 2, mac_len / 2), 0);
	munmap(mac, CHUNK);
}

Test(tpm_memory, holds_no_answer_but_the_callers)
{
	check_answer(false);
}

Test(tpm_memory, holds_no_answer_but_the_callers_with_encryption)
{
	check_answer(true);
}

Test(tpm_memory, holds_no_answer_but_the_callers_without_the_HMAC_command)
{
	bed.tcti->hide_hmac = 1;
	check_answer(true);
}

/* What an HMAC is computed over may be a key exchange's shared secret: nothing of it stays either, from its first to its last bytes. */
static void check_input(bool encrypt_sessions, size_t len, int expected)
{
	uint8_t *in = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t mac[TPM_MAC_MAX];
	size_t mac_len;

	if (UNDER_ASAN)
		cr_skip_test("the address sanitizer keeps copies");
	tpm_bed_open(&bed, encrypt_sessions);
	tpm_bed_key(&bed, "secret", 6, &key);
	draw_secret(in, len);
	if (expected < 0)
		tcti_test_inject(
			bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_HMAC, 0, 1, TPM2_RC_NV_DEFINED);
	cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], in, len, mac, &mac_len), expected);
	sodium_memzero(in, len);
	for (size_t at = 0; at + 32 <= len; at += (len - 32) / 4 + 1)
		cr_assert_eq(count_in_memory(inverted + at, 32), 0, "byte %zu of %zu", at, len);
	cr_assert_eq(count_in_memory(inverted + len - 32, 32), 0, "the end of %zu", len);
	munmap(in, CHUNK);
}

Test(tpm_memory, holds_nothing_of_what_an_HMAC_was_computed_over)
{
	check_input(false, 66, 0);
	check_input(false, 512, 0);
	check_input(false, TPM_INPUT_MAX - 13, 0);
}

Test(tpm_memory, holds_nothing_of_what_an_HMAC_was_computed_over_with_encryption)
{
	check_input(true, 66, 0);
	check_input(true, TPM_INPUT_MAX, 0);
}

Test(tpm_memory, holds_nothing_of_what_an_HMAC_was_computed_over_without_the_HMAC_command)
{
	bed.tcti->hide_hmac = 1;
	check_input(false, 512, 0);
	check_input(true, TPM_INPUT_MAX, 0);
}

Test(tpm_memory, holds_nothing_of_what_an_HMAC_was_to_be_computed_over)
{
	check_input(false, 512, -EIO);
	check_input(true, TPM_INPUT_MAX, -EIO);
}
