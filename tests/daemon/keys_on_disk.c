/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/daemon/keys_on_disk.h"

#include "tests/swtpm/tempdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct keystore *store;
char error[KEYSTORE_ERROR_SIZE];
char keys_path[64];

static struct tempdir dir;

void keys_setup(void)
{
	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(tempdir_init(&dir), 0);
	snprintf(keys_path, sizeof(keys_path), "%s/keys", dir.path);
	cr_assert_eq(mkdir(keys_path, 0700), 0);
}

void keys_teardown(void)
{
	keys_close();
	tempdir_done(&dir);
}

int keys_open(void)
{
	int r;

	keys_close();
	error[0] = '\0';
	r = keystore_open(&store, keys_path, error);
	if (r < 0) {
		store = NULL;
		cr_assert_eq(strncmp(error, keys_path, strlen(keys_path)), 0, "%s", error);
		cr_assert_null(strchr(error, '\n'));
	}
	return r;
}

void keys_close(void)
{
	keystore_free(store);
	store = NULL;
}

void keys_make(unsigned seed, struct policy *policy, struct keyfile *file)
{
	uint8_t pub[66] = { 0, 64 }, priv[130] = { 0, 128 };
	char text[200], why[POLICY_ERROR_SIZE];

	memset(pub + 2, (int)seed, 64);
	memcpy(priv + 2, &seed, sizeof(seed));
	*file = (struct keyfile){ 0 };
	cr_assert_eq(
		keyfile_add(file, KEYFILE_PARENT_OWNER, pub, sizeof(pub), priv, sizeof(priv)), 0);
	snprintf(text, sizeof(text),
		"{ \"identity\": \"id-%u\", \"purpose\": \"tls12-session\", \"allow\": "
		"[\"uid:%u\"] }",
		seed, seed);
	cr_assert_eq(policy_parse(text, strlen(text), false, policy, why), 0, "%s", why);
}

int keys_add(const char *name, unsigned seed)
{
	struct policy policy;
	struct keyfile file;
	int r;

	keys_make(seed, &policy, &file);
	r = keystore_add(store, name, &policy, &file, error);
	/* Taken over on success only. */
	cr_assert_eq(file.n_objects, r < 0 ? 1 : 0);
	cr_assert_eq(policy.n_allow, r < 0 ? 1 : 0);
	policy_done(&policy);
	keyfile_done(&file);
	return r;
}

bool keys_has(const char *name, unsigned seed)
{
	struct key *k = keystore_by_name(store, name);
	struct policy policy;
	struct keyfile file;
	bool has;

	if (!k)
		return false;
	keys_make(seed, &policy, &file);
	has = strcmp(k->name, name) == 0 && keyfile_equal(&k->file, &file) &&
	      k->policy.n_allow == 1 && k->policy.allow[0].id == seed &&
	      keystore_find(store, policy.purpose, policy.identity, policy.identity_len) == k;
	policy_done(&policy);
	keyfile_done(&file);
	return has;
}

const char *keys_file(const char *file)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", keys_path, file);
	return path;
}

void keys_put(const char *file, const char *text)
{
	FILE *f = fopen(keys_file(file), "w");

	cr_assert_not_null(f);
	fputs(text, f);
	cr_assert_eq(fclose(f), 0);
}

void keys_put_json(const char *name, unsigned seed)
{
	struct policy policy;
	struct keyfile file;
	char *text;

	keys_make(seed, &policy, &file);
	cr_assert_eq(policy_print(&policy, &text), 0);
	keys_put(name, text);
	free(text);
	policy_done(&policy);
	keyfile_done(&file);
}

void keys_put_pem(const char *name, unsigned seed)
{
	struct policy policy;
	struct keyfile file;
	size_t len;
	char *text;

	keys_make(seed, &policy, &file);
	cr_assert_eq(keyfile_encode(&file, &text, &len), 0);
	keys_put(name, text);
	free(text);
	policy_done(&policy);
	keyfile_done(&file);
}

void keys_put_pem_of(const char *name, unsigned n_objects)
{
	struct policy policy;
	struct keyfile file = { 0 };
	size_t len;
	char *text;

	for (unsigned i = 0; i < n_objects; i++) {
		struct keyfile one;

		keys_make(i + 1, &policy, &one);
		cr_assert_eq(keyfile_add(&file, one.objects[0].parent, one.objects[0].pub,
				     one.objects[0].pub_len, one.objects[0].priv,
				     one.objects[0].priv_len),
			0);
		policy_done(&policy);
		keyfile_done(&one);
	}
	cr_assert_eq(keyfile_encode(&file, &text, &len), 0);
	keys_put(name, text);
	free(text);
	keyfile_done(&file);
}

bool keys_there(const char *file)
{
	struct stat st;

	return lstat(keys_file(file), &st) == 0;
}

size_t keys_files(void)
{
	DIR *d = opendir(keys_path);
	size_t n = 0;

	cr_assert_not_null(d);
	for (const struct dirent *e = readdir(d); e; e = readdir(d))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}
