/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policy files, and what `key allow` and `key deny` make of them. The input is the flags, the text of a policy, and behind a NUL a list
 * to be added and taken away.
 */
#include "daemon/policy.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#define STRICT 1

/* What is printed reads as the same policy, and prints as the same text. */
static void check_prints(const struct policy *p)
{
	char error[POLICY_ERROR_SIZE];
	struct policy again;
	char *text, *text2;
	int r = policy_print(p, &text);

	if (r == -E2BIG)
		return;
	fuzz_must(r == 0);
	fuzz_must(policy_parse(text, strlen(text), false, &again, error) == 0);
	fuzz_must(again.purpose == p->purpose && again.mode == p->mode);
	fuzz_must(again.identity_len == p->identity_len &&
		  memcmp(again.identity, p->identity, p->identity_len) == 0);
	fuzz_must(again.n_allow == p->n_allow && again.rate == p->rate && again.burst == p->burst);
	fuzz_must(policy_print(&again, &text2) == 0 && strcmp(text, text2) == 0);
	free(text);
	free(text2);
	policy_done(&again);
}

/* Nobody is let in whom no entry names. */
static void check_allows(const struct policy *p)
{
	gid_t groups[1] = { 33 };
	const struct peer nobody = { .uid = 65534, .gid = 65534, .n_groups = 0 };
	const struct peer www = { .uid = 33, .gid = 65534, .n_groups = 1, .groups = groups };
	bool named = false, www_named = false;

	for (size_t i = 0; i < p->n_allow; i++) {
		const struct policy_who *w = &p->allow[i];

		named = named || (w->resolved && w->id == 65534);
		www_named = www_named || (w->resolved && (w->id == 33 || w->id == 65534));
	}
	for (unsigned role = 0; role < TPMPSK_ROLE_COUNT; role++) {
		fuzz_must(named || !policy_allows(p, &nobody, role));
		fuzz_must(www_named || !policy_allows(p, &www, role));
	}
	if (!policy_unresolved(p))
		for (size_t i = 0; i < p->n_allow; i++)
			fuzz_must(p->allow[i].resolved);
}

static void check_changes(const struct policy *p, const char *who)
{
	char error[POLICY_ERROR_SIZE] = "";
	struct policy more, less;

	if (policy_with(p, who, true, &more, error) == 0) {
		fuzz_must(more.n_allow >= p->n_allow);
		check_prints(&more);
		check_allows(&more);
		policy_done(&more);
	} else {
		fuzz_must(*error);
	}
	if (policy_with(p, who, false, &less, error) == 0) {
		fuzz_must(less.n_allow <= p->n_allow);
		check_prints(&less);
		policy_done(&less);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char error[POLICY_ERROR_SIZE] = "", *text, *nul, *who = NULL;
	uint8_t flags = fuzz_u8(&in);
	struct policy p;
	size_t len;

	/* Of exact size, so that reading over its end is seen. */
	nul = in.left ? memchr(in.next, 0, in.left) : NULL;
	len = nul ? (size_t)(nul - (const char *)in.next) : in.left;
	text = malloc(len ? len : 1);
	fuzz_must(text);
	memcpy(text, in.next, len);
	if (nul)
		who = strndup(nul + 1, in.left - len - 1);
	if (policy_parse(text, len, flags & STRICT, &p, error) == 0) {
		fuzz_must(p.identity_len >= 1 && p.identity_len <= TPMPSK_IDENTITY_MAX);
		check_prints(&p);
		check_allows(&p);
		if (who)
			check_changes(&p, who);
		policy_done(&p);
	} else {
		fuzz_must(*error && strlen(error) < sizeof(error) && !strchr(error, '\n'));
	}
	free(text);
	free(who);
	return 0;
}
