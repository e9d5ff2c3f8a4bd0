/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/slow.h"

#include <errno.h>
#include <stdio.h>

int slow_init(struct slow *s)
{
	int r;

	*s = (struct slow){ 0 };
	r = tempdir_init(&s->dir);
	if (r < 0)
		return r;
	snprintf(s->file, sizeof(s->file), "%s/tcti", s->dir.path);
	s->shared = tcti_test_map(s->file);
	if (!s->shared) {
		r = -errno;
		slow_done(s);
		return r;
	}
	tcti_test_name(s->tcti, sizeof(s->tcti), s->file, "%s");
	return 0;
}

void slow_done(struct slow *s)
{
	tcti_test_unmap(s->shared);
	tempdir_done(&s->dir);
	*s = (struct slow){ 0 };
}

void slow_set(struct slow *s, uint32_t latency_us)
{
	if (s->shared)
		s->shared->latency_us = latency_us;
}

int slow_tpm_init(struct slow_tpm *t)
{
	int r;

	*t = (struct slow_tpm){ 0 };
	r = swtpm_init(&t->tpm);
	if (r == 0)
		r = slow_init(&t->slow);
	if (r < 0)
		slow_tpm_done(t);
	else
		tcti_test_name(t->tcti, sizeof(t->tcti), t->slow.file, t->tpm.tcti);
	return r;
}

void slow_tpm_done(struct slow_tpm *t)
{
	slow_done(&t->slow);
	swtpm_done(&t->tpm);
	*t = (struct slow_tpm){ 0 };
}
