/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/keyfile.h"

#include "tests/keys/der.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Made by tpm2_encodeobject of tpm2-tools 5.4: an HMAC key, here once under the owner hierarchy, ... */
static const char tpm2_tools_owner[] =
	"-----BEGIN TSS2 PRIVATE KEY-----\n"
	"MIHVBgZngQUKAQOgAwEBAAIEQAAAAQQyADAACAALAAQAQAAAAAUACwAgj4JpaHNv\n"
	"sF2MI+bQYfjYuicRxRxUThU1einIbRU/L+MEgYsAiQAgWHf+H0Falq+OB8SUZP8L\n"
	"OY9XPVLRkdebhA9lBGzYxxsAELUC1KXZ7XtSEwuwVavGv9QYcfHQ/tryg3CQmF2X\n"
	"fQCBXxFJQpXyKx0Fvj7PZsGrNsNfTvxfPqyOJVxyJ/lkGccC7tpnLYEkOWk80kQB\n"
	"pzRHYWPDvwtLy5TDAWIb0JCMfZONh/h3\n"
	"-----END TSS2 PRIVATE KEY-----\n";

/* ... once with --key-auth, which that program writes as a BOOLEAN of 1 where DER has 255, ... */
static const char tpm2_tools_auth[] =
	"-----BEGIN TSS2 PRIVATE KEY-----\n"
	"MIHVBgZngQUKAQOgAwEBAQIEQAAAAQQyADAACAALAAQAQAAAAAUACwAgj4JpaHNv\n"
	"sF2MI+bQYfjYuicRxRxUThU1einIbRU/L+MEgYsAiQAgWHf+H0Falq+OB8SUZP8L\n"
	"OY9XPVLRkdebhA9lBGzYxxsAELUC1KXZ7XtSEwuwVavGv9QYcfHQ/tryg3CQmF2X\n"
	"fQCBXxFJQpXyKx0Fvj7PZsGrNsNfTvxfPqyOJVxyJ/lkGccC7tpnLYEkOWk80kQB\n"
	"pzRHYWPDvwtLy5TDAWIb0JCMfZONh/h3\n"
	"-----END TSS2 PRIVATE KEY-----\n";

/* ... and once under a persistent handle. */
static const char tpm2_tools_persistent[] =
	"-----BEGIN TSS2 PRIVATE KEY-----\n"
	"MIHWBgZngQUKAQOgAwEBAAIFAIEAAAEEMgAwAAgACwAEAEAAAAAFAAsAII+CaWhz\n"
	"b7BdjCPm0GH42LonEcUcVE4VNXopyG0VPy/jBIGLAIkAIFh3/h9BWpavjgfElGT/\n"
	"CzmPVz1S0ZHXm4QPZQRs2McbABC1AtSl2e17UhMLsFWrxr/UGHHx0P7a8oNwkJhd\n"
	"l30AgV8RSUKV8isdBb4+z2bBqzbDX078Xz6sjiVccif5ZBnHAu7aZy2BJDlpPNJE\n"
	"Aac0R2Fjw78LS8uUwwFiG9CQjH2TjYf4dw==\n"
	"-----END TSS2 PRIVATE KEY-----\n";

static struct keyfile kf;
static const char *why;

static void teardown(void)
{
	keyfile_done(&kf);
}

TestSuite(keyfile, .fini = teardown);

static const uint8_t pub[] = { 0, 4, 'p', 'u', 'b', '!' };
static const uint8_t priv[] = { 0, 5, 'p', 'r', 'i', 'v', '!' };
static const uint8_t owner[] = { 0x40, 0, 0, 1 };
static const uint8_t persistent[] = { 0, 0x81, 0, 0x12, 0x34 };

/* From a copy of exact size, so that ASan sees a read behind it. */
static int decode(const char *pem, size_t len)
{
	char *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, pem, len);
	keyfile_done(&kf);
	kf.n_objects = SIZE_MAX; /* whatever was there before */
	why = NULL;
	r = keyfile_decode(copy, len, &kf, &why);
	free(copy);
	if (r < 0) {
		cr_assert_not_null(why);
		cr_assert_eq(kf.n_objects, 0);
	}
	return r;
}

static int decode_der(const struct der *d)
{
	char *pem = der_pem(d);
	int r = decode(pem, strlen(pem));

	free(pem);
	return r;
}

static int decode_key(
	uint8_t kind, const struct der *options, const void *parent, size_t parent_len)
{
	struct der d = { 0 };

	der_key(&d, &(struct der_key){ kind, options, parent, parent_len, pub, priv, sizeof(pub),
			    sizeof(priv) });
	return decode_der(&d);
}

static int decode_options(const struct der *options)
{
	return decode_key(3, options, owner, sizeof(owner));
}

/* One explicitly tagged element. */
static struct der option(int number, int tag, const void *content, size_t len)
{
	struct der inner = { 0 }, d = { 0 };

	der_put(&inner, tag, content, len);
	der_wrap(&d, DER_EXPLICIT(number), &inner);
	return d;
}

Test(keyfile, reads_what_tpm2_tools_write)
{
	static const char *const files[] = { tpm2_tools_owner, tpm2_tools_auth,
		tpm2_tools_persistent };
	static const uint32_t parents[] = { KEYFILE_PARENT_OWNER, KEYFILE_PARENT_OWNER,
		0x81000001 };

	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(decode(files[i], strlen(files[i])), 0, "%zu: %s", i, why);
		cr_assert_eq(kf.n_objects, 1);
		cr_assert_eq(kf.objects[0].parent, parents[i]);
		cr_assert_eq(kf.objects[0].pub_len, 50);
		cr_assert_eq(kf.objects[0].priv_len, 139);
		cr_assert_arr_eq(kf.objects[0].pub, "\x00\x30\x00\x08\x00\x0b", 6);
		cr_assert_arr_eq(kf.objects[0].priv, "\x00\x89\x00\x20\x58\x77", 6);
	}
}

Test(keyfile, takes_any_form_of_emptyAuth)
{
	static const uint8_t values[] = { 0, 1, 255 };

	cr_assert_eq(decode_options(NULL), 0);
	for (size_t i = 0; i < sizeof(values); i++) {
		struct der o = option(0, DER_BOOLEAN, &values[i], 1);

		cr_assert_eq(decode_options(&o), 0, "%u: %s", values[i], why);
		cr_assert_eq(kf.objects[0].parent, KEYFILE_PARENT_OWNER);
		cr_assert_arr_eq(kf.objects[0].pub, pub, sizeof(pub));
		cr_assert_arr_eq(kf.objects[0].priv, priv, sizeof(priv));
	}
}

Test(keyfile, takes_options_that_change_nothing)
{
	struct der no_policy = option(1, DER_SEQUENCE, NULL, 0);
	struct der no_auth_policy = option(3, DER_SEQUENCE, NULL, 0);
	struct der description = option(4, DER_UTF8, "the key of the door", 19);
	struct der not_rsa = option(5, DER_BOOLEAN, "\x00", 1);
	struct der rsa = option(5, DER_BOOLEAN, "\xff", 1);

	cr_assert_eq(decode_options(&no_policy), 0, "%s", why);
	cr_assert_eq(decode_options(&no_auth_policy), 0, "%s", why);
	cr_assert_eq(decode_options(&description), 0, "%s", why);
	cr_assert_eq(decode_options(&not_rsa), 0, "%s", why);
	/* A persistent parent is what it is: nothing has to be made from a template. */
	cr_assert_eq(decode_key(3, &rsa, persistent, sizeof(persistent)), 0, "%s", why);
}

Test(keyfile, refuses_keys_with_a_policy)
{
	struct der code = option(0, DER_INTEGER, "\x01\x6b", 2);
	struct der command = option(1, DER_OCTETS, "abc", 3);
	struct der one = { 0 }, list = { 0 }, options = { 0 }, inner = { 0 };

	memcpy(inner.bytes, code.bytes, code.len);
	memcpy(inner.bytes + code.len, command.bytes, command.len);
	inner.len = code.len + command.len;
	der_wrap(&one, DER_SEQUENCE, &inner);
	der_wrap(&list, DER_SEQUENCE, &one);
	der_wrap(&options, DER_EXPLICIT(1), &list);
	cr_assert_eq(decode_options(&options), -EOPNOTSUPP);
	cr_assert(strstr(why, "policy"));
}

Test(keyfile, refuses_what_is_no_loadable_key)
{
	struct der secret = option(2, DER_OCTETS, "secret", 6);

	cr_assert_eq(decode_key(4, &secret, owner, sizeof(owner)), -EOPNOTSUPP);
	cr_assert(strstr(why, "importable"));
	cr_assert_eq(decode_key(5, NULL, owner, sizeof(owner)), -EOPNOTSUPP);
	cr_assert(strstr(why, "sealed"));
	cr_assert_eq(decode_key(6, NULL, owner, sizeof(owner)), -EOPNOTSUPP);
	cr_assert_eq(decode_options(&secret), -EBADMSG);
}

Test(keyfile, refuses_other_parents)
{
	static const struct {
		uint8_t bytes[9];
		size_t len;
	} parents[] = {
		{ { 0 }, 1 },
		{ { 0x40, 0, 0, 7 }, 4 },
		{ { 0x40, 0, 0, 0x0b }, 4 },
		{ { 0x40, 0, 0, 0x0c }, 4 },
		{ { 0, 0x80, 0, 0, 0 }, 5 },
		{ { 0, 0x82, 0, 0, 0 }, 5 },
		{ { 1, 0x40, 0, 0, 1 }, 5 },
		{ { 1, 0, 0, 0, 0x40, 0, 0, 1 }, 8 },
	};
	struct der rsa = option(5, DER_BOOLEAN, "\xff", 1);

	for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++)
		cr_assert_eq(decode_key(3, NULL, parents[i].bytes, parents[i].len), -EOPNOTSUPP,
			"%zu", i);
	cr_assert_eq(decode_options(&rsa), -EOPNOTSUPP);
	cr_assert(strstr(why, "RSA"));
}

Test(keyfile, takes_a_persistent_parent_written_as_a_negative_number)
{
	cr_assert_eq(decode_key(3, NULL, persistent + 1, 4), 0, "%s", why);
	cr_assert_eq(kf.objects[0].parent, 0x81001234);
}

Test(keyfile, refuses_areas_whose_length_is_wrong)
{
	static const uint8_t longer[] = { 0, 4, 'p', 'u', 'b' },
			     shorter[] = { 0, 2, 'p', 'u', 'b' };
	static const uint8_t empty[] = { 0, 0 };
	static uint8_t huge[KEYFILE_AREA_MAX + 1] = { KEYFILE_AREA_MAX >> 8, 0xff };
	const struct {
		const uint8_t *bytes;
		size_t len;
	} areas[] = { { longer, 5 }, { shorter, 5 }, { empty, 2 }, { empty, 1 }, { empty, 0 },
		{ huge, sizeof(huge) } };

	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		struct der d = { 0 }, e = { 0 };

		der_key(&d, &(struct der_key){ 3, NULL, owner, 4, areas[i].bytes, priv,
				    areas[i].len, sizeof(priv) });
		cr_assert_eq(decode_der(&d), -EBADMSG, "public %zu", i);
		der_key(&e, &(struct der_key){ 3, NULL, owner, 4, pub, areas[i].bytes, sizeof(pub),
				    areas[i].len });
		cr_assert_eq(decode_der(&e), -EBADMSG, "private %zu", i);
	}
}

Test(keyfile, skips_text_around_the_blocks)
{
	char text[4096];

	snprintf(text, sizeof(text),
		"made yesterday\n-----BEGIN CERTIFICATE-----\nnot looked at\n-----END "
		"CERTIFICATE-----\n"
		"%sbetween\r\n%sthe end",
		tpm2_tools_owner, tpm2_tools_persistent);
	cr_assert_eq(decode(text, strlen(text)), 0, "%s", why);
	cr_assert_eq(kf.n_objects, 2);
	cr_assert_eq(kf.objects[0].parent, KEYFILE_PARENT_OWNER);
	cr_assert_eq(kf.objects[1].parent, 0x81000001);
}

Test(keyfile, takes_carriage_returns_and_no_last_newline)
{
	char text[4096], *out = text;

	for (const char *in = tpm2_tools_owner; *in; in++) {
		if (*in == '\n')
			out = stpcpy(out, " \r");
		*out++ = *in;
	}
	cr_assert_eq(decode(text, (size_t)(out - text) - 1), 0, "%s", why);
	cr_assert_eq(kf.n_objects, 1);
}

Test(keyfile, rejects_every_truncation)
{
	size_t len = strlen(tpm2_tools_owner) - 1; /* the last newline is not needed */

	for (size_t i = 0; i < len; i++)
		cr_assert_eq(decode(tpm2_tools_owner, i), -EBADMSG, "%zu", i);
}

Test(keyfile, rejects_a_second_block_without_its_end)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s%s", tpm2_tools_owner, tpm2_tools_owner);
	*strrchr(text, 'K') = '\0';
	cr_assert_eq(decode(text, strlen(text)), -EBADMSG);
	cr_assert_str_eq(why, "a PEM block without its end");
}

static void real_der(struct der *d)
{
	const char *body = strchr(tpm2_tools_owner, '\n');

	cr_assert_eq(sodium_base642bin(d->bytes, sizeof(d->bytes), body,
			     (size_t)(strstr(body, "-----") - body), "\n", &d->len, NULL,
			     sodium_base64_VARIANT_ORIGINAL),
		0);
}

Test(keyfile, rejects_every_truncation_of_the_DER_and_a_byte_more)
{
	struct der whole = { 0 };

	real_der(&whole);
	cr_assert_eq(decode_der(&whole), 0);
	for (size_t len = 0; len < whole.len; len++) {
		struct der part = whole;

		part.len = len;
		cr_assert_eq(decode_der(&part), -EBADMSG, "%zu", len);
	}
	whole.bytes[whole.len++] = 0;
	cr_assert_eq(decode_der(&whole), -EBADMSG);
}

Test(keyfile, survives_every_change_of_one_byte, .timeout = 120)
{
	struct der d = { 0 };

	real_der(&d);
	for (size_t i = 0; i < d.len; i++) {
		uint8_t was = d.bytes[i];

		for (unsigned value = 0; value < 256; value++) {
			char *pem;
			size_t len;

			d.bytes[i] = (uint8_t)value;
			if (decode_der(&d) < 0)
				continue;
			/* What is taken can be written. */
			cr_assert_eq(kf.n_objects, 1);
			cr_assert_eq(keyfile_encode(&kf, &pem, &len), 0);
			free(pem);
		}
		d.bytes[i] = was;
	}
}

Test(keyfile, rejects_what_is_no_base64)
{
	char text[sizeof(tpm2_tools_owner)];

	for (const char *bad = "-:*\x80"; *bad; bad++) {
		strcpy(text, tpm2_tools_owner);
		text[100] = *bad;
		cr_assert_eq(decode(text, strlen(text)), -EBADMSG);
	}
}

Test(keyfile, rejects_a_block_inside_a_block)
{
	char text[4096];

	snprintf(text, sizeof(text), "-----BEGIN TSS2 PRIVATE KEY-----\n%s", tpm2_tools_owner);
	cr_assert_eq(decode(text, strlen(text)), -EBADMSG);
}

Test(keyfile, rejects_a_file_that_is_too_long_or_has_too_many_keys)
{
	char *text = calloc(1, KEYFILE_SIZE_MAX + 1);

	for (size_t i = 0; i <= KEYFILE_OBJECTS_MAX; i++)
		strcat(text, tpm2_tools_owner);
	cr_assert_eq(decode(text, strlen(text)), -E2BIG);
	strcpy(text, tpm2_tools_owner);
	memset(text + strlen(text), '\n', KEYFILE_SIZE_MAX + 1 - strlen(text));
	cr_assert_eq(decode(text, KEYFILE_SIZE_MAX), 0, "%s", why);
	cr_assert_eq(decode(text, KEYFILE_SIZE_MAX + 1), -E2BIG);
	free(text);
}

Test(keyfile, refuses_to_add_what_it_could_not_write)
{
	static const uint8_t long_area[KEYFILE_AREA_MAX + 1] = { KEYFILE_AREA_MAX >> 8, 0xff };

	cr_assert_eq(keyfile_add(&kf, KEYFILE_PARENT_OWNER, pub, 0, priv, sizeof(priv)), -EINVAL);
	cr_assert_eq(
		keyfile_add(&kf, KEYFILE_PARENT_OWNER, pub, sizeof(pub) - 1, priv, sizeof(priv)),
		-EINVAL);
	cr_assert_eq(keyfile_add(&kf, KEYFILE_PARENT_OWNER, pub, sizeof(pub), long_area,
			     sizeof(long_area)),
		-EINVAL);
	cr_assert_eq(keyfile_add(&kf, KEYFILE_PARENT_OWNER, long_area, sizeof(long_area), priv,
			     sizeof(priv)),
		-EINVAL);
	for (size_t i = 0; i < KEYFILE_OBJECTS_MAX; i++)
		cr_assert_eq(keyfile_add(&kf, KEYFILE_PARENT_OWNER, pub, sizeof(pub), priv,
				     sizeof(priv)),
			0);
	cr_assert_eq(keyfile_add(&kf, KEYFILE_PARENT_OWNER, pub, sizeof(pub), priv, sizeof(priv)),
		-E2BIG);
}

Test(keyfile, writes_canonical_DER_with_emptyAuth_true)
{
	struct der expected = { 0 }, empty_auth = option(0, DER_BOOLEAN, "\xff", 1),
		   written = { 0 };
	char *pem, *begin;
	size_t len;

	der_key(&expected, &(struct der_key){ 3, &empty_auth, persistent, sizeof(persistent), pub,
				   priv, sizeof(pub), sizeof(priv) });
	cr_assert_eq(keyfile_add(&kf, 0x81001234, pub, sizeof(pub), priv, sizeof(priv)), 0);
	cr_assert_eq(keyfile_encode(&kf, &pem, &len), 0);
	cr_assert_eq(len, strlen(pem));
	begin = strchr(pem, '\n');
	cr_assert_eq(sodium_base642bin(written.bytes, sizeof(written.bytes), begin,
			     (size_t)(strstr(begin, "-----END") - begin), "\n", &written.len, NULL,
			     sodium_base64_VARIANT_ORIGINAL),
		0);
	cr_assert_eq(written.len, expected.len);
	cr_assert_arr_eq(written.bytes, expected.bytes, expected.len);
	free(pem);
}

Test(keyfile, reads_back_the_largest_file_that_it_writes)
{
	uint8_t area[KEYFILE_AREA_MAX] = { (KEYFILE_AREA_MAX - 2) >> 8,
		(KEYFILE_AREA_MAX - 2) & 0xff };
	struct keyfile full = { 0 };
	char *pem;
	size_t len;

	for (uint32_t i = 0; i < KEYFILE_OBJECTS_MAX; i++) {
		area[sizeof(area) - 1] = (uint8_t)i;
		cr_assert_eq(
			keyfile_add(&full, 0x81ffffff - i, area, sizeof(area), area, sizeof(area)),
			0);
	}
	cr_assert_eq(keyfile_encode(&full, &pem, &len), 0);
	cr_assert_eq(decode(pem, len), 0, "%s", why);
	cr_assert(keyfile_equal(&kf, &full));
	kf.objects[3].priv[0]++;
	cr_assert_not(keyfile_equal(&kf, &full));
	keyfile_done(&full);
	free(pem);
}
