/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a TPM may answer. A real one runs inside this process (libtpms), the TPM module talks to it over a TCTI of ours, and the input
 * says for each answer whether it passes, is changed, cut or replaced, or does not come. So the module meets answers that are right up
 * to a point, which bytes alone never are: the authorisation of an answer holds until it was touched.
 *
 * What must hold whatever comes back:
 *
 * - in an encrypted session, an HMAC that is handed out is right;
 * - a secret on its way in is on the bus in no command as it is;
 * - nothing is left open or loaded (LeakSanitizer looks at this process).
 */
#include "daemon/tpm.h"
#include "tests/fuzz/fuzz.h"

#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <libtpms/tpm_nvfilename.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

#define MAGIC 0x74706d66757a7a31u
#define HEADER_SIZE 10 /* tag, size, code */
#define RESPONSE_MAX 4096
#define COMMANDS_MAX 400 /* of one input; more than this and something goes round in circles */

static const char secret[] = "what must never be seen on the bus, 48 bytes....";
static struct fuzz_input input;
static unsigned n_commands;

/*
 * The TPM. Its state is kept in memory, and it is never started anew: what an input leaves loaded is flushed when the next one opens it.
 */

static struct blob {
	char name[32];
	unsigned char *data;
	uint32_t len;
} blobs[8];

static struct blob *blob_of(const char *name)
{
	for (size_t i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++) {
		if (!blobs[i].name[0])
			snprintf(blobs[i].name, sizeof(blobs[i].name), "%s", name);
		if (strcmp(blobs[i].name, name) == 0)
			return &blobs[i];
	}
	return NULL;
}

static TPM_RESULT nvram_init(void)
{
	return TPM_SUCCESS;
}

static TPM_RESULT nvram_load(unsigned char **data, uint32_t *len, uint32_t number, const char *name)
{
	const struct blob *b = blob_of(name);

	(void)number;
	if (!b || !b->data)
		return TPM_RETRY; /* there is none */
	*data = malloc(b->len);
	fuzz_must(*data);
	memcpy(*data, b->data, b->len);
	*len = b->len;
	return TPM_SUCCESS;
}

static TPM_RESULT nvram_store(
	const unsigned char *data, uint32_t len, uint32_t number, const char *name)
{
	struct blob *b = blob_of(name);

	(void)number;
	fuzz_must(b);
	free(b->data);
	b->data = malloc(len);
	fuzz_must(b->data);
	memcpy(b->data, data, len);
	b->len = len;
	return TPM_SUCCESS;
}

static TPM_RESULT nvram_delete(uint32_t number, const char *name, TPM_BOOL must_exist)
{
	(void)number;
	(void)name;
	(void)must_exist;
	return TPM_SUCCESS;
}

static void start_tpm(void)
{
	static struct libtpms_callbacks callbacks = {
		.sizeOfStruct = sizeof(callbacks),
		.tpm_nvram_init = nvram_init,
		.tpm_nvram_loaddata = nvram_load,
		.tpm_nvram_storedata = nvram_store,
		.tpm_nvram_deletename = nvram_delete,
	};

	fuzz_must(TPMLIB_ChooseTPMVersion(TPMLIB_TPM_VERSION_2) == TPM_SUCCESS);
	fuzz_must(TPMLIB_RegisterCallbacks(&callbacks) == TPM_SUCCESS);
	fuzz_must(TPMLIB_MainInit() == TPM_SUCCESS);
}

/* The bus. */

static struct {
	TSS2_TCTI_CONTEXT_COMMON_V2 common;
	unsigned char *response;
	uint32_t len, cap;
	bool dead;
} bus;

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void only_code(uint32_t code)
{
	bus.response[0] = 0x80; /* TPM_ST_NO_SESSIONS */
	bus.response[1] = 0x01;
	put32(bus.response + 2, HEADER_SIZE);
	put32(bus.response + 6, code);
	bus.len = HEADER_SIZE;
}

enum action { /* what is not here passes */
	CHANGE = 3,
	REPLACE,
	CODE,
	CUT,
	LOSE,
	FIX_SIZE = 8, /* may be added: the size in the header is made right again */
};

/* Does to the answer what the input says. */
static void spoil(void)
{
	uint8_t action = fuzz_u8(&input);
	const uint8_t *bytes;
	size_t at, n;

	switch (action & 7) {
	case CHANGE:
		at = fuzz_u16(&input) % (bus.len ? bus.len : 1);
		bytes = fuzz_bytes(&input, 1 + fuzz_u8(&input) % 8, &n);
		for (size_t i = 0; i < n && at + i < bus.len; i++)
			bus.response[at + i] ^= bytes[i];
		break;
	case REPLACE:
		bytes = fuzz_bytes(&input, fuzz_u16(&input) % 1024, &n);
		memcpy(bus.response, bytes, n);
		bus.len = (uint32_t)n;
		break;
	case CODE:
		at = fuzz_u16(&input);
		only_code((uint32_t)at << 16 | fuzz_u16(&input));
		break;
	case CUT:
		at = fuzz_u16(&input);
		bus.len = at < bus.len ? (uint32_t)at : bus.len;
		break;
	case LOSE:
		bus.dead = true;
		break;
	default:
		break;
	}
	if ((action & FIX_SIZE) && bus.len >= HEADER_SIZE)
		put32(bus.response + 2, bus.len);
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
	uint8_t copy[RESPONSE_MAX];

	(void)tcti;
	fuzz_must(size >= HEADER_SIZE && size <= sizeof(copy));
	fuzz_must(++n_commands < COMMANDS_MAX);
	fuzz_must(!fuzz_holds(command, size, secret, 16));
	if (bus.dead)
		return TSS2_TCTI_RC_IO_ERROR;
	memcpy(copy, command, size);
	fuzz_must(TPMLIB_Process(&bus.response, &bus.len, &bus.cap, copy, (uint32_t)size) ==
		  TPM_SUCCESS);
	if (bus.cap < RESPONSE_MAX) {
		bus.response = realloc(bus.response, RESPONSE_MAX);
		fuzz_must(bus.response);
		bus.cap = RESPONSE_MAX;
	}
	spoil();
	return TSS2_RC_SUCCESS;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
	(void)tcti;
	(void)timeout;
	if (bus.dead)
		return TSS2_TCTI_RC_IO_ERROR;
	if (!response) {
		*size = RESPONSE_MAX;
		return TSS2_RC_SUCCESS;
	}
	if (*size < bus.len)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	memcpy(response, bus.response, bus.len);
	*size = bus.len;
	return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *tcti)
{
	(void)tcti;
}

static TSS2_RC no_cancel(TSS2_TCTI_CONTEXT *tcti)
{
	(void)tcti;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC no_handles(TSS2_TCTI_CONTEXT *tcti, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
	(void)tcti;
	(void)handles;
	(void)n;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC no_locality(TSS2_TCTI_CONTEXT *tcti, uint8_t locality)
{
	(void)tcti;
	(void)locality;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

/* The loader's own, found before the library's: every name leads to the TPM above. */
TSS2_RC Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **ret)
{
	(void)name;
	bus.common.v1 = (TSS2_TCTI_CONTEXT_COMMON_V1){
		.magic = MAGIC,
		.version = 2,
		.transmit = transmit,
		.receive = receive,
		.finalize = finalize,
		.cancel = no_cancel,
		.getPollHandles = no_handles,
		.setLocality = no_locality,
	};
	bus.dead = false;
	*ret = (TSS2_TCTI_CONTEXT *)&bus.common;
	return TSS2_RC_SUCCESS;
}

void Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **tcti)
{
	*tcti = NULL;
}

/* A TPM that wants to be asked again later need not be waited for. */
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void)wanted;
	(void)left;
	return 0;
}

/* A key in software and the same in the TPM. */
static struct keyfile key;

static void open_and_make(struct tpm **ret, struct keyfile *kf, bool encrypt)
{
	const struct tpm_options options = {
		.tcti = "swtpm", .encrypt_sessions = encrypt, .quiet = true
	};

	if (tpm_open(ret, &options) < 0)
		return;
	if (tpm_create_hmac(*ret, TPMPSK_DIGEST_SHA256, (const uint8_t *)secret, sizeof(secret) - 1,
		    kf) == 0)
		fuzz_must(kf->n_objects == 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct tpm *t = NULL;

	(void)argc;
	(void)argv;
	fuzz_must(sodium_init() >= 0);
	start_tpm();
	open_and_make(&t, &key, true);
	fuzz_must(t && key.n_objects == 1);
	tpm_free(t);
	return 0;
}

static void derive(struct tpm *t, bool encrypted)
{
	uint8_t want[crypto_auth_hmacsha256_BYTES], mac[TPM_MAC_MAX];
	static const uint8_t in[] = "in";
	crypto_auth_hmacsha256_state state;
	size_t len;

	if (tpm_hmac(t, 1, &key.objects[0], in, sizeof(in), mac, &len) < 0)
		return;
	fuzz_must(len <= TPM_MAC_MAX);
	crypto_auth_hmacsha256_init(&state, (const uint8_t *)secret, sizeof(secret) - 1);
	crypto_auth_hmacsha256_update(&state, in, sizeof(in));
	crypto_auth_hmacsha256_final(&state, want);
	fuzz_must(!encrypted || (len == sizeof(want) && memcmp(mac, want, len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keyfile made = { 0 };
	struct tpm *t = NULL;
	uint8_t flags;

	input = (struct fuzz_input){ data, size };
	n_commands = 0;
	flags = fuzz_u8(&input);
	open_and_make(&t, &made, flags & 1);
	if (t) {
		derive(t, flags & 1);
		derive(t, flags & 1);
		if (flags & 2 && made.n_objects == 1)
			(void)!tpm_try_hmac(t, &made.objects[0]);
		tpm_forget(t, 1);
	}
	tpm_free(t);
	keyfile_done(&made);
	return 0;
}
