/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/policy.h"

#include "daemon/names.h"
#include "daemon/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROLES_ALL UINT8_MAX
#define fail(error, r, ...) text_fail(error, POLICY_ERROR_SIZE, r, __VA_ARGS__)

static int lookup_user(const char *name, uint32_t *ret)
{
	return names_lookup(NAMES_USER, name, ret);
}

static int lookup_group(const char *name, uint32_t *ret)
{
	return names_lookup(NAMES_GROUP, name, ret);
}

static int lookup_number(const char *digits, uint32_t *ret)
{
	uint64_t n = 0;

	for (const char *c = digits; *c; c++) {
		if (*c < '0' || *c > '9' || n > UINT32_MAX)
			return -EBADMSG;
		n = n * 10 + (uint64_t)(*c - '0');
	}
	/* The largest is (uid_t)-1, which means "nobody in particular" to the system's calls. */
	if (*digits == '\0' || n >= UINT32_MAX)
		return -EBADMSG;
	*ret = (uint32_t)n;
	return 0;
}

static const struct who_form {
	const char *prefix;
	enum policy_who_kind kind;
	int (*lookup)(const char *name, uint32_t *ret);
} who_forms[] = {
	{ "user:", POLICY_UID, lookup_user },
	{ "group:", POLICY_GID, lookup_group },
	{ "uid:", POLICY_UID, lookup_number },
	{ "gid:", POLICY_GID, lookup_number },
};

/* The length of an entry without its role, and the role as bits. */
static size_t subject_len(const char *text, uint8_t *ret_roles)
{
	size_t len = strlen(text);

	*ret_roles = ROLES_ALL;
	for (unsigned role = TPMPSK_ROLE_CLIENT; role < TPMPSK_ROLE_COUNT; role++) {
		size_t n = strlen(tpmpsk_role_name(role));

		if (len > n && text[len - n - 1] == ':' &&
			strcmp(text + len - n, tpmpsk_role_name(role)) == 0) {
			*ret_roles = (uint8_t)(1u << role);
			return len - n - 1;
		}
	}
	return len;
}

int policy_who_read(
	const char *text, bool roles_allowed, struct policy_who *ret, char error[POLICY_ERROR_SIZE])
{
	__attribute__((cleanup(text_freep))) char *subject = NULL, *copy = NULL;
	const struct who_form *form = NULL;
	char shown[TEXT_SHOWN_SIZE];
	uint32_t id = 0;
	uint8_t roles;
	int r;

	text_show(shown, text, strlen(text));
	subject = strndup(text, subject_len(text, &roles));
	copy = strdup(text);
	if (!subject || !copy)
		return fail(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < sizeof(who_forms) / sizeof(who_forms[0]); i++)
		if (strncmp(subject, who_forms[i].prefix, strlen(who_forms[i].prefix)) == 0)
			form = &who_forms[i];
	if (!form || strchr(subject + strlen(form->prefix), ':') || !subject[strlen(form->prefix)])
		return fail(error, -EBADMSG, "'%s' is not user:NAME, group:NAME, uid:N or gid:N%s",
			shown, roles_allowed ? ", with :client or :server behind it or not" : "");
	if (roles != ROLES_ALL && !roles_allowed)
		return fail(error, -EBADMSG, "'%s': there are no roles here", shown);
	r = form->lookup(subject + strlen(form->prefix), &id);
	if (r == -ENOMEM)
		return fail(error, r, "out of memory");
	if (r == -EIO)
		return fail(error, r, "'%s': users and groups cannot be looked up", shown);
	if (r == -EBADMSG)
		return fail(error, r, "'%s': not a number from 0 to 4294967294", shown);
	*ret = (struct policy_who){
		.text = copy,
		.kind = form->kind,
		.roles = roles,
		.resolved = r == 0,
		.id = id,
	};
	copy = NULL;
	return 0;
}

int policy_who_unknown(const struct policy_who *w, char error[POLICY_ERROR_SIZE])
{
	char shown[TEXT_SHOWN_SIZE];

	return fail(error, -ENOENT, "'%s': there is no such %s",
		text_show(shown, w->text, strlen(w->text)),
		w->kind == POLICY_UID ? "user" : "group");
}

int policy_who_parse(
	const char *text, bool roles_allowed, struct policy_who *ret, char error[POLICY_ERROR_SIZE])
{
	struct policy_who w;
	int r;

	r = policy_who_read(text, roles_allowed, &w, error);
	if (r < 0)
		return r;
	if (!w.resolved) {
		r = policy_who_unknown(&w, error);
		policy_who_done(&w);
		return r;
	}
	*ret = w;
	return 0;
}

void policy_who_done(struct policy_who *w)
{
	free(w->text);
	*w = (struct policy_who){ 0 };
}

bool policy_who_matches(const struct policy_who *w, const struct peer *peer, enum tpmpsk_role role)
{
	if (!w->resolved || !(w->roles & 1u << role))
		return false;
	return w->kind == POLICY_UID ? w->id == peer->uid : peer_in_group(peer, w->id);
}

bool policy_who_same(const struct policy_who *a, const struct policy_who *b)
{
	uint8_t roles;
	size_t len = subject_len(a->text, &roles);

	if (a->kind == b->kind && a->resolved && b->resolved)
		return a->id == b->id;
	return len == subject_len(b->text, &roles) && strncmp(a->text, b->text, len) == 0;
}
