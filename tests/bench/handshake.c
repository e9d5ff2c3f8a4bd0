/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handshake - full TLS 1.3 handshakes with PSK and (EC)DHE: a static PSK in memory beside session
 * identities in epoch and in strict mode.
 *
 * A worker is client and server by turns, over a socket pair that never makes it wait; there are
 * more workers than processors, so that one works while another waits for the daemon. Client and
 * server each have a connection of their own to one daemon, which does the work of two.
 */
#include "client-lib/tpmpsk.h"
#include "tests/bench/crew.h"
#include "tests/swtpm/scene.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 8
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK"

static const char identity[] = "bench";

struct how {
	const char *mode; /* of the key; NULL: a static PSK, and no daemon */
	bool password;    /* authorisation, in place of encrypted sessions */
};

/* One end of the connection, in a worker. */
struct end {
	struct tpmpsk *handle; /* NULL: the static PSK */
	gnutls_psk_client_credentials_t client;
	gnutls_psk_server_credentials_t server;
	gnutls_priority_t priority;
	int fd;
	gnutls_session_t session;
};

static const uint8_t static_psk[TPMPSK_PSK_SIZE] = "the same key for every session";

static int copy(const void *data, size_t size, gnutls_datum_t *ret)
{
	unsigned char *p = gnutls_malloc(size);

	if (!p)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(p, data, size);
	*ret = (gnutls_datum_t){ p, (unsigned)size };
	return 0;
}

static int complain(const char *step, int error)
{
	fprintf(stderr, "handshake: %s: %s\n", step, tpmpsk_strerror(error));
	return GNUTLS_E_USER_ERROR;
}

static int on_client_psk(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct end *end = gnutls_session_get_ptr(session);
	char name[TPMPSK_SESSION_IDENTITY_SIZE];
	uint8_t psk[TPMPSK_PSK_SIZE];
	const char *say = identity;
	size_t say_len = strlen(identity);
	int r;

	memcpy(psk, static_psk, sizeof(psk));
	if (end->handle) {
		r = tpmpsk_session_identity_client(
			end->handle, identity, strlen(identity), name, &say_len, psk);
		if (r < 0)
			return complain("client", r);
		say = name;
	}
	r = copy(say, say_len, username);
	if (r == 0)
		r = copy(psk, sizeof(psk), key);
	return r;
}

static int on_server_psk(
	gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	struct end *end = gnutls_session_get_ptr(session);
	uint8_t psk[TPMPSK_PSK_SIZE];
	gnutls_datum_t random;
	int r;

	memcpy(psk, static_psk, sizeof(psk));
	if (end->handle) {
		gnutls_session_get_random(session, &random, NULL);
		r = tpmpsk_session_identity_server(
			end->handle, username->data, username->size, random.data, random.size, psk);
		if (r < 0)
			return complain("server", r);
	}
	return copy(psk, sizeof(psk), key);
}

static int end_init(struct end *e, int fd, const char *socket, bool server)
{
	int r;

	e->fd = fd;
	if (socket && tpmpsk_open(&e->handle, socket) < 0)
		return GNUTLS_E_USER_ERROR;
	r = gnutls_priority_init2(&e->priority, PRIORITY, NULL, 0);
	if (r == 0 && server)
		r = gnutls_psk_allocate_server_credentials(&e->server);
	if (r == 0 && !server)
		r = gnutls_psk_allocate_client_credentials(&e->client);
	if (r < 0)
		return r;
	if (server)
		gnutls_psk_set_server_credentials_function2(e->server, on_server_psk);
	else
		gnutls_psk_set_client_credentials_function2(e->client, on_client_psk);
	return 0;
}

static void end_done(struct end *e)
{
	if (e->client)
		gnutls_psk_free_client_credentials(e->client);
	if (e->server)
		gnutls_psk_free_server_credentials(e->server);
	if (e->priority)
		gnutls_priority_deinit(e->priority);
	tpmpsk_close(e->handle);
	if (e->fd > 0)
		close(e->fd);
}

static int end_open(struct end *e)
{
	unsigned role = e->server ? GNUTLS_SERVER : GNUTLS_CLIENT;
	void *credentials = e->server ? (void *)e->server : (void *)e->client;
	int r = gnutls_init(&e->session, role | GNUTLS_NONBLOCK);

	if (r < 0)
		return r;
	gnutls_session_set_ptr(e->session, e);
	gnutls_transport_set_int(e->session, e->fd);
	r = gnutls_priority_set(e->session, e->priority);
	return r < 0 ? r : gnutls_credentials_set(e->session, GNUTLS_CRD_PSK, credentials);
}

/* Goes as far as it can without the other end. 0: done; 1: not yet. */
static int step(struct end *e)
{
	int r = gnutls_handshake(e->session);

	return r == GNUTLS_E_AGAIN || (r < 0 && !gnutls_error_is_fatal(r)) ? 1 : r;
}

static int handshake(struct end *client, struct end *server)
{
	int c, s, r;

	r = end_open(client);
	if (r == 0)
		r = end_open(server);
	c = s = r < 0 ? r : 1;
	for (int i = 0; c >= 0 && s >= 0 && (c == 1 || s == 1) && i < 20; i++) {
		if (c == 1)
			c = step(client);
		if (c >= 0 && s == 1)
			s = step(server);
	}
	r = c < 0 ? c : s;
	if (r == 0 && gnutls_protocol_get_version(server->session) != GNUTLS_TLS1_3)
		r = GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
	gnutls_deinit(client->session);
	gnutls_deinit(server->session);
	client->session = server->session = NULL;
	return r;
}

static int measure_in_worker(struct crew_worker *w, struct end *client, struct end *server)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < 1 + w->n / 10; i++)
		r = handshake(client, server);
	crew_ready(w);
	for (size_t i = 0; r == 0 && i < w->n; i++) {
		uint64_t start = bench_now_ns();

		r = handshake(client, server);
		w->ns[i] = bench_now_ns() - start;
	}
	return r;
}

static int worker(struct crew_worker *w)
{
	const char *socket = w->context;
	struct end client = { 0 }, server = { 0 };
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	r = end_init(&client, fds[0], socket, false);
	if (r == 0)
		r = end_init(&server, fds[1], socket, true);
	if (r == 0)
		r = measure_in_worker(w, &client, &server);
	end_done(&client);
	end_done(&server);
	if (r != 0)
		fprintf(stderr, "handshake: %s\n", r < 0 ? gnutls_strerror(r) : "stuck");
	return r == 0 ? 0 : -EPROTO;
}

static int measure(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct scene scene;
	int r;

	if (!how->mode)
		return crew_run(WORKERS, n, worker, NULL, ret);
	r = scene_init(&scene,
		&(struct scene_options){
			.config = how->password ? "{\"audit\":\"off\",\"encrypt_sessions\":false}"
						: "{\"audit\":\"off\"}" });
	if (r < 0)
		return r;
	if (scene_psk_ok(&scene, "key", "generate", "bench", "--identity", identity, "--purpose",
		    "session-identity", "--mode", how->mode, "--allow", "user:root", NULL) != 0)
		r = -EIO;
	if (r == 0)
		r = crew_run(WORKERS, n, worker, scene.socket, ret);
	scene_done(&scene);
	return r;
}

enum {
	STATIC,
	EPOCH,
	STRICT,
	STRICT_PASSWORD,
	N_ROWS,
};

#define HOW(...)                                                                                   \
	.measure = measure, .how = &(const struct how)                                             \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static const struct bench_row rows[N_ROWS] = {
	[STATIC] = { .name = "static PSK in memory", HOW(NULL) },
	[EPOCH] = { .name = "session identities, epoch",
		HOW("epoch"),
		.base = &rows[STATIC],
		.ratio_min = 0.9 },
	[STRICT] = { .name = "session identities, strict", HOW("strict"), .base = &rows[STATIC] },
	[STRICT_PASSWORD] = { .name = "session identities, strict, password",
		HOW("strict", .password = true),
		.base = &rows[STATIC] },
};

int main(int argc, char **argv)
{
	return bench_main(&(const struct bench){ .name = "handshake",
				  .about = "Full TLS 1.3 handshakes, client and server together, "
					   "with PSKs of several kinds.",
				  .what = "handshakes",
				  .n = 4000,
				  .n_rows = N_ROWS,
				  .rows = rows },
		argc, argv);
}
