/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/broker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everybody who can connect may do everything: the socket is in a directory of ours. */
static const char bus_config[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\""
	" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
	"<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
	"<allow eavesdrop=\"true\"/><allow own=\"*\"/><allow user=\"*\"/></policy></busconfig>\n";

static int write_config(const struct broker *b, const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	fprintf(f, bus_config, b->dir.path);
	return fclose(f) == 0 ? 0 : -EIO;
}

static int start_bus(struct broker *b)
{
	char path[TEMPDIR_PATH_SIZE + 16], option[TEMPDIR_PATH_SIZE + 32], address[256], *end;
	const char *const argv[] = { "dbus-daemon", option, "--nofork", "--nopidfile",
		"--print-address=1", NULL };
	int r;

	snprintf(path, sizeof(path), "%s/bus.conf", b->dir.path);
	snprintf(option, sizeof(option), "--config-file=%s", path);
	r = write_config(b, path);
	if (r == 0)
		r = command_start(&b->bus, argv, NULL);
	if (r == 0)
		r = command_read_line(b->bus, address, sizeof(address), COMMAND_DEADLINE_MS);
	if (r < 0)
		return r;
	/* Its guid, which follows a comma, is of no use to anybody here. */
	end = strchr(address, ',');
	if (end)
		*end = '\0';
	return setenv("DBUS_SESSION_BUS_ADDRESS", address, 1) < 0 ? -errno : 0;
}

static bool has_name(void)
{
	static const char *const argv[] = { "dbus-send", "--session", "--print-reply",
		"--dest=org.freedesktop.DBus", "/org/freedesktop/DBus",
		"org.freedesktop.DBus.NameHasOwner", "string:com.intel.tss2.Tabrmd", NULL };
	struct command_result result;
	bool has;

	if (command_run(argv, NULL, &result) < 0)
		return false;
	has = result.status == 0 && strstr(result.out, "boolean true");
	command_result_done(&result);
	return has;
}

static int start_abrmd(struct broker *b)
{
	char tcti[600];
	const char *const argv[] = { "tpm2-abrmd", "--session", "--allow-root", tcti, NULL };
	long long until = command_now_ms() + COMMAND_DEADLINE_MS;
	int r;

	snprintf(tcti, sizeof(tcti), "--tcti=%s", b->tpm.tcti);
	r = command_start(&b->abrmd, argv, NULL);
	while (r == 0 && !has_name())
		if (command_now_ms() > until)
			r = -ETIMEDOUT;
	return r;
}

int broker_init(struct broker *b, uint32_t latency_us)
{
	int r;

	*b = (struct broker){ 0 };
	r = slow_tpm_init(&b->tpm);
	if (r == 0)
		r = tempdir_init(&b->dir);
	if (r == 0)
		r = start_bus(b);
	if (r == 0)
		r = start_abrmd(b);
	slow_set(&b->tpm.slow, latency_us);
	if (r < 0)
		broker_done(b);
	return r == -ENOENT ? -EOPNOTSUPP : r;
}

void broker_done(struct broker *b)
{
	slow_set(&b->tpm.slow, 0);
	command_free(b->abrmd);
	command_free(b->bus);
	tempdir_done(&b->dir);
	slow_tpm_done(&b->tpm);
	*b = (struct broker){ 0 };
}
