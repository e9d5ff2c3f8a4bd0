/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/certificate.h"

#include "daemon/purpose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int certificate_check_key(
	struct policy *policy, const struct keyfile *file, char why[CERTIFICATE_WHY_SIZE])
{
	struct tpm_signer signer;
	const char *reason = "more than one key in the file";
	int r = -EINVAL;

	if (!purpose_signs(policy->purpose))
		return 0;
	if (file->n_objects == 1)
		r = tpm_signer_read(&file->objects[0], &signer, &reason);
	if (r < 0) {
		snprintf(why, CERTIFICATE_WHY_SIZE, "%s", reason);
		return r;
	}
	if (policy->scheme == TPMPSK_SCHEME_NONE)
		policy->scheme = (uint16_t)signer.scheme;
	if (policy->scheme == signer.scheme)
		return 0;
	snprintf(why, CERTIFICATE_WHY_SIZE, "the policy's algorithm is %s and the key's is %s",
		tpmpsk_scheme_algorithm(policy->scheme), tpmpsk_scheme_algorithm(signer.scheme));
	return -EINVAL;
}

/*
 * A cursor over DER, as proto/reader.h is one over messages: sticky at its first error.
 */
struct der {
	const uint8_t *next;
	size_t left;
	bool failed;
};

enum {
	INTEGER = 0x02,
	OBJECT_IDENTIFIER = 0x06,
	SEQUENCE = 0x30,
	SET = 0x31,
	CONTEXT_0 = 0xa0,
};

static uint8_t read_byte(struct der *d)
{
	if (d->failed || d->left == 0) {
		d->failed = true;
		return 0;
	}
	d->left--;
	return *d->next++;
}

/* In the shortest form; nothing here is as long as 64 KiB. */
static size_t read_length(struct der *d)
{
	uint8_t first = read_byte(d);
	size_t len = first;

	if (first == 0x81) {
		len = read_byte(d);
		d->failed |= len < 0x80;
	} else if (first == 0x82) {
		len = (size_t)read_byte(d) << 8;
		len |= read_byte(d);
		d->failed |= len < 0x100;
	} else {
		d->failed |= first >= 0x80;
	}
	return len;
}

/* The next element's content; tag gets what it is. With failure, nothing is in it. */
static struct der read_any(struct der *d, uint8_t *tag)
{
	struct der content = { 0 };
	size_t len;

	*tag = read_byte(d);
	/* A tag number of 31 and more would go on in a second byte. */
	d->failed |= (*tag & 0x1f) == 0x1f || *tag == 0;
	len = read_length(d);
	if (d->failed || len > d->left) {
		d->failed = true;
		content.failed = true;
		return content;
	}
	content.next = d->next;
	content.left = len;
	d->next += len;
	d->left -= len;
	return content;
}

static struct der read_element(struct der *d, uint8_t tag)
{
	uint8_t found;
	struct der content = read_any(d, &found);

	if (found != tag) {
		d->failed = true;
		content = (struct der){ .failed = true };
	}
	return content;
}

/* A type and, behind it, one element of some kind. */
static void read_type(struct der *d)
{
	struct der type = read_element(d, OBJECT_IDENTIFIER);

	d->failed |= type.left == 0;
}

static bool is_done(const struct der *d)
{
	return !d->failed && d->left == 0;
}

/* Name ::= SEQUENCE OF SET OF SEQUENCE { type, value }, RFC 5280, section 4.1.2.4. */
static bool is_name(struct der name)
{
	while (!name.failed && name.left > 0) {
		struct der rdn = read_element(&name, SET);

		if (rdn.left == 0)
			return false;
		while (!rdn.failed && rdn.left > 0) {
			struct der pair = read_element(&rdn, SEQUENCE);
			uint8_t tag;

			read_type(&pair);
			(void)read_any(&pair, &tag);
			if (!is_done(&pair))
				return false;
		}
		if (!is_done(&rdn))
			return false;
	}
	return is_done(&name);
}

/* SET OF SEQUENCE { type, SET OF value }, RFC 2986, section 4.1. */
static bool is_attributes(struct der attributes)
{
	while (!attributes.failed && attributes.left > 0) {
		struct der attribute = read_element(&attributes, SEQUENCE);
		struct der values;
		uint8_t tag;

		read_type(&attribute);
		values = read_element(&attribute, SET);
		if (!is_done(&attribute) || values.left == 0)
			return false;
		while (!values.failed && values.left > 0)
			(void)read_any(&values, &tag);
		if (!is_done(&values))
			return false;
	}
	return is_done(&attributes);
}

bool certificate_request_ok(const uint8_t *info, size_t len, const struct tpm_signer *signer)
{
	struct der d = { .next = info, .left = len };
	struct der request = read_element(&d, SEQUENCE), version;

	if (!is_done(&d))
		return false;
	version = read_element(&request, INTEGER);
	if (version.left != 1 || version.next[0] != 0)
		return false;
	if (!is_name(read_element(&request, SEQUENCE)))
		return false;
	if (request.left < signer->spki_len ||
		memcmp(request.next, signer->spki, signer->spki_len) != 0)
		return false;
	request.next += signer->spki_len;
	request.left -= signer->spki_len;
	return is_attributes(read_element(&request, CONTEXT_0)) && is_done(&request);
}
