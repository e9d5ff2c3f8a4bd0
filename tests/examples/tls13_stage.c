/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/examples/tls13_stage.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void import(
	const char *name, const char *identity, const char *mode, const char *hex, unsigned int uid)
{
	const struct command_options options = { .input = hex };
	struct command_result r = { 0 };
	char allow[32];

	snprintf(allow, sizeof(allow), "uid:%u", uid);
	cr_assert_eq(scene_psk(&stage, &options, &r, "key", "import", name, "--identity", identity,
			     "--purpose", "session-identity", "--mode", mode, "--allow", allow,
			     "--hex-file", "-", NULL),
		0);
	cr_assert_eq(r.status, 0, "%s", r.err);
	command_result_done(&r);
}

void tls13_begin(void)
{
	stage_begin();
	import("client1-13", "Client1", "strict", STAGE_SECRET, getuid());
	import("epoch-13", "Epoch", "epoch", STAGE_OTHER_SECRET, getuid());
	import("foreign-13", "Foreign", "strict", STAGE_OTHER_SECRET, 4711);
}

static size_t granted(const char *role)
{
	char *audit = command_err(stage.daemon), *line, *next;
	char asked[64];
	size_t n = 0;

	snprintf(asked, sizeof(asked), role ? "\"role\":\"%s\"" : "\"tls12-session\"", role);
	for (line = audit; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		n += strstr(line, "\"request\":\"derive\"") && strstr(line, asked) &&
		     strstr(line, "\"status\":\"ok\"");
	}
	free(audit);
	return n;
}

/* The line in the audit may come a moment after the answer. */
void tls13_assert_granted(const char *role, size_t n)
{
	long long until = command_now_ms() + COMMAND_DEADLINE_MS;

	while (granted(role) < n && command_now_ms() < until)
		poll(NULL, 0, 5);
	cr_assert_eq(granted(role), n, "%zu of %s, not %zu", granted(role), role ? role : "1.2", n);
}

const struct tls13_failure tls13_failures[TLS13_FAILURES] = {
	{ "Client1", STAGE_SECRET, "--wrong-psk", NULL, NULL },
	{ "Client1", "99", NULL, NULL, "forged" },
	{ "Client1", STAGE_SECRET, "--epoch", NULL, "forged" },
	{ "Client1", STAGE_SECRET, "--plain-identity", NULL, "malformed" },
	{ "Client1", STAGE_SECRET, "--age", "31000", "expired" },
	{ "Client1", STAGE_SECRET, "--age", "-35000", "expired" },
	{ "Foreign", STAGE_OTHER_SECRET, NULL, NULL, "unknown-identity" },
	{ "Nobody", STAGE_SECRET, NULL, NULL, "unknown-identity" },
};

char *tls13_fail(const struct stage_server *server, const struct tls13_failure *f)
{
	const struct command_result *r =
		stage_run(PEER, "--connect", server->address, "--identity", f->identity,
			"--secret-hex", f->secret, "--tls13", "--trace", f->option, f->value, NULL);

	cr_assert_eq(r->status, 1, "%s", r->out);
	return strdup(r->out);
}

void tls13_assert_all_fail_alike(const struct stage_server *server)
{
	for (size_t i = 0; i < TLS13_FAILURES; i++) {
		char *seen = tls13_fail(server, &tls13_failures[i]);

		cr_assert_str_eq(seen, "sent handshake 1\nreceived alert illegal parameter\n");
		free(seen);
		if (tls13_failures[i].status)
			tls13_assert_err(server, tls13_failures[i].status);
	}
}

int tls13_knock(const struct stage_server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons((uint16_t)atoi(strchr(server->address, ':') + 1));
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void tls13_assert_agreed(
	struct stage_server *server, const struct command_result *client, char last[STAGE_HEX_SIZE])
{
	char client_psk[STAGE_HEX_SIZE], server_psk[STAGE_HEX_SIZE];

	stage_client_psk(client, client_psk);
	stage_server_psk(server, server_psk);
	cr_assert_str_eq(client_psk, server_psk);
	cr_assert_str_neq(client_psk, last);
	memcpy(last, client_psk, STAGE_HEX_SIZE);
}

void tls13_assert_serves(const struct stage_server *server)
{
	const struct command_result *r =
		stage_run(PSK_CLIENT, "--connect", server->address, "--identity", "Client1", NULL);

	cr_assert_eq(r->status, 0, "%s", r->err);
}

void tls13_assert_err(const struct stage_server *server, const char *text)
{
	char *err;

	if (command_wait_err(server->process, text, COMMAND_DEADLINE_MS) == 0)
		return;
	err = command_err(server->process);
	cr_assert_fail("no '%s' in %s", text, err);
}
