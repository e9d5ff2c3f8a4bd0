/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DER is written from its end to its beginning, so that an element's length is known when its head
 * is written: first what is inside, then wrap(). A list comes out in the reverse of the order in
 * which it was put, which is what RFC 4514 has for the parts of a name.
 */
#include "keys/csr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	BIT_STRING = 0x03,
	OCTET_STRING = 0x04,
	UTF8_STRING = 0x0c,
	PRINTABLE_STRING = 0x13,
	IA5_STRING = 0x16,
	SEQUENCE = 0x30,
	SET = 0x31,
	DNS_NAME = 0x82, /* GeneralName's [2] and [7], RFC 5280, section 4.2.1.6 */
	IP_ADDRESS = 0x87,
	CONTEXT_0 = 0xa0,
};

struct der {
	uint8_t bytes[CSR_MAX];
	size_t at; /* where what has been written begins */
	bool full;
};

static void put(struct der *d, const void *bytes, size_t n)
{
	if (d->full || n > d->at) {
		d->full = true;
		return;
	}
	d->at -= n;
	memcpy(d->bytes + d->at, bytes, n);
}

static void put_byte(struct der *d, uint8_t byte)
{
	put(d, &byte, 1);
}

/* All from here to `end` becomes the content of an element. */
static void wrap(struct der *d, uint8_t tag, size_t end)
{
	size_t len = end - d->at;

	if (len >= 0x100) {
		put_byte(d, (uint8_t)len);
		put_byte(d, (uint8_t)(len >> 8));
		put_byte(d, 0x82);
	} else {
		put_byte(d, (uint8_t)len);
		if (len >= 0x80)
			put_byte(d, 0x81);
	}
	put_byte(d, tag);
}

static void put_element(struct der *d, uint8_t tag, const void *content, size_t n)
{
	size_t end = d->at;

	put(d, content, n);
	wrap(d, tag, end);
}

static int take(const struct der *d, uint8_t *out, size_t cap, size_t *ret_len)
{
	size_t len = sizeof(d->bytes) - d->at;

	if (d->full || len > cap)
		return -E2BIG;
	memcpy(out, d->bytes + d->at, len);
	*ret_len = len;
	return 0;
}

__attribute__((format(printf, 2, 3))) static int refuse(
	char error[CSR_ERROR_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, CSR_ERROR_SIZE, format, args);
	va_end(args);
	return -EINVAL;
}

/*
 * The subject
 */

/* RFC 5280, appendix A.1; the longest value of each as its upper bounds have it. */
static const struct attribute {
	const char *name;
	uint8_t tag;
	size_t max;
	uint8_t oid[12]; /* the whole element, zeroes behind */
} attributes[] = {
	{ "CN", UTF8_STRING, 64, { 0x06, 3, 0x55, 0x04, 0x03 } },
	{ "O", UTF8_STRING, 64, { 0x06, 3, 0x55, 0x04, 0x0a } },
	{ "OU", UTF8_STRING, 64, { 0x06, 3, 0x55, 0x04, 0x0b } },
	{ "C", PRINTABLE_STRING, 2, { 0x06, 3, 0x55, 0x04, 0x06 } },
	{ "ST", UTF8_STRING, 128, { 0x06, 3, 0x55, 0x04, 0x08 } },
	{ "L", UTF8_STRING, 128, { 0x06, 3, 0x55, 0x04, 0x07 } },
	{ "serialNumber", PRINTABLE_STRING, 64, { 0x06, 3, 0x55, 0x04, 0x05 } },
	{ "emailAddress", IA5_STRING, 255,
		{ 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01 } },
	{ "DC", IA5_STRING, 63,
		{ 0x06, 10, 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19 } },
};
#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))
#define VALUE_MAX 255

static const struct attribute *attribute_of(const char *name, size_t len)
{
	for (size_t i = 0; i < N_ATTRIBUTES; i++)
		if (strlen(attributes[i].name) == len &&
			strncasecmp(attributes[i].name, name, len) == 0)
			return &attributes[i];
	return NULL;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/*
 * One value without its escapes (RFC 4514, section 2.4), up to a comma. Returns where it ends, NULL
 * when it is none.
 */
static const char *read_value(const char *text, char value[VALUE_MAX + 1], size_t *ret_len)
{
	size_t len = 0, keep = 0; /* blanks at the end go, but for escaped ones */

	while (*text == ' ')
		text++;
	for (; *text && *text != ','; text++) {
		bool escaped = *text == '\\';
		char c = escaped ? *++text : *text;

		if (escaped && hex_digit(c) >= 0 && hex_digit(text[1]) >= 0) {
			c = (char)(hex_digit(c) << 4 | hex_digit(text[1]));
			text++;
		} else if (escaped ? !strchr(" \"#+,;<=>\\", c) : strchr("\"+;<>", c) != NULL) {
			return NULL;
		}
		if (c == 0 || len == VALUE_MAX)
			return NULL;
		value[len++] = c;
		if (escaped || c != ' ')
			keep = len;
	}
	value[keep] = 0;
	*ret_len = keep;
	return text;
}

static bool is_utf8(const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t more = s[i] < 0x80 ? 0 : s[i] >= 0xf0 ? 3 : s[i] >= 0xe0 ? 2 : 1;
		uint32_t c = more ? s[i] & (0x3fu >> more) : s[i];
		static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

		if ((s[i] >= 0x80 && s[i] < 0xc0) || s[i] >= 0xf8 || more >= n - i)
			return false;
		for (size_t k = 1; k <= more; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (s[i + k] & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c < ' ')
			return false;
		i += more + 1;
	}
	return true;
}

/* What the string type of an attribute can hold. */
static bool value_ok(const struct attribute *a, const char *value, size_t len)
{
	static const char printable[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					"0123456789 '()+,-./:=?";

	if (len < 1 || len > a->max || (a->max == 2 && len != 2))
		return false;
	if (a->tag == PRINTABLE_STRING)
		return strspn(value, printable) == len;
	for (size_t i = 0; a->tag == IA5_STRING && i < len; i++)
		if (value[i] < ' ' || value[i] > '~')
			return false;
	return is_utf8((const uint8_t *)value, len);
}

static void put_rdn(struct der *d, const struct attribute *a, const char *value, size_t len)
{
	size_t end = d->at;

	put_element(d, a->tag, value, len);
	put(d, a->oid, 2u + a->oid[1]);
	wrap(d, SEQUENCE, end);
	wrap(d, SET, end);
}

static int put_subject(struct der *d, const char *subject, char error[CSR_ERROR_SIZE])
{
	size_t end = d->at;

	while (subject && *subject) {
		const char *equals = strchr(subject, '=');
		const struct attribute *a;
		char value[VALUE_MAX + 1];
		size_t len;

		subject += strspn(subject, " ");
		a = equals > subject ? attribute_of(subject, (size_t)(equals - subject)) : NULL;
		if (!a)
			return refuse(error,
				"a subject is CN=..., O=..., OU=..., C=..., ST=..., L=..., "
				"serialNumber=..., emailAddress=... or DC=..., with commas between "
				"them");
		subject = read_value(equals + 1, value, &len);
		if (!subject || !value_ok(a, value, len))
			return refuse(error,
				"%s in the subject has 1 to %zu characters that it can hold; , + "
				"\" ; < > \\ have a \\ before them",
				a->name, a->max);
		put_rdn(d, a, value, len);
		if (*subject == ',' && *++subject == 0)
			return refuse(error, "the subject ends in a comma");
	}
	wrap(d, SEQUENCE, end);
	return 0;
}

/*
 * The names of the host
 */

/* RFC 1034, section 3.5: letters, digits and hyphens, these not at an end; and the usual "_". */
static bool label_ok(const char *label, size_t len)
{
	return len >= 1 && len <= 63 && label[0] != '-' && label[len - 1] != '-' &&
	       strspn(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") >=
		       len;
}

/* Labels between dots, the first of several perhaps "*" (RFC 6125, section 6.4.3). */
static bool dns_ok(const char *name)
{
	if (strlen(name) > 253)
		return false;
	if (name[0] == '*' && name[1] == '.')
		name += 2;
	for (;;) {
		size_t len = strcspn(name, ".");

		if (!label_ok(name, len))
			return false;
		if (name[len] == 0)
			return true;
		name += len + 1;
	}
}

/* One GeneralName for each; DER has no order for them, so it is the caller's, reversed. */
static int put_names(struct der *d, const struct csr_options *options, char error[CSR_ERROR_SIZE])
{
	for (const char *const *ip = options->ip; ip && *ip; ip++) {
		uint8_t address[16];

		if (inet_pton(AF_INET, *ip, address) == 1)
			put_element(d, IP_ADDRESS, address, 4);
		else if (inet_pton(AF_INET6, *ip, address) == 1)
			put_element(d, IP_ADDRESS, address, 16);
		else
			return refuse(error, "not an IP address");
	}
	for (const char *const *dns = options->dns; dns && *dns; dns++) {
		if (!dns_ok(*dns))
			return refuse(error, "not a host name (a name with other letters is "
					     "written as xn--...)");
		put_element(d, DNS_NAME, *dns, strlen(*dns));
	}
	return 0;
}

/*
 * The attributes of the request: an extensionRequest (RFC 2985, section 5.4.2) with the one
 * extension subjectAltName, which is critical when there is no subject.
 */
static int put_attributes(
	struct der *d, const struct csr_options *options, char error[CSR_ERROR_SIZE])
{
	static const uint8_t extension_request[] = { 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
		0x01, 0x09, 0x0e };
	static const uint8_t subject_alt_name[] = { 0x06, 3, 0x55, 0x1d, 0x11 };
	static const uint8_t critical[] = { 0x01, 1, 0xff };
	size_t end = d->at;
	int r;

	if ((options->dns && *options->dns) || (options->ip && *options->ip)) {
		r = put_names(d, options, error);
		if (r < 0)
			return r;
		wrap(d, SEQUENCE, end);
		wrap(d, OCTET_STRING, end);
		if (!options->subject || !*options->subject)
			put(d, critical, sizeof(critical));
		put(d, subject_alt_name, sizeof(subject_alt_name));
		wrap(d, SEQUENCE, end); /* Extension */
		wrap(d, SEQUENCE, end); /* Extensions */
		wrap(d, SET, end);
		put(d, extension_request, sizeof(extension_request));
		wrap(d, SEQUENCE, end);
	} else if (!options->subject || !*options->subject) {
		return refuse(error, "neither a subject nor a name: whose certificate is it?");
	}
	wrap(d, CONTEXT_0, end);
	return 0;
}

int csr_info(const struct csr_options *options, const uint8_t *spki, size_t spki_len,
	uint8_t info[CSR_INFO_MAX], size_t *ret_len, char error[CSR_ERROR_SIZE])
{
	static const uint8_t version[] = { 0x02, 1, 0 };
	struct der d = { .at = sizeof(d.bytes) };
	int r;

	r = put_attributes(&d, options, error);
	put(&d, spki, spki_len);
	if (r == 0)
		r = put_subject(&d, options->subject, error);
	if (r < 0)
		return r;
	put(&d, version, sizeof(version));
	wrap(&d, SEQUENCE, sizeof(d.bytes));
	return take(&d, info, CSR_INFO_MAX, ret_len);
}

/*
 * The request
 */

static const uint8_t ecdsa_sha256[] = { 0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03,
	0x02 };
static const uint8_t ecdsa_sha384[] = { 0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03,
	0x03 };
/* RFC 4055, section 3.1: SHA-256, MGF1 with SHA-256, a salt of 32 bytes. */
static const uint8_t rsa_pss_sha256[] = { 0x30, 0x41, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
	0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65,
	0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 9, 0x2a, 0x86, 0x48, 0x86,
	0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
	0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20 };

static int put_algorithm(struct der *d, unsigned scheme)
{
	switch (scheme) {
	case TPMPSK_SCHEME_ECDSA_SECP256R1_SHA256:
		put(d, ecdsa_sha256, sizeof(ecdsa_sha256));
		return 0;
	case TPMPSK_SCHEME_ECDSA_SECP384R1_SHA384:
		put(d, ecdsa_sha384, sizeof(ecdsa_sha384));
		return 0;
	case TPMPSK_SCHEME_RSA_PSS_RSAE_SHA256:
		put(d, rsa_pss_sha256, sizeof(rsa_pss_sha256));
		return 0;
	default:
		return -EINVAL;
	}
}

int csr_finish(const uint8_t *info, size_t info_len, unsigned scheme, const uint8_t *signature,
	size_t signature_len, uint8_t csr[CSR_MAX], size_t *ret_len)
{
	struct der d = { .at = sizeof(d.bytes) };
	int r;

	put(&d, signature, signature_len);
	put_byte(&d, 0); /* no bits unused in the last byte */
	wrap(&d, BIT_STRING, sizeof(d.bytes));
	r = put_algorithm(&d, scheme);
	put(&d, info, info_len);
	wrap(&d, SEQUENCE, sizeof(d.bytes));
	return r < 0 ? r : take(&d, csr, CSR_MAX, ret_len);
}
