/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/swtpm/watch.h"

#include <errno.h>
#include <stdio.h>

int watch_init(struct tempdir *dir, struct tcti_test **ret_tcti, char name[WATCH_NAME_SIZE])
{
	char file[TEMPDIR_PATH_SIZE + 16];
	int r = tempdir_init(dir);

	if (r < 0)
		return r;
	snprintf(file, sizeof(file), "%s/counters", dir->path);
	*ret_tcti = tcti_test_map(file);
	if (!*ret_tcti)
		return -errno;
	tcti_test_name(name, WATCH_NAME_SIZE, file, "%s");
	return 0;
}

void watch_done(struct tempdir *dir, struct tcti_test *tcti)
{
	tcti_test_unmap(tcti);
	tempdir_done(dir);
}
