/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/message.h"

#include <errno.h>
#include <string.h>

static void write_header(struct tpmpsk_writer *w, void *buf, size_t cap, uint8_t opcode,
	uint16_t status, uint32_t id)
{
	tpmpsk_writer_init(w, buf, cap);
	tpmpsk_write_u8(w, TPMPSK_PROTOCOL_VERSION);
	tpmpsk_write_u8(w, opcode);
	tpmpsk_write_u16(w, status);
	tpmpsk_write_u32(w, id);
}

static void write_text8(struct tpmpsk_writer *w, const char *text)
{
	tpmpsk_write_var8(w, text, strlen(text));
}

static void write_text16(struct tpmpsk_writer *w, const char *text)
{
	tpmpsk_write_var16(w, text, strlen(text));
}

int tpmpsk_header_decode(struct tpmpsk_reader *r, struct tpmpsk_header *ret)
{
	struct tpmpsk_header h;

	h.version = tpmpsk_read_u8(r);
	h.opcode = tpmpsk_read_u8(r);
	h.status = tpmpsk_read_u16(r);
	h.id = tpmpsk_read_u32(r);
	if (r->failed)
		return -EBADMSG;
	*ret = h;
	return 0;
}

/* A header and nothing else. */
int tpmpsk_empty_encode(uint32_t id, uint8_t opcode, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, opcode, 0, id);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_empty_decode(struct tpmpsk_reader *r)
{
	return tpmpsk_reader_finish(r);
}

int tpmpsk_ok_encode(uint32_t id, uint8_t opcode, void *buf, size_t cap, size_t *ret_len)
{
	return tpmpsk_empty_encode(id, opcode | TPMPSK_OP_REPLY, buf, cap, ret_len);
}

/* hello: u8 version_min, u8 version_max */
int tpmpsk_hello_encode(
	uint32_t id, const struct tpmpsk_hello *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_HELLO, 0, id);
	tpmpsk_write_u8(&w, m->version_min);
	tpmpsk_write_u8(&w, m->version_max);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_hello_decode(struct tpmpsk_reader *r, struct tpmpsk_hello *ret)
{
	ret->version_min = tpmpsk_read_u8(r);
	ret->version_max = tpmpsk_read_u8(r);
	if (ret->version_min < 1 || ret->version_min > ret->version_max)
		tpmpsk_reader_fail(r);
	return tpmpsk_reader_finish(r);
}

/* hello's reply: u8 version, u16 message_max, u32 purposes, text8 software */
int tpmpsk_hello_reply_encode(
	uint32_t id, const struct tpmpsk_hello_reply *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_HELLO | TPMPSK_OP_REPLY, 0, id);
	tpmpsk_write_u8(&w, m->version);
	tpmpsk_write_u16(&w, m->message_max);
	tpmpsk_write_u32(&w, m->purposes);
	write_text8(&w, m->software);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_hello_reply_decode(struct tpmpsk_reader *r, struct tpmpsk_hello_reply *ret)
{
	ret->version = tpmpsk_read_u8(r);
	ret->message_max = tpmpsk_read_u16(r);
	ret->purposes = tpmpsk_read_u32(r);
	tpmpsk_read_text8(r, ret->software, sizeof(ret->software));
	return tpmpsk_reader_finish(r);
}

int tpmpsk_derive_encode(
	uint32_t id, const struct tpmpsk_derive *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_DERIVE, 0, id);
	tpmpsk_write_derive(&w, m);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_derive_decode(struct tpmpsk_reader *r, struct tpmpsk_derive *ret)
{
	bool known;

	tpmpsk_read_derive(r, ret, &known);
	if (!known && !r->failed)
		return -EOPNOTSUPP;
	return tpmpsk_reader_finish(r);
}

int tpmpsk_derived_encode(
	uint32_t id, const struct tpmpsk_derived *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_DERIVE | TPMPSK_OP_REPLY, 0, id);
	tpmpsk_write_derived(&w, m);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_derived_decode(struct tpmpsk_reader *r, struct tpmpsk_derived *ret)
{
	tpmpsk_read_derived(r, ret);
	return tpmpsk_reader_finish(r);
}

/* import: text8 name, text16 policy, var16 secret; adopt: PEM for the secret; generate: neither */
int tpmpsk_key_new_encode(uint32_t id, uint8_t opcode, const struct tpmpsk_key_new *m, void *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, opcode, 0, id);
	write_text8(&w, m->name);
	write_text16(&w, m->policy);
	if (opcode != TPMPSK_OP_KEY_GENERATE)
		tpmpsk_write_var16(&w, m->payload, m->payload_len);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_key_new_decode(struct tpmpsk_reader *r, uint8_t opcode, struct tpmpsk_key_new *ret)
{
	size_t cap = opcode == TPMPSK_OP_KEY_IMPORT ? TPMPSK_KEY_SECRET_MAX : sizeof(ret->payload);

	tpmpsk_read_text8(r, ret->name, sizeof(ret->name));
	tpmpsk_read_text16(r, ret->policy, sizeof(ret->policy));
	ret->payload_len = 0;
	if (opcode != TPMPSK_OP_KEY_GENERATE) {
		ret->payload_len = tpmpsk_read_var16(r, ret->payload, cap);
		if (ret->payload_len == 0)
			tpmpsk_reader_fail(r);
	}
	return tpmpsk_reader_finish(r);
}

/* metrics: u32 from */
int tpmpsk_metrics_encode(
	uint32_t id, const struct tpmpsk_metrics *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_METRICS, 0, id);
	tpmpsk_write_u32(&w, m->from);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_metrics_decode(struct tpmpsk_reader *r, struct tpmpsk_metrics *ret)
{
	ret->from = tpmpsk_read_u32(r);
	return tpmpsk_reader_finish(r);
}

/* list: text8 after */
int tpmpsk_key_list_encode(
	uint32_t id, const struct tpmpsk_key_list *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_KEY_LIST, 0, id);
	write_text8(&w, m->after);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_key_list_decode(struct tpmpsk_reader *r, struct tpmpsk_key_list *ret)
{
	tpmpsk_read_text8(r, ret->after, sizeof(ret->after));
	return tpmpsk_reader_finish(r);
}

/* show, remove: text8 name */
int tpmpsk_key_name_encode(uint32_t id, uint8_t opcode, const struct tpmpsk_key_name *m, void *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, opcode, 0, id);
	write_text8(&w, m->name);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_key_name_decode(struct tpmpsk_reader *r, struct tpmpsk_key_name *ret)
{
	tpmpsk_read_text8(r, ret->name, sizeof(ret->name));
	return tpmpsk_reader_finish(r);
}

/* allow, deny: text8 name, text16 who */
int tpmpsk_key_who_encode(uint32_t id, uint8_t opcode, const struct tpmpsk_key_who *m, void *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, opcode, 0, id);
	write_text8(&w, m->name);
	write_text16(&w, m->who);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_key_who_decode(struct tpmpsk_reader *r, struct tpmpsk_key_who *ret)
{
	tpmpsk_read_text8(r, ret->name, sizeof(ret->name));
	tpmpsk_read_text16(r, ret->who, sizeof(ret->who));
	return tpmpsk_reader_finish(r);
}

/* public: var8 identity */
int tpmpsk_public_encode(
	uint32_t id, const struct tpmpsk_public *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_PUBLIC, 0, id);
	if (m->identity_len < 1 || m->identity_len > sizeof(m->identity))
		tpmpsk_writer_fail(&w);
	else
		tpmpsk_write_var8(&w, m->identity, m->identity_len);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_public_decode(struct tpmpsk_reader *r, struct tpmpsk_public *ret)
{
	ret->identity_len = tpmpsk_read_var8(r, ret->identity, sizeof(ret->identity));
	if (ret->identity_len < 1)
		tpmpsk_reader_fail(r);
	return tpmpsk_reader_finish(r);
}

/* csr: text8 name, var16 info */
int tpmpsk_key_csr_encode(
	uint32_t id, const struct tpmpsk_key_csr *m, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, TPMPSK_OP_KEY_CSR, 0, id);
	write_text8(&w, m->name);
	tpmpsk_write_var16(&w, m->info, m->info_len);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_key_csr_decode(struct tpmpsk_reader *r, struct tpmpsk_key_csr *ret)
{
	tpmpsk_read_text8(r, ret->name, sizeof(ret->name));
	ret->info_len = tpmpsk_read_var16(r, ret->info, sizeof(ret->info));
	if (ret->info_len < 1)
		tpmpsk_reader_fail(r);
	return tpmpsk_reader_finish(r);
}

/* public's and csr's reply: var16 data */
int tpmpsk_blob_reply_encode(uint32_t id, uint8_t opcode, const void *data, size_t len, void *buf,
	size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, opcode | TPMPSK_OP_REPLY, 0, id);
	tpmpsk_write_var16(&w, data, len);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_blob_reply_decode(struct tpmpsk_reader *r, struct tpmpsk_blob_reply *ret)
{
	ret->len = tpmpsk_read_var16(r, ret->data, sizeof(ret->data));
	if (ret->len < 1)
		tpmpsk_reader_fail(r);
	return tpmpsk_reader_finish(r);
}

/* status', list's and show's reply: u8 more, text16 text */
int tpmpsk_text_reply_encode(uint32_t id, uint8_t opcode, uint8_t more, const char *text,
	size_t len, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, opcode | TPMPSK_OP_REPLY, 0, id);
	tpmpsk_write_u8(&w, more);
	tpmpsk_write_var16(&w, text, len);
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_text_reply_decode(struct tpmpsk_reader *r, struct tpmpsk_text_reply *ret)
{
	ret->more = tpmpsk_read_u8(r);
	if (ret->more > 1)
		tpmpsk_reader_fail(r);
	ret->len = tpmpsk_read_text16(r, ret->text, sizeof(ret->text));
	return tpmpsk_reader_finish(r);
}

/* any failure: u32 retry_after_ms, text8 detail */
int tpmpsk_error_encode(uint32_t id, uint8_t opcode, enum tpmpsk_status status,
	uint32_t retry_after_ms, const char *detail, void *buf, size_t cap, size_t *ret_len)
{
	struct tpmpsk_writer w;

	write_header(&w, buf, cap, opcode | TPMPSK_OP_REPLY, (uint16_t)status, id);
	tpmpsk_write_u32(&w, retry_after_ms);
	tpmpsk_write_var8(&w, detail, strnlen(detail, TPMPSK_DETAIL_MAX));
	return tpmpsk_writer_finish(&w, ret_len);
}

int tpmpsk_error_decode(struct tpmpsk_reader *r, struct tpmpsk_error_reply *ret)
{
	ret->retry_after_ms = tpmpsk_read_u32(r);
	tpmpsk_read_text8(r, ret->detail, sizeof(ret->detail));
	return tpmpsk_reader_finish(r);
}
