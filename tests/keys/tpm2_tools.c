/* SPDX-License-Identifier: BSD-2-Clause */
/* The codec against the other implementation: tpm2-tools, and libtasn1's own parser. */
#include "keys/keyfile.h"

#include "tests/swtpm/command.h"
#include "tests/swtpm/swtpm.h"

#include <criterion/criterion.h>
#include <libtasn1.h>
#include <stdarg.h>
#include <stdlib.h>

static struct swtpm tpm;
static struct tempdir dir;

static void teardown(void)
{
	tempdir_done(&dir);
	swtpm_done(&tpm);
}

TestSuite(tpm2_tools, .fini = teardown, .timeout = 120);

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs a line of shell in the directory, with the TPM, and asserts that it succeeds. */
static void run(const char *format, ...)
{
	char command[1024], line[1200], tcti[128];
	const char *const env[] = { tcti, NULL };
	const char *const argv[] = { "/bin/sh", "-c", line, NULL };
	struct command_result result;
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "cd %s && %s", dir.path, command);
	snprintf(tcti, sizeof(tcti), "TPM2TOOLS_TCTI=%s", tpm.tcti);
	cr_assert_eq(command_run(argv, &(struct command_options){ .env = env }, &result), 0);
	cr_assert_eq(result.status, 0, "%s: %s", line, result.err);
	command_result_done(&result);
}

static char *read_file(const char *name, size_t *ret_len)
{
	char path[256], *text = calloc(1, KEYFILE_SIZE_MAX + 1);
	FILE *f;

	snprintf(path, sizeof(path), "%s", name);
	if (name[0] != '/')
		snprintf(path, sizeof(path), "%s/%s", dir.path, name);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	*ret_len = fread(text, 1, KEYFILE_SIZE_MAX, f);
	fclose(f);
	return text;
}

static void write_file(const char *name, const char *text, size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir.path, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(text, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

static void flush(void)
{
	run("tpm2_flushcontext -t && tpm2_flushcontext -l && tpm2_flushcontext -s");
}

/* Encodes made.pem anew as ours.pem. */
static void encode_anew(void)
{
	struct keyfile kf;
	const char *why = "";
	char *pem, *ours;
	size_t len, ours_len;

	pem = read_file("made.pem", &len);
	cr_assert_eq(keyfile_decode(pem, len, &kf, &why), 0, "%s", why);
	cr_assert_eq(keyfile_encode(&kf, &ours, &ours_len), 0);
	write_file("ours.pem", ours, ours_len);
	keyfile_done(&kf);
	free(ours);
	free(pem);
}

Test(tpm2_tools, load_what_is_written)
{
	cr_assert_eq(swtpm_init(&tpm), 0);
	cr_assert_eq(tempdir_init(&dir), 0);
	run("tpm2_createprimary -Q -C o -g sha256 -G ecc -c primary.ctx -a 'fixedtpm|fixedparent|"
	    "sensitivedataorigin|userwithauth|noda|restricted|decrypt'");
	flush();
	run("printf secret >secret && tpm2_import -Q -C primary.ctx -G hmac -i secret -u key.pub "
	    "-r key.priv");
	flush();
	run("tpm2_encodeobject -C primary.ctx -u key.pub -r key.priv -o made.pem");
	flush();
	encode_anew();
	run("tpm2_load -r ours.pem -c key.ctx && tpm2_hmac -c key.ctx -g sha256 --hex -o mac "
	    "secret");
	flush();
	/* The parent is part of the file, so a persistent one is another test. */
	run("tpm2_evictcontrol -Q -C o -c primary.ctx 0x81000012");
	flush();
	run("tpm2_encodeobject -C 0x81000012 -u key.pub -r key.priv -o made.pem");
	flush();
	encode_anew();
	run("tpm2_load -r ours.pem -c key.ctx");
}

Test(tpm2_tools, agree_that_the_table_is_the_definition)
{
	char source[512], asn[512], out[128], error[ASN1_MAX_ERROR_DESCRIPTION_SIZE] = "";
	static const char start[] = "const asn1_static_node";
	char *fresh, *ours;
	size_t len;

	cr_assert_eq(tempdir_init(&dir), 0);
	snprintf(asn, sizeof(asn), "%s/keys/tpmkey.asn", getenv("TPMPSK_SOURCE"));
	snprintf(source, sizeof(source), "%s/keys/tpmkey_asn1.c", getenv("TPMPSK_SOURCE"));
	snprintf(out, sizeof(out), "%s/table.c", dir.path);
	cr_assert_eq(asn1_parser2array(asn, out, "tpmkey_asn1", error), ASN1_SUCCESS, "%s", error);
	fresh = read_file("table.c", &len);
	ours = read_file(source, &len);
	cr_assert_not_null(strstr(ours, start));
	cr_assert_str_eq(strstr(ours, start), strstr(fresh, start));
	free(fresh);
	free(ours);
}
