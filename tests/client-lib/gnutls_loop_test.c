/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two event loops with many handshakes at a time between them, against the daemon and a TPM that
 * takes its time, as a chip does.
 */
#include "tests/client-lib/shake_loop.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define CONNECTIONS 16
#define HANDSHAKES 48
#define LATENCY_US 8000
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"

static struct scene scene;
static struct tempdir own; /* for the TCTI's file: it must outlive what the scene clears away */
static struct tcti_test *tcti;
static int fds[2][CONNECTIONS];

static void begin(void)
{
	char name[WATCH_NAME_SIZE];

	cr_assert_eq(watch_init(&own, &tcti, name), 0);
	cr_assert_eq(scene_init(&scene, &(struct scene_options){ .tcti = name,
						.config = "{\"audit\":\"off\","
							  "\"limits\":{\"deadline_ms\":60000}}" }),
		0);
}

static void end(void)
{
	cr_assert_eq(scene_stop(&scene, NULL), 0);
	scene_done(&scene);
	watch_done(&own, tcti);
}

TestSuite(gnutls_loop, .init = begin, .fini = end, .timeout = 150);

/* One end's loop over what the other process has the other ends of. Its code. */
static int run_end(bool server, unsigned *ret_most_waiting)
{
	const gnutls_datum_t identity = { (unsigned char *)"Client1", 7 };
	struct shake_loop l = { .server = server,
		.n_connections = CONNECTIONS,
		.identity = &identity,
		.epoll_fd = -1 };
	gnutls_psk_client_credentials_t client;
	gnutls_psk_server_credentials_t own_end;
	uint64_t ns[HANDSHAKES];
	int r;

	for (size_t i = 0; i < CONNECTIONS; i++) {
		close(fds[!server][i]);
		l.connections[i].fd = fds[server][i];
	}
	if (tpmpsk_async_open(&l.async, scene.socket) < 0 ||
		tpmpsk_async_set_deadline(l.async, 60000) < 0 || shake_loop_init(&l) < 0 ||
		gnutls_priority_init2(&l.priority, PRIORITY, NULL, 0) < 0 ||
		tpmpsk_gnutls_allocate_client_credentials(&client) < 0 ||
		tpmpsk_gnutls_allocate_server_credentials(&own_end) < 0)
		return -1;
	gnutls_psk_set_client_credentials_function2(client, tpmpsk_gnutls_handshake_client_psk);
	gnutls_psk_set_server_credentials_function2(own_end, tpmpsk_gnutls_handshake_server_psk);
	l.credentials = server ? (void *)own_end : (void *)client;
	r = server ? shake_loop_run(&l, 0, NULL) : shake_loop_run(&l, HANDSHAKES, ns);
	*ret_most_waiting = l.most_waiting;
	shake_loop_done(&l);
	tpmpsk_async_close(l.async);
	gnutls_priority_deinit(l.priority);
	gnutls_psk_free_client_credentials(client);
	gnutls_psk_free_server_credentials(own_end);
	return r;
}

/* The server in a process of its own; it ends with how many handshakes waited at one time. */
static void shake(unsigned *ret_client_waiting, unsigned *ret_server_waiting)
{
	pid_t server;
	int status;

	for (size_t i = 0; i < CONNECTIONS; i++) {
		int pair[2];

		cr_assert_eq(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			0);
		fds[0][i] = pair[0];
		fds[1][i] = pair[1];
	}
	server = fork();
	cr_assert_geq(server, 0);
	if (server == 0) {
		unsigned most = 0;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run_end(true, &most) == 0 ? (int)most : 255);
	}
	cr_assert_eq(run_end(false, ret_client_waiting), 0);
	cr_assert_eq(waitpid(server, &status, 0), server);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 255);
	*ret_server_waiting = (unsigned)WEXITSTATUS(status);
}

/* With a key of this mode; how many HMACs the TPM was asked for. */
static uint64_t shake_by(
	const char *mode, unsigned *ret_client_waiting, unsigned *ret_server_waiting)
{
	uint64_t before;

	cr_assert_eq(
		scene_psk_ok(&scene, "key", "generate", "k", "--identity", "Client1", "--purpose",
			"session-identity", "--mode", mode, "--allow", "user:root", NULL),
		0);
	before = tcti_test_count(tcti, TPM2_CC_HMAC);
	tcti->latency_us = LATENCY_US;
	shake(ret_client_waiting, ret_server_waiting);
	tcti->latency_us = 0;
	return tcti_test_count(tcti, TPM2_CC_HMAC) - before;
}

/* All of a loop's handshakes are with the daemon at once, and none keeps another one from it. */
Test(gnutls_loop, has_all_its_handshakes_wait_for_the_tpm_together)
{
	unsigned client = 0, server = 0;
	uint64_t hmacs = shake_by("strict", &client, &server);

	/* Two for each, one for each end; and the epoch's secrets, for the tags. */
	cr_assert_geq(hmacs, 2 * HANDSHAKES + 1);
	cr_assert_leq(hmacs, 2 * HANDSHAKES + 3);
	cr_assert_eq(client, CONNECTIONS);
	cr_assert_geq(server, 1);
}

Test(gnutls_loop, needs_the_tpm_once_in_epoch_mode)
{
	unsigned client = 0, server = 0;

	cr_assert_leq(shake_by("epoch", &client, &server), 3);
	cr_assert_eq(client, CONNECTIONS);
}
