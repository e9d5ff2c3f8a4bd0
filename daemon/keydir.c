/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A key is there when NAME.json is there: making that name, or taking it away, is the one step that
 * counts. Around it:
 *
 *   add     write .new-NAME.pem, then .new-NAME.json; sync;
 *           rename the first to NAME.pem; sync; rename the second to NAME.json; sync
 *   policy  write .policy-NAME.json; rename it to NAME.json; sync
 *   remove  rename NAME.json to .removed-NAME.json; sync;
 *           unlink NAME.pem; sync; unlink .removed-NAME.json
 *
 * Files are synced when they are written. Between two syncs of the directory no order is relied on: a
 * file system may keep the second of two changes of names and lose the first. What a start finds of them after a crash:
 *
 *   .removed-NAME.json  The key is gone. NAME.pem goes, too, unless there is a NAME.json: then it
 *                       belongs to a new key.
 *   .new-NAME.json      With NAME.pem, and without NAME.json and .new-NAME.pem: both were written
 *                       and one was renamed, so the other follows. That NAME.pem is our own, for
 *                       .new-NAME.json is made when .new-NAME.pem is there, which only the renaming
 *                       takes away, and nothing is added under a name that has a NAME.pem.
 *                       Else it never was a key, and goes.
 *   .new-NAME.pem       goes
 *   .policy-NAME.json   goes
 *   .new-primary        goes
 *   NAME.pem alone      Somebody else put it there: it stays, with a warning.
 */
#include "daemon/keydir.h"

#include "daemon/file.h"
#include "daemon/key_secrets.h"
#include "daemon/log.h"
#include "daemon/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE ".probe"
#define PROBE_SIZE 4096
#define PRIMARY "primary"
#define NEW ".new-"
#define POLICY ".policy-"
#define REMOVED ".removed-"
#define JSON ".json"
#define PEM ".pem"

/* Room for the longest prefix, name and suffix. */
#define FILE_NAME_SIZE (sizeof(REMOVED) + TPMPSK_KEY_NAME_MAX + sizeof(JSON))

#define fail(error, r, ...) text_fail(error, KEYDIR_ERROR_SIZE, r, __VA_ARGS__)

/* A file's name, as a value. */
struct file_name {
	char s[FILE_NAME_SIZE];
};

static struct file_name name_of(const char *prefix, const char *name, const char *suffix)
{
	struct file_name f;

	snprintf(f.s, sizeof(f.s), "%s%s%s", prefix, name, suffix);
	return f;
}

bool keydir_name_ok(const char *name)
{
	static const char alnum[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strspn(name, alnum);

	return len > 0 && len <= TPMPSK_KEY_NAME_MAX && name[len] == '\0' &&
	       !strchr("._-", name[0]);
}

/* The name in a file's name of that form. */
static bool parse_name(const char *file, const char *prefix, const char *suffix, keydir_name ret)
{
	size_t len = strlen(file), before = strlen(prefix), behind = strlen(suffix);
	keydir_name name;

	if (len <= before + behind || len - before - behind >= sizeof(name))
		return false;
	if (strncmp(file, prefix, before) != 0 || strcmp(file + len - behind, suffix) != 0)
		return false;
	len -= before + behind;
	memcpy(name, file + before, len);
	name[len] = '\0';
	if (!keydir_name_ok(name))
		return false;
	memcpy(ret, name, sizeof(name));
	return true;
}

static int fail_file(const struct keydir *d, const char *file, int r, char error[KEYDIR_ERROR_SIZE])
{
	return fail(error, r, "%s/%s: %s", d->path, file, file_why(r));
}

static bool exists(const struct keydir *d, const char *file)
{
	struct stat st;

	/* What cannot be asked is treated as there: nothing is made or deleted on its account. */
	return fstatat(d->fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static int sync_dir(const struct keydir *d)
{
	return fsync(d->fd) < 0 ? -errno : 0;
}

static int unlink_file(const struct keydir *d, const char *file)
{
	return unlinkat(d->fd, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* -EEXIST when there is a file `to`. */
static int rename_new(const struct keydir *d, const char *from, const char *to)
{
	if (renameat2(d->fd, from, d->fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot: nobody else writes here while we hold the lock. */
	if (exists(d, to))
		return -EEXIST;
	return renameat(d->fd, from, d->fd, to) < 0 ? -errno : 0;
}

/*
 * Opening
 */

static int make_dir(const char *path, char error[KEYDIR_ERROR_SIZE])
{
	__attribute__((cleanup(text_freep))) char *parent = strdup(path);
	char *slash;
	int fd;

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0
				       : fail(error, -errno, "%s: cannot be made: %s", path,
						 strerror(errno));
	slash = parent ? strrchr(parent, '/') : NULL;
	if (!slash)
		return 0;
	slash[slash == parent] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(
			fd); /* if it cannot be, an empty directory can be lost, which is made again */
		close(fd);
	}
	return 0;
}

static int check_dir(const struct keydir *d, char error[KEYDIR_ERROR_SIZE])
{
	static const char zeroes[PROBE_SIZE];
	struct stat st;
	int r;

	if (fstat(d->fd, &st) < 0)
		return fail(error, -errno, "%s: %s", d->path, strerror(errno));
	if (st.st_mode & S_IWOTH)
		return fail(error, -EPERM, "%s: everybody may write to it", d->path);
	if (flock(d->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? fail(error, -EBUSY, "%s: another tpm-pskd has it", d->path)
			       : fail(error, -errno, "%s: lock: %s", d->path, strerror(errno));
	r = unlink_file(d, PROBE);
	if (r == 0)
		r = file_write_new(d->fd, PROBE, zeroes, sizeof(zeroes));
	if (r == -ENOSPC || r == -EDQUOT) {
		log_warning("%s: the disk is full: keys can be used, but none added or changed",
			d->path);
		return 0;
	}
	if (r == 0)
		r = unlink_file(d, PROBE);
	return r < 0 ? fail(error, r, "%s: not writable: %s", d->path, strerror(-r)) : 0;
}

/* The key was removed, and only what it leaves behind is not yet. */
static int finish_removal(const struct keydir *d, const char *name)
{
	int r = 0;

	if (!exists(d, name_of("", name, JSON).s)) {
		r = unlink_file(d, name_of("", name, PEM).s);
		if (r == 0)
			r = sync_dir(d);
	}
	return r < 0 ? r : unlink_file(d, name_of(REMOVED, name, JSON).s);
}

static int finish_add(const struct keydir *d, const char *name)
{
	struct file_name from = name_of(NEW, name, JSON), to = name_of("", name, JSON);
	int r;

	if (exists(d, to.s) || exists(d, name_of(NEW, name, PEM).s) ||
		!exists(d, name_of("", name, PEM).s))
		return unlink_file(d, from.s);
	r = rename_new(d, from.s, to.s);
	return r < 0 ? r : sync_dir(d);
}

static int drop_new_pem(const struct keydir *d, const char *name)
{
	return unlink_file(d, name_of(NEW, name, PEM).s);
}

static int drop_policy(const struct keydir *d, const char *name)
{
	return unlink_file(d, name_of(POLICY, name, JSON).s);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

struct entries {
	struct dirent **list;
	int n;
};

static void entries_done(struct entries *e)
{
	for (int i = 0; i < e->n; i++)
		free(e->list[i]);
	free(e->list);
}

static int read_entries(const struct keydir *d, struct entries *ret, char error[KEYDIR_ERROR_SIZE])
{
	int n = scandirat(d->fd, ".", &ret->list, NULL, by_name);

	if (n < 0)
		return fail(error, -errno, "%s: %s", d->path, strerror(errno));
	ret->n = n;
	return 0;
}

static int recover(const struct keydir *d, char error[KEYDIR_ERROR_SIZE])
{
	/* In this order for a name: finish_add() looks whether .new-NAME.pem is still there. */
	static const struct {
		const char *prefix, *suffix;
		int (*finish)(const struct keydir *d, const char *name);
	} steps[] = {
		{ REMOVED, JSON, finish_removal },
		{ POLICY, JSON, drop_policy },
		{ NEW, JSON, finish_add },
		{ NEW, PEM, drop_new_pem },
	};
	__attribute__((cleanup(entries_done))) struct entries e = { 0 };
	int r;

	r = unlink_file(d, NEW PRIMARY);
	if (r < 0)
		return fail_file(d, NEW PRIMARY, r, error);
	r = read_entries(d, &e, error);
	if (r < 0)
		return r;
	for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		for (int i = 0; i < e.n; i++) {
			const char *file = e.list[i]->d_name;
			keydir_name name;

			if (!parse_name(file, steps[step].prefix, steps[step].suffix, name))
				continue;
			r = steps[step].finish(d, name);
			if (r < 0)
				return fail_file(d, file, r, error);
			log_notice("%s/%s: left by a crash, cleaned up", d->path, file);
		}
	}
	return 0;
}

int keydir_open(struct keydir *ret, const char *path, char error[KEYDIR_ERROR_SIZE])
{
	struct keydir d = { .fd = -1, .path = strdup(path) };
	int r;

	if (!d.path)
		return fail(error, -ENOMEM, "out of memory");
	r = make_dir(path, error);
	if (r == 0) {
		d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d.fd < 0)
			r = fail(error, -errno, "%s: %s", path, strerror(errno));
	}
	if (r == 0)
		r = check_dir(&d, error);
	if (r == 0)
		r = recover(&d, error);
	if (r < 0) {
		keydir_close(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void keydir_close(struct keydir *d)
{
	if (!d->path)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	*d = (struct keydir){ .fd = -1 };
}

/*
 * Reading
 */

static bool ends_with(const char *s, const char *end)
{
	return strlen(s) >= strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

/*
 * The directory that was opened, and locked, is still the one that the path leads to: else what is read and written here is not what an
 * administrator sees there.
 */
static int check_place(const struct keydir *d, char error[KEYDIR_ERROR_SIZE])
{
	struct stat here, there;

	if (fstat(d->fd, &here) < 0 || stat(d->path, &there) < 0)
		return fail(error, -errno, "%s: %s; restart when it is back", d->path,
			strerror(errno));
	if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
		return fail(error, -ESTALE, "%s: another directory is in its place; restart",
			d->path);
	return 0;
}

int keydir_list(
	const struct keydir *d, keydir_name **ret, size_t *ret_n, char error[KEYDIR_ERROR_SIZE])
{
	__attribute__((cleanup(entries_done))) struct entries e = { 0 };
	char shown[TEXT_SHOWN_SIZE];
	keydir_name *names, name;
	size_t n = 0;
	int r;

	r = check_place(d, error);
	if (r == 0)
		r = read_entries(d, &e, error);
	if (r < 0)
		return r;
	names = calloc((size_t)e.n + 1, sizeof(*names));
	if (!names)
		return fail(error, -ENOMEM, "out of memory");
	for (int i = 0; i < e.n; i++) {
		const char *file = e.list[i]->d_name;

		if (parse_name(file, "", JSON, names[n]))
			n++;
		else if (file[0] != '.' && ends_with(file, JSON))
			log_warning("%s/%s: is not the name of a key, left alone", d->path,
				text_show(shown, file, strlen(file)));
		else if (parse_name(file, "", PEM, name) && !exists(d, name_of("", name, JSON).s))
			log_warning(
				"%s/%s: has no %s.json beside it, left alone", d->path, file, name);
	}
	*ret = names;
	*ret_n = n;
	return 0;
}

static int read_policy(
	const struct keydir *d, const char *name, struct policy *ret, char error[KEYDIR_ERROR_SIZE])
{
	__attribute__((cleanup(text_freep))) char *text = NULL;
	struct file_name file = name_of("", name, JSON);
	char why[POLICY_ERROR_SIZE];
	size_t len;
	int r;

	r = file_read(d->fd, file.s, true, POLICY_SIZE_MAX, &text, &len);
	if (r < 0)
		return fail_file(d, file.s, r, error);
	r = policy_parse(text, len, false, ret, why);
	return r < 0 ? fail(error, r, "%s/%s: %s", d->path, file.s, why) : 0;
}

static int read_keyfile(const struct keydir *d, const char *name, struct keyfile *ret,
	char error[KEYDIR_ERROR_SIZE])
{
	__attribute__((cleanup(text_freep))) char *text = NULL;
	struct file_name file = name_of("", name, PEM);
	const char *why;
	size_t len;
	int r;

	r = file_read(d->fd, file.s, true, KEYFILE_SIZE_MAX, &text, &len);
	if (r == -ENOENT)
		return fail(
			error, r, "%s/%s: is missing, and %s.json is there", d->path, file.s, name);
	if (r < 0)
		return fail_file(d, file.s, r, error);
	r = keyfile_decode(text, len, ret, &why);
	return r < 0 ? fail(error, r, "%s/%s: %s", d->path, file.s, why) : 0;
}

int keydir_read(const struct keydir *d, const char *name, struct policy *ret_policy,
	struct keyfile *ret_file, char error[KEYDIR_ERROR_SIZE])
{
	struct policy policy;
	int r;

	r = read_policy(d, name, &policy, error);
	if (r < 0)
		return r;
	r = read_keyfile(d, name, ret_file, error);
	if (r == 0 && !key_secrets_count_ok(policy.purpose, ret_file->n_objects)) {
		r = fail(error, -EBADMSG,
			"%s/%s.pem: holds %zu keys, and no key for %s has so many", d->path, name,
			ret_file->n_objects, tpmpsk_purpose_name(policy.purpose));
		keyfile_done(ret_file);
	}
	if (r < 0) {
		policy_done(&policy);
		return r;
	}
	*ret_policy = policy;
	return 0;
}

/*
 * Changing
 */

/* Writes text under a name of ours; what a failure left there before goes first. */
static int write_own(const struct keydir *d, const char *file, const char *text, size_t len)
{
	int r = unlink_file(d, file);

	return r < 0 ? r : file_write_new(d->fd, file, text, len);
}

static int write_policy(const struct keydir *d, const char *file, const struct policy *policy)
{
	__attribute__((cleanup(text_freep))) char *text = NULL;
	int r;

	r = policy_print(policy, &text);
	return r < 0 ? r : write_own(d, file, text, strlen(text));
}

static int write_keyfile(const struct keydir *d, const char *file, const struct keyfile *kf)
{
	__attribute__((cleanup(text_freep))) char *text = NULL;
	size_t len;
	int r;

	r = keyfile_encode(kf, &text, &len);
	return r < 0 ? r : write_own(d, file, text, len);
}

/* From NAME.json on the disk, or its renaming, to nothing. */
static int take_away(const struct keydir *d, const char *name)
{
	struct file_name json = name_of("", name, JSON), removed = name_of(REMOVED, name, JSON);
	int r;

	if (renameat(d->fd, json.s, d->fd, removed.s) < 0)
		return -errno;
	r = sync_dir(d);
	if (r < 0) {
		(void)renameat(d->fd, removed.s, d->fd, json.s);
		return r;
	}
	/* The key is gone. What is left over goes at the next start, if it does not go now. */
	r = finish_removal(d, name);
	if (r < 0)
		log_warning_r(r, "%s/%s: remove", d->path, removed.s);
	return 0;
}

static int add(const struct keydir *d, const char *name, const struct policy *policy,
	const struct keyfile *file)
{
	struct file_name pem = name_of("", name, PEM), new_pem = name_of(NEW, name, PEM);
	struct file_name json = name_of("", name, JSON), new_json = name_of(NEW, name, JSON);
	int r;

	r = write_keyfile(d, new_pem.s, file);
	if (r < 0)
		return r;
	r = write_policy(d, new_json.s, policy);
	if (r < 0)
		goto drop_new_pem;
	r = sync_dir(d);
	if (r < 0)
		goto drop_new_json;
	r = rename_new(d, new_pem.s, pem.s);
	if (r < 0)
		goto drop_new_json;
	r = sync_dir(d);
	if (r < 0)
		goto drop_pem;
	r = rename_new(d, new_json.s, json.s);
	if (r < 0)
		goto drop_pem;
	r = sync_dir(d);
	if (r < 0)
		(void)take_away(d, name);
	return r;

	/* From the last file to the first, so that a crash in here is one of the cases above. */
drop_pem:
	(void)renameat(d->fd, pem.s, d->fd, new_pem.s);
drop_new_json:
	(void)unlink_file(d, new_json.s);
drop_new_pem:
	(void)unlink_file(d, new_pem.s);
	return r;
}

static int fail_change(
	const struct keydir *d, const char *name, int r, char error[KEYDIR_ERROR_SIZE])
{
	if (r == -ENOSPC || r == -EDQUOT)
		return fail(error, -ENOSPC, "%s: the disk is full, key '%s' is as it was", d->path,
			name);
	if (r == -E2BIG)
		return fail(error, r, "%s/%s.json: would be longer than %d bytes", d->path, name,
			POLICY_SIZE_MAX);
	return fail(error, r, "%s: key '%s': %s", d->path, name, strerror(-r));
}

int keydir_add(const struct keydir *d, const char *name, const struct policy *policy,
	const struct keyfile *file, char error[KEYDIR_ERROR_SIZE])
{
	static const char *const suffixes[] = { JSON, PEM };
	int r = check_place(d, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < 2; i++)
		if (exists(d, name_of("", name, suffixes[i]).s))
			return fail(error, -EEXIST, "%s/%s%s: is already there", d->path, name,
				suffixes[i]);
	r = add(d, name, policy, file);
	return r < 0 ? fail_change(d, name, r, error) : 0;
}

int keydir_set_policy(const struct keydir *d, const char *name, const struct policy *policy,
	char error[KEYDIR_ERROR_SIZE])
{
	struct file_name from = name_of(POLICY, name, JSON);
	int r;

	r = check_place(d, error);
	if (r < 0)
		return r;
	r = write_policy(d, from.s, policy);
	if (r < 0)
		return fail_change(d, name, r, error);
	if (renameat(d->fd, from.s, d->fd, name_of("", name, JSON).s) < 0) {
		r = -errno;
		(void)unlink_file(d, from.s);
		return fail_change(d, name, r, error);
	}
	r = sync_dir(d);
	return r < 0 ? fail_change(d, name, r, error) : 0;
}

int keydir_remove(const struct keydir *d, const char *name, char error[KEYDIR_ERROR_SIZE])
{
	int r = check_place(d, error);

	if (r < 0)
		return r;
	r = take_away(d, name);
	return r < 0 ? fail_change(d, name, r, error) : 0;
}

/*
 * The primary key's name, in hexadecimal digits
 */

static bool parse_primary(const char *text, size_t len, struct tpm_name *ret)
{
	const char *end;

	*ret = (struct tpm_name){ 0 };
	if (len > 0 && text[len - 1] == '\n')
		len--;
	return len > 0 &&
	       sodium_hex2bin(ret->bytes, sizeof(ret->bytes), text, len, NULL, &ret->len, &end) ==
		       0 &&
	       end == text + len;
}

int keydir_read_primary(const struct keydir *d, struct tpm_name *ret, char error[KEYDIR_ERROR_SIZE])
{
	__attribute__((cleanup(text_freep))) char *text = NULL;
	struct tpm_name name;
	size_t len;
	int r;

	r = file_read(d->fd, PRIMARY, true, 2 * TPM_NAME_MAX + 1, &text, &len);
	if (r == -ENOENT) {
		*ret = (struct tpm_name){ 0 };
		return 0;
	}
	if (r < 0)
		return fail_file(d, PRIMARY, r, error);
	if (!parse_primary(text, len, &name))
		return fail(error, -EBADMSG, "%s/%s: is not the name of a key of the TPM", d->path,
			PRIMARY);
	*ret = name;
	return 0;
}

static int write_primary(const struct keydir *d, const struct tpm_name *name)
{
	char text[2 * TPM_NAME_MAX + 2];
	int r;

	sodium_bin2hex(text, sizeof(text) - 1, name->bytes, name->len);
	memcpy(text + 2 * name->len, "\n", 2);
	r = write_own(d, NEW PRIMARY, text, strlen(text));
	if (r < 0)
		return r;
	if (renameat(d->fd, NEW PRIMARY, d->fd, PRIMARY) < 0) {
		r = -errno;
		(void)unlink_file(d, NEW PRIMARY);
		return r;
	}
	return sync_dir(d);
}

int keydir_set_primary(
	const struct keydir *d, const struct tpm_name *name, char error[KEYDIR_ERROR_SIZE])
{
	int r = write_primary(d, name);

	return r < 0 ? fail_file(d, PRIMARY, r, error) : 0;
}
