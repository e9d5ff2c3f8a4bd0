/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session - derivations for session identities: epoch mode beside strict mode and beside the bare
 * HMAC, on one connection and on eight.
 *
 * What a server's daemon gets was made by a client that holds the secret in software, before the
 * clock runs, and each answer is compared with what that client expects.
 */
#include "daemon/session_identity.h"
#include "tests/bench/bench.h"
#include "tests/bench/pipeline.h"
#include "tests/swtpm/scene.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char identity[] = "bench";
static const uint8_t secret[] = "what both ends of the bench know";

struct how {
	enum session_version mode;
	uint8_t role;
	unsigned connections, depth;
	bool password; /* authorisation, in place of encrypted sessions */
	bool audit;    /* to a file */
};

/* What a client in software sends, and what must come of it. */
struct expected {
	uint8_t wire[TPMPSK_IDENTITY_MAX];
	size_t wire_len;
	uint8_t psk[SESSION_KEY_SIZE];
};

static void hmac(const void *key, size_t key_len, const void *in, size_t len, uint8_t *out)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, in, len);
	crypto_auth_hmacsha256_final(&state, out);
}

static uint64_t unix_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void expect(struct expected *all, size_t n, enum session_version v)
{
	struct session_identity s = {
		.version = v, .unix_ms = unix_ms(), .base_len = strlen(identity)
	};
	uint8_t message[SESSION_MESSAGE_MAX], epoch[SESSION_KEY_SIZE];
	struct session_keys keys;
	size_t len = session_epoch_message(v, session_epoch_of(s.unix_ms), message);

	hmac(secret, strlen((const char *)secret), message, len, epoch);
	session_epoch_keys(epoch, &keys);
	for (size_t i = 0; i < n; i++) {
		struct expected *e = &all[i];

		randombytes_buf(s.nonce, sizeof(s.nonce));
		session_tag(&s, (const uint8_t *)identity, &keys, s.tag);
		e->wire_len = session_identity_print(&s, (const uint8_t *)identity, e->wire);
		if (v == SESSION_EPOCH) {
			session_epoch_psk(e->wire, e->wire_len, &keys, e->psk);
			continue;
		}
		len = session_psk_message(v, e->wire, e->wire_len, message);
		hmac(secret, strlen((const char *)secret), message, len, e->psk);
	}
}

static void ask_client(void *context, size_t number, struct tpmpsk_derive *ret)
{
	(void)context;
	(void)number;
	*ret = (struct tpmpsk_derive){ .purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_CLIENT,
		.identity_len = strlen(identity) };
	memcpy(ret->identity, identity, strlen(identity));
}

static bool check_client(void *context, size_t number, const struct tpmpsk_derived *answer)
{
	(void)context;
	(void)number;
	return answer->secret_len == SESSION_KEY_SIZE &&
	       answer->name_len == strlen(identity) + SESSION_SUFFIX_SIZE;
}

static void ask_server(void *context, size_t number, struct tpmpsk_derive *ret)
{
	const struct expected *e = (struct expected *)context + number;

	*ret = (struct tpmpsk_derive){ .purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_SERVER,
		.identity_len = e->wire_len };
	memcpy(ret->identity, e->wire, e->wire_len);
	ret->session_identity.handshake_len = TPMPSK_HANDSHAKE_MAX;
	memcpy(ret->session_identity.handshake, &number, sizeof(number));
}

static bool check_server(void *context, size_t number, const struct tpmpsk_derived *answer)
{
	const struct expected *e = (struct expected *)context + number;

	return answer->secret_len == sizeof(e->psk) &&
	       memcmp(answer->secret, e->psk, sizeof(e->psk)) == 0;
}

static int configure(char *buf, size_t cap, const struct how *how, const struct tempdir *dir)
{
	int n = snprintf(buf, cap, "{\"audit\":\"%s%s\",\"encrypt_sessions\":%s}",
		how->audit ? dir->path : "off", how->audit ? "/audit" : "",
		how->password ? "false" : "true");

	return n < 0 || (size_t)n >= cap ? -EMSGSIZE : 0;
}

static int import(struct scene *s, enum session_version mode)
{
	const struct command_options options = { .input = (const char *)secret };
	struct command_result result = { 0 };
	int r;

	r = scene_psk(s, &options, &result, "key", "import", "bench", "--identity", identity,
		"--purpose", "session-identity", "--mode",
		mode == SESSION_EPOCH ? "epoch" : "strict", "--allow", "user:root", "--secret-file",
		"-", NULL);
	if (r == 0 && result.status != 0) {
		fprintf(stderr, "%s", result.err);
		r = -EIO;
	}
	command_result_done(&result);
	return r;
}

/* A tenth more run first, for the epoch's secret, the loaded key and warm caches. */
static int drive(
	const struct scene *scene, const struct how *how, size_t n, struct bench_result *ret)
{
	bool server = how->role == TPMPSK_ROLE_SERVER;
	struct pipeline_calls calls = { server ? ask_server : ask_client,
		server ? check_server : check_client, NULL };
	struct pipeline p = { .epoll_fd = -1 };
	uint64_t *ns = calloc(n, sizeof(*ns)), total;
	int r = -ENOMEM;

	if (server)
		calls.context = calloc(n + n / 10, sizeof(struct expected));
	if (ns && (calls.context || !server))
		r = pipeline_init(&p, scene->socket, how->connections, how->depth);
	if (r == 0 && server)
		expect(calls.context, n + n / 10, how->mode);
	if (r == 0)
		r = pipeline_run(&p, &calls, 0, n / 10, ns, &total);
	if (r == 0)
		r = pipeline_run(&p, &calls, n / 10, n, ns, &total);
	if (r == 0)
		bench_summarise(ns, n, total, ret);
	pipeline_done(&p);
	free(calls.context);
	free(ns);
	return r;
}

static int measure_daemon(const void *context, size_t n, struct bench_result *ret)
{
	const struct how *how = context;
	struct tempdir dir = { 0 };
	struct scene scene;
	char config[256];
	int r;

	r = tempdir_init(&dir);
	if (r == 0)
		r = configure(config, sizeof(config), how, &dir);
	if (r == 0)
		r = scene_init(&scene, &(struct scene_options){ .config = config });
	if (r == 0) {
		r = import(&scene, how->mode);
		if (r == 0)
			r = drive(&scene, how, n, ret);
		scene_done(&scene);
	}
	tempdir_done(&dir);
	return r;
}

/* The one HMAC that no way around it could save. */
static int measure_hmac(const void *context, size_t n, struct bench_result *ret)
{
	const uint8_t key[SESSION_KEY_SIZE] = { 0 };
	uint8_t psk[SESSION_KEY_SIZE], wire[sizeof(identity) - 1 + SESSION_SUFFIX_SIZE] = { 0 };
	uint64_t *ns = calloc(n, sizeof(*ns)), start, now;

	(void)context;
	if (!ns)
		return -ENOMEM;
	start = now = bench_now_ns();
	for (size_t i = 0; i < n; i++) {
		uint64_t before = now;

		memcpy(wire, &i, sizeof(i));
		hmac(key, sizeof(key), wire, sizeof(wire), psk);
		now = bench_now_ns();
		ns[i] = now - before;
	}
	bench_summarise(ns, n, now - start, ret);
	free(ns);
	return 0;
}

enum {
	HMAC,
	STRICT_CLIENT_1_1,
	STRICT_CLIENT,
	STRICT_SERVER,
	STRICT_CLIENT_PASSWORD,
	STRICT_SERVER_PASSWORD,
	EPOCH_CLIENT_1_1,
	EPOCH_SERVER_1_1,
	EPOCH_CLIENT_1,
	EPOCH_SERVER_1,
	EPOCH_CLIENT,
	EPOCH_SERVER,
	EPOCH_CLIENT_OF_PASSWORD,
	EPOCH_SERVER_OF_PASSWORD,
	EPOCH_CLIENT_OF_HMAC,
	EPOCH_CLIENT_AUDIT,
	EPOCH_SERVER_AUDIT,
	N_ROWS,
};

#define DAEMON(MODE, ROLE, CONNECTIONS, DEPTH, ...)                                                \
	.measure = measure_daemon, .how = &(const struct how)                                      \
	{                                                                                          \
		SESSION_##MODE, TPMPSK_ROLE_##ROLE, CONNECTIONS, DEPTH, __VA_ARGS__                \
	}
#define EPOCH_PER_SECOND 40000
#define EPOCH_TO_STRICT 8

static const struct bench_row rows[N_ROWS] = {
	[HMAC] = { .name = "HMAC-SHA256 of libsodium, no daemon", .measure = measure_hmac },
	[STRICT_CLIENT_1_1] = { .name = "strict, client, 1 connection, 1 in flight",
		DAEMON(STRICT, CLIENT, 1, 1, 0),
		.share = 0.1 },
	[STRICT_CLIENT] = { .name = "strict, client, 8 connections, 16 in flight",
		DAEMON(STRICT, CLIENT, 8, 16, 0),
		.share = 0.1 },
	[STRICT_SERVER] = { .name = "strict, server, 8 connections, 16 in flight",
		DAEMON(STRICT, SERVER, 8, 16, 0),
		.share = 0.1 },
	[STRICT_CLIENT_PASSWORD] = { .name = "strict, client, 8, 16, password",
		DAEMON(STRICT, CLIENT, 8, 16, .password = true),
		.share = 0.1 },
	[STRICT_SERVER_PASSWORD] = { .name = "strict, server, 8, 16, password",
		DAEMON(STRICT, SERVER, 8, 16, .password = true),
		.share = 0.1 },
	[EPOCH_CLIENT_1_1] = { .name = "epoch, client, 1 connection, 1 in flight",
		DAEMON(EPOCH, CLIENT, 1, 1, 0),
		.share = 0.5,
		.base = &rows[STRICT_CLIENT_1_1] },
	[EPOCH_SERVER_1_1] = { .name = "epoch, server, 1 connection, 1 in flight",
		DAEMON(EPOCH, SERVER, 1, 1, 0),
		.share = 0.5,
		.base = &rows[STRICT_CLIENT_1_1] },
	[EPOCH_CLIENT_1] = { .name = "epoch, client, 1 connection, 16 in flight",
		DAEMON(EPOCH, CLIENT, 1, 16, 0),
		.base = &rows[STRICT_CLIENT] },
	[EPOCH_SERVER_1] = { .name = "epoch, server, 1 connection, 16 in flight",
		DAEMON(EPOCH, SERVER, 1, 16, 0),
		.base = &rows[STRICT_SERVER] },
	[EPOCH_CLIENT] = { .name = "epoch, client, 8 connections, 16 in flight",
		DAEMON(EPOCH, CLIENT, 8, 16, 0),
		.base = &rows[STRICT_CLIENT],
		.ratio_min = EPOCH_TO_STRICT,
		.per_second_min = EPOCH_PER_SECOND },
	[EPOCH_SERVER] = { .name = "epoch, server, 8 connections, 16 in flight",
		DAEMON(EPOCH, SERVER, 8, 16, 0),
		.base = &rows[STRICT_SERVER],
		.ratio_min = EPOCH_TO_STRICT,
		.per_second_min = EPOCH_PER_SECOND },
	[EPOCH_CLIENT_OF_PASSWORD] = { .name = "  epoch, client, against password",
		.same = &rows[EPOCH_CLIENT],
		.base = &rows[STRICT_CLIENT_PASSWORD] },
	[EPOCH_SERVER_OF_PASSWORD] = { .name = "  epoch, server, against password",
		.same = &rows[EPOCH_SERVER],
		.base = &rows[STRICT_SERVER_PASSWORD] },
	[EPOCH_CLIENT_OF_HMAC] = { .name = "  epoch, client, against the bare HMAC",
		.same = &rows[EPOCH_CLIENT],
		.base = &rows[HMAC] },
	[EPOCH_CLIENT_AUDIT] = { .name = "epoch, client, 8, 16, audit to a file",
		DAEMON(EPOCH, CLIENT, 8, 16, .audit = true),
		.base = &rows[EPOCH_CLIENT] },
	[EPOCH_SERVER_AUDIT] = { .name = "epoch, server, 8, 16, audit to a file",
		DAEMON(EPOCH, SERVER, 8, 16, .audit = true),
		.base = &rows[EPOCH_SERVER] },
};

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	return bench_main(&(const struct bench){ .name = "session",
				  .about = "Derivations for session identities, with many requests "
					   "under way, on software TPMs of its own.",
				  .what = "derivations",
				  .n = 40000,
				  .n_rows = N_ROWS,
				  .rows = rows },
		argc, argv);
}
