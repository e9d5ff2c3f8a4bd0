/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * which - full TLS 1.3 handshakes by what vouches for the peer, and what each costs the TPM: which
 * should I use?
 *
 * More processes than processors, each a client and a server in one, so that one works while another
 * waits. Both sides ask the same daemon: a session identity is two derivations, one of the client and
 * one of the server; with certificates it is the server that shows one, and the client verifies it.
 */
#include "tests/bench/crew.h"
#include "tests/client-lib/tls_pair.h"
#include "tests/swtpm/scene.h"
#include "tests/swtpm/watch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PAIRS 8
#define WARM_UP 5
#define PSK_PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK"

static const char identity[] = "bench";

enum kind {
	PSK,
	CERTIFICATE,
	RESUMED,
};

struct how {
	enum kind kind;
	const char *mode;      /* PSK: of the key */
	const char *algorithm; /* certificate: of the key in the TPM; NULL: in memory */
};

/* One measurement's surroundings. */
struct stage {
	const struct how *how;
	struct tempdir dir;
	struct tcti_test *tcti;
	struct scene scene;
	struct tls_authority authority;
	char certificate[TEMPDIR_PATH_SIZE + 16];
	_Atomic uint64_t *handshakes; /* of all processes, warm-ups included */
};

static int on_client(gnutls_session_t session, gnutls_datum_t *username, gnutls_datum_t *key)
{
	const gnutls_datum_t base = { (unsigned char *)identity, sizeof(identity) - 1 };

	return tpmpsk_gnutls_client(
		gnutls_session_get_ptr(session), session, &base, 0, username, key);
}

static int on_server(gnutls_session_t session, const gnutls_datum_t *username, gnutls_datum_t *key)
{
	return tpmpsk_gnutls_server(gnutls_session_get_ptr(session), session, username, 0, key);
}

static void take_psks(struct tpmpsk *tpm, struct tls_end *server, struct tls_end *client)
{
	gnutls_psk_server_credentials_t s;
	gnutls_psk_client_credentials_t c;

	if (tpmpsk_gnutls_allocate_server_credentials(&s) < 0 ||
		tpmpsk_gnutls_allocate_client_credentials(&c) < 0)
		abort();
	gnutls_psk_set_server_credentials_function2(s, on_server);
	gnutls_psk_set_client_credentials_function2(c, on_client);
	server->psk = s;
	client->psk = c;
	server->ptr = client->ptr = tpm;
	server->priority = client->priority = PSK_PRIORITY;
	server->unwatched = client->unwatched = true;
}

/* The server has sent its ticket behind the handshake: who reads anything takes it in on the way. */
static bool take_ticket(struct tls_end *client)
{
	char none;

	return gnutls_record_recv(client->session, &none, sizeof(none)) == GNUTLS_E_AGAIN &&
	       gnutls_session_get_data2(client->session, &client->ticket) == 0;
}

static bool handshake(struct stage *stage, struct tls_end *server, struct tls_end *client)
{
	bool done = tls_pair_shake(server, client);

	if (stage->how->kind == RESUMED && done && !client->ticket.data)
		done = take_ticket(client);
	else if (stage->how->kind == RESUMED && done)
		done = gnutls_session_is_resumed(server->session);
	tls_pair_done(server, client);
	atomic_fetch_add(stage->handshakes, 1);
	return done;
}

static int measure(struct crew_worker *w, struct tls_end *server, struct tls_end *client)
{
	struct stage *stage = (struct stage *)w->context;
	bool good = true;

	for (size_t i = 0; good && i < WARM_UP; i++)
		good = handshake(stage, server, client);
	crew_ready(w);
	for (size_t i = 0; good && i < w->n; i++) {
		uint64_t start = bench_now_ns();

		good = handshake(stage, server, client);
		w->ns[i] = bench_now_ns() - start;
	}
	if (good)
		return 0;
	fprintf(stderr, "server: %s, client: %s (tpm-pskd: %s)\n", gnutls_strerror(server->error),
		gnutls_strerror(client->error), tpmpsk_strerror(server->daemon_error));
	return -EPROTO;
}

/* The process ends with it, and what was allocated. */
static int work(struct crew_worker *w)
{
	const struct stage *stage = w->context;
	const struct how *how = stage->how;
	static struct tls_end server, client;
	struct tpmpsk *tpm;

	if (tpmpsk_open(&tpm, stage->scene.socket) < 0)
		return -EIO;
	client.credentials = tls_credentials(&stage->authority, NULL, NULL, NULL);
	if (how->kind == PSK) {
		server.credentials = tls_credentials(&stage->authority, NULL, NULL, NULL);
		take_psks(tpm, &server, &client);
	} else if (how->algorithm) {
		server.credentials =
			tls_credentials(&stage->authority, tpm, identity, stage->certificate);
	} else {
		server.credentials = tls_credentials_in_memory(&stage->authority, identity);
	}
	client.unwatched = true; /* it signs nothing */
	if (how->kind == RESUMED && gnutls_session_ticket_key_generate(&server.ticket_key) < 0)
		return -EIO;
	return measure(w, &server, &client);
}

static int make_key(struct stage *stage)
{
	unsigned char spki[TPMPSK_PUBLIC_KEY_SIZE_MAX];
	gnutls_datum_t der = { spki, 0 };
	struct tpmpsk *tpm;
	size_t size;
	int r;

	if (stage->how->kind == PSK)
		return scene_psk_ok(&stage->scene, "key", "generate", "bench", "--identity",
			       identity, "--purpose", "session-identity", "--mode",
			       stage->how->mode, "--allow", "user:root", NULL) == 0
			       ? 0
			       : -EIO;
	if (!stage->how->algorithm)
		return 0;
	if (scene_psk_ok(&stage->scene, "key", "generate", identity, "--purpose",
		    "certificate-verify", "--algorithm", stage->how->algorithm, "--allow",
		    "user:root:server", NULL) != 0 ||
		tpmpsk_open(&tpm, stage->scene.socket) < 0)
		return -EIO;
	r = tpmpsk_certificate_public_key(tpm, identity, strlen(identity), spki, &size);
	tpmpsk_close(tpm);
	if (r < 0)
		return -EIO;
	der.size = (unsigned)size;
	snprintf(stage->certificate, sizeof(stage->certificate), "%s/certificate", stage->dir.path);
	tls_authority_certify(&stage->authority, &der, identity, stage->certificate);
	return 0;
}

static int stage_init(struct stage *stage, const struct how *how)
{
	char tcti[WATCH_NAME_SIZE];
	int r;

	*stage = (struct stage){ .how = how };
	r = watch_init(&stage->dir, &stage->tcti, tcti);
	if (r < 0)
		return r;
	stage->handshakes = mmap(NULL, sizeof(*stage->handshakes), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stage->handshakes == MAP_FAILED)
		return -ENOMEM;
	tls_authority_init(&stage->authority);
	r = scene_init(&stage->scene,
		&(struct scene_options){ .tcti = tcti, .config = "{\"audit\":\"off\"}" });
	return r < 0 ? r : make_key(stage);
}

static void stage_done(struct stage *stage)
{
	scene_done(&stage->scene);
	tls_authority_done(&stage->authority);
	munmap((void *)stage->handshakes, sizeof(*stage->handshakes));
	watch_done(&stage->dir, stage->tcti);
}

static int measure_row(const void *how, size_t n, struct bench_result *ret)
{
	struct stage stage;
	uint64_t before;
	int r = stage_init(&stage, how);

	before = r == 0 ? tcti_test_count(stage.tcti, 0) : 0;
	if (r == 0)
		r = crew_run(PAIRS, n, work, &stage, ret);
	if (r == 0)
		ret->commands = (double)(tcti_test_count(stage.tcti, 0) - before) /
				(double)*stage.handshakes;
	stage_done(&stage);
	return r;
}

enum {
	MEMORY,
	P256,
	P384,
	RSA2048,
	TICKET,
	STRICT,
	EPOCH,
	N_ROWS,
};

#define ROW(...)                                                                                   \
	.measure = measure_row, .how = &(const struct how)                                         \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static const struct bench_row rows[N_ROWS] = {
	[MEMORY] = { .name = "certificate, key in memory", ROW(CERTIFICATE) },
	[P256] = { .name = "certificate, ecdsa-p256 in the TPM",
		ROW(CERTIFICATE, .algorithm = "ecdsa-p256"),
		.base = &rows[MEMORY] },
	[P384] = { .name = "certificate, ecdsa-p384 in the TPM",
		ROW(CERTIFICATE, .algorithm = "ecdsa-p384"),
		.base = &rows[MEMORY] },
	[RSA2048] = { .name = "certificate, rsa-2048 in the TPM",
		ROW(CERTIFICATE, .algorithm = "rsa-2048"),
		.base = &rows[MEMORY] },
	[TICKET] = { .name = "resumed, ecdsa-p256 in the TPM",
		ROW(RESUMED, .algorithm = "ecdsa-p256"),
		.base = &rows[MEMORY] },
	[STRICT] = { .name = "session-identity, strict",
		ROW(PSK, .mode = "strict"),
		.base = &rows[MEMORY] },
	[EPOCH] = { .name = "session-identity, epoch",
		ROW(PSK, .mode = "epoch"),
		.base = &rows[MEMORY] },
};

int main(int argc, char **argv)
{
	return bench_main(
		&(const struct bench){ .name = "which",
			.about = "Full TLS 1.3 handshakes by what vouches for the peer, and "
				 "what they cost the TPM.",
			.what = "handshakes",
			.counts_commands = true,
			.n = 1600,
			.n_rows = N_ROWS,
			.rows = rows },
		argc, argv);
}
