/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks at the TPM without the daemon: the device's file, and, where it can be opened, the TPM itself by the two commands that are needed
 * here, written by hand so that the command needs no TPM library. TPM 2.0 Library, Part 3, TPM2_GetCapability.
 */
#include "keys/doctor.h"
#include "keys/print.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DAEMON_USER "tpm-pskd"
#define DAEMON_GROUP "tss" /* what its unit gives it beside its own */
#define ANSWER_MS 5000
#define GROUPS_MAX 256

#define PT_PERMANENT 0x200u
#define PT_LOCKOUT_COUNTER 0x20eu
#define PT_MAX_AUTH_FAIL 0x20fu
#define PERMANENT_IN_LOCKOUT 0x200u

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> (24 - 8 * i));
}

/* One property of the TPM. 0, -ETIMEDOUT, -EPROTO. */
static int get_property(int fd, uint32_t property, uint32_t *ret)
{
	/* tag, size, TPM2_GetCapability, TPM2_CAP_TPM_PROPERTIES, property, how many */
	uint8_t command[22] = { 0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7a, 0, 0, 0, 6 }, answer[64];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	put_be32(command + 14, property);
	put_be32(command + 18, 1);
	if (write(fd, command, sizeof(command)) != (ssize_t)sizeof(command))
		return -errno;
	if (poll(&p, 1, ANSWER_MS) <= 0)
		return -ETIMEDOUT;
	n = read(fd, answer, sizeof(answer));
	/* header, more data, capability, count 1, property, value */
	if (n < 27 || be32(answer + 6) != 0 || be32(answer + 15) != 1 ||
		be32(answer + 19) != property)
		return -EPROTO;
	*ret = be32(answer + 23);
	return 0;
}

static void check_lockout(struct doctor *d, int fd)
{
	uint32_t permanent, counter = 0, most = 0;
	int r = get_property(fd, PT_PERMANENT, &permanent);

	if (r == 0)
		r = get_property(fd, PT_LOCKOUT_COUNTER, &counter);
	if (r == 0)
		r = get_property(fd, PT_MAX_AUTH_FAIL, &most);
	if (r < 0)
		doctor_wrong(d, "TPM", "dmesg | grep -i tpm", "it does not answer as a TPM 2.0: %s",
			strerror(-r));
	else if (permanent & PERMANENT_IN_LOCKOUT)
		doctor_wrong(d, "lockout", "tpm2_dictionarylockout --clear-lockout",
			"the TPM refuses whatever has a password: %u wrong ones were tried",
			counter);
	else if (counter > 0)
		doctor_note(d, "lockout", "tpm2_dictionarylockout --clear-lockout",
			"%u of %u wrong passwords were tried before the TPM locks", counter, most);
	else
		doctor_ok(d, "lockout", "the TPM is not locked");
}

/* The name of another process that has the file open, "" when none can be seen. */
static void find_holder(const char *path, char *name, size_t size)
{
	DIR *proc = opendir("/proc");
	struct stat want, st;
	const struct dirent *p;

	*name = '\0';
	if (!proc || stat(path, &want) < 0) {
		if (proc)
			closedir(proc);
		return;
	}
	while (!*name && (p = readdir(proc))) {
		char folder[300], file[600];
		const struct dirent *f;
		DIR *fds;

		snprintf(folder, sizeof(folder), "/proc/%s/fd", p->d_name);
		fds = p->d_name[0] >= '1' && p->d_name[0] <= '9' ? opendir(folder) : NULL;
		while (fds && !*name && (f = readdir(fds))) {
			FILE *comm;

			snprintf(file, sizeof(file), "%s/%s", folder, f->d_name);
			if (stat(file, &st) < 0 || st.st_rdev != want.st_rdev ||
				!S_ISCHR(st.st_mode))
				continue;
			snprintf(file, sizeof(file), "/proc/%s/comm", p->d_name);
			comm = fopen(file, "re");
			if (comm && fgets(name, (int)size, comm))
				name[strcspn(name, "\n")] = '\0';
			if (comm)
				fclose(comm);
		}
		if (fds)
			closedir(fds);
	}
	closedir(proc);
}

static bool is_member(const char *user, gid_t want)
{
	const struct passwd *p = getpwnam(user);
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;

	if (!p || getgrouplist(user, p->pw_gid, groups, &n) < 0)
		return false;
	for (int i = 0; i < n; i++)
		if (groups[i] == want)
			return true;
	return false;
}

/* Whether the daemon's user may open the device. */
static void check_owner(struct doctor *d, const char *path, const struct stat *st)
{
	const struct passwd *user = getpwnam(DAEMON_USER);
	const struct group *group = getgrgid(st->st_gid);
	const char *name = group ? group->gr_name : "?";
	char next[160];

	if ((st->st_mode & 0060) != 0060) {
		doctor_wrong(d, "group", "apt-get install tpm-udev && udevadm trigger",
			"%s has mode %03o: its group may not use it", path, st->st_mode & 0777u);
	} else if (!user) {
		doctor_note(d, "group", "systemd-sysusers",
			"there is no user " DAEMON_USER "; %s is for the group %s", path, name);
	} else if (strcmp(name, DAEMON_GROUP) == 0 || is_member(DAEMON_USER, st->st_gid)) {
		doctor_ok(d, "group", "%s is for the group %s, which " DAEMON_USER " has", path,
			name);
	} else {
		snprintf(next, sizeof(next),
			"usermod -aG %s " DAEMON_USER " && systemctl restart tpm-pskd", name);
		doctor_wrong(d, "group", next,
			"%s is for the group %s, and " DAEMON_USER " is not in it", path, name);
	}
}

/* Without the daemon in the way: can the TPM be had? */
static void check_open(struct doctor *d, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char holder[64];

	if (fd >= 0) {
		check_lockout(d, fd);
		close(fd);
	} else if (errno == EBUSY && d->answers) {
		doctor_ok(d, "TPM", "tpm-pskd has it for itself");
	} else if (errno == EBUSY) {
		find_holder(path, holder, sizeof(holder));
		doctor_wrong(d, "TPM",
			*holder ? "systemctl --type=service --state=running" : "fuser -v /dev/tpm0",
			"%s is in use by %s, and admits one at a time: end that, or use "
			"device:/dev/tpmrm0",
			path, *holder ? holder : "another process");
	} else if (errno == EACCES || errno == EPERM) {
		doctor_note(d, "TPM", "sudo tpm-psk doctor", "%s: you may not look at it", path);
	} else {
		doctor_wrong(d, "TPM", "dmesg | grep -i tpm", "%s: %s", path, strerror(errno));
	}
}

static bool is_tpm12(const char *path)
{
	const char *number = path + strcspn(path, "0123456789");
	char file[80], version[8] = "";
	FILE *f;

	snprintf(file, sizeof(file), "/sys/class/tpm/tpm%.8s/tpm_version_major", number);
	f = fopen(file, "re");
	if (f && !fgets(version, sizeof(version), f))
		version[0] = '\0';
	if (f)
		fclose(f);
	return version[0] == '1';
}

static void check_device(struct doctor *d, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT && access("/sys/class/tpm/tpm0", F_OK) < 0) {
		doctor_wrong(d, "TPM", "dmesg | grep -i tpm",
			"this machine has none that the kernel knows: switch it on in the "
			"firmware's "
			"setup, or give the virtual machine one");
	} else if (stat(path, &st) < 0) {
		doctor_wrong(d, "TPM", "ls -l /dev/tpm*", "%s: %s, but there is a TPM", path,
			strerror(errno));
	} else if (!S_ISCHR(st.st_mode)) {
		doctor_wrong(d, "TPM", "ls -l /dev/tpm*", "%s is no device", path);
	} else if (is_tpm12(path)) {
		doctor_wrong(d, "TPM", "dmesg | grep -i tpm",
			"it is a TPM 1.2: look for version 2.0 in the firmware's setup");
	} else {
		doctor_ok(d, "TPM", "%s is there", path);
		check_owner(d, path, &st);
		check_open(d, path);
	}
}

/* A software TPM: it speaks to one at a time, so it is asked only when the daemon is not there. */
static void check_swtpm(struct doctor *d, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (d->answers) {
		doctor_ok(d, "TPM", "tpm-pskd has it, a software TPM");
		return;
	}
	if (strlen(path) >= sizeof(address.sun_path)) {
		doctor_wrong(d, "TPM", "tpm-pskd --check-config", "tcti: that path is too long");
		return;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		doctor_ok(d, "TPM", "a software TPM listens at %s", path);
		check_lockout(d, fd);
	} else {
		doctor_wrong(d, "TPM", "pgrep -a swtpm", "no software TPM at %s: %s", path,
			strerror(errno));
	}
	if (fd >= 0)
		close(fd);
}

void doctor_tpm(struct doctor *d)
{
	static const char device[] = "device:", swtpm[] = "swtpm:path=";
	_cleanup_(text_freep) char *tcti = text_escape(d->tcti);

	if (strcmp(d->tcti, "device") == 0)
		check_device(d, "/dev/tpm0");
	else if (strncmp(d->tcti, device, strlen(device)) == 0)
		check_device(d, d->tcti + strlen(device));
	else if (strncmp(d->tcti, swtpm, strlen(swtpm)) == 0)
		check_swtpm(d, d->tcti + strlen(swtpm));
	else
		doctor_note(d, "TPM", NULL, "%s is not looked at from here", tcti);
}
