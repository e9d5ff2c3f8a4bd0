/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole way of a request: bytes of a packet through connection, decoding, rights, sessions, queue, purposes and key management to
 * the answer, over HMACs in software. The input is a list of steps of several peers: see request.h.
 *
 * What must hold: each packet has one answer, well-formed and under the request's id; who has no right to anything gets nothing but
 * refusals, always the same; the keys' secrets are in no answer.
 */
#include "daemon/conn.h"
#include "daemon/server.h"
#include "tests/fuzz/engine.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/request.h"

#include "proto/message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STRANGER_UID 4000000000u

static const uid_t uids[FUZZ_PEERS] = { 0, 33, 1001, STRANGER_UID };

/* Everything is 32 bytes that do not occur by chance. */
static const struct base_key {
	uint8_t purpose;
	const char *name, *policy, *secret;
} base_keys[] = {
	{ TPMPSK_PURPOSE_TLS12_SESSION, "tls12",
		"{\"identity\":\"Client1\",\"purpose\":\"tls12-session\",\"allow\":[\"uid:33\"]}",
		"tls12-session's very own secret." },
	{ TPMPSK_PURPOSE_SESSION_IDENTITY, "strict",
		"{\"identity\":\"Client1\",\"purpose\":\"session-identity\","
		"\"allow\":[\"uid:33\",\"uid:1001:server\"]}",
		"the first secret of a session-id" },
	{ TPMPSK_PURPOSE_SESSION_IDENTITY, "epoch",
		"{\"identity\":\"Client2\",\"purpose\":\"session-identity\",\"mode\":\"epoch\","
		"\"allow\":[\"uid:33\",\"uid:1001:server\"],\"rate\":3,\"burst\":5}",
		"other secret of session-identity" },
	{ TPMPSK_PURPOSE_EXPORTER_KDF, "kdf",
		"{\"identity\":\"Client1\",\"purpose\":\"exporter-kdf\",\"allow\":[\"uid:33\"]}",
		"the secret of the exporter's kdf" },
	{ TPMPSK_PURPOSE_EXPORTER_MAC, "mac",
		"{\"identity\":\"Client1\",\"purpose\":\"exporter-mac\",\"allow\":[\"uid:33\"]}",
		"the secret of the exporter's mac" },
	{ TPMPSK_PURPOSE_TLS12_MASTER, "master",
		"{\"identity\":\"Client1\",\"purpose\":\"tls12-master\",\"allow\":[\"uid:33\"]}",
		"a constant PSK, of TLS 1.2, this" },
	{ TPMPSK_PURPOSE_TLS13_SCHEDULE, "schedule",
		"{\"identity\":\"Client1\",\"purpose\":\"tls13-schedule\",\"allow\":[\"uid:33\"]}",
		"a constant PSK, of TLS 1.3, this" },
	{ TPMPSK_PURPOSE_PSK_IMPORT, "imported",
		"{\"identity\":\"Client1\",\"purpose\":\"psk-import\",\"allow\":[\"uid:33\"]}",
		"a constant PSK, to be imported.." },
};

#define N_KEYS (sizeof(base_keys) / sizeof(base_keys[0]))
#define SECRET_SIZE 32

static char dir[96], config_path[128];
static struct server *server;
static uint64_t base_generation;
static struct peer_state {
	struct conn *conn;
	int fd;
	unsigned asked, answered;
} peers[FUZZ_PEERS];
static uint8_t last_session[TPMPSK_IDENTITY_MAX];
static size_t last_session_len;
static bool hold;
static int fail_next;

/*
 * Time is the input's, but only for the daemon: libFuzzer needs the real one.
 */

static uint64_t fake_ms; /* 0: the real one */
static uint64_t lasting_ms = 1000000;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	/* Two thousand years from 1970 are no use to a monotonic clock, and two days no use to the other. */
	const uint64_t epoch_ms = clock == CLOCK_REALTIME ? UINT64_C(1700000000000) : 0;

	if (!fake_ms)
		return __real_clock_gettime(clock, t);
	t->tv_sec = (time_t)((epoch_ms + fake_ms) / 1000);
	t->tv_nsec = (long)((epoch_ms + fake_ms) % 1000 * 1000000);
	return 0;
}

/* Nonces, too. */
static uint32_t random_state;

static const char *random_name(void)
{
	return "the same each time";
}

static uint32_t random_word(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state;
}

static void random_fill(void *const buf, const size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(random_word() >> 24);
}

static struct randombytes_implementation same_randoms = {
	.implementation_name = random_name,
	.random = random_word,
	.buf = random_fill,
};

/* The disk need not be waited for. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

/*
 * The daemon
 */

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	fuzz_must(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void write_key(const struct base_key *k)
{
	struct key_secret secrets[KEYFILE_OBJECTS_MAX];
	struct keyfile kf = { 0 };
	char name[64], *pem;
	size_t len, n;

	n = key_secrets_make(k->purpose, (const uint8_t *)k->secret, SECRET_SIZE, secrets);
	for (size_t i = 0; i < n; i++)
		fuzz_must(fuzz_engine_key(&kf, &secrets[i]) == 0);
	fuzz_must(keyfile_encode(&kf, &pem, &len) == 0);
	snprintf(name, sizeof(name), "keys/%s.pem", k->name);
	write_file(name, pem);
	snprintf(name, sizeof(name), "keys/%s.json", k->name);
	write_file(name, k->policy);
	free(pem);
	keyfile_done(&kf);
}

static void remove_keys(void)
{
	char error[KEYSTORE_ERROR_SIZE];
	struct key *k;

	while ((k = keystore_next(server->keys, ""))) {
		key_ref(k);
		fuzz_must(keystore_remove(server->keys, k, error) == 0);
		key_unref(k);
	}
}

static void start_server(void)
{
	char error[SERVER_ERROR_SIZE];
	struct config config;
	sigset_t none;

	for (size_t i = 0; i < N_KEYS; i++)
		write_key(&base_keys[i]);
	if (config_load(config_path, &config, error) < 0 ||
		server_new(&server, config_path, &config, error) < 0) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	/* The server takes its signals from a descriptor; libFuzzer needs them itself. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	base_generation = keystore_generation(server->keys);
}

/* The kernel would say that all of them are us. */
static uid_t connecting;

int __wrap_peer_read(int fd, struct peer *ret);

int __wrap_peer_read(int fd, struct peer *ret)
{
	(void)fd;
	*ret = (struct peer){ .uid = connecting, .gid = connecting, .pid = 1 };
	return 0;
}

static void connect_peer(struct peer_state *p)
{
	int fds[2];

	fuzz_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	connecting = uids[p - peers];
	fuzz_must(conn_new(server, fds[0]) == 0);
	p->fd = fds[1];
	p->asked = p->answered = 0;
	p->conn = list_entry(server->conns.prev, struct conn, link);
}

/* Whether an admin has been at the keys and who may use them. */
static bool changed(void)
{
	return keystore_generation(server->keys) != base_generation;
}

static void check_derive_answer(
	const struct peer_state *p, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_derived d;

	fuzz_must(p - peers != FUZZ_STRANGER && (p - peers != FUZZ_ADMIN || changed()));
	fuzz_must(tpmpsk_derived_decode(r, &d) == 0);
	fuzz_must(d.secret_len >= 1);
	(void)h;
	if (d.name_len > 0) {
		fuzz_must(p - peers != FUZZ_SERVER || changed());
		memcpy(last_session, d.name, d.name_len);
		last_session_len = d.name_len;
	}
}

static void check_ok(
	const struct peer_state *p, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_hello_reply hello;
	struct tpmpsk_text_reply text;

	switch (h->opcode & ~TPMPSK_OP_REPLY) {
	case TPMPSK_OP_HELLO:
		fuzz_must(tpmpsk_hello_reply_decode(r, &hello) == 0);
		break;
	case TPMPSK_OP_DERIVE:
		check_derive_answer(p, h, r);
		break;
	case TPMPSK_OP_STATUS:
		fuzz_must(tpmpsk_text_reply_decode(r, &text) == 0);
		break;
	default:
		fuzz_must(p - peers == FUZZ_ADMIN);
		fuzz_must(r->left == 0 || tpmpsk_text_reply_decode(r, &text) == 0);
	}
}

static void check_refusal(
	const struct peer_state *p, const struct tpmpsk_header *h, struct tpmpsk_reader *r)
{
	struct tpmpsk_error_reply error;

	fuzz_must(tpmpsk_error_decode(r, &error) == 0);
	fuzz_must(h->status < TPMPSK_STATUS_COUNT);
	if (p - peers != FUZZ_STRANGER)
		return;
	fuzz_must(h->status == TPMPSK_STATUS_DENIED || h->status == TPMPSK_STATUS_MALFORMED ||
		  h->status == TPMPSK_STATUS_UNSUPPORTED);
	if (h->status == TPMPSK_STATUS_DENIED)
		fuzz_must(!*error.detail && error.retry_after_ms == 0);
}

static void check_answer(const struct peer_state *p, const uint8_t *packet, size_t len)
{
	struct tpmpsk_reader r;
	struct tpmpsk_header h;

	tpmpsk_reader_init(&r, packet, len);
	fuzz_must(tpmpsk_header_decode(&r, &h) == 0);
	fuzz_must(h.version == TPMPSK_PROTOCOL_VERSION && h.opcode & TPMPSK_OP_REPLY);
	if (h.status == TPMPSK_STATUS_OK)
		check_ok(p, &h, &r);
	else
		check_refusal(p, &h, &r);
	for (size_t i = 0; i < N_KEYS; i++)
		fuzz_must(!fuzz_holds(packet, len, base_keys[i].secret, SECRET_SIZE / 2));
}

static void read_answers(struct peer_state *p)
{
	uint8_t packet[TPMPSK_MESSAGE_MAX + 1];
	ssize_t n;

	while ((n = recv(p->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		fuzz_must((size_t)n <= TPMPSK_MESSAGE_MAX);
		check_answer(p, packet, (size_t)n);
		p->answered++;
		fuzz_must(p->answered <= p->asked);
	}
}

/* What a round of the loop does. */
static void turn(bool all)
{
	server->round++;
	(void)job_expire(server, clock_ns());
	(void)session_tick(server, clock_ns());
	(void)conn_resume_paused(server, clock_ns());
	for (unsigned i = 0; i < FUZZ_PEERS; i++)
		if (!peers[i].conn->closed)
			peers[i].conn->source.on_event(
				server, &peers[i].conn->source, EPOLLIN | EPOLLOUT);
	while ((all || !hold) && fuzz_engine_step(server->engine, fail_next)) {
		fail_next = 0;
		/* What was fetched may let others go on. */
		server_collect(server);
	}
	server_collect(server);
	for (unsigned i = 0; i < FUZZ_PEERS; i++)
		read_answers(&peers[i]);
}

static void settle(void)
{
	fail_next = 0;
	/* A user who was refused too often is not read from for a moment. */
	for (unsigned i = 0; i < 200; i++) {
		fake_ms += 11;
		turn(true);
		if (server->n_jobs == 0 && list_empty(&server->paused))
			break;
	}
}

static void hang_up(struct peer_state *p)
{
	close(p->fd);
	conn_close(server, p->conn);
	conn_free_dying(server);
	connect_peer(p);
}

static void send_packet(struct peer_state *p, const uint8_t *packet, size_t len)
{
	/* Zero bytes are the end of the connection. A queue that is full is the peer's affair. */
	if (len == 0 || p->asked - p->answered >= 60)
		return;
	if (send(p->fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		p->asked++;
}

static void ask_for_session(struct peer_state *p, uint8_t at, uint8_t change)
{
	struct tpmpsk_derive q = {
		.purpose = TPMPSK_PURPOSE_SESSION_IDENTITY,
		.role = TPMPSK_ROLE_SERVER,
		.identity_len = last_session_len,
	};
	uint8_t packet[TPMPSK_MESSAGE_MAX];
	size_t len;

	if (last_session_len == 0)
		return;
	memcpy(q.identity, last_session, last_session_len);
	q.identity[at % last_session_len] ^= change;
	q.session_identity.handshake_len = at / 64;
	if (tpmpsk_derive_encode(at, &q, packet, sizeof(packet), &len) == 0)
		send_packet(p, packet, len);
}

static int failure(uint8_t n)
{
	static const int results[] = { -ENODEV, -EKEYREJECTED, -EOPNOTSUPP, -EINVAL, -EIO, -ENOMEM,
		-ESHUTDOWN };

	return results[n % (sizeof(results) / sizeof(results[0]))];
}

static void step(struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in), at;
	struct peer_state *p = &peers[what % FUZZ_PEERS];
	const uint8_t *bytes;
	size_t len;

	switch (what / FUZZ_PEERS % FUZZ_STEPS) {
	case FUZZ_PACKET:
		bytes = fuzz_bytes(in, fuzz_u16(in) % (TPMPSK_MESSAGE_MAX + 10), &len);
		send_packet(p, bytes, len);
		break;
	case FUZZ_SESSION:
		at = fuzz_u8(in);
		ask_for_session(p, at, fuzz_u8(in));
		break;
	case FUZZ_CLOCK:
		fake_ms += (uint64_t)fuzz_u16(in) * 64;
		break;
	case FUZZ_HANG_UP:
		hang_up(p);
		break;
	case FUZZ_HOLD:
		hold = fuzz_u8(in) & 1;
		break;
	case FUZZ_FAIL:
		fail_next = failure(fuzz_u8(in));
		break;
	}
	turn(false);
}

static void disconnect_all(void)
{
	for (unsigned i = 0; i < FUZZ_PEERS; i++) {
		close(peers[i].fd);
		conn_close(server, peers[i].conn);
	}
	conn_free_dying(server);
}

/* Keys and policies as they were, when the input has changed some, and nothing of its time: epochs, used identities, rates. */
static void restore(void)
{
	disconnect_all();
	fake_ms += 3600000;
	(void)session_tick(server, clock_ns());
	last_session_len = 0;
	hold = false;
	if (changed()) {
		remove_keys();
		server_free(server);
		start_server();
	}
	for (unsigned i = 0; i < FUZZ_PEERS; i++)
		connect_peer(&peers[i]);
}

static void clean_up(void)
{
	static const char *const names[] = { "keys", "config.json", "" };
	char path[256];

	fake_ms = lasting_ms;
	disconnect_all();
	remove_keys();
	server_free(server);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char keys[128];

	(void)argc;
	(void)argv;
	fuzz_must(sodium_init() >= 0);
	randombytes_set_implementation(&same_randoms);
	snprintf(dir, sizeof(dir), "%.60s/tpm-pskd-fuzz-XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fuzz_must(mkdtemp(dir));
	snprintf(keys, sizeof(keys), "%s/keys", dir);
	fuzz_must(mkdir(keys, 0700) == 0);
	snprintf(config_path, sizeof(config_path), "%s/config.json", dir);
	write_file("config.json",
		"{\"socket\":\"socket\",\"keys\":\"keys\",\"admins\":[\"uid:0\"],"
		"\"replay_entries\":1024,\"audit\":\"off\","
		"\"limits\":{\"queue\":40,\"queue_per_user\":20,\"deadline_ms\":2000}}");
	fake_ms = 1;
	start_server();
	for (unsigned i = 0; i < FUZZ_PEERS; i++)
		connect_peer(&peers[i]);
	fake_ms = 0;
	atexit(clean_up);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	fake_ms = lasting_ms;
	random_state = 0;
	while (in.left > 0)
		step(&in);
	hold = false;
	settle();
	for (unsigned i = 0; i < FUZZ_PEERS; i++)
		fuzz_must(peers[i].conn->closed || peers[i].answered == peers[i].asked);
	fuzz_must(server->n_jobs == 0);
	restore();
	lasting_ms = fake_ms;
	fake_ms = 0;
	return 0;
}
