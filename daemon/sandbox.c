/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/sandbox.h"

#include "daemon/log.h"
#include "daemon/sandbox_calls.h"
#include "daemon/sandbox_files.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sanitizers and coverage read, write and trace at a program's end in ways that it never would by itself. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SANDBOX_LENIENT)
#define LENIENT true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LENIENT true
#endif
#endif
#ifndef LENIENT
#define LENIENT false
#endif

/* A TPM simulator may be at a TCP address; a TPM never is. */
static bool needs_network(const char *tcti)
{
	return strstr(tcti, "mssim") || (strstr(tcti, "swtpm") && !strstr(tcti, "path="));
}

/* Locked memory must not hit a limit later, when the right to go beyond it is gone. */
static void lift_memory_limit(void)
{
	const struct rlimit infinite = { RLIM_INFINITY, RLIM_INFINITY };

	(void)setrlimit(RLIMIT_MEMLOCK, &infinite); /* if it cannot be, CAP_IPC_LOCK is kept */
}

static bool memory_is_limited(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY;
}

/* Whether a path belongs to somebody else, so that root needs to override its permissions. */
static bool is_foreign(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid != geteuid();
}

/* What began with capabilities keeps those that its configuration needs, and no others; what began without has none. */
static int drop_capabilities(const struct config *c)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint32_t keep = 0;

	if (memory_is_limited())
		keep |= 1u << CAP_IPC_LOCK;
	if (is_foreign(c->keys) || (c->audit[0] == '/' && is_foreign(c->audit)))
		keep |= 1u << CAP_DAC_OVERRIDE;
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	/* The bounding set first, which takes a capability of its own; without that one, nothing can be raised anyway. */
	for (unsigned long n = 0; prctl(PR_CAPBSET_READ, n) >= 0; n++)
		if (n >= 32 || !(keep & 1u << n))
			(void)prctl(PR_CAPBSET_DROP, n);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	data[0].permitted &= keep;
	data[0].effective = data[0].permitted;
	data[0].inheritable = data[1].permitted = data[1].effective = data[1].inheritable = 0;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int set_limits(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_MSGQUEUE, &none) < 0 ||
		setrlimit(RLIMIT_RTPRIO, &none) < 0)
		return -errno;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	files.rlim_max = files.rlim_cur;
	return setrlimit(RLIMIT_NOFILE, &files) < 0 ? -errno : 0;
}

int sandbox_enter(
	const struct config *config, const char *config_path, struct sandbox_gaps *ret_gaps)
{
	bool network = needs_network(config->tcti);
	int files = 0, calls = 0;
	int r;

	if (!config->sandbox) {
		*ret_gaps = (struct sandbox_gaps){ .off = true };
		return 0;
	}
	lift_memory_limit();
	r = set_limits();
	if (r == 0)
		r = drop_capabilities(config);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0 && !LENIENT)
		files = sandbox_restrict_files(config, config_path, network);
	if (r == 0 && files >= 0 && !LENIENT)
		calls = sandbox_restrict_calls(network);
	r = r < 0 ? r : files < 0 ? files : calls < 0 ? calls : 0;
	if (r < 0)
		return r;
	*ret_gaps = (struct sandbox_gaps){ .files = files == 0, .calls = calls == 0 };
	return 0;
}

void sandbox_log_gaps(const struct sandbox_gaps *gaps)
{
	if (gaps->off)
		log_warning("sandbox: switched off by the configuration");
	if (gaps->files)
		log_notice("sandbox: no Landlock: files are not restricted");
	if (gaps->calls)
		log_notice("sandbox: no seccomp: system calls are not restricted");
}
