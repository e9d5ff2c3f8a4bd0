/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The name is written down when there are no keys yet. A directory that has keys and no name is one of before there were names, or was put
 * together by hand: then a key that loads is the proof, for a TPM loads what its own primary key has encrypted and nothing else.
 */
#include "daemon/primary.h"

#include "daemon/log.h"
#include "daemon/text.h"

#include <errno.h>
#include <string.h>

#define TRIES 16 /* keys, of which some may be damaged */

static bool loads_a_key(struct tpm *t, const struct keystore *keys)
{
	unsigned tries = 0;

	for (const struct key *k = keystore_next(keys, ""); k && tries < TRIES;
		k = keystore_next(keys, k->name)) {
		const struct keyfile_object *o = &k->file.objects[0];
		int r;

		if (o->parent != KEYFILE_PARENT_OWNER)
			continue;
		r = tpm_try_load(t, o);
		if (r == 0)
			return true;
		if (r != -EKEYREJECTED && r != -EINVAL)
			return false;
		tries++;
	}
	if (tries > 0)
		log_warning("TPM: none of the keys in %s loads: made by another TPM, or damaged",
			keystore_path(keys));
	return false;
}

/* What cannot be written is tried again at the next start. */
static void remember(struct keystore *keys, const struct tpm_name *name)
{
	char error[KEYSTORE_ERROR_SIZE];

	if (keystore_set_primary(keys, name, error) < 0)
		log_warning("%s", error);
}

static bool same(const struct tpm_name *a, const struct tpm_name *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

int primary_open_tpm(struct keystore *keys, const struct tpm_options *options, struct tpm **ret,
	char error[KEYSTORE_ERROR_SIZE])
{
	struct tpm_options o = *options;
	bool no_keys = keystore_count(keys) == 0;
	struct tpm_name known;
	struct tpm *t;
	int r;

	r = keystore_primary(keys, &known, error);
	if (r < 0)
		return -EBADMSG;
	/* Without keys nothing belongs to the old one any more. */
	if (!no_keys)
		o.primary = known;
	o.quiet = true; /* one line is enough for a daemon that does not start */
	r = tpm_open(&t, &o);
	if (r == -EREMCHG)
		return text_fail(error, KEYSTORE_ERROR_SIZE, r,
			"%s/primary: the TPM at '%s' is another one than these keys belong to, or "
			"its owner hierarchy was cleared",
			keystore_path(keys), options->tcti);
	if (r < 0)
		return r;
	if (no_keys ? !same(&known, tpm_primary(t)) : known.len == 0 && loads_a_key(t, keys))
		remember(keys, tpm_primary(t));
	*ret = t;
	return 0;
}
