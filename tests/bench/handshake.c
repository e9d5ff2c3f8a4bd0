/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handshake - full TLS 1.3 handshakes with PSK and (EC)DHE: a static PSK in memory beside session
 * identities in epoch and in strict mode.
 *
 * Clients and servers are processes of their own, each pair with a socket pair between them, and
 * more pairs than processors, so that one works while another waits. A pair makes one connection
 * after the other. Client and server ask the same daemon, which here does the work of two: in the
 * field a handshake costs each machine half of what is measured, and one derivation of the two.
 *
 * The other form is of event loops: pairs of processes that each have many handshakes at a time, and
 * go on with others while the daemon is asked for one's PSK.
 *
 * A static PSK asks nobody. What asking costs when there is no work in the answer, but a process
 * that is put to sleep for it and woken, has a row of its own. Both forms have the same target; that
 * row says how near to it a derivation can come that is waited for.
 */
#include "client-lib/tpmpsk-gnutls.h"
#include "tests/bench/crew.h"
#include "tests/bench/echo.h"
#include "tests/bench/flood.h"
#include "tests/client-lib/shake_loop.h"
#include "tests/swtpm/scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS 8
#define LOOPS 4 /* pairs of event loops; with two, the processors are not busy all the time */
#define CONNECTIONS 16 /* of each */
/* What tpmpsk-gnutls.h recommends, without TLS 1.2. */
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK"
#define ECHO_SIZE 98 /* bytes of a session identity, a PSK and what is around them */

static const char identity[] = "bench";
static const uint8_t static_psk[TPMPSK_PSK_SIZE] = "the same key for every session";

/* Who is asked for a PSK: the daemon, an echo, or nobody. */
struct source {
	const char *daemon, *echo; /* sockets */
};

/* One end of the connection: a process of its own. */
struct end {
	bool server;
	int fd;
	struct tpmpsk *handle; /* NULL: the PSK is static_psk */
	int echo_fd;           /* 0: not asked */
	gnutls_priority_t priority;
	gnutls_psk_client_credentials_t client;
	gnutls_psk_server_credentials_t own; /* the server's */
};

static int copy(const void *data, size_t size, gnutls_datum_t *ret)
{
	unsigned char *p = gnutls_malloc(size);

	if (!p)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(p, data, size);
	*ret = (gnutls_datum_t){ p, (unsigned)size };
	return 0;
}

static int ask_echo(const struct end *e)
{
	return e->echo_fd && echo_call(e->echo_fd, ECHO_SIZE) < 0 ? GNUTLS_E_USER_ERROR : 0;
}

static int on_client_psk(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	const gnutls_datum_t base = { (unsigned char *)identity, sizeof(identity) - 1 };
	const struct end *e = gnutls_session_get_ptr(session);
	int r;

	if (e->handle)
		return tpmpsk_gnutls_client(e->handle, session, &base, 0, username, key);
	r = ask_echo(e);
	if (r == 0)
		r = copy(base.data, base.size, username);
	return r < 0 ? r : copy(static_psk, sizeof(static_psk), key);
}

static int on_server_psk(
	gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	const struct end *e = gnutls_session_get_ptr(session);
	int r;

	if (e->handle)
		return tpmpsk_gnutls_server(e->handle, session, username, 0, key);
	r = ask_echo(e);
	return r < 0 ? r : copy(static_psk, sizeof(static_psk), key);
}

static int end_init(struct end *e, const struct source *source)
{
	int r;

	if (source->echo && echo_connect(source->echo, &e->echo_fd) < 0)
		return GNUTLS_E_USER_ERROR;
	if (source->daemon && tpmpsk_open(&e->handle, source->daemon) < 0)
		return GNUTLS_E_USER_ERROR;
	r = gnutls_priority_init2(&e->priority, PRIORITY, NULL, 0);
	if (r < 0)
		return r;
	if (e->server) {
		r = tpmpsk_gnutls_allocate_server_credentials(&e->own);
		if (r == 0)
			gnutls_psk_set_server_credentials_function2(e->own, on_server_psk);
	} else {
		r = tpmpsk_gnutls_allocate_client_credentials(&e->client);
		if (r == 0)
			gnutls_psk_set_client_credentials_function2(e->client, on_client_psk);
	}
	return r;
}

static void end_done(struct end *e)
{
	if (e->client)
		gnutls_psk_free_client_credentials(e->client);
	if (e->own)
		gnutls_psk_free_server_credentials(e->own);
	if (e->priority)
		gnutls_priority_deinit(e->priority);
	tpmpsk_close(e->handle);
	if (e->echo_fd)
		close(e->echo_fd);
	close(e->fd);
}

static int run_session(struct end *e, gnutls_session_t session)
{
	int r = gnutls_priority_set(session, e->priority);

	gnutls_session_set_ptr(session, e);
	gnutls_transport_set_int(session, e->fd);
	if (r == 0)
		r = gnutls_credentials_set(
			session, GNUTLS_CRD_PSK, e->server ? (void *)e->own : (void *)e->client);
	if (r < 0)
		return r;
	do
		r = gnutls_handshake(session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	if (r == 0 && gnutls_protocol_get_version(session) != GNUTLS_TLS1_3)
		r = GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
	return r;
}

static int handshake(struct end *e)
{
	gnutls_session_t session;
	int r = gnutls_init(&session, e->server ? GNUTLS_SERVER : GNUTLS_CLIENT);

	if (r < 0)
		return r;
	r = run_session(e, session);
	gnutls_deinit(session);
	return r;
}

static void complain(const struct end *e, int r)
{
	fprintf(stderr, "%s: %s (%s)\n", e->server ? "server" : "client", gnutls_strerror(r),
		tpmpsk_strerror(tpmpsk_gnutls_last_error()));
}

/* As many handshakes as come, until the client closes. */
__attribute__((noreturn)) static void be_server(int fd, const struct source *source)
{
	struct end e = { .server = true, .fd = fd };
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = end_init(&e, source);
	while (r == 0)
		r = handshake(&e);
	if (r != GNUTLS_E_PREMATURE_TERMINATION)
		complain(&e, r);
	end_done(&e);
	_exit(r != GNUTLS_E_PREMATURE_TERMINATION);
}

static int measure_client(struct crew_worker *w, struct end *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < 1 + w->n / 10; i++)
		r = handshake(e);
	crew_ready(w);
	for (size_t i = 0; r == 0 && i < w->n; i++) {
		uint64_t start = bench_now_ns();

		r = handshake(e);
		w->ns[i] = bench_now_ns() - start;
	}
	return r;
}

static int pair(struct crew_worker *w)
{
	struct end e = { 0 };
	int fds[2], r;
	pid_t server;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	server = fork();
	if (server == 0) {
		close(w->ready_fd);
		close(fds[0]);
		be_server(fds[1], w->context);
	}
	close(fds[1]);
	e.fd = fds[0];
	r = server < 0 ? GNUTLS_E_MEMORY_ERROR : end_init(&e, w->context);
	if (r == 0)
		r = measure_client(w, &e);
	if (r < 0)
		complain(&e, r);
	end_done(&e);
	if (server > 0)
		waitpid(server, NULL, 0);
	return r == 0 ? 0 : -EPROTO;
}

/* One end of a pair of loops, on what end_init() gives the other form. Closes the descriptors. */
static int end_loop(
	struct end *e, const struct source *source, const int *fds, struct crew_worker *w)
{
	const gnutls_datum_t base = { (unsigned char *)identity, sizeof(identity) - 1 };
	struct shake_loop l = { .server = e->server,
		.n_connections = CONNECTIONS,
		.identity = &base,
		.epoll_fd = -1,
		.ptr = e };
	int r = end_init(e, &(const struct source){ 0 });

	if (r == 0 && source->daemon && tpmpsk_async_open(&l.async, source->daemon) < 0)
		r = GNUTLS_E_USER_ERROR;
	if (l.async && e->server)
		gnutls_psk_set_server_credentials_function2(
			e->own, tpmpsk_gnutls_handshake_server_psk);
	else if (l.async)
		gnutls_psk_set_client_credentials_function2(
			e->client, tpmpsk_gnutls_handshake_client_psk);
	l.priority = e->priority;
	l.credentials = e->server ? (void *)e->own : (void *)e->client;
	for (size_t i = 0; i < CONNECTIONS; i++)
		l.connections[i].fd = fds[i];
	if (r == 0 && shake_loop_init(&l) < 0)
		r = GNUTLS_E_USER_ERROR;
	if (r == 0 && !w)
		r = shake_loop_run(&l, 0, NULL);
	if (r == 0 && w)
		r = shake_loop_run(&l, CONNECTIONS + w->n / 10, NULL);
	if (w)
		crew_ready(w);
	if (r == 0 && w)
		r = shake_loop_run(&l, w->n, w->ns);
	shake_loop_done(&l);
	tpmpsk_async_close(l.async);
	return r;
}

static int loops(struct crew_worker *w)
{
	struct end client = { .fd = -1 }, own = { .server = true, .fd = -1 };
	int fds[2][CONNECTIONS], r;
	pid_t server;

	for (size_t i = 0; i < CONNECTIONS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			return -errno;
		fds[0][i] = pair[0];
		fds[1][i] = pair[1];
	}
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(w->ready_fd);
		for (size_t i = 0; i < CONNECTIONS; i++)
			close(fds[0][i]);
		r = end_loop(&own, w->context, fds[1], NULL);
		_exit(r < 0);
	}
	for (size_t i = 0; i < CONNECTIONS; i++)
		close(fds[1][i]);
	r = server < 0 ? GNUTLS_E_MEMORY_ERROR : end_loop(&client, w->context, fds[0], w);
	if (server > 0)
		waitpid(server, NULL, 0);
	return r == 0 ? 0 : -EPROTO;
}

static int measure_static_loops(const void *how, size_t n, struct bench_result *ret)
{
	(void)how;
	return crew_run(LOOPS, n, loops, &(const struct source){ 0 }, ret);
}

static int measure_static(const void *how, size_t n, struct bench_result *ret)
{
	(void)how;
	return crew_run(PAIRS, n, pair, &(const struct source){ 0 }, ret);
}

static int measure_echo(const void *how, size_t n, struct bench_result *ret)
{
	struct echo echo;
	int r = echo_init(&echo, false);

	(void)how;
	if (r == 0)
		r = crew_run(PAIRS, n, pair, &(const struct source){ .echo = echo.socket }, ret);
	echo_done(&echo);
	return r;
}

struct daemon_how {
	const char *mode; /* of the key */
	bool password;    /* authorisation, in place of encrypted sessions */
	unsigned pairs;   /* 0: PAIRS */
	bool flooded;     /* somebody else sends forged session identities */
	bool loops;       /* event loops, in place of pairs */
};

static int measure_daemon(const void *context, size_t n, struct bench_result *ret)
{
	const struct daemon_how *how = context;
	const struct scene_options options = {
		.config = how->password ? "{\"audit\":\"off\",\"encrypt_sessions\":false}"
					: "{\"audit\":\"off\"}",
	};
	struct flood flood = { 0 };
	struct scene scene;
	int r;

	r = scene_init(&scene, &options);
	if (r < 0)
		return r;
	if (scene_psk_ok(&scene, "key", "generate", "bench", "--identity", identity, "--purpose",
		    "session-identity", "--mode", how->mode, "--allow", "user:root", "--allow",
		    "uid:65533:server", NULL) != 0)
		r = -EIO;
	if (r == 0 && how->flooded)
		r = flood_init(&flood, scene.socket, identity);
	if (r == 0 && how->loops)
		r = crew_run(
			LOOPS, n, loops, &(const struct source){ .daemon = scene.socket }, ret);
	else if (r == 0)
		r = crew_run(how->pairs ? how->pairs : PAIRS, n, pair,
			&(const struct source){ .daemon = scene.socket }, ret);
	flood_done(&flood);
	scene_done(&scene);
	return r;
}

enum {
	STATIC,
	ECHO,
	EPOCH,
	EPOCH_OF_ECHO,
	STRICT,
	STRICT_PASSWORD,
	STATIC_LOOPS,
	EPOCH_LOOPS,
	STRICT_LOOPS,
	EPOCH_ONE,
	EPOCH_FLOODED,
	N_ROWS,
};

#define DAEMON(...)                                                                                \
	.measure = measure_daemon, .how = &(const struct daemon_how)                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static const struct bench_row rows[N_ROWS] = {
	[STATIC] = { .name = "static PSK in memory", .measure = measure_static },
	[ECHO] = { .name = "static PSK, an echo asked for it",
		.measure = measure_echo,
		.base = &rows[STATIC] },
	[EPOCH] = { .name = "session identity, epoch",
		DAEMON("epoch"),
		.base = &rows[STATIC],
		.ratio_min = 0.9 },
	[EPOCH_OF_ECHO] = { .name = "  the same, against the echo",
		.same = &rows[EPOCH],
		.base = &rows[ECHO] },
	[STRICT] = { .name = "session identity, strict", DAEMON("strict"), .base = &rows[STATIC] },
	[STRICT_PASSWORD] = { .name = "session identity, strict, password",
		DAEMON("strict", .password = true),
		.base = &rows[STATIC] },
	[STATIC_LOOPS] = { .name = "event loops, static PSK in memory",
		.measure = measure_static_loops },
	[EPOCH_LOOPS] = { .name = "event loops, session identity, epoch",
		DAEMON("epoch", .loops = true),
		.base = &rows[STATIC_LOOPS],
		.ratio_min = 0.9 },
	[STRICT_LOOPS] = { .name = "event loops, session identity, strict",
		DAEMON("strict", .loops = true),
		.base = &rows[STATIC_LOOPS] },
	[EPOCH_ONE] = { .name = "session identity, epoch, one pair",
		DAEMON("epoch", .pairs = 1),
		.share = 0.5 },
	[EPOCH_FLOODED] = { .name = "  the same beside a flood of forged ones",
		DAEMON("epoch", .pairs = 1, .flooded = true),
		.share = 0.5,
		.base = &rows[EPOCH_ONE],
		.p99_of_p99_max = 3 },
};

int main(int argc, char **argv)
{
	return bench_main(&(const struct bench){ .name = "handshake",
				  .about = "Full TLS 1.3 handshakes between processes, with PSKs "
					   "of several kinds.",
				  .what = "handshakes",
				  .n = 4000,
				  .n_rows = N_ROWS,
				  .rows = rows },
		argc, argv);
}
