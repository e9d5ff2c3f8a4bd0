/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A private key whose every signature is asked of the daemon. GnuTLS hands over the hash of what it
 * wants signed, and the daemon wants to be told the transcript hash that is in it. So the messages of
 * the handshake are hashed here as well, in a hook. When a Certificate goes out, the transcript hash
 * up to there is kept for the signature that follows on the same thread: if the content of a
 * CertificateVerify with it, as a client or as a server, has the hash that GnuTLS asks for, then
 * that is what the daemon is asked to sign. Whatever else GnuTLS or the program wants signed has
 * another hash, and is refused.
 */
#include "client-lib/gnutls_internal.h"
#include "client-lib/tpmpsk-gnutls.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 16 /* certificates of a chain */

static const struct kind {
	gnutls_pk_algorithm_t pk;
	unsigned int bits;
	uint16_t scheme; /* RFC 8446, section 4.2.3 */
	gnutls_sign_algorithm_t sign;
} kinds[] = {
	{ GNUTLS_PK_ECDSA, 256, TPMPSK_ECDSA_SECP256R1_SHA256, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 },
	{ GNUTLS_PK_ECDSA, 384, TPMPSK_ECDSA_SECP384R1_SHA384, GNUTLS_SIGN_ECDSA_SECP384R1_SHA384 },
	{ GNUTLS_PK_RSA, 2048, TPMPSK_RSA_PSS_RSAE_SHA256, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256 },
};

struct key {
	struct tpmpsk *handle;
	const struct kind *kind;
	size_t identity_size;
	uint8_t identity[TPMPSK_IDENTITY_SIZE_MAX];
};

/*
 * The transcript of a session's handshake, by both hashes that a cipher suite can have: which it is
 * is not known when the first message goes by.
 */

#define SHA256_SIZE 32
#define SHA384_SIZE 48
#define N_HASHES 2

static const struct {
	gnutls_digest_algorithm_t algorithm;
	uint8_t size;
} hashes[N_HASHES] = { { GNUTLS_DIG_SHA256, SHA256_SIZE }, { GNUTLS_DIG_SHA384, SHA384_SIZE } };

struct transcript {
	gnutls_hash_hd_t hash[N_HASHES];
};

/* Up to a Certificate that is about to go out. By value: who it was for may be gone. */
static _Thread_local struct certificate_sent {
	bool valid;
	uint8_t digest[N_HASHES][SHA384_SIZE];
} certificate_sent;

#define TYPE_SERVER_HELLO 2
#define TYPE_MESSAGE_HASH 254

static void free_transcript(gnutls_ext_priv_data_t data)
{
	struct transcript *t = data;

	for (size_t i = 0; i < N_HASHES; i++)
		if (t->hash[i])
			gnutls_hash_deinit(t->hash[i], NULL);
	gnutls_free(t);
}

static int feed(struct transcript *t, size_t i, uint8_t type, const void *body, size_t size)
{
	const uint8_t header[] = { type, (uint8_t)(size >> 16), (uint8_t)(size >> 8),
		(uint8_t)size };
	int r = gnutls_hash(t->hash[i], header, sizeof(header));

	return r < 0 ? r : gnutls_hash(t->hash[i], body, size);
}

/* RFC 8446, section 4.4.1: in front of a HelloRetryRequest, the ClientHello is replaced by its hash. */
static int replace_hello(struct transcript *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < N_HASHES; i++) {
		uint8_t digest[SHA384_SIZE];

		gnutls_hash_output(t->hash[i], digest); /* and begins anew */
		r = feed(t, i, TYPE_MESSAGE_HASH, digest, hashes[i].size);
	}
	return r;
}

static int snapshot(const struct transcript *t)
{
	certificate_sent.valid = false;
	for (size_t i = 0; i < N_HASHES; i++) {
		gnutls_hash_hd_t copy = gnutls_hash_copy(t->hash[i]);

		if (!copy)
			return GNUTLS_E_MEMORY_ERROR;
		gnutls_hash_deinit(copy, certificate_sent.digest[i]);
	}
	certificate_sent.valid = true;
	return 0;
}

static bool is_in_transcript(unsigned int type)
{
	switch (type) {
	case GNUTLS_HANDSHAKE_NEW_SESSION_TICKET:
	case GNUTLS_HANDSHAKE_KEY_UPDATE:
	case GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC:
		return false;
	default:
		return true;
	}
}

static int on_message(gnutls_session_t session, unsigned int type, unsigned int when,
	unsigned int incoming, const gnutls_datum_t *body)
{
	gnutls_ext_priv_data_t data;
	struct transcript *t;
	int r = 0;

	(void)when;
	if (!is_in_transcript(type) ||
		gnutls_ext_get_data(session, TPMPSK_EXTENSION_TRANSCRIPT, &data) < 0)
		return 0;
	t = data;
	if (type == GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST) {
		r = replace_hello(t);
		type = TYPE_SERVER_HELLO; /* which it is on the wire */
	}
	for (size_t i = 0; r == 0 && i < N_HASHES; i++)
		r = feed(t, i, (uint8_t)type, body->data, body->size);
	if (r == 0 && !incoming && type == GNUTLS_HANDSHAKE_CERTIFICATE_PKT)
		r = snapshot(t);
	return r;
}

int tpmpsk_gnutls_watch(gnutls_session_t session)
{
	struct transcript *t = session ? gnutls_calloc(1, sizeof(*t)) : NULL;
	int r = 0;

	if (!t)
		return tpmpsk_gnutls_result(session ? TPMPSK_ERR_SYSTEM : TPMPSK_ERR_INVALID);
	for (size_t i = 0; r == 0 && i < N_HASHES; i++)
		r = gnutls_hash_init(&t->hash[i], hashes[i].algorithm);
	if (r == 0)
		r = gnutls_session_ext_register(session, "tpmpsk transcript",
			TPMPSK_EXTENSION_TRANSCRIPT, GNUTLS_EXT_NONE, NULL, NULL, free_transcript,
			NULL, NULL, 0);
	if (r < 0) {
		free_transcript(t);
		return r;
	}
	gnutls_ext_set_data(session, TPMPSK_EXTENSION_TRANSCRIPT, t);
	gnutls_handshake_set_hook_function(
		session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_PRE, on_message);
	return 0;
}

/*
 * The key
 */

/* RFC 8446, section 4.4.3: 64 spaces, a context string, a zero byte, the transcript hash. */
#define SPACES 64
#define CONTEXT_SIZE sizeof("TLS 1.3, server CertificateVerify") /* with the zero byte */

static const char client_context[CONTEXT_SIZE] = "TLS 1.3, client CertificateVerify";
static const char server_context[CONTEXT_SIZE] = "TLS 1.3, server CertificateVerify";

/* Whether a hash by the key's scheme is that of such a content. */
static bool is_hash_of(const struct key *key, const gnutls_datum_t *hash,
	const char context[CONTEXT_SIZE], const uint8_t *transcript, size_t transcript_size)
{
	uint8_t content[SPACES + CONTEXT_SIZE + SHA384_SIZE], digest[SHA384_SIZE];
	gnutls_digest_algorithm_t algorithm = gnutls_sign_get_hash_algorithm(key->kind->sign);

	if (hash->size != gnutls_hash_get_len(algorithm))
		return false;
	memset(content, ' ', SPACES);
	memcpy(content + SPACES, context, CONTEXT_SIZE);
	memcpy(content + SPACES + CONTEXT_SIZE, transcript, transcript_size);
	return gnutls_hash_fast(
		       algorithm, content, SPACES + CONTEXT_SIZE + transcript_size, digest) == 0 &&
	       memcmp(digest, hash->data, hash->size) == 0;
}

static int sign(const struct key *key, const gnutls_datum_t *hash,
	uint8_t signature[TPMPSK_SIGNATURE_SIZE_MAX], size_t *ret_size)
{
	const struct certificate_sent sent = certificate_sent;

	certificate_sent.valid = false;
	for (size_t i = 0; sent.valid && i < N_HASHES; i++) {
		if (is_hash_of(key, hash, server_context, sent.digest[i], hashes[i].size))
			return tpmpsk_certificate_verify_server(key->handle, key->identity,
				key->identity_size, key->kind->scheme, sent.digest[i],
				hashes[i].size, signature, ret_size);
		if (is_hash_of(key, hash, client_context, sent.digest[i], hashes[i].size))
			return tpmpsk_certificate_verify_client(key->handle, key->identity,
				key->identity_size, key->kind->scheme, sent.digest[i],
				hashes[i].size, signature, ret_size);
	}
	return TPMPSK_ERR_INVALID;
}

static int on_sign(gnutls_privkey_t privkey, gnutls_sign_algorithm_t algorithm, void *userdata,
	unsigned int flags, const gnutls_datum_t *hash, gnutls_datum_t *ret_signature)
{
	uint8_t signature[TPMPSK_SIGNATURE_SIZE_MAX];
	const struct key *key = userdata;
	size_t size;
	int r;

	(void)privkey;
	(void)flags;
	r = algorithm == key->kind->sign ? sign(key, hash, signature, &size) : TPMPSK_ERR_INVALID;
	r = tpmpsk_gnutls_result(r);
	if (r < 0)
		return r;
	ret_signature->data = gnutls_malloc(size);
	if (!ret_signature->data)
		return tpmpsk_gnutls_result(TPMPSK_ERR_SYSTEM);
	memcpy(ret_signature->data, signature, size);
	ret_signature->size = (unsigned int)size;
	return 0;
}

static int on_info(gnutls_privkey_t privkey, unsigned int flags, void *userdata)
{
	const struct key *key = userdata;

	(void)privkey;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return (int)key->kind->pk;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)key->kind->bits;
	if (flags & GNUTLS_PRIVKEY_INFO_SIGN_ALGO)
		return (int)key->kind->sign;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) == (unsigned int)key->kind->sign;
	return -1;
}

static void on_deinit(gnutls_privkey_t privkey, void *userdata)
{
	(void)privkey;
	free(userdata);
}

/* Which kind of key the public half belongs to; NULL for none that we know. */
static const struct kind *kind_of(gnutls_pubkey_t pubkey)
{
	unsigned int bits = 0;
	int pk = gnutls_pubkey_get_pk_algorithm(pubkey, &bits);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((int)kinds[i].pk == pk && kinds[i].bits == bits)
			return &kinds[i];
	return NULL;
}

static int get_pubkey(
	struct tpmpsk *handle, const gnutls_datum_t *identity, gnutls_pubkey_t *ret_pubkey)
{
	uint8_t spki[TPMPSK_PUBLIC_KEY_SIZE_MAX];
	gnutls_datum_t der = { .data = spki };
	gnutls_pubkey_t pubkey;
	size_t size;
	int r;

	r = tpmpsk_gnutls_result(
		tpmpsk_certificate_public_key(handle, identity->data, identity->size, spki, &size));
	if (r < 0)
		return r;
	der.size = (unsigned int)size;
	r = gnutls_pubkey_init(&pubkey);
	if (r < 0)
		return r;
	r = gnutls_pubkey_import(pubkey, &der, GNUTLS_X509_FMT_DER);
	if (r < 0)
		gnutls_pubkey_deinit(pubkey);
	else
		*ret_pubkey = pubkey;
	return r;
}

static int make_privkey(struct tpmpsk *handle, const gnutls_datum_t *identity,
	const struct kind *kind, gnutls_privkey_t *ret_key)
{
	struct key *key = kind ? malloc(sizeof(*key)) : NULL;
	gnutls_privkey_t privkey;
	int r;

	if (!key)
		return kind ? tpmpsk_gnutls_result(TPMPSK_ERR_SYSTEM)
			    : tpmpsk_gnutls_result(TPMPSK_ERR_PROTOCOL);
	*key = (struct key){ handle, kind, identity->size, { 0 } };
	memcpy(key->identity, identity->data, identity->size);
	r = gnutls_privkey_init(&privkey);
	if (r < 0) {
		free(key);
		return r;
	}
	r = gnutls_privkey_import_ext4(privkey, key, NULL, on_sign, NULL, on_deinit, on_info, 0);
	if (r < 0) {
		gnutls_privkey_deinit(privkey);
		free(key);
		return r;
	}
	*ret_key = privkey;
	return 0;
}

static bool arguments_ok(
	const struct tpmpsk *handle, const gnutls_datum_t *identity, unsigned int flags)
{
	return handle && identity && identity->data && identity->size >= 1 &&
	       identity->size <= TPMPSK_IDENTITY_SIZE_MAX && flags == 0;
}

int tpmpsk_gnutls_privkey(struct tpmpsk *handle, const gnutls_datum_t *identity, unsigned int flags,
	gnutls_privkey_t *ret_key)
{
	gnutls_pubkey_t pubkey;
	int r;

	if (!arguments_ok(handle, identity, flags) || !ret_key)
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	r = get_pubkey(handle, identity, &pubkey);
	if (r < 0)
		return r;
	r = make_privkey(handle, identity, kind_of(pubkey), ret_key);
	gnutls_pubkey_deinit(pubkey);
	return r;
}

/*
 * A certificate and the key that it is for
 */

static int pubkey_id(gnutls_pubkey_t pubkey, uint8_t id[SHA256_SIZE])
{
	size_t size = SHA256_SIZE;

	return gnutls_pubkey_get_key_id(pubkey, GNUTLS_KEYID_USE_SHA256, id, &size);
}

/* GnuTLS finds that out by signing something of its own, which this key does not do. */
static int check_match(gnutls_pubkey_t certificate, gnutls_pubkey_t key)
{
	uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
	int r;

	r = pubkey_id(certificate, a);
	if (r == 0)
		r = pubkey_id(key, b);
	if (r == 0 && memcmp(a, b, sizeof(a)) != 0)
		r = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
	return r;
}

struct chain {
	gnutls_pcert_st *list; /* the array is ours, what is in it becomes the credentials' */
	unsigned int size;
};

static int load_chain(const char *file, struct chain *ret)
{
	struct chain c = { .size = CHAIN_MAX };
	int r;

	c.list = gnutls_calloc(c.size, sizeof(*c.list));
	if (!c.list)
		return tpmpsk_gnutls_result(TPMPSK_ERR_SYSTEM);
	r = gnutls_pcert_list_import_x509_file(
		c.list, &c.size, file, GNUTLS_X509_FMT_PEM, NULL, NULL, 0);
	if (r < 0)
		gnutls_free(c.list);
	else
		*ret = c;
	return r;
}

static void chain_done(struct chain *c)
{
	for (unsigned int i = 0; i < c->size; i++)
		gnutls_pcert_deinit(&c->list[i]);
	gnutls_free(c->list);
}

/* Takes over the certificates when it succeeds. */
static int set_chain(gnutls_certificate_credentials_t credentials, struct tpmpsk *handle,
	const gnutls_datum_t *identity, const struct chain *chain)
{
	gnutls_privkey_t privkey = NULL;
	gnutls_pubkey_t pubkey;
	int r;

	r = get_pubkey(handle, identity, &pubkey);
	if (r < 0)
		return r;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): GnuTLS imports no empty list */
	r = check_match(chain->list[0].pubkey, pubkey);
	if (r == 0)
		r = make_privkey(handle, identity, kind_of(pubkey), &privkey);
	gnutls_pubkey_deinit(pubkey);
	if (r < 0)
		return r;
	r = gnutls_certificate_set_key(
		credentials, NULL, 0, chain->list, (int)chain->size, privkey);
	if (r < 0)
		gnutls_privkey_deinit(privkey);
	return r;
}

int tpmpsk_gnutls_set_certificate(gnutls_certificate_credentials_t credentials,
	struct tpmpsk *handle, const gnutls_datum_t *identity, const char *chain_file,
	unsigned int flags)
{
	struct chain chain = { 0 };
	int r;

	if (!credentials || !chain_file || !arguments_ok(handle, identity, flags))
		return tpmpsk_gnutls_result(TPMPSK_ERR_INVALID);
	(void)tpmpsk_gnutls_result(0);
	r = load_chain(chain_file, &chain);
	if (r < 0)
		return r;
	r = set_chain(credentials, handle, identity, &chain);
	if (r < 0) {
		chain_done(&chain);
		return r;
	}
	gnutls_free(chain.list);
	(void)tpmpsk_gnutls_result(0); /* GnuTLS has tried to have something of its own signed */
	return 0;
}
