/* SPDX-License-Identifier: BSD-2-Clause */
#include "client-lib/gnutls_parse.h"

#include "proto/reader.h"

#define EXTENSION_PRE_SHARED_KEY 41 /* RFC 8446, section 4.2 */
#define EXTENSION_SUPPORTED_VERSIONS 43

/* The next len bytes of r, as a reader of their own; failed when there are fewer. */
static struct tpmpsk_reader part(struct tpmpsk_reader *r, size_t len)
{
	struct tpmpsk_reader p;

	if (r->failed || len > r->left) {
		tpmpsk_reader_fail(r);
		tpmpsk_reader_init(&p, NULL, 0);
		tpmpsk_reader_fail(&p);
		return p;
	}
	tpmpsk_reader_init(&p, r->next, len);
	r->next += len;
	r->left -= len;
	return p;
}

static struct tpmpsk_reader part8(struct tpmpsk_reader *r)
{
	return part(r, tpmpsk_read_u8(r));
}

static struct tpmpsk_reader part16(struct tpmpsk_reader *r)
{
	return part(r, tpmpsk_read_u16(r));
}

/* The extension of that type in what follows; empty when there is none. */
static struct tpmpsk_reader find_extension(struct tpmpsk_reader extensions, uint16_t wanted)
{
	struct tpmpsk_reader none;

	while (extensions.left > 0 && !extensions.failed) {
		uint16_t type = tpmpsk_read_u16(&extensions);
		struct tpmpsk_reader data = part16(&extensions);

		if (type == wanted)
			return data;
	}
	tpmpsk_reader_init(&none, NULL, 0);
	return none;
}

static bool offers_tls13(struct tpmpsk_reader extensions)
{
	struct tpmpsk_reader e = find_extension(extensions, EXTENSION_SUPPORTED_VERSIONS);
	struct tpmpsk_reader versions = part8(&e);

	while (versions.left > 0 && !versions.failed)
		if (tpmpsk_read_u16(&versions) == TPMPSK_TLS13)
			return true;
	return false;
}

static bool find_identity(struct tpmpsk_reader identities, struct tpmpsk_span *ret)
{
	while (identities.left > 0) {
		struct tpmpsk_reader identity = part16(&identities);
		uint32_t age = tpmpsk_read_u32(&identities);

		if (identities.failed)
			return false;
		*ret = (struct tpmpsk_span){ identity.next, identity.left };
		if (age == 0 && ret->size >= 1 && ret->size <= TPMPSK_USERNAME_MAX)
			return true;
	}
	return false;
}

bool tpmpsk_parse_client_hello(const uint8_t *body, size_t size, struct tpmpsk_span *ret_identity)
{
	struct tpmpsk_reader r, extensions, psk;

	tpmpsk_reader_init(&r, body, size);
	part(&r, 2 + TPMPSK_HELLO_RANDOM_SIZE); /* version, random */
	part8(&r);                              /* session */
	part16(&r);                             /* suites */
	part8(&r);                              /* compression */
	extensions = part16(&r);
	psk = find_extension(extensions, EXTENSION_PRE_SHARED_KEY);
	return offers_tls13(extensions) && find_identity(part16(&psk), ret_identity);
}

bool tpmpsk_parse_server_hello(const uint8_t *body, size_t size, struct tpmpsk_server_hello *ret)
{
	struct tpmpsk_reader r, random, extensions, version;

	tpmpsk_reader_init(&r, body, size);
	ret->version = tpmpsk_read_u16(&r);
	random = part(&r, TPMPSK_HELLO_RANDOM_SIZE);
	part8(&r);   /* session */
	part(&r, 3); /* suite, compression */
	if (r.failed)
		return false;
	ret->random = random.next;
	if (r.left == 0) /* TLS 1.2 may have no extensions */
		return true;
	extensions = part16(&r);
	version = find_extension(extensions, EXTENSION_SUPPORTED_VERSIONS);
	if (version.left > 0)
		ret->version = tpmpsk_read_u16(&version);
	return !r.failed && !version.failed;
}

bool tpmpsk_parse_client_key_exchange(
	const uint8_t *body, size_t size, struct tpmpsk_span *ret_identity)
{
	struct tpmpsk_reader r, identity;

	tpmpsk_reader_init(&r, body, size);
	identity = part16(&r);
	*ret_identity = (struct tpmpsk_span){ identity.next, identity.left };
	return !identity.failed;
}
