/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/manykeys.h"

#include "daemon/ossl_lib_ctx.h"
#include "daemon/tpm.h"
#include "proto/purpose.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL "pre master secret"

static size_t secret_of(size_t i, char buf[32])
{
	return (size_t)snprintf(buf, 32, "the secret of key %zu", i);
}

static int write_file(const struct manykeys *m, size_t i, const char *suffix, const char *text)
{
	char path[SWTPM_PATH_SIZE + 32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/k%zu.%s", m->scene.keys, i, suffix);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fputs(text, f);
	return fclose(f) == 0 ? 0 : -EIO;
}

static int write_key(const struct manykeys *m, size_t i)
{
	char policy[128], *pem;
	size_t len;
	int r;

	snprintf(policy, sizeof(policy),
		"{ \"identity\": \"client-%zu\", \"purpose\": \"tls12-session\", \"allow\": "
		"[\"uid:0\"] }\n",
		i);
	r = keyfile_encode(&m->files[i], &pem, &len);
	if (r < 0)
		return r;
	r = write_file(m, i, "pem", pem);
	free(pem);
	return r < 0 ? r : write_file(m, i, "json", policy);
}

/* A copy of the first key. */
static int copy_key(struct manykeys *m, size_t i)
{
	const struct keyfile_object *o = &m->files[0].objects[0];

	return keyfile_add(&m->files[i], o->parent, o->pub, o->pub_len, o->priv, o->priv_len);
}

static int make_keys(struct manykeys *m, bool one_secret)
{
	const struct tpm_options options = { .tcti = m->scene.tpm.tcti };
	struct tpm *tpm;
	int r;

	ossl_lib_ctx_share(true);
	r = tpm_open(&tpm, &options);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < m->n; i++) {
		char secret[32];
		size_t len = secret_of(i, secret);

		if (one_secret && i > 0)
			r = copy_key(m, i);
		else
			r = tpm_create_hmac(tpm, TPMPSK_DIGEST_SHA256, (const uint8_t *)secret, len,
				&m->files[i]);
		if (r == 0)
			r = write_key(m, i);
	}
	tpm_free(tpm);
	return r;
}

int manykeys_init(struct manykeys *m, size_t n, bool one_secret, const char *config)
{
	int r;

	*m = (struct manykeys){ .scene.notify_fd = -1, .n = n };
	m->files = calloc(n, sizeof(*m->files));
	r = m->files ? slow_init(&m->slow) : -ENOMEM;
	if (r == 0)
		r = scene_init(&m->scene,
			&(struct scene_options){
				.config = config, .tcti = m->slow.tcti, .no_daemon = true });
	if (r == 0)
		r = make_keys(m, one_secret);
	if (r < 0)
		manykeys_done(m);
	return r;
}

void manykeys_done(struct manykeys *m)
{
	slow_set(&m->slow, 0);
	if (m->scene.tcti)
		scene_done(&m->scene);
	slow_done(&m->slow);
	for (size_t i = 0; m->files && i < m->n; i++)
		keyfile_done(&m->files[i]);
	free(m->files);
	*m = (struct manykeys){ .scene.notify_fd = -1 };
}

void manykeys_ask(size_t i, size_t number, struct tpmpsk_derive *ret)
{
	*ret = (struct tpmpsk_derive){ .purpose = TPMPSK_PURPOSE_TLS12_SESSION };
	ret->identity_len =
		(size_t)snprintf((char *)ret->identity, sizeof(ret->identity), "client-%zu", i);
	ret->tls12_session.random_len = TPMPSK_RANDOM_SIZE;
	memcpy(ret->tls12_session.client_random, &number, sizeof(number));
}

bool manykeys_check(size_t i, size_t number, const struct tpmpsk_derived *answer)
{
	crypto_auth_hmacsha256_state state;
	uint8_t randoms[2 * TPMPSK_RANDOM_SIZE] = { 0 }, psk[crypto_auth_hmacsha256_BYTES];
	char secret[32];
	size_t len = secret_of(i, secret);

	memcpy(randoms, &number, sizeof(number));
	crypto_auth_hmacsha256_init(&state, (const uint8_t *)secret, len);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)LABEL, strlen(LABEL));
	crypto_auth_hmacsha256_update(&state, randoms, sizeof(randoms));
	crypto_auth_hmacsha256_final(&state, psk);
	return answer->secret_len == sizeof(psk) && memcmp(answer->secret, psk, sizeof(psk)) == 0;
}
