/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a power loss leaves of a change. The system calls by which the store changes its directory are the test's own here: it keeps a
 * record of them beside doing them (all but the syncs). A disk after a power loss is then made from the record: of the changes since the last sync that came
 * before the loss, any of the names' may be there and any may be missing, and a file that was not synced may be empty or cut.
 */
#include "daemon/keystore.h"

#include "tests/daemon/keys_on_disk.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPS_MAX 64
#define FILES_MAX 16 /* that are made in one change, and names of files */
#define DATA_MAX 8192
#define PENDING_MAX 6

struct content {
	size_t len, synced; /* bytes written, and of these on the disk for certain */
	char data[DATA_MAX];
};

enum op_kind {
	MAKE,
	WRITE,
	SYNC,
	RENAME,
	UNLINK,
	SYNC_DIR,
};

struct op {
	enum op_kind kind;
	int file; /* number of the content */
	char name[100], to[100];
	size_t len;
	char data[DATA_MAX];
};

static bool recording;
static struct op ops[OPS_MAX];
static size_t n_ops;
static int files_open[64]; /* by descriptor: 1 + number of the content */
static int n_contents;

static struct op *record(enum op_kind kind, int file)
{
	struct op *op = &ops[n_ops++];

	cr_assert_lt(n_ops, OPS_MAX);
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->file = file;
	return op;
}

static struct op *record_name(enum op_kind kind, int file, const char *name, const char *to)
{
	struct op *op = record(kind, file);

	snprintf(op->name, sizeof(op->name), "%s", name);
	snprintf(op->to, sizeof(op->to), "%s", to);
	return op;
}

/* Found before libc's own, by the store that is linked into this program. */
int openat(int dir, const char *name, int flags, ...);
ssize_t write(int fd, const void *data, size_t len);
int fsync(int fd);
int renameat(int dir, const char *from, int to_dir, const char *to);
int renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags);
int unlinkat(int dir, const char *name, int flags);
int close(int fd);

int openat(int dir, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list args;
	int fd;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	fd = (int)syscall(SYS_openat, dir, name, flags, mode);
	if (recording && fd >= 0 && (flags & O_CREAT)) {
		cr_assert_lt(n_contents, FILES_MAX);
		record_name(MAKE, n_contents, name, "");
		files_open[fd] = ++n_contents;
	}
	return fd;
}

ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t n = syscall(SYS_write, fd, data, len);

	if (recording && n > 0 && fd < 64 && files_open[fd]) {
		struct op *op = record(WRITE, files_open[fd] - 1);

		op->len = (size_t)n;
		memcpy(op->data, data, op->len);
	}
	return n;
}

int fsync(int fd)
{
	if (recording)
		record(files_open[fd] ? SYNC : SYNC_DIR, files_open[fd] - 1);
	return 0;
}

int renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	int r = (int)syscall(SYS_renameat2, dir, from, to_dir, to, flags);

	if (recording && r == 0)
		record_name(RENAME, -1, from, to);
	return r;
}

int renameat(int dir, const char *from, int to_dir, const char *to)
{
	return renameat2(dir, from, to_dir, to, 0);
}

int unlinkat(int dir, const char *name, int flags)
{
	int r = (int)syscall(SYS_unlinkat, dir, name, flags);

	if (recording && r == 0)
		record_name(UNLINK, -1, name, "");
	return r;
}

int close(int fd)
{
	if (fd >= 0 && fd < 64)
		files_open[fd] = 0;
	return (int)syscall(SYS_close, fd);
}

/*
 * The disk
 */

struct entry {
	char name[100];
	int content; /* negative: none of that name */
};

struct disk {
	struct entry entries[FILES_MAX];
	size_t n;
};

static struct content contents[FILES_MAX];
static int n_before; /* contents that were there before the change */

static struct entry *entry_of(struct disk *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->entries[i].name, name) == 0)
			return &d->entries[i];
	cr_assert_lt(d->n, FILES_MAX);
	snprintf(d->entries[d->n].name, sizeof(d->entries[d->n].name), "%s", name);
	d->entries[d->n].content = -1;
	return &d->entries[d->n++];
}

/* One change of a name; from: what content the name had when the program did it. */
struct change {
	const struct op *op;
	int content;
};

static void apply(struct disk *d, const struct change *c)
{
	switch (c->op->kind) {
	case MAKE:
		entry_of(d, c->op->name)->content = c->content;
		break;
	case RENAME:
		/* One step: the new name and the end of the old one. */
		entry_of(d, c->op->to)->content = c->content;
		entry_of(d, c->op->name)->content = -1;
		break;
	case UNLINK:
		entry_of(d, c->op->name)->content = -1;
		break;
	default:
		break;
	}
}

/* What is there for certain after the first n steps, what may be, and what the program saw. */
static size_t run(size_t n, const struct disk *before, struct disk *ret_certain,
	struct change pending[PENDING_MAX])
{
	struct disk seen = *before;
	size_t n_pending = 0;

	*ret_certain = *before;
	for (int i = n_before; i < FILES_MAX; i++)
		contents[i].len = contents[i].synced = 0;
	for (size_t i = 0; i < n; i++) {
		const struct op *op = &ops[i];
		struct content *c = op->file >= 0 ? &contents[op->file] : NULL;
		struct change change = { op, -1 };

		switch (op->kind) {
		case WRITE:
			memcpy(c->data + c->len, op->data, op->len);
			c->len += op->len;
			continue;
		case SYNC:
			c->synced = c->len;
			continue;
		case SYNC_DIR:
			for (size_t k = 0; k < n_pending; k++)
				apply(ret_certain, &pending[k]);
			n_pending = 0;
			continue;
		case MAKE:
			change.content = op->file;
			break;
		default:
			change.content = entry_of(&seen, op->name)->content;
			break;
		}
		apply(&seen, &change);
		cr_assert_lt(n_pending, PENDING_MAX);
		pending[n_pending++] = change;
	}
	return n_pending;
}

static void empty_directory(void)
{
	DIR *dir = opendir(keys_path);

	cr_assert_not_null(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.' || e->d_name[1] > '.')
			unlink(keys_file(e->d_name));
	closedir(dir);
}

/* cut: how much of what was not synced is there: 0 nothing, 1 half, 2 all. */
static void put_on_disk(const struct disk *d, int cut)
{
	empty_directory();
	for (size_t i = 0; i < d->n; i++) {
		const struct content *c;
		size_t len;
		FILE *f;

		if (d->entries[i].content < 0)
			continue;
		c = &contents[d->entries[i].content];
		len = c->synced + (c->len - c->synced) * (size_t)cut / 2;
		f = fopen(keys_file(d->entries[i].name), "w");
		cr_assert_not_null(f);
		cr_assert_eq(fwrite(c->data, 1, len, f), len);
		fclose(f);
	}
}

/* What lies in the directory now, all of it on the disk. */
static void read_disk(struct disk *ret)
{
	DIR *dir = opendir(keys_path);

	*ret = (struct disk){ 0 };
	n_contents = 0;
	cr_assert_not_null(dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		struct content *c = &contents[n_contents];
		FILE *f;

		if (e->d_name[0] == '.' && e->d_name[1] <= '.')
			continue;
		f = fopen(keys_file(e->d_name), "r");
		cr_assert_not_null(f);
		c->len = c->synced = fread(c->data, 1, DATA_MAX, f);
		fclose(f);
		entry_of(ret, e->d_name)->content = n_contents++;
	}
	closedir(dir);
	n_before = n_contents;
}

/*
 * The test
 */

static struct disk before;

static void start_recording(void)
{
	read_disk(&before);
	n_ops = 0;
	recording = true;
}

/* For each moment, each choice of what the disk has of the changes under way, and each cut of files. Returns the number of disks. */
static size_t each_disk(void (*check)(size_t step))
{
	size_t disks = 0;

	recording = false;
	keys_close();
	for (size_t n = 0; n <= n_ops; n++) {
		struct change pending[PENDING_MAX];
		struct disk certain, disk;
		size_t n_pending = run(n, &before, &certain, pending);

		for (unsigned choice = 0; choice < 1u << n_pending; choice++) {
			disk = certain;
			for (size_t i = 0; i < n_pending; i++)
				if (choice & 1u << i)
					apply(&disk, &pending[i]);
			for (int cut = 0; cut < 3; cut++) {
				put_on_disk(&disk, cut);
				check(n);
				disks++;
			}
		}
	}
	return disks;
}

TestSuite(keystore_power, .init = keys_setup, .fini = keys_teardown, .timeout = 120);

static unsigned seen_with, seen_without;

/* Opens: key "a" is whole or gone, "other" untouched, and no file is there besides. */
static bool opens_clean(size_t step)
{
	bool there;

	cr_assert_eq(keys_open(), 0, "step %zu: %s", step, error);
	there = keystore_by_name(store, "a");
	cr_assert(keys_has("other", 7), "step %zu", step);
	cr_assert_eq(keystore_count(store), there ? 2 : 1, "step %zu", step);
	cr_assert_eq(keys_files(), there ? 4 : 2, "step %zu: %zu files", step, keys_files());
	seen_with += there;
	seen_without += !there;
	return there;
}

static void check_add(size_t step)
{
	bool there = opens_clean(step);

	if (there)
		cr_assert(keys_has("a", 1), "step %zu", step);
	/* It was acknowledged when the last step was done. */
	cr_assert(there || step < n_ops);
	keys_close();
}

Test(keystore_power, an_added_key_is_whole_or_not_there)
{
	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(keys_add("other", 7), 0);
	start_recording();
	cr_assert_eq(keys_add("a", 1), 0);
	cr_assert_gt(each_disk(check_add), 40);
	cr_assert(seen_with > 0 && seen_without > 0);
}

static void check_remove(size_t step)
{
	bool there = opens_clean(step);

	if (there)
		cr_assert(keys_has("a", 1), "step %zu", step);
	cr_assert(!there || step < n_ops);
	keys_close();
}

Test(keystore_power, a_removed_key_is_whole_or_gone)
{
	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(keys_add("other", 7), 0);
	cr_assert_eq(keys_add("a", 1), 0);
	start_recording();
	cr_assert_eq(keystore_remove(store, keystore_by_name(store, "a"), error), 0);
	cr_assert_gt(each_disk(check_remove), 10);
	cr_assert(seen_with > 0 && seen_without > 0);
}

static void check_policy(size_t step)
{
	bool changed;

	cr_assert(opens_clean(step), "step %zu", step);
	changed = keystore_by_name(store, "a")->policy.n_allow == 2;
	cr_assert(changed || keys_has("a", 1), "step %zu", step);
	cr_assert(changed || step < n_ops, "step %zu", step);
	keys_close();
}

Test(keystore_power, a_policy_is_the_old_or_the_new)
{
	struct policy policy;

	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(keys_add("other", 7), 0);
	cr_assert_eq(keys_add("a", 1), 0);
	start_recording();
	cr_assert_eq(policy_with(&keystore_by_name(store, "a")->policy, "[\"uid:2\"]", true,
			     &policy, error),
		0);
	cr_assert_eq(keystore_set_policy(store, keystore_by_name(store, "a"), &policy, error), 0);
	cr_assert_gt(each_disk(check_policy), 10);
}

static void check_primary(size_t step)
{
	struct tpm_name name;

	cr_assert_eq(keys_open(), 0, "step %zu: %s", step, error);
	cr_assert_eq(keystore_primary(store, &name, error), 0, "step %zu: %s", step, error);
	cr_assert(name.len == 34 || (step < n_ops && name.len == 0), "step %zu", step);
	cr_assert_eq(keys_files(), name.len == 34 ? 1 : 0, "step %zu", step);
	keys_close();
}

Test(keystore_power, the_name_of_the_primary_key_is_whole_or_not_there)
{
	const struct tpm_name name = { .len = 34, .bytes = { 0, 11, 1 } };

	cr_assert_eq(keys_open(), 0);
	start_recording();
	cr_assert_eq(keystore_set_primary(store, &name, error), 0);
	cr_assert_gt(each_disk(check_primary), 10);
}

static void check_clean(size_t step)
{
	(void)opens_clean(step);
	keys_close();
}

/* The states that a loss leaves, of which the mending is cut short by a second loss. */
static void check_twice(size_t step)
{
	static const struct disk none;
	struct op first[OPS_MAX];
	size_t n_first = n_ops;
	int contents_first = n_before;
	struct content saved[FILES_MAX];
	struct disk saved_before = before;

	memcpy(first, ops, sizeof(first));
	memcpy(saved, contents, sizeof(saved));
	before = none;
	start_recording();
	if (keys_open() < 0)
		cr_assert_fail("step %zu: %s", step, error);
	each_disk(check_clean);
	memcpy(ops, first, sizeof(first));
	memcpy(contents, saved, sizeof(saved));
	n_ops = n_first;
	n_before = contents_first;
	before = saved_before;
}

Test(keystore_power, what_a_start_mends_may_be_cut_short_again)
{
	cr_assert_eq(keys_open(), 0);
	cr_assert_eq(keys_add("other", 7), 0);
	start_recording();
	cr_assert_eq(keys_add("a", 1), 0);
	each_disk(check_twice);
	cr_assert_eq(keys_open(), 0);
	if (!keystore_by_name(store, "a"))
		cr_assert_eq(keys_add("a", 1), 0);
	start_recording();
	cr_assert_eq(keystore_remove(store, keystore_by_name(store, "a"), error), 0);
	each_disk(check_twice);
}
