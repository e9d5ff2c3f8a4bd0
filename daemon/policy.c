/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/policy.h"

#include "daemon/json.h"
#include "daemon/purpose.h"
#include "daemon/session_identity.h"
#include "daemon/text.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ALLOW_MAX 1024 /* entries: a request looks through all of them */
#define RATE_MAX 1000000

static_assert(POLICY_ERROR_SIZE >= JSON_ERROR_SIZE, "errors of json.h are handed on");

#define fail(error, r, ...) text_fail(error, POLICY_ERROR_SIZE, r, __VA_ARGS__)

#define STRICT_ONLY (1 << POLICY_STRICT)

/* What a policy may say beyond identity and allow, by purpose. */
static const struct {
	bool roles;
	bool replaces; /* a server can tell which of two keys its peer has */
	uint8_t modes; /* bit n: number n of mode_names */
} rules[TPMPSK_PURPOSE_COUNT] = {
	[TPMPSK_PURPOSE_TLS12_SESSION] = { .modes = STRICT_ONLY },
	[TPMPSK_PURPOSE_SESSION_IDENTITY] = { .roles = true,
		.replaces = true,
		.modes = STRICT_ONLY | 1 << POLICY_EPOCH },
	[TPMPSK_PURPOSE_EXPORTER_KDF] = { .modes = STRICT_ONLY },
	[TPMPSK_PURPOSE_EXPORTER_MAC] = { .modes = STRICT_ONLY },
	[TPMPSK_PURPOSE_TLS12_MASTER] = { .modes = STRICT_ONLY },
	[TPMPSK_PURPOSE_TLS13_SCHEDULE] = { .modes = STRICT_ONLY },
	[TPMPSK_PURPOSE_PSK_IMPORT] = { .modes = STRICT_ONLY },
	[TPMPSK_PURPOSE_CERTIFICATE_VERIFY] = { .roles = true, .modes = STRICT_ONLY },
};

static const char *const mode_names[] = { [POLICY_STRICT] = "strict", [POLICY_EPOCH] = "epoch" };
#define N_MODES (sizeof(mode_names) / sizeof(mode_names[0]))

/* Room for n more entries. */
static int reserve(struct policy *p, size_t n)
{
	struct policy_who *allow;

	if (n == 0)
		return 0;
	allow = reallocarray(p->allow, p->n_allow + n, sizeof(*allow));
	if (!allow)
		return -ENOMEM;
	p->allow = allow;
	return 0;
}

static int read_allow(
	struct json_object *array, bool strict, struct policy *p, char error[POLICY_ERROR_SIZE])
{
	size_t n = json_object_array_length(array);
	int r;

	if (n > ALLOW_MAX)
		return fail(error, -EBADMSG, "has more than %u entries", ALLOW_MAX);
	if (reserve(p, n) < 0)
		return fail(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		struct json_object *entry = json_object_array_get_idx(array, i);
		struct policy_who *w = &p->allow[p->n_allow];

		if (!json_is_string(entry))
			return fail(error, -EBADMSG, "must be an array of strings");
		/* In a file, a role where there are none allows nobody, as a user that does not exist. */
		r = policy_who_read(json_object_get_string(entry),
			rules[p->purpose].roles || !strict, w, error);
		if (r < 0)
			return r;
		p->n_allow++;
		if (strict && !w->resolved)
			return policy_who_unknown(w, error);
	}
	return 0;
}

struct identity {
	size_t len;
	uint8_t bytes[TPMPSK_IDENTITY_MAX];
};

static int read_hex(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	struct identity *id = dst;

	(void)field;
	if (!json_object_is_type(value, json_type_string) ||
		sodium_hex2bin(id->bytes, sizeof(id->bytes), json_object_get_string(value),
			(size_t)json_object_get_string_len(value), NULL, &id->len, NULL) < 0)
		return fail(error, -EBADMSG, "must be the hex digits of 1 to %d bytes",
			TPMPSK_IDENTITY_MAX);
	return 0;
}

static int read_identity(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	static const struct json_field hex_field[] = { { "hex", read_hex, 0, 0, 0 }, { 0 } };
	struct identity *id = dst;
	const char *s;
	size_t len;

	(void)field;
	if (json_object_is_type(value, json_type_object)) {
		int r = json_read_fields(value, hex_field, id, NULL, 0, error);

		return r == 0 && id->len == 0 ? fail(error, -EBADMSG, "is empty") : r;
	}
	if (!json_object_is_type(value, json_type_string))
		return fail(error, -EBADMSG, "must be a string or {\"hex\": \"...\"}");
	s = json_object_get_string(value);
	len = (size_t)json_object_get_string_len(value);
	if (len == 0 || len > sizeof(id->bytes))
		return fail(error, -EBADMSG, "must have 1 to %d bytes", TPMPSK_IDENTITY_MAX);
	if (!text_is_printable((const uint8_t *)s, len))
		return fail(error, -EBADMSG, "is not printable: write it as {\"hex\": \"...\"}");
	memcpy(id->bytes, s, len);
	id->len = len;
	return 0;
}

static int read_purpose(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	const char *name =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	unsigned purpose = tpmpsk_purpose_by_name(name);
	char shown[TEXT_SHOWN_SIZE];

	(void)field;
	if (purpose == 0)
		return fail(error, -EBADMSG, "'%s' is not a purpose",
			text_show(shown, name, strlen(name)));
	*(uint8_t *)dst = (uint8_t)purpose;
	return 0;
}

static int read_mode(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	const char *name =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	char shown[TEXT_SHOWN_SIZE];

	(void)field;
	for (size_t mode = 0; mode < N_MODES; mode++) {
		if (strcmp(name, mode_names[mode]) != 0)
			continue;
		*(int *)dst = (int)mode;
		return 0;
	}
	return fail(error, -EBADMSG, "'%s' is not a mode", text_show(shown, name, strlen(name)));
}

/* Whether there is such a key is for who has them all. */
static int read_name(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	const char *name = json_is_string(value) ? json_object_get_string(value) : "";

	(void)field;
	if (*name == '\0' || strlen(name) > TPMPSK_KEY_NAME_MAX)
		return fail(error, -EBADMSG, "must be a key's name");
	strcpy(dst, name);
	return 0;
}

static int read_algorithm(void *dst, struct json_object *value, const struct json_field *field,
	char error[JSON_ERROR_SIZE])
{
	const char *name =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	unsigned scheme = tpmpsk_scheme_by_algorithm(name);
	char shown[TEXT_SHOWN_SIZE];

	(void)field;
	if (scheme == TPMPSK_SCHEME_NONE)
		return fail(error, -EBADMSG, "'%s' is not an algorithm",
			text_show(shown, name, strlen(name)));
	*(uint16_t *)dst = (uint16_t)scheme;
	return 0;
}

struct content {
	struct identity identity;
	uint8_t purpose;
	int mode; /* -1 when there is none */
	uint16_t scheme;
	struct json_object *allow;
	uint32_t rate, burst;
	char replaces[TPMPSK_KEY_NAME_MAX + 1];
};

static const struct json_field fields[] = {
	{ "identity", read_identity, offsetof(struct content, identity), 0, 0 },
	{ "purpose", read_purpose, offsetof(struct content, purpose), 0, 0 },
	{ "mode", read_mode, offsetof(struct content, mode), 0, 0 },
	{ "algorithm", read_algorithm, offsetof(struct content, scheme), 0, 0 },
	{ "allow", json_read_array, offsetof(struct content, allow), 0, 0 },
	{ "rate", json_read_uint32, offsetof(struct content, rate), 1, RATE_MAX },
	{ "burst", json_read_uint32, offsetof(struct content, burst), 1, RATE_MAX },
	{ "replaces", read_name, offsetof(struct content, replaces), 0, 0 },
	{ 0 },
};

/* What no field alone shows. Returns the field and sets error, or NULL. */
static const char *check_content(const struct content *c, char error[POLICY_ERROR_SIZE])
{
	if (c->identity.len == 0) {
		(void)fail(error, 0, "is missing");
		return "identity";
	}
	if (c->purpose == 0) {
		(void)fail(error, 0, "is missing");
		return "purpose";
	}
	if (c->mode >= 0 && !(rules[c->purpose].modes & 1u << c->mode)) {
		(void)fail(error, 0, "'%s' is not for purpose '%s'", mode_names[c->mode],
			tpmpsk_purpose_name(c->purpose));
		return "mode";
	}
	if (c->scheme != TPMPSK_SCHEME_NONE && !purpose_signs(c->purpose)) {
		(void)fail(error, 0, "is not for purpose '%s', whose keys do not sign",
			tpmpsk_purpose_name(c->purpose));
		return "algorithm";
	}
	if (c->purpose == TPMPSK_PURPOSE_SESSION_IDENTITY) {
		struct session_identity parsed;

		if (c->identity.len > SESSION_BASE_MAX) {
			(void)fail(error, 0, "must have at most %d bytes for purpose '%s'",
				SESSION_BASE_MAX, tpmpsk_purpose_name(c->purpose));
			return "identity";
		}
		if (memchr(c->identity.bytes, 0, c->identity.len) ||
			session_identity_parse(c->identity.bytes, c->identity.len, &parsed)) {
			(void)fail(error, 0,
				"must not hold a zero byte or look like a session identity");
			return "identity";
		}
	}
	if (*c->replaces && !rules[c->purpose].replaces) {
		(void)fail(error, 0, "is not for purpose '%s': use a second identity",
			tpmpsk_purpose_name(c->purpose));
		return "replaces";
	}
	if (c->burst > 0 && c->rate == 0) {
		(void)fail(error, 0, "needs a rate");
		return "burst";
	}
	return NULL;
}

static int fail_field(const char *text, size_t len, const char *name, const char *why,
	char error[POLICY_ERROR_SIZE])
{
	unsigned line = text ? json_line_of(text, len, name) : 0;

	if (line > 0)
		return fail(error, -EBADMSG, "line %u: field '%s': %s", line, name, why);
	return fail(error, -EBADMSG, "field '%s': %s", name, why);
}

int policy_parse(const char *text, size_t len, bool strict, struct policy *ret,
	char error[POLICY_ERROR_SIZE])
{
	__attribute__((cleanup(json_freep))) struct json_object *object = NULL;
	__attribute__((cleanup(policy_done))) struct policy p = { 0 };
	struct content c = { .mode = -1 };
	char why[POLICY_ERROR_SIZE];
	const char *wrong;
	int r;

	*ret = (struct policy){ 0 };
	if (len > POLICY_SIZE_MAX)
		return fail(error, -EBADMSG, "longer than %d bytes", POLICY_SIZE_MAX);
	r = json_parse_text(text, len, &object, error);
	if (r < 0)
		return r;
	/* Who typed one line in a command is not told about lines. */
	if (strict)
		text = NULL;
	r = json_read_fields(object, fields, &c, text, len, error);
	if (r < 0)
		return r;
	wrong = check_content(&c, why);
	if (wrong)
		return fail_field(text, len, wrong, why, error);
	p.identity_len = c.identity.len;
	memcpy(p.identity, c.identity.bytes, c.identity.len);
	p.purpose = c.purpose;
	p.mode = c.mode < 0 ? 0 : (uint8_t)c.mode;
	p.scheme = c.scheme;
	p.rate = c.rate;
	p.burst = c.burst > 0 ? c.burst : c.rate;
	memcpy(p.replaces, c.replaces, sizeof(p.replaces));
	if (c.allow) {
		r = read_allow(c.allow, strict, &p, why);
		if (r == -ENOMEM)
			return fail(error, r, "%s", why);
		if (r < 0)
			return fail_field(text, len, "allow", why, error);
	}
	*ret = p;
	p = (struct policy){ 0 };
	return 0;
}

void policy_done(struct policy *p)
{
	for (size_t i = 0; i < p->n_allow; i++)
		policy_who_done(&p->allow[i]);
	free(p->allow);
	*p = (struct policy){ 0 };
}

static struct json_object *print_allow(const struct policy *p)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < p->n_allow; i++) {
		struct json_object *entry = json_object_new_string(p->allow[i].text);

		if (!entry || json_object_array_add(array, entry) < 0) {
			json_object_put(entry);
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

static int print_fields(const struct policy *p, struct json_object *o)
{
	int r;

	r = json_put(o, "identity", json_from_bytes(p->identity, p->identity_len));
	if (r == 0)
		r = json_put(o, "purpose", json_object_new_string(tpmpsk_purpose_name(p->purpose)));
	/* A purpose with one mode is a purpose without modes. */
	if (r == 0 && (rules[p->purpose].modes & (rules[p->purpose].modes - 1)))
		r = json_put(o, "mode", json_object_new_string(mode_names[p->mode]));
	if (r == 0 && p->scheme != TPMPSK_SCHEME_NONE)
		r = json_put(
			o, "algorithm", json_object_new_string(tpmpsk_scheme_algorithm(p->scheme)));
	if (r == 0)
		r = json_put(o, "allow", print_allow(p));
	if (r == 0 && p->rate > 0)
		r = json_put(o, "rate", json_object_new_int64(p->rate));
	if (r == 0 && p->burst != p->rate)
		r = json_put(o, "burst", json_object_new_int64(p->burst));
	if (r == 0 && *p->replaces)
		r = json_put(o, "replaces", json_object_new_string(p->replaces));
	return r;
}

int policy_print(const struct policy *p, char **ret_text)
{
	__attribute__((cleanup(json_freep))) struct json_object *o = json_object_new_object();
	const char *json;
	char *text;
	size_t len;

	if (!o || print_fields(p, o) < 0)
		return -ENOMEM;
	json = json_object_to_json_string_length(o,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE,
		&len);
	if (!json)
		return -ENOMEM;
	if (len >= POLICY_SIZE_MAX)
		return -E2BIG; /* it could not be read again */
	text = malloc(len + 2);
	if (!text)
		return -ENOMEM;
	memcpy(text, json, len);
	memcpy(text + len, "\n", 2);
	*ret_text = text;
	return 0;
}

bool policy_allows(const struct policy *p, const struct peer *peer, enum tpmpsk_role role)
{
	for (size_t i = 0; i < p->n_allow; i++)
		if (policy_who_matches(&p->allow[i], peer, role))
			return true;
	return false;
}

bool policy_may_match(const struct policy *p, const struct policy_who *w)
{
	return w->resolved && (rules[p->purpose].roles || (w->roles & 1u << TPMPSK_ROLE_NONE));
}

const struct policy_who *policy_unresolved(const struct policy *p)
{
	for (size_t i = 0; i < p->n_allow; i++)
		if (!policy_may_match(p, &p->allow[i]))
			return &p->allow[i];
	return NULL;
}

static int copy_policy(const struct policy *from, struct policy *ret)
{
	struct policy p = *from;

	p.allow = NULL;
	p.n_allow = 0;
	if (reserve(&p, from->n_allow) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_allow; i++) {
		p.allow[i] = from->allow[i];
		p.allow[i].text = strdup(from->allow[i].text);
		if (!p.allow[i].text) {
			policy_done(&p);
			return -ENOMEM;
		}
		p.n_allow++;
	}
	*ret = p;
	return 0;
}

/* Moves what each of changes says that p does not yet say to p's end. */
static int add_all(struct policy *p, struct policy *changes, char error[POLICY_ERROR_SIZE])
{
	if (reserve(p, changes->n_allow) < 0)
		return fail(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < changes->n_allow; i++) {
		struct policy_who *w = &changes->allow[i];
		bool there = false;

		for (size_t k = 0; k < p->n_allow; k++)
			if (policy_who_same(&p->allow[k], w) && !(w->roles & ~p->allow[k].roles))
				there = true;
		if (there)
			continue;
		p->allow[p->n_allow++] = *w;
		*w = (struct policy_who){ 0 };
	}
	if (p->n_allow > ALLOW_MAX)
		return fail(error, -EBADMSG, "more than %u entries", ALLOW_MAX);
	return 0;
}

static int remove_all(struct policy *p, const struct policy *changes, char error[POLICY_ERROR_SIZE])
{
	char shown[TEXT_SHOWN_SIZE];

	for (size_t i = 0; i < changes->n_allow; i++) {
		const struct policy_who *w = &changes->allow[i];
		size_t left = 0;

		for (size_t k = 0; k < p->n_allow; k++) {
			/* Without a role, both roles go. */
			if (policy_who_same(&p->allow[k], w) && !(p->allow[k].roles & ~w->roles))
				policy_who_done(&p->allow[k]);
			else
				p->allow[left++] = p->allow[k];
		}
		if (left == p->n_allow)
			return fail(error, -EBADMSG, "'%s' is not allowed now",
				text_show(shown, w->text, strlen(w->text)));
		p->n_allow = left;
	}
	return 0;
}

int policy_with(const struct policy *p, const char *who_json, bool add, struct policy *ret,
	char error[POLICY_ERROR_SIZE])
{
	__attribute__((cleanup(json_freep))) struct json_object *array = NULL;
	__attribute__((cleanup(policy_done))) struct policy changes = { .purpose = p->purpose };
	__attribute__((cleanup(policy_done))) struct policy result = { 0 };
	int r;

	r = json_parse_text(who_json, strlen(who_json), &array, error);
	if (r < 0)
		return r;
	if (!json_object_is_type(array, json_type_array) || json_object_array_length(array) == 0)
		return fail(error, -EBADMSG, "nobody is named");
	/* Who is taken away need not exist any more. */
	r = read_allow(array, add, &changes, error);
	if (r < 0)
		return r;
	if (copy_policy(p, &result) < 0)
		return fail(error, -ENOMEM, "out of memory");
	r = add ? add_all(&result, &changes, error) : remove_all(&result, &changes, error);
	if (r < 0)
		return r;
	*ret = result;
	result = (struct policy){ 0 };
	return 0;
}
