/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys made by tpm2-tools on the same TPM are used as they are, and what is no HMAC key is refused.
 */
#include "daemon/tpm.h"

#include "tests/daemon/tpm_keys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "change this password to a secret"

static struct tpm_bed bed;
static struct keyfile key;

/* The parent of PEM files that say 0x40000001, as tpm2-tools and OpenSSL's TPM provider make it. */
#define PRIMARY                                                                                    \
	"set -e; cd $DIR; printf '" SECRET "' >secret; "                                           \
	"tpm2_createprimary -Q -C o -G ecc -c primary.ctx -a "                                     \
	"'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'; "        \
	"tpm2_flushcontext -t; "

static void set_up(void)
{
	tpm_bed_init(&bed);
}

static void tear_down(void)
{
	keyfile_done(&key);
	tpm_bed_done(&bed);
}

TestSuite(tpm_tools, .init = set_up, .fini = tear_down, .timeout = 120);

static void run(const char *script)
{
	char tcti[SWTPM_PATH_SIZE + 32], dir[SWTPM_PATH_SIZE];
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct command_options options = { .env = (const char *const[]){ tcti, dir, NULL } };
	struct command_result result;

	snprintf(tcti, sizeof(tcti), "TPM2TOOLS_TCTI=%s", bed.swtpm.tcti);
	snprintf(dir, sizeof(dir), "DIR=%s", bed.swtpm.dir.path);
	cr_assert_eq(command_run(argv, &options, &result), 0);
	cr_assert_eq(result.status, 0, "%s", result.err);
	command_result_done(&result);
}

static size_t slurp(const char *name, uint8_t *buf, size_t cap)
{
	char path[SWTPM_PATH_SIZE];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", bed.swtpm.dir.path, name);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	n = fread(buf, 1, cap, f);
	fclose(f);
	return n;
}

/* The script leaves the marshalled areas in the files pub and priv. */
static void make(const char *script, uint32_t parent)
{
	uint8_t pub[KEYFILE_AREA_MAX], priv[KEYFILE_AREA_MAX];
	size_t pub_len, priv_len;

	run(script);
	pub_len = slurp("pub", pub, sizeof(pub));
	priv_len = slurp("priv", priv, sizeof(priv));
	cr_assert_eq(keyfile_add(&key, parent, pub, pub_len, priv, priv_len), 0);
	tpm_bed_open(&bed, true);
}

static bool right(void)
{
	return tpm_bed_right(&bed, 1, &key, SECRET, strlen(SECRET), "input", 5);
}

Test(tpm_tools, an_imported_key_is_used)
{
	make(PRIMARY "tpm2_import -Q -C primary.ctx -G hmac -i secret -u pub -r priv",
		KEYFILE_PARENT_OWNER);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), 0);
	cr_assert(right());
}

Test(tpm_tools, a_key_made_in_the_TPM_is_used)
{
	make(PRIMARY "tpm2_create -Q -C primary.ctx -G hmac -u pub -r priv", KEYFILE_PARENT_OWNER);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), 0);
}

Test(tpm_tools, a_key_under_a_persistent_parent_is_used)
{
	make(PRIMARY "tpm2_evictcontrol -Q -C o -c primary.ctx 0x81000042; tpm2_flushcontext -t; "
		     "tpm2_import -Q -C 0x81000042 -G hmac -i secret -u pub -r priv",
		0x81000042);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), 0);
	for (int i = 0; i < 5; i++) {
		tpm_forget(bed.tpm, 1);
		cr_assert(right());
	}
}

Test(tpm_tools, a_key_with_a_password_is_refused)
{
	make(PRIMARY "tpm2_create -Q -C primary.ctx -G hmac -p password -u pub -r priv",
		KEYFILE_PARENT_OWNER);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EINVAL);
}

/* As the TPM counts them, from "TPM2_PT_LOCKOUT_COUNTER: 0x1". */
static unsigned wrong_passwords(void)
{
	uint8_t text[64] = { 0 };

	run("cd $DIR; tpm2_getcap properties-variable | grep LOCKOUT_COUNTER >counter");
	slurp("counter", text, sizeof(text) - 1);
	cr_assert_not_null(strchr((char *)text, ':'), "%s", text);
	return (unsigned)strtoul(strchr((char *)text, ':') + 1, NULL, 16);
}

/* Three wrong passwords lock this TPM. */
Test(tpm_tools, a_key_with_a_password_never_locks_the_TPM)
{
	uint8_t mac[TPM_MAC_MAX] = { 0 };
	size_t len;

	make(PRIMARY "tpm2_dictionarylockout -Q -s -n 3 -t 1000 -l 1000; "
		     "tpm2_create -Q -C primary.ctx -G hmac -p password -u pub -r priv",
		KEYFILE_PARENT_OWNER);
	/* However often it is asked for, also after others, and in a file that was put there by hand. */
	for (int i = 0; i < 10; i++)
		cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), -EINVAL);
	cr_assert_eq(wrong_passwords(), 1);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EINVAL);
	cr_assert_eq(wrong_passwords(), 2);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EBUSY);
	cr_assert_eq(wrong_passwords(), 2);
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
}

/* Nothing is counted for it, and so nothing is to be feared. */
Test(tpm_tools, a_key_with_a_password_and_without_lockout_costs_no_attempt)
{
	make(PRIMARY "tpm2_create -Q -C primary.ctx -G hmac -p password -u pub -r priv -a "
		     "'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign'",
		KEYFILE_PARENT_OWNER);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EINVAL);
	cr_assert_eq(wrong_passwords(), 0);
}

Test(tpm_tools, a_key_under_a_parent_with_a_password_is_refused)
{
	uint8_t mac[TPM_MAC_MAX] = { 0 };
	size_t len;

	make("set -e; cd $DIR; tpm2_createprimary -Q -C o -G ecc -p password -c primary.ctx; "
	     "tpm2_flushcontext -t; "
	     "tpm2_evictcontrol -Q -C o -c primary.ctx 0x81000042; tpm2_flushcontext -t; "
	     "tpm2_create -Q -C 0x81000042 -P password -G hmac -u pub -r priv",
		0x81000042);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(tpm_hmac(bed.tpm, 1, &key.objects[0], mac, 8, mac, &len), -EINVAL);
	cr_assert_leq(wrong_passwords(), 1);
}

Test(tpm_tools, a_key_for_something_else_is_refused)
{
	static const char *const others[] = {
		PRIMARY "tpm2_create -Q -C primary.ctx -G aes128cfb -u pub -r priv",
		PRIMARY "tpm2_create -Q -C primary.ctx -G ecc:ecdsa -u pub -r priv",
		PRIMARY "tpm2_create -Q -C primary.ctx -i secret -u pub -r priv",
		PRIMARY "tpm2_create -Q -C primary.ctx -G hmac:sha1 -u pub -r priv",
		PRIMARY "tpm2_create -Q -C primary.ctx -G hmac:sha384 -u pub -r priv",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		keyfile_done(&key);
		tpm_free(bed.tpm);
		bed.tpm = NULL;
		make(others[i], KEYFILE_PARENT_OWNER);
		cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EINVAL, "%s", others[i]);
	}
}

Test(tpm_tools, our_key_is_loaded_by_tpm2_tools)
{
	char path[SWTPM_PATH_SIZE];
	FILE *f;

	tpm_bed_open(&bed, true);
	tpm_bed_key(&bed, SECRET, strlen(SECRET), &key);
	tpm_free(bed.tpm);
	bed.tpm = NULL;
	for (int i = 0; i < 2; i++) {
		const struct keyfile_object *o = &key.objects[0];

		snprintf(path, sizeof(path), "%s/%s", bed.swtpm.dir.path, i ? "priv" : "pub");
		f = fopen(path, "we");
		fwrite(i ? o->priv : o->pub, 1, i ? o->priv_len : o->pub_len, f);
		fclose(f);
	}
	run(PRIMARY "tpm2_load -Q -C primary.ctx -u pub -r priv -c key.ctx; tpm2_flushcontext -t; "
		    "printf input | tpm2_hmac -c key.ctx -o ours; "
		    "printf input | openssl dgst -sha256 -hmac '" SECRET "' -binary >theirs; "
		    "cmp ours theirs");
}
