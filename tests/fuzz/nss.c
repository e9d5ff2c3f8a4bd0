/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system's users and groups, for targets that read names of them: two of each, so that what is found does not depend on the
 * machine, nor the speed on its files.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

static int known(const char *name, unsigned *ret)
{
	static const char *const names[] = { "root", "www-data" };

	for (unsigned i = 0; i < 2; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = i * 33;
			return 1;
		}
	}
	return 0;
}

/* With less than this much room for the entry, the answer is that it is too little. */
#define ENTRY_SIZE 2000

int getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t size, struct passwd **ret)
{
	unsigned id;

	(void)buf;
	*ret = NULL;
	if (!known(name, &id))
		return 0;
	if (size < ENTRY_SIZE)
		return ERANGE;
	*pw = (struct passwd){ .pw_uid = id };
	*ret = pw;
	return 0;
}

int getgrnam_r(const char *name, struct group *gr, char *buf, size_t size, struct group **ret)
{
	unsigned id;

	(void)buf;
	*ret = NULL;
	if (!known(name, &id))
		return 0;
	if (size < ENTRY_SIZE)
		return ERANGE;
	*gr = (struct group){ .gr_gid = id };
	*ret = gr;
	return 0;
}
