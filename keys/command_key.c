/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that change keys. The policy is built here as the JSON text of NAME.json and checked
 * by the daemon, which is the one that has to trust it; a secret goes beside it, never inside.
 */
#include "keys/command.h"
#include "keys/print.h"
#include "keys/secret_file.h"

#include <sodium.h>
#include <string.h>

#define RATE_MAX 1000000 /* as the policy has it, tpm-psk-key-policy(5) */

#define PURPOSES                                                                                   \
	"tls12-session, session-identity, exporter-kdf,\n"                                         \
	"                             exporter-mac, tls12-master, tls13-schedule, psk-import or\n" \
	"                             certificate-verify"

static const struct option policy_options[] = {
	{ "--identity", "ID", "the PSK identity that peers send; for certificate-verify, NAME",
		false },
	{ "--identity-hex", "HEX", "the same, for one that is not text", false },
	{ "--purpose", "P", "what it is for: " PURPOSES, false },
	{ "--mode", "M", "session-identity: strict (the default) or epoch", false },
	{ "--algorithm", "A",
		"certificate-verify: ecdsa-p256 (the default), ecdsa-p384 or rsa-2048", false },
	{ "--allow", "WHO...", "who may use it: user:NAME, group:NAME, uid:N, gid:N", true },
	{ "--rate", "N", "derivations a second for each user (no limit)", false },
	{ "--burst", "N", "derivations at once (as --rate)", false },
	{ "--replaces", "NAME", "session-identity: the key whose place it takes", false },
	{ NULL, NULL, NULL, false },
};

static const struct option secret_options[] = {
	{ "--secret-file", "F", "the secret: the bytes of F as they are; - is standard input",
		false },
	{ "--hex-file", "F", "the secret in hex digits; - is standard input", false },
	{ NULL, NULL, NULL, false },
};

static const struct option pem_option[] = {
	{ "--pem", "F", "the key file (TSS2 PRIVATE KEY); - is standard input", false },
	{ NULL, NULL, NULL, false },
};

static struct json_object *string_array(const struct options *o, const char *list)
{
	struct json_object *array = json_object_new_array();
	const char *who;
	size_t pos = 0;

	while ((who = options_next(o, list, &pos)))
		json_object_array_add(array, json_object_new_string(who));
	return array;
}

static struct json_object *hex_identity(const char *digits)
{
	struct json_object *identity = json_object_new_object();

	json_object_object_add(identity, "hex", json_object_new_string(digits));
	return identity;
}

/* An identity that JSON cannot carry as text, or that nobody could read, goes as hex. */
static struct json_object *identity_json(const struct options *o)
{
	const char *text = options_get(o, "--identity");
	char digits[2 * TPMPSK_IDENTITY_MAX + 1];

	if (!text && !options_get(o, "--identity-hex"))
		text = o->args[0];
	if (!text)
		return hex_identity(options_get(o, "--identity-hex"));
	if (text_is_printable(text) || strlen(text) > TPMPSK_IDENTITY_MAX)
		return json_object_new_string(text);
	sodium_bin2hex(digits, sizeof(digits), (const unsigned char *)text, strlen(text));
	return hex_identity(digits);
}

static enum exit_code add_number(
	struct invocation *call, struct json_object *policy, const char *option)
{
	char error[OPTIONS_ERROR_SIZE];
	uint32_t value = 0;

	if (options_get_number(&call->options, option, 1, RATE_MAX, error, &value) < 0)
		return usage(call, "%s", error);
	if (value > 0)
		json_object_object_add(
			policy, option + strlen("--"), json_object_new_int64((int64_t)value));
	return EXIT_DONE;
}

static bool is_certificate(const char *purpose)
{
	return strcmp(purpose, tpmpsk_purpose_name(TPMPSK_PURPOSE_CERTIFICATE_VERIFY)) == 0;
}

static enum exit_code check_policy_options(struct invocation *call)
{
	const struct options *o = &call->options;
	const char *purpose = options_get(o, "--purpose");
	int identities = !!options_get(o, "--identity") + !!options_get(o, "--identity-hex");

	if (!purpose)
		return usage(call, "--purpose is missing");
	/* No peer ever sees the identity of a key with a certificate. */
	if (identities > 1 || (identities == 0 && !is_certificate(purpose)))
		return usage(call, "one of --identity and --identity-hex is needed, and not both");
	return EXIT_DONE;
}

/* The text of NAME.json. */
static enum exit_code write_policy(struct invocation *call, struct tpmpsk_key_new *ret)
{
	const struct options *o = &call->options;
	_cleanup_(json_freep) struct json_object *policy = json_object_new_object();
	enum exit_code code = check_policy_options(call);
	const char *text;

	if (code != EXIT_DONE)
		return code;
	json_object_object_add(policy, "identity", identity_json(o));
	json_object_object_add(
		policy, "purpose", json_object_new_string(options_get(o, "--purpose")));
	if (options_get(o, "--mode"))
		json_object_object_add(
			policy, "mode", json_object_new_string(options_get(o, "--mode")));
	if (options_get(o, "--replaces"))
		json_object_object_add(
			policy, "replaces", json_object_new_string(options_get(o, "--replaces")));
	if (options_get(o, "--algorithm"))
		json_object_object_add(
			policy, "algorithm", json_object_new_string(options_get(o, "--algorithm")));
	json_object_object_add(policy, "allow", string_array(o, "--allow"));
	code = add_number(call, policy, "--rate");
	if (code == EXIT_DONE)
		code = add_number(call, policy, "--burst");
	if (code != EXIT_DONE)
		return code;
	text = json_object_to_json_string_ext(policy, JSON_C_TO_STRING_NOSLASHESCAPE);
	if (strlen(text) > TPMPSK_TEXT_MAX)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_MALFORMED), "too many --allow");
	strcpy(ret->policy, text);
	return EXIT_DONE;
}

/* Copies a name given on the command line; one that is too long cannot be sent at all. */
static enum exit_code write_name(struct invocation *call, char name[TPMPSK_KEY_NAME_MAX + 1])
{
	const char *text = call->options.args[0];

	if (strlen(text) > TPMPSK_KEY_NAME_MAX)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_MALFORMED),
			"a name has at most %d characters", TPMPSK_KEY_NAME_MAX);
	strcpy(name, text);
	return EXIT_DONE;
}

static enum exit_code read_secret(struct invocation *call, struct tpmpsk_key_new *ret)
{
	const char *raw = options_get(&call->options, "--secret-file");
	const char *hex = options_get(&call->options, "--hex-file");
	char error[SECRET_FILE_ERROR_SIZE];
	int r;

	if (!raw == !hex)
		return usage(call, "one of --secret-file and --hex-file is needed, and not both");
	if (raw)
		r = secret_file_read(
			raw, ret->payload, TPMPSK_KEY_SECRET_MAX, error, &ret->payload_len);
	else
		r = secret_file_read_hex(
			hex, ret->payload, TPMPSK_KEY_SECRET_MAX, error, &ret->payload_len);
	if (r < 0)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_INVALID), "%s", error);
	if (raw && ret->payload[ret->payload_len - 1] == '\n')
		fprintf(stderr,
			"tpm-psk: note: the secret ends in a newline, which is part of it\n");
	return EXIT_DONE;
}

static enum exit_code read_pem(struct invocation *call, struct tpmpsk_key_new *ret)
{
	const char *path = options_get(&call->options, "--pem");
	char error[SECRET_FILE_ERROR_SIZE];

	if (!path)
		return usage(call, "--pem is missing");
	if (secret_file_read(path, ret->payload, sizeof(ret->payload), error, &ret->payload_len) <
		0)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_INVALID), "%s", error);
	return EXIT_DONE;
}

static void key_new_freep(struct tpmpsk_key_new **m)
{
	sodium_free(*m);
}

static enum exit_code make_key(struct invocation *call, uint8_t opcode,
	enum exit_code (*read_payload)(struct invocation *call, struct tpmpsk_key_new *ret))
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(key_new_freep) struct tpmpsk_key_new *m = sodium_malloc(sizeof(*m));
	enum exit_code code;

	if (!m)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_SYSTEM), "no memory");
	memset(m, 0, sizeof(*m));
	code = write_name(call, m->name);
	if (code == EXIT_DONE)
		code = write_policy(call, m);
	if (code == EXIT_DONE && read_payload)
		code = read_payload(call, m);
	if (code == EXIT_DONE)
		code = ask(call, x,
			tpmpsk_key_new_encode(0, opcode, m, x->packet, sizeof(x->packet), &x->len),
			false);
	if (code == EXIT_DONE && !options_get(&call->options, "--allow"))
		fprintf(stderr, "tpm-psk: note: nobody may use it yet: tpm-psk key allow %s WHO\n",
			m->name);
	return code;
}

static enum exit_code run_import(struct invocation *call)
{
	return make_key(call, TPMPSK_OP_KEY_IMPORT, read_secret);
}

static enum exit_code run_generate(struct invocation *call)
{
	return make_key(call, TPMPSK_OP_KEY_GENERATE, NULL);
}

static enum exit_code run_adopt(struct invocation *call)
{
	return make_key(call, TPMPSK_OP_KEY_ADOPT, read_pem);
}

static enum exit_code change_who(struct invocation *call, uint8_t opcode)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(json_freep) struct json_object *who = json_object_new_array();
	struct tpmpsk_key_who m = { 0 };
	enum exit_code code = write_name(call, m.name);
	const char *text;

	if (code != EXIT_DONE)
		return code;
	for (size_t i = 1; i < call->options.n_args; i++)
		json_object_array_add(who, json_object_new_string(call->options.args[i]));
	text = json_object_to_json_string_ext(who, JSON_C_TO_STRING_NOSLASHESCAPE);
	if (strlen(text) > TPMPSK_TEXT_MAX)
		return fail(call, tpmpsk_strerror(TPMPSK_ERR_MALFORMED), "too many at once");
	strcpy(m.who, text);
	return ask(call, x,
		tpmpsk_key_who_encode(0, opcode, &m, x->packet, sizeof(x->packet), &x->len), false);
}

static enum exit_code run_allow(struct invocation *call)
{
	return change_who(call, TPMPSK_OP_KEY_ALLOW);
}

static enum exit_code run_deny(struct invocation *call)
{
	return change_who(call, TPMPSK_OP_KEY_DENY);
}

static enum exit_code run_remove(struct invocation *call)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	struct tpmpsk_key_name m = { 0 };
	enum exit_code code = write_name(call, m.name);

	if (code != EXIT_DONE)
		return code;
	return ask(call, x,
		tpmpsk_key_name_encode(
			0, TPMPSK_OP_KEY_REMOVE, &m, x->packet, sizeof(x->packet), &x->len),
		false);
}

static enum exit_code run_check(struct invocation *call)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	struct tpmpsk_key_name m = { 0 };
	enum exit_code code = write_name(call, m.name);

	if (code == EXIT_DONE)
		code = ask(call, x,
			tpmpsk_key_name_encode(0, TPMPSK_OP_KEY_CHECK, &m, x->packet,
				sizeof(x->packet), &x->len),
			true);
	if (code == EXIT_DONE)
		printf("%s: the TPM loads it\n", m.name);
	return code;
}

#define ALLOW_NOTES                                                                                \
	"--allow takes several at once: --allow user:a user:b. For session-identity and\n"         \
	"certificate-verify, :client or :server may stand behind each: in that role only."

#define SCHEDULE_NOTES                                                                             \
	"\n\nFor tls12-master, tls13-schedule and psk-import it is the PSK that the peer has, "    \
	"too."

#define EXPORTER_NOTES                                                                             \
	"\n\nThe secret of an exporter purpose must be used for nothing else, here or "            \
	"elsewhere:\n"                                                                             \
	"who may use such a key can ask for the HMAC of almost any bytes."

const struct command commands_key[] = {
	{ "key import", "NAME", 1, 1, { secret_options, policy_options },
		"Puts a secret into the TPM and forgets it",
		"The secret has 1 to 1024 bytes. It is never an argument, where others could read "
		"it.\n"
		"--secret-file takes every byte of the file: a newline at its end is part of the "
		"secret.\n"
		"--hex-file ignores white space.\n" ALLOW_NOTES EXPORTER_NOTES SCHEDULE_NOTES,
		run_import },
	{ "key generate", "NAME", 1, 1, { policy_options, NULL },
		"Makes a random key inside the TPM",
		"Nobody ever sees its secret, so no other TPM can have it. For a peer on another "
		"machine,\n"
		"import the same secret on both. Not for tls12-master, tls13-schedule, psk-import: "
		"what\n"
		"they need is a PSK that the peer has, too.\n"
		"\n"
		"For certificate-verify it makes a key pair; without --identity, programs ask for "
		"it by NAME.\n"
		"An RSA key can take a minute.\n" ALLOW_NOTES,
		run_generate, .timeout_ms = 120000 },
	{ "key adopt", "NAME", 1, 1, { pem_option, policy_options },
		"Takes a key file that was made elsewhere",
		"The file is a TSS2 PRIVATE KEY, as tpm2-tools write it, of an HMAC-SHA256 key of "
		"this TPM;\n"
		"for certificate-verify, of a signing key. It is loaded once to prove that it "
		"works.\n"
		"Not for tls12-master, tls13-schedule, psk-import: their keys hold something else "
		"than the\n"
		"secret.\n" ALLOW_NOTES EXPORTER_NOTES,
		run_adopt },
	{ "key allow", "NAME WHO...", 2, SIZE_MAX, { NULL, NULL }, "Lets users or groups use a key",
		"WHO is user:NAME, group:NAME, uid:N or gid:N; for a session-identity or\n"
		"certificate-verify key, with :client or :server behind it or not. It holds from "
		"the next request on.",
		run_allow },
	{ "key deny", "NAME WHO...", 2, SIZE_MAX, { NULL, NULL },
		"Takes users or groups off a key's list",
		"WHO as 'key show' has it; without its role, it is all roles. It holds from the\n"
		"next request on.",
		run_deny },
	{ "key check", "NAME", 1, 1, { NULL, NULL }, "Has the TPM load a key, to prove that it works",
		"Nothing is derived.", run_check },
	{ "key remove", "NAME", 1, 1, { NULL, NULL }, "Removes a key for good", NULL, run_remove },
	{ 0 },
};
