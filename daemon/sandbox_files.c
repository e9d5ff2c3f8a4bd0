/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Landlock, by its system calls: the C library has no wrappers, and the headers of a distribution are older than the kernel that runs.
 * Rights go to whole directories where files are replaced by renaming, since a right to a file ends with its inode; and to the one file
 * where the directory has much else that this process could otherwise open.
 */
#include "daemon/sandbox_files.h"

#include "daemon/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of later versions than the header's. */
#define FS_REFER (UINT64_C(1) << 13)           /* 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)        /* 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15)       /* 5 */
#define NET_BIND_TCP (UINT64_C(1) << 0)        /* 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)     /* 4 */
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0) /* 6 */
#define SCOPE_SIGNAL (UINT64_C(1) << 1)        /* 6 */

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_DEVICE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV)
#define FS_LOG (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define FS_OWN (FS_READ | FS_LOG | LANDLOCK_ACCESS_FS_REMOVE_FILE | FS_TRUNCATE)
/* What may be said of a file that is no directory. */
#define FS_OF_FILE                                                                                 \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
		LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

/* Grows with the versions; the kernel takes as much of it as it is told. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct ruleset {
	int fd;
	uint64_t handled;
};

/* A path that is not there needs no right. */
static int allow(const struct ruleset *rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr attr = { .allowed_access = access & rules->handled };
	struct stat st;
	int r = 0;

	attr.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (attr.parent_fd < 0)
		return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -errno;
	if (fstat(attr.parent_fd, &st) < 0)
		r = -errno;
	else if (!S_ISDIR(st.st_mode))
		attr.allowed_access &= FS_OF_FILE;
	if (r == 0 && attr.allowed_access != 0 &&
		syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
		r = -errno;
	close(attr.parent_fd);
	return r;
}

/* The directory that a file is in, for it is replaced now and then; but not one that is full of others' files. */
static int allow_beside(const struct ruleset *rules, const char *file, uint64_t access)
{
	static const char *const crowded[] = { "/", "/etc", "/dev", "/tmp", "/var/tmp", "/root" };
	__attribute__((cleanup(text_freep))) char *copy = strdup(file), *dir = NULL;

	if (!copy)
		return -ENOMEM;
	dir = realpath(dirname(copy), NULL);
	if (!dir)
		return errno == ENOMEM ? -ENOMEM : 0;
	for (size_t i = 0; i < sizeof(crowded) / sizeof(crowded[0]); i++)
		if (strcmp(dir, crowded[i]) == 0)
			return allow(rules, file, access);
	return allow(rules, dir, access);
}

/*
 * Whatever the TCTI's name and configuration have of paths: its library, a socket, a device. A device that comes back is another inode:
 * a user whom the file system's permissions keep from other devices may open all of /dev.
 */
static int allow_tcti(const struct ruleset *rules, const char *tcti)
{
	__attribute__((cleanup(text_freep))) char *copy = strdup(tcti);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	if (strstr(tcti, "device") && geteuid() != 0)
		r = allow(rules, "/dev", FS_DEVICE);
	if (r == 0 && strstr(tcti, "device"))
		r = allow(rules, "/dev/tpmrm0", FS_DEVICE);
	if (r == 0 && strstr(tcti, "device"))
		r = allow(rules, "/dev/tpm0", FS_DEVICE);
	for (char *word = strtok_r(copy, ":;,=", &save); r == 0 && word;
		word = strtok_r(NULL, ":;,=", &save))
		if (word[0] == '/')
			r = allow(rules, word, FS_DEVICE | FS_TRUNCATE);
	return r;
}

static int allow_files(const struct ruleset *rules, const struct config *c, const char *config_path)
{
	/* Libraries, for a TCTI that is loaded again, and what libraries read. */
	static const struct {
		const char *path;
		uint64_t access;
	} everybodys[] = {
		{ "/usr", FS_READ },
		{ "/lib", FS_READ },
		{ "/lib64", FS_READ },
		{ "/opt", FS_READ },
		{ "/etc/ld.so.cache", FS_READ },
		{ "/etc/ssl/openssl.cnf", FS_READ },
		{ "/etc/machine-id", FS_READ },
		{ "/proc",
			FS_READ }, /* the unit of who asks; of other processes no more than everybody sees */
		{ "/dev/null", FS_DEVICE },
		{ "/dev/urandom", FS_READ },
		{ "/dev/random", FS_READ },
		{ "/sys/devices/system/cpu", FS_READ },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(everybodys) / sizeof(everybodys[0]); i++)
		r = allow(rules, everybodys[i].path, everybodys[i].access);
	if (r == 0)
		r = allow(rules, c->keys, FS_OWN);
	if (r == 0)
		r = allow_beside(rules, c->socket, LANDLOCK_ACCESS_FS_REMOVE_FILE);
	if (r == 0 && c->audit[0] == '/')
		r = allow_beside(rules, c->audit, FS_LOG);
	if (r == 0)
		r = allow_beside(rules, config_path ? config_path : CONFIG_DEFAULT_PATH, FS_READ);
	return r == 0 ? allow_tcti(rules, c->tcti) : r;
}

static int make_ruleset(int version, bool network, struct ruleset *ret)
{
	const char *notify = getenv("NOTIFY_SOCKET");
	struct ruleset_attr attr = { .fs = FS_REFER - 1 };
	size_t size = sizeof(attr.fs);

	if (version >= 2)
		attr.fs |= FS_REFER;
	if (version >= 3)
		attr.fs |= FS_TRUNCATE;
	if (version >= 4) {
		attr.net = NET_BIND_TCP | (network ? 0 : NET_CONNECT_TCP);
		size = offsetof(struct ruleset_attr, scoped);
	}
	if (version >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (version >= 6) {
		/* The service manager may listen on an abstract address. */
		attr.scoped = SCOPE_SIGNAL | (notify && notify[0] == '@' ? 0 : SCOPE_ABSTRACT_UNIX);
		size = sizeof(attr);
	}
	ret->handled = attr.fs;
	ret->fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return ret->fd < 0 ? -errno : 0;
}

int sandbox_restrict_files(const struct config *config, const char *config_path, bool network)
{
	int version =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset rules;
	int r;

	/* Not in this kernel, or switched off when it was started. */
	if (version < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
	r = make_ruleset(version, network, &rules);
	if (r < 0)
		return r;
	r = allow_files(&rules, config, config_path);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules.fd, 0) < 0)
		r = -errno;
	close(rules.fd);
	return r < 0 ? r : version;
}
