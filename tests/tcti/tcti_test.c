/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TCTI of tcti_test.h. A command and its answer pass through unless something is asked for;
 * what was decided when a command came is applied to its answer.
 */
#include "tests/tcti/tcti_test.h"

#include "tests/tcti/intruder.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>

#define MAGIC 0x74706d70736b7431u
#define HEADER_SIZE 10 /* tag, size, code */
#define RESPONSE_MAX 4096

struct context {
	TSS2_TCTI_CONTEXT_COMMON_V2 common;
	TSS2_TCTI_CONTEXT *inner;
	struct tcti_test *shared;
	bool dropped;
	bool answered;       /* the answer is made here, the inner TCTI has nothing to receive */
	bool lists_commands; /* the command in flight asks for TPM2_CAP_COMMANDS */
	enum tcti_test_fault fault; /* of the command in flight */
	uint32_t value;
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

/* Whether a fault is due for a command, counting it down. */
static enum tcti_test_fault take_fault(struct context *c, uint32_t code)
{
	struct tcti_test *s = c->shared;
	enum tcti_test_fault fault = s->fault;

	if (fault == TCTI_TEST_NO_FAULT || (s->code != 0 && s->code != code))
		return TCTI_TEST_NO_FAULT;
	if (s->skip > 0) {
		s->skip--;
		return TCTI_TEST_NO_FAULT;
	}
	if (s->times == 0 || --s->times == 0)
		s->fault = TCTI_TEST_NO_FAULT;
	s->faults++;
	c->value = s->value;
	return fault;
}

/* A list of algorithms from SHA-384 on begins behind it. */
static TSS2_RC pass_on(struct context *c, size_t size, const uint8_t *command)
{
	uint8_t changed[64];

	if (!c->shared->hide_sha384 || get32(command + 6) != TPM2_CC_GetCapability ||
		size < HEADER_SIZE + 8 || size > sizeof(changed) ||
		get32(command + HEADER_SIZE) != TPM2_CAP_ALGS ||
		get32(command + HEADER_SIZE + 4) != TPM2_ALG_SHA384)
		return Tss2_Tcti_Transmit(c->inner, size, command);
	memcpy(changed, command, size);
	put32(changed + HEADER_SIZE + 4, TPM2_ALG_SHA384 + 1);
	return Tss2_Tcti_Transmit(c->inner, size, changed);
}

static void take_time(struct context *c, uint32_t code)
{
	uint32_t us = c->shared->latency_us;

	if (code == TPM2_CC_Load || code == TPM2_CC_ContextLoad)
		us += c->shared->load_us;
	if (us > 0)
		usleep(us);
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
	struct context *c = (struct context *)tcti;
	uint32_t code;

	if (c->dropped || size < HEADER_SIZE)
		return TSS2_TCTI_RC_IO_ERROR;
	code = get32(command + 6);
	c->shared->commands++;
	if (code - TCTI_TEST_FIRST < TCTI_TEST_CODES)
		c->shared->count[code - TCTI_TEST_FIRST]++;
	take_time(c, code);
	if (c->shared->attempt != INTRUDER_NOTHING) {
		c->shared->outcome = intruder_try(c->shared->attempt, c->shared->path);
		c->shared->attempt = INTRUDER_NOTHING;
	}
	c->fault = take_fault(c, code);
	if (c->fault == TCTI_TEST_DROP) {
		c->dropped = true;
		return TSS2_TCTI_RC_IO_ERROR;
	}
	if (c->fault == TCTI_TEST_HANG)
		c->shared->hanging = 1;
	c->lists_commands = code == TPM2_CC_GetCapability && size >= HEADER_SIZE + 4 &&
			    get32(command + HEADER_SIZE) == TPM2_CAP_COMMANDS;
	if (c->shared->hide_hmac && code == TPM2_CC_HMAC) {
		c->fault = TCTI_TEST_ANSWER;
		c->value = TPM2_RC_COMMAND_CODE;
	}
	c->answered = c->fault == TCTI_TEST_ANSWER;
	return c->answered ? TSS2_RC_SUCCESS : pass_on(c, size, command);
}

/*
 * Takes TPM2_HMAC out of a list of commands: moreData, capability, count, then the attribute words.
 */
static size_t hide_hmac(uint8_t *response, size_t size)
{
	uint8_t *count = response + HEADER_SIZE + 5, *list = count + 4, *p;

	for (p = list; p + 4 <= response + size; p += 4)
		if ((get32(p) & TPMA_CC_COMMANDINDEX_MASK) == TPM2_CC_HMAC)
			break;
	if (size < HEADER_SIZE + 9 || p + 4 > response + size)
		return size;
	memmove(p, p + 4, (size_t)(response + size - p - 4));
	size -= 4;
	put32(count, get32(count) - 1);
	put32(response + 2, (uint32_t)size);
	return size;
}

static size_t only_code(uint8_t *response, uint32_t code)
{
	response[0] = 0x80; /* TPM_ST_NO_SESSIONS */
	response[1] = 0x01;
	put32(response + 2, HEADER_SIZE);
	put32(response + 6, code);
	return HEADER_SIZE;
}

static size_t apply_fault(struct context *c, uint8_t *response, size_t size)
{
	switch (c->fault) {
	case TCTI_TEST_ANSWER:
	case TCTI_TEST_REPLACE:
		return only_code(response, c->value);
	case TCTI_TEST_TRUNCATE:
		if (c->value >= size)
			return size;
		memset(response + c->value, 0, size - c->value);
		return c->value;
	case TCTI_TEST_GARBAGE:
		for (size_t i = HEADER_SIZE; i < size; i++)
			response[i] ^= 0xa5;
		return size;
	case TCTI_TEST_FLIP:
		if (c->value < size)
			response[c->value] ^= 0xa5;
		return size;
	default:
		return size;
	}
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
	struct context *c = (struct context *)tcti;
	TSS2_RC rc;

	if (c->dropped)
		return TSS2_TCTI_RC_IO_ERROR;
	if (!response) {
		*size = RESPONSE_MAX;
		return TSS2_RC_SUCCESS;
	}
	if (*size < RESPONSE_MAX)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	while (c->shared->hanging)
		usleep(1000);
	if (!c->answered) {
		rc = Tss2_Tcti_Receive(c->inner, size, response, timeout);
		if (rc != TSS2_RC_SUCCESS)
			return rc;
		if (c->lists_commands && c->shared->hide_hmac)
			*size = hide_hmac(response, *size);
	}
	*size = apply_fault(c, response, *size);
	return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *tcti)
{
	struct context *c = (struct context *)tcti;

	Tss2_TctiLdr_Finalize(&c->inner);
	tcti_test_unmap(c->shared);
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *tcti)
{
	return Tss2_Tcti_Cancel(((struct context *)tcti)->inner);
}

static TSS2_RC get_poll_handles(TSS2_TCTI_CONTEXT *tcti, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
	return Tss2_Tcti_GetPollHandles(((struct context *)tcti)->inner, handles, n);
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *tcti, uint8_t locality)
{
	return Tss2_Tcti_SetLocality(((struct context *)tcti)->inner, locality);
}

static TSS2_RC make_sticky(TSS2_TCTI_CONTEXT *tcti, TPM2_HANDLE *handle, uint8_t sticky)
{
	return Tss2_Tcti_MakeSticky(((struct context *)tcti)->inner, handle, sticky);
}

/* "file=FILE;INNER" */
static TSS2_RC open_parts(struct context *c, const char *config)
{
	const char *inner = config ? strchr(config, ';') : NULL;
	char file[256];

	if (!inner || strncmp(config, "file=", 5) != 0 || inner - config - 5 >= (int)sizeof(file))
		return TSS2_TCTI_RC_BAD_VALUE;
	memcpy(file, config + 5, (size_t)(inner - config - 5));
	file[inner - config - 5] = '\0';
	c->shared = tcti_test_map(file);
	if (!c->shared)
		return TSS2_TCTI_RC_IO_ERROR;
	return Tss2_TctiLdr_Initialize(inner + 1, &c->inner);
}

static TSS2_RC init(TSS2_TCTI_CONTEXT *tcti, size_t *size, const char *config)
{
	struct context *c = (struct context *)tcti;
	TSS2_RC rc;

	if (!tcti) {
		*size = sizeof(*c);
		return TSS2_RC_SUCCESS;
	}
	*c = (struct context){ .common = {
				       .v1 = { .magic = MAGIC,
					       .version = 2,
					       .transmit = transmit,
					       .receive = receive,
					       .finalize = finalize,
					       .cancel = cancel,
					       .getPollHandles = get_poll_handles,
					       .setLocality = set_locality },
				       .makeSticky = make_sticky,
			       } };
	rc = open_parts(c, config);
	if (rc != TSS2_RC_SUCCESS)
		tcti_test_unmap(c->shared);
	return rc;
}

/* The one name that the TCTI loader looks up. */
__attribute__((visibility("default"))) const TSS2_TCTI_INFO *Tss2_Tcti_Info(void);

const TSS2_TCTI_INFO *Tss2_Tcti_Info(void)
{
	static const TSS2_TCTI_INFO info = {
		.version = 2,
		.name = "tcti-test",
		.description = "counts, delays and spoils what goes to another TCTI",
		.config_help = "file=FILE;INNER",
		.init = init,
	};

	return &info;
}
