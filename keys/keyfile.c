/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The format is draft-bottomley-tpm2-keys: a PEM block around the DER of a TPMKey. One key may need
 * several objects, so a file may hold several blocks; tools that know one block read the first.
 */
#include "keys/keyfile.h"

#include "keys/reserve.h"
#include "keys/tpmkey_asn1.h"

#include <assert.h>
#include <errno.h>
#include <libtasn1.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PEM_BEGIN "-----BEGIN TSS2 PRIVATE KEY-----"
#define PEM_END "-----END TSS2 PRIVATE KEY-----"
#define PEM_COLUMNS 64
#define DER_MAX (KEYFILE_SIZE_MAX / 4 * 3)
#define DER_ONE_MAX (2 * KEYFILE_AREA_MAX + 64) /* both areas, and all else that is written */
#define BASE64_ONE_MAX ((DER_ONE_MAX + 2) / 3 * 4 + 1)

#define OID_LOADABLE "2.23.133.10.1.3"
#define OID_IMPORTABLE "2.23.133.10.1.4"
#define OID_SEALED "2.23.133.10.1.5"

#define RESERVE 65536 /* bytes; what libtasn1 wants for a key */

static const char why_memory[] = "out of memory";
static const char why_no_base64[] = "what is in the PEM block is not base64";
static const char why_no_key[] = "what is in the PEM block is not a TPM key";
static const char why_unknown[] = "an unknown kind of TPM key";

static void asn1_freep(asn1_node *node)
{
	asn1_delete_structure(node);
}

/* A TPM2B: two bytes of length, big-endian, then as many bytes. */
static bool is_sized(const uint8_t *area, size_t len)
{
	return len > 2 && len - 2 == ((size_t)area[0] << 8 | area[1]);
}

int keyfile_add(struct keyfile *kf, uint32_t parent, const void *pub, size_t pub_len,
	const void *priv, size_t priv_len)
{
	uint8_t *areas;

	if (pub_len > KEYFILE_AREA_MAX || priv_len > KEYFILE_AREA_MAX)
		return -EINVAL;
	if (!is_sized(pub, pub_len) || !is_sized(priv, priv_len))
		return -EINVAL;
	if (kf->n_objects == KEYFILE_OBJECTS_MAX)
		return -E2BIG;
	areas = malloc(pub_len + priv_len);
	if (!areas)
		return -ENOMEM;
	memcpy(areas, pub, pub_len);
	memcpy(areas + pub_len, priv, priv_len);
	kf->objects[kf->n_objects++] = (struct keyfile_object){
		.parent = parent,
		.pub_len = (uint16_t)pub_len,
		.priv_len = (uint16_t)priv_len,
		.pub = areas,
		.priv = areas + pub_len,
	};
	return 0;
}

void keyfile_done(struct keyfile *kf)
{
	for (size_t i = 0; i < kf->n_objects; i++)
		free(kf->objects[i].pub);
	*kf = (struct keyfile){ 0 };
}

bool keyfile_equal(const struct keyfile *a, const struct keyfile *b)
{
	if (a->n_objects != b->n_objects)
		return false;
	for (size_t i = 0; i < a->n_objects; i++) {
		const struct keyfile_object *x = &a->objects[i], *y = &b->objects[i];

		if (x->parent != y->parent || x->pub_len != y->pub_len ||
			x->priv_len != y->priv_len)
			return false;
		if (memcmp(x->pub, y->pub, (size_t)x->pub_len + x->priv_len) != 0)
			return false;
	}
	return true;
}

/* An empty TPMKey in *ret. */
static int new_element(asn1_node *ret)
{
	__attribute__((cleanup(asn1_freep))) asn1_node definitions = NULL;
	char error[ASN1_MAX_ERROR_DESCRIPTION_SIZE];

	/* The table is our own: only memory can be lacking. */
	if (!reserve(RESERVE))
		return -ENOMEM;
	if (asn1_array2tree(tpmkey_asn1, &definitions, error) != ASN1_SUCCESS)
		return -ENOMEM;
	if (asn1_create_element(definitions, "TPMPSK.TPMKey", ret) != ASN1_SUCCESS)
		return -ENOMEM;
	return 0;
}

static int refuse(const char **ret_why, int r, const char *why)
{
	*ret_why = why;
	return r;
}

static int check_type(asn1_node key, const char **ret_why)
{
	char oid[64];
	int len = sizeof(oid);
	int r = asn1_read_value(key, "type", oid, &len);

	/* libtasn1 takes a SEQUENCE that ends in its own length for one without fields. */
	if (r != ASN1_SUCCESS && r != ASN1_MEM_ERROR)
		return refuse(ret_why, -EBADMSG, why_no_key);
	if (r == ASN1_MEM_ERROR)
		return refuse(ret_why, -EOPNOTSUPP, why_unknown);
	if (strcmp(oid, OID_LOADABLE) == 0)
		return 0;
	if (strcmp(oid, OID_IMPORTABLE) == 0)
		return refuse(ret_why, -EOPNOTSUPP,
			"an importable key: import it into the TPM first, a loadable one is taken");
	if (strcmp(oid, OID_SEALED) == 0)
		return refuse(ret_why, -EOPNOTSUPP, "sealed data, not a key");
	return refuse(ret_why, -EOPNOTSUPP, why_unknown);
}

/* Whether an optional SEQUENCE OF is there and has an element. */
static bool has_elements(asn1_node key, const char *name)
{
	int n = 0;

	return asn1_number_of_elements(key, name, &n) == ASN1_SUCCESS && n > 0;
}

static bool is_there(asn1_node key, const char *name)
{
	int len = 0;

	return asn1_read_value(key, name, NULL, &len) != ASN1_ELEMENT_NOT_FOUND;
}

static bool is_true(asn1_node key, const char *name)
{
	char value[8];
	int len = sizeof(value);

	return asn1_read_value(key, name, value, &len) == ASN1_SUCCESS &&
	       strcmp(value, "TRUE") == 0;
}

/*
 * emptyAuth is not looked at: files with an empty auth say true, say false or say nothing,
 * depending on who wrote them. The TPM knows. A description is of no use here.
 */
static int check_options(asn1_node key, uint32_t parent, const char **ret_why)
{
	if (has_elements(key, "policy") || has_elements(key, "authPolicy"))
		return refuse(ret_why, -EOPNOTSUPP, "a key with a TPM policy, which is not taken");
	if (is_there(key, "secret"))
		return refuse(ret_why, -EBADMSG, "a loadable key with an import secret");
	if (parent == KEYFILE_PARENT_OWNER && is_true(key, "rsaParent"))
		return refuse(ret_why, -EOPNOTSUPP,
			"a key under an RSA primary key; only the ECC P-256 one is taken");
	return 0;
}

static int read_parent(asn1_node key, uint32_t *ret, const char **ret_why)
{
	uint8_t value[5];
	int len = sizeof(value);
	uint32_t parent = 0;

	if (asn1_read_value(key, "parent", value, &len) != ASN1_SUCCESS || len < 4)
		return refuse(ret_why, -EOPNOTSUPP, "an unknown kind of parent");
	/*
	 * Four bytes from 0x81 are a negative number, which is how writers with a 32-bit long put a
	 * persistent handle.
	 */
	if (len == 5 && value[0] != 0)
		return refuse(ret_why, -EOPNOTSUPP, "an unknown kind of parent");
	for (int i = len - 4; i < len; i++)
		parent = parent << 8 | value[i];
	if (parent != KEYFILE_PARENT_OWNER && parent >> 24 != 0x81)
		return refuse(ret_why, -EOPNOTSUPP,
			"its parent is neither the owner hierarchy's primary key nor a persistent "
			"key");
	*ret = parent;
	return 0;
}

static int read_area(
	asn1_node key, const char *name, uint8_t area[KEYFILE_AREA_MAX], size_t *ret_len)
{
	int len = KEYFILE_AREA_MAX;

	if (asn1_read_value(key, name, area, &len) != ASN1_SUCCESS || len < 0)
		return -EBADMSG;
	*ret_len = (size_t)len;
	return 0;
}

static int decode_key(const uint8_t *der, size_t der_len, struct keyfile *kf, const char **ret_why)
{
	__attribute__((cleanup(asn1_freep))) asn1_node key = NULL;
	uint8_t pub[KEYFILE_AREA_MAX], priv[KEYFILE_AREA_MAX];
	size_t pub_len, priv_len;
	uint32_t parent;
	char error[ASN1_MAX_ERROR_DESCRIPTION_SIZE];
	int len = (int)der_len;
	int r;

	r = new_element(&key);
	if (r < 0)
		return refuse(ret_why, r, why_memory);
	r = asn1_der_decoding2(&key, der, &len, ASN1_DECODE_FLAG_STRICT_DER, error);
	if (r == ASN1_MEM_ALLOC_ERROR)
		return refuse(ret_why, -ENOMEM, why_memory);
	if (r != ASN1_SUCCESS)
		return refuse(ret_why, -EBADMSG, why_no_key);
	r = check_type(key, ret_why);
	if (r < 0)
		return r;
	r = read_parent(key, &parent, ret_why);
	if (r < 0)
		return r;
	r = check_options(key, parent, ret_why);
	if (r < 0)
		return r;
	if (read_area(key, "pubkey", pub, &pub_len) < 0 ||
		read_area(key, "privkey", priv, &priv_len) < 0)
		return refuse(ret_why, -EBADMSG, "a public or private area that is too long");
	r = keyfile_add(kf, parent, pub, pub_len, priv, priv_len);
	if (r == -EINVAL)
		return refuse(ret_why, -EBADMSG, "a public or private area whose length is wrong");
	if (r == -E2BIG)
		return refuse(ret_why, r, "more keys in one file than any purpose needs");
	return r < 0 ? refuse(ret_why, r, why_memory) : 0;
}

static int decode_block(const char *body, size_t len, struct keyfile *kf, const char **ret_why)
{
	uint8_t der[DER_MAX];
	size_t der_len;

	/* libsodium 1.0.18 takes some bytes above 127 for digits. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)body[i] > 127)
			return refuse(ret_why, -EBADMSG, why_no_base64);
	if (sodium_base642bin(der, sizeof(der), body, len, " \t\r\n", &der_len, NULL,
		    sodium_base64_VARIANT_ORIGINAL) < 0)
		return refuse(ret_why, -EBADMSG, why_no_base64);
	return decode_key(der, der_len, kf, ret_why);
}

/* A line without its end and the blanks before that, as PEM readers compare it. */
static bool line_is(const char *line, size_t len, const char *wanted)
{
	while (len > 0 && memchr(" \t\r", line[len - 1], 3))
		len--;
	return len == strlen(wanted) && memcmp(line, wanted, len) == 0;
}

static int decode_text(const char *pem, size_t len, struct keyfile *kf, const char **ret_why)
{
	const char *const end = pem + len;
	const char *body = NULL;
	int r;

	for (const char *line = pem, *next; line < end; line = next) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t line_len = (size_t)((newline ? newline : end) - line);

		next = newline ? newline + 1 : end;
		if (line_is(line, line_len, PEM_BEGIN)) {
			if (body)
				return refuse(ret_why, -EBADMSG, "a PEM block inside a PEM block");
			body = next;
		} else if (body && line_is(line, line_len, PEM_END)) {
			r = decode_block(body, (size_t)(line - body), kf, ret_why);
			if (r < 0)
				return r;
			body = NULL;
		}
	}
	if (body)
		return refuse(ret_why, -EBADMSG, "a PEM block without its end");
	if (kf->n_objects == 0)
		return refuse(ret_why, -EBADMSG, "no TSS2 PRIVATE KEY in it");
	return 0;
}

int keyfile_decode(const char *pem, size_t len, struct keyfile *ret, const char **ret_why)
{
	struct keyfile kf = { 0 };
	int r;

	*ret = (struct keyfile){ 0 };
	if (len > KEYFILE_SIZE_MAX)
		return refuse(ret_why, -E2BIG, "too long for a key file");
	r = decode_text(pem, len, &kf, ret_why);
	if (r < 0) {
		keyfile_done(&kf);
		return r;
	}
	*ret = kf;
	return 0;
}

/*
 * Fills a TPMKey. emptyAuth is true: our keys have an empty auth, and readers that ask for a
 * password otherwise do not ask.
 */
static bool fill_key(asn1_node key, const struct keyfile_object *o)
{
	/*
	 * The zero in front keeps a persistent handle positive; libtasn1 drops it where DER has
	 * none.
	 */
	const uint8_t parent[5] = { 0, (uint8_t)(o->parent >> 24), (uint8_t)(o->parent >> 16),
		(uint8_t)(o->parent >> 8), (uint8_t)o->parent };
	const struct {
		const char *name;
		const void *value; /* NULL: the field is left out */
		int len;           /* 0 for a string */
	} fields[] = {
		{ "type", OID_LOADABLE, 0 },
		{ "emptyAuth", "TRUE", 0 },
		{ "policy", NULL, 0 },
		{ "secret", NULL, 0 },
		{ "authPolicy", NULL, 0 },
		{ "description", NULL, 0 },
		{ "rsaParent", NULL, 0 },
		{ "parent", parent, sizeof(parent) },
		{ "pubkey", o->pub, o->pub_len },
		{ "privkey", o->priv, o->priv_len },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (asn1_write_value(key, fields[i].name, fields[i].value, fields[i].len) !=
			ASN1_SUCCESS)
			return false;
	return true;
}

static int encode_key(const struct keyfile_object *o, uint8_t der[DER_ONE_MAX], size_t *ret_len)
{
	__attribute__((cleanup(asn1_freep))) asn1_node key = NULL;
	char error[ASN1_MAX_ERROR_DESCRIPTION_SIZE];
	int len = DER_ONE_MAX;
	int r;

	r = new_element(&key);
	if (r < 0)
		return r;
	if (!fill_key(key, o) || asn1_der_coding(key, "", der, &len, error) != ASN1_SUCCESS)
		return -ENOMEM;
	*ret_len = (size_t)len;
	return 0;
}

/* Appends a block and returns where it ends. */
static char *write_block(char *out, const uint8_t *der, size_t der_len)
{
	char base64[BASE64_ONE_MAX];
	size_t left;

	sodium_bin2base64(base64, sizeof(base64), der, der_len, sodium_base64_VARIANT_ORIGINAL);
	out = stpcpy(out, PEM_BEGIN "\n");
	left = strlen(base64);
	for (const char *from = base64; left > 0;) {
		size_t n = left < PEM_COLUMNS ? left : PEM_COLUMNS;

		out = mempcpy(out, from, n);
		*out++ = '\n';
		from += n;
		left -= n;
	}
	return stpcpy(out, PEM_END "\n");
}

int keyfile_encode(const struct keyfile *kf, char **ret_pem, size_t *ret_len)
{
	char *pem = malloc(KEYFILE_SIZE_MAX + 1);
	char *end = pem, *tight;
	int r;

	/* What a full keyfile encodes to fits: whatever is written can be read. */
	static_assert(KEYFILE_OBJECTS_MAX * (BASE64_ONE_MAX + BASE64_ONE_MAX / PEM_COLUMNS +
						    sizeof(PEM_BEGIN) + sizeof(PEM_END) + 2) <=
			      KEYFILE_SIZE_MAX,
		"KEYFILE_SIZE_MAX");
	if (!pem)
		return -ENOMEM;
	*pem = '\0';
	for (size_t i = 0; i < kf->n_objects; i++) {
		uint8_t der[DER_ONE_MAX];
		size_t der_len;

		r = encode_key(&kf->objects[i], der, &der_len);
		if (r < 0) {
			free(pem);
			return r;
		}
		end = write_block(end, der, der_len);
	}
	*ret_len = (size_t)(end - pem);
	tight = realloc(pem, *ret_len + 1);
	*ret_pem = tight ? tight : pem;
	return 0;
}
