/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message - every message of the protocol, one encode and one decode each.
 *
 * One packet of a SOCK_SEQPACKET socket is one message: an 8-byte header and a body. PROTOCOL.md is
 * the specification; this is its C form. Encoders return 0 and the packet's length, or -EMSGSIZE;
 * decoders take the whole body and return 0 or -EBADMSG, and nothing is acted on before that. Pure
 * functions over the caller's buffers; any thread. Buffers and structs may hold secrets: whoever
 * owns them wipes them.
 */
#ifndef TPMPSK_PROTO_MESSAGE_H
#define TPMPSK_PROTO_MESSAGE_H

#include "proto/derive.h"
#include "proto/status.h"

#include <stddef.h>
#include <stdint.h>

#define TPMPSK_PROTOCOL_VERSION 1
#define TPMPSK_MESSAGE_MAX 4096
#define TPMPSK_HEADER_SIZE 8
#define TPMPSK_KEY_NAME_MAX 64     /* bytes; [A-Za-z0-9][A-Za-z0-9._-]{0,63} */
#define TPMPSK_KEY_SECRET_MAX 1024 /* bytes of a secret to import */
#define TPMPSK_TEXT_MAX 4000       /* bytes of JSON or PEM in one message, its NUL not counted */
#define TPMPSK_BLOB_MAX 512        /* bytes of a public key or signature in a reply */
#define TPMPSK_DETAIL_MAX 240      /* bytes of an error's text */

enum tpmpsk_opcode {
	TPMPSK_OP_HELLO = 1,
	TPMPSK_OP_DERIVE = 2,
	TPMPSK_OP_STATUS = 3,
	TPMPSK_OP_PUBLIC = 4,
	TPMPSK_OP_METRICS = 5,
	TPMPSK_OP_KEY_IMPORT = 16,
	TPMPSK_OP_KEY_GENERATE = 17,
	TPMPSK_OP_KEY_ADOPT = 18,
	TPMPSK_OP_KEY_LIST = 19,
	TPMPSK_OP_KEY_SHOW = 20,
	TPMPSK_OP_KEY_ALLOW = 21,
	TPMPSK_OP_KEY_DENY = 22,
	TPMPSK_OP_KEY_REMOVE = 23,
	TPMPSK_OP_KEY_CSR = 24,
	TPMPSK_OP_KEY_CHECK = 25,
	TPMPSK_OP_RELOAD = 32,
};
#define TPMPSK_OP_REPLY 0x80 /* set in a reply's opcode */

struct tpmpsk_header {
	uint8_t version;
	uint8_t opcode;
	uint16_t status; /* 0 in a request */
	uint32_t id;     /* chosen by the client; the reply carries it back */
};

struct tpmpsk_hello {
	uint8_t version_min, version_max; /* what the client speaks */
};

struct tpmpsk_hello_reply {
	uint8_t version;      /* the highest that both speak */
	uint16_t message_max; /* bytes the daemon takes in one packet */
	uint32_t purposes;    /* bit n: the daemon knows purpose number n */
	char software[64];    /* for people, never to be parsed */
};

/* A key to be made. policy is the text of NAME.json, checked by the daemon. */
struct tpmpsk_key_new {
	char name[TPMPSK_KEY_NAME_MAX + 1];
	char policy[TPMPSK_TEXT_MAX + 1];
	size_t payload_len; /* import: the secret; adopt: the PEM text; generate: none */
	uint8_t payload[TPMPSK_TEXT_MAX];
};

struct tpmpsk_metrics {
	uint32_t from; /* the number of the first row wanted; 0 for the totals, too */
};

struct tpmpsk_key_list {
	/* start behind this name, in strcmp order; "" for the first page */
	char after[TPMPSK_KEY_NAME_MAX + 1];
};

struct tpmpsk_key_name {
	char name[TPMPSK_KEY_NAME_MAX + 1];
};

/* Who is added to or taken from a key's `allow`: a JSON array of strings, checked by the daemon. */
struct tpmpsk_key_who {
	char name[TPMPSK_KEY_NAME_MAX + 1];
	char who[TPMPSK_TEXT_MAX + 1];
};

/* Whose public key: a certificate-verify key's identity. */
struct tpmpsk_public {
	size_t identity_len;
	uint8_t identity[TPMPSK_IDENTITY_MAX];
};

/* A CertificationRequestInfo in DER (RFC 2986, section 4.1) to be signed with the key. */
struct tpmpsk_key_csr {
	char name[TPMPSK_KEY_NAME_MAX + 1];
	size_t info_len;
	uint8_t info[TPMPSK_TEXT_MAX];
};

/* The body of public's reply, a SubjectPublicKeyInfo in DER, and of csr's, a signature. */
struct tpmpsk_blob_reply {
	size_t len;
	uint8_t data[TPMPSK_BLOB_MAX];
};

/* The body of status, metrics, show and list replies; more is 1 when there are further pages. */
struct tpmpsk_text_reply {
	uint8_t more;
	size_t len;
	char text[TPMPSK_TEXT_MAX + 1];
};

/* The body of every reply whose status is not ok. */
struct tpmpsk_error_reply {
	uint32_t retry_after_ms; /* with busy: when to come back; else 0 */
	char detail[TPMPSK_DETAIL_MAX + 1];
};

/* Reads the header and leaves the reader at the body. -EBADMSG when there are fewer bytes. */
int tpmpsk_header_decode(struct tpmpsk_reader *r, struct tpmpsk_header *ret)
	__attribute__((warn_unused_result));

/* Requests: buf has cap bytes, TPMPSK_MESSAGE_MAX is always enough. */
int tpmpsk_hello_encode(
	uint32_t id, const struct tpmpsk_hello *m, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_derive_encode(
	uint32_t id, const struct tpmpsk_derive *m, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_key_new_encode(uint32_t id, uint8_t opcode, const struct tpmpsk_key_new *m, void *buf,
	size_t cap, size_t *ret_len);
int tpmpsk_metrics_encode(
	uint32_t id, const struct tpmpsk_metrics *m, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_key_list_encode(
	uint32_t id, const struct tpmpsk_key_list *m, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_key_name_encode(uint32_t id, uint8_t opcode, const struct tpmpsk_key_name *m, void *buf,
	size_t cap, size_t *ret_len);
int tpmpsk_key_who_encode(uint32_t id, uint8_t opcode, const struct tpmpsk_key_who *m, void *buf,
	size_t cap, size_t *ret_len);
int tpmpsk_public_encode(
	uint32_t id, const struct tpmpsk_public *m, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_key_csr_encode(
	uint32_t id, const struct tpmpsk_key_csr *m, void *buf, size_t cap, size_t *ret_len);
/* status and reload: a header and nothing else. */
int tpmpsk_empty_encode(uint32_t id, uint8_t opcode, void *buf, size_t cap, size_t *ret_len);

/* Bodies of requests; r stands behind the header. */
int tpmpsk_hello_decode(struct tpmpsk_reader *r, struct tpmpsk_hello *ret);
/* -EOPNOTSUPP for a purpose this protocol version does not know. */
int tpmpsk_derive_decode(struct tpmpsk_reader *r, struct tpmpsk_derive *ret);
int tpmpsk_key_new_decode(struct tpmpsk_reader *r, uint8_t opcode, struct tpmpsk_key_new *ret);
int tpmpsk_metrics_decode(struct tpmpsk_reader *r, struct tpmpsk_metrics *ret);
int tpmpsk_key_list_decode(struct tpmpsk_reader *r, struct tpmpsk_key_list *ret);
int tpmpsk_key_name_decode(struct tpmpsk_reader *r, struct tpmpsk_key_name *ret);
int tpmpsk_key_who_decode(struct tpmpsk_reader *r, struct tpmpsk_key_who *ret);
int tpmpsk_public_decode(struct tpmpsk_reader *r, struct tpmpsk_public *ret);
int tpmpsk_key_csr_decode(struct tpmpsk_reader *r, struct tpmpsk_key_csr *ret);
int tpmpsk_empty_decode(struct tpmpsk_reader *r);

/* Replies. opcode is the request's; the reply bit is added. */
int tpmpsk_hello_reply_encode(
	uint32_t id, const struct tpmpsk_hello_reply *m, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_derived_encode(
	uint32_t id, const struct tpmpsk_derived *m, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_text_reply_encode(uint32_t id, uint8_t opcode, uint8_t more, const char *text,
	size_t len, void *buf, size_t cap, size_t *ret_len);
int tpmpsk_blob_reply_encode(uint32_t id, uint8_t opcode, const void *data, size_t len, void *buf,
	size_t cap, size_t *ret_len);
/* A success that says nothing more: import, generate, adopt, allow, deny, remove, reload. */
int tpmpsk_ok_encode(uint32_t id, uint8_t opcode, void *buf, size_t cap, size_t *ret_len);
/* A detail longer than TPMPSK_DETAIL_MAX is cut. */
int tpmpsk_error_encode(uint32_t id, uint8_t opcode, enum tpmpsk_status status,
	uint32_t retry_after_ms, const char *detail, void *buf, size_t cap, size_t *ret_len);

int tpmpsk_hello_reply_decode(struct tpmpsk_reader *r, struct tpmpsk_hello_reply *ret);
int tpmpsk_derived_decode(struct tpmpsk_reader *r, struct tpmpsk_derived *ret);
int tpmpsk_text_reply_decode(struct tpmpsk_reader *r, struct tpmpsk_text_reply *ret);
int tpmpsk_blob_reply_decode(struct tpmpsk_reader *r, struct tpmpsk_blob_reply *ret);
int tpmpsk_error_decode(struct tpmpsk_reader *r, struct tpmpsk_error_reply *ret);

#endif
