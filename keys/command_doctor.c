/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Goes through what usually goes wrong, from the configuration to one derivation, and says the next command to type.
 */
#include "keys/doctor.h"
#include "keys/format.h"
#include "keys/metrics.h"
#include "keys/print.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_PATH "/etc/tpm-pskd/tpm-pskd.json"
#define EARLIEST                                                                                   \
	1735689600 /* the first day of 2025: no clock that is right is before this program */
#define LOG "journalctl -u tpm-pskd -n 20"
#define WIDTH 78

static const struct option doctor_options[] = {
	{ "--config", "FILE", "the daemon's configuration (" CONFIG_PATH ")", false },
	{ "--identity", "ID", "also try to derive for this identity, as yourself", false },
	{ "--purpose", "P",
		"tls12-session, session-identity (the default), exporter-kdf, exporter-mac",
		false },
	{ NULL, NULL, NULL, false },
};

/* The words of text, in lines that are not wider than a terminal; the first goes on behind what is printed already. */
static void print_wrapped(const char *text, size_t indent)
{
	size_t column = indent;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > indent && column + 1 + len > WIDTH) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)len, text);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

__attribute__((format(printf, 5, 0))) static void tell(enum style s, const char *word,
	const char *what, const char *next, const char *format, va_list args)
{
	_cleanup_(text_freep) char *text = NULL;

	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
		return;
	}
	printf("%s%-6s%s %-14s ", style(s), word, style(STYLE_PLAIN), what);
	print_wrapped(text, 22);
	if (next)
		printf("%-6s %-14s %s%s%s\n", "", "  next:", style(STYLE_TITLE), next,
			style(STYLE_PLAIN));
}

void doctor_ok(struct doctor *d, const char *what, const char *format, ...)
{
	va_list args;

	(void)d;
	va_start(args, format);
	tell(STYLE_GOOD, "ok", what, NULL, format, args);
	va_end(args);
}

void doctor_note(struct doctor *d, const char *what, const char *next, const char *format, ...)
{
	va_list args;

	d->notes++;
	va_start(args, format);
	tell(STYLE_WARNING, "note", what, next, format, args);
	va_end(args);
}

void doctor_wrong(struct doctor *d, const char *what, const char *next, const char *format, ...)
{
	va_list args;

	d->wrong++;
	va_start(args, format);
	tell(STYLE_BAD, "WRONG", what, next, format, args);
	va_end(args);
}

/* Runs tpm-pskd --check-config; *ret_why is its complaint, malloc'ed. 0, 1 (complains), -errno (cannot be run). */
static int run_check(const char *path, char **ret_why)
{
	int pipes[2], status;
	char text[1024];
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		const char *search = getenv("PATH");
		char *wide;

		/* Daemons are not where other users look for programs. */
		if (asprintf(&wide, "%s:/usr/local/sbin:/usr/sbin", search ? search : "/usr/bin") <
				0 ||
			setenv("PATH", wide, 1) < 0 || dup2(pipes[1], STDERR_FILENO) < 0)
			_exit(127);
		execlp("tpm-pskd", "tpm-pskd", "--check-config", path ? "--config" : NULL, path,
			NULL);
		_exit(127);
	}
	close(pipes[1]);
	while (pid > 0 && len < sizeof(text) - 1 &&
		(n = read(pipes[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(pipes[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return -ENOENT;
	*ret_why = text_escape(text + (strncmp(text, "tpm-pskd: ", 10) == 0 ? 10 : 0));
	return WEXITSTATUS(status) != 0;
}

static void take_string(struct json_object *config, const char *name, char *to, size_t size)
{
	struct json_object *value = json_object_object_get(config, name);

	if (json_object_is_type(value, json_type_string))
		snprintf(to, size, "%s", json_object_get_string(value));
}

static void check_config(struct doctor *d)
{
	const char *given = options_get(&d->call->options, "--config");
	const char *path = given ? given : CONFIG_PATH;
	_cleanup_(text_freep) char *why = NULL;
	_cleanup_(text_freep) char *shown = text_escape(path);
	struct json_object *config;
	char next[300];
	struct stat st;
	int r;

	strcpy(d->tcti, "device:/dev/tpmrm0");
	strcpy(d->socket, TPMPSK_DEFAULT_SOCKET);
	if (access(path, F_OK) < 0 && errno == ENOENT && !given) {
		doctor_ok(d, "configuration", "%s is not there: the defaults hold", shown);
		d->configured = true;
		return;
	}
	if (access(path, R_OK) < 0) {
		doctor_note(d, "configuration", "sudo tpm-psk doctor", "%s: %s", shown,
			strerror(errno));
		return;
	}
	r = run_check(given, &why);
	if (r > 0) {
		snprintf(next, sizeof(next), "tpm-pskd --check-config%s%s", given ? " --config " : "",
			given ? shown : "");
		doctor_wrong(d, "configuration", next, "%s", why);
	} else if (r < 0) {
		doctor_note(d, "configuration", NULL, "%s was not checked: there is no tpm-pskd",
			shown);
	} else {
		doctor_ok(d, "configuration", "%s is right", shown);
	}
	/* Of a FIFO, say, there would be no end. */
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	config = json_object_from_file(path);
	d->configured = config;
	take_string(config, "tcti", d->tcti, sizeof(d->tcti));
	take_string(config, "socket", d->socket, sizeof(d->socket));
	json_object_put(config);
}

/* Nobody answers at the socket: why? */
static void explain_socket(struct doctor *d, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(text_freep) char *shown = text_escape(path);
	struct stat st;
	int fd, r;

	if (stat(path, &st) < 0 && errno == ENOENT) {
		doctor_wrong(d, "socket", "systemctl enable --now tpm-pskd.socket",
			"%s is not there: the daemon was not started, or listens elsewhere", shown);
		return;
	}
	if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		doctor_wrong(d, "socket", "ls -l /run/tpm-pskd", "%s: %s", shown,
			errno == EACCES ? "you may not look there" : "is no socket");
		return;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno
											  : 0;
	if (fd >= 0)
		close(fd);
	if (r == EACCES)
		doctor_wrong(d, "socket", "systemctl cat tpm-pskd.socket",
			"%s has mode %03o: you may not connect (socket_mode, or SocketMode= of the "
			"unit)",
			shown, st.st_mode & 0777u);
	else if (r == ECONNREFUSED)
		doctor_wrong(d, "socket", "systemctl restart tpm-pskd; " LOG,
			"%s is there, but nobody listens: the daemon has ended", shown);
	else
		doctor_wrong(d, "socket", LOG, "%s: the daemon does not answer%s%s", shown,
			r ? ": " : "", r ? strerror(r) : "");
}

/* Admins are told which TPM the daemon has. It counts, and not what a configuration says that the daemon was not started with. */
static void learn_tcti(struct doctor *d, struct json_object *tpm)
{
	_cleanup_(text_freep) char *shown = text_of_json(json_object_object_get(tpm, "tcti"));
	const char *tcti = json_object_get_string(json_object_object_get(tpm, "tcti"));

	if (!tcti || strncmp(tcti, d->tcti, sizeof(d->tcti) - 1) == 0)
		return;
	if (d->configured)
		doctor_note(d, "configuration", "systemctl status tpm-pskd",
			"it is not the one that the daemon was started with: its TPM is at %s",
			shown);
	snprintf(d->tcti, sizeof(d->tcti), "%s", tcti);
}

static void check_daemon(struct doctor *d)
{
	const char *given = options_get(&d->call->options, "--socket");
	const char *path = given ? given : getenv("TPM_PSK_SOCKET");
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(json_freep) struct json_object *status = NULL;
	_cleanup_(text_freep) char *version = NULL, *state = NULL;
	struct tpmpsk_text_reply reply;
	int r;

	if (!path || !*path) {
		path = d->socket;
		if (setenv("TPM_PSK_SOCKET", path, 1) < 0)
			return;
	}
	r = ask_quietly(d->call, x,
		tpmpsk_empty_encode(0, TPMPSK_OP_STATUS, x->packet, sizeof(x->packet), &x->len),
		true);
	if (r == TPMPSK_ERR_NO_DAEMON || r == TPMPSK_ERR_DEADLINE) {
		explain_socket(d, path);
		return;
	}
	if (r == 0 && tpmpsk_text_reply_decode(&x->reply.body, &reply) == 0)
		status = reply_json(&reply, json_type_object);
	if (!status) {
		doctor_wrong(d, "daemon", LOG, "who answers at the socket is no tpm-pskd: %s",
			tpmpsk_strerror(r < 0 ? r : TPMPSK_ERR_PROTOCOL));
		return;
	}
	d->answers = true;
	d->admin = json_object_object_get(status, "keys");
	version = text_of_json(json_object_object_get(status, "version"));
	state = text_of_json(
		json_object_object_get(json_object_object_get(status, "tpm"), "state"));
	d->tpm_ready = strcmp(state, "ready") == 0;
	if (strcmp(version, TPMPSK_VERSION) != 0)
		doctor_note(d, "daemon", "systemctl restart tpm-pskd",
			"it is of version %s, and this command of " TPMPSK_VERSION, version);
	else
		doctor_ok(d, "daemon", "version %s answers", version);
	if (d->tpm_ready)
		doctor_ok(d, "its TPM", "ready");
	else
		doctor_wrong(d, "its TPM", LOG, "the daemon cannot reach it");
	learn_tcti(d, json_object_object_get(status, "tpm"));
}

/* Nobody may use a key without being on its list; and one that the TPM does not load is of no use to anybody. */
static unsigned check_key(struct doctor *d, struct json_object *key)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	_cleanup_(text_freep) char *name = text_of_json(json_object_object_get(key, "name"));
	struct json_object *allow = json_object_object_get(key, "allow");
	struct tpmpsk_key_name m = { 0 };
	char next[2 * TPMPSK_KEY_NAME_MAX + 120];
	unsigned before = d->wrong + d->notes;
	int r;

	snprintf(m.name, sizeof(m.name), "%s", name);
	if (allow && json_object_array_length(allow) == 0) {
		snprintf(next, sizeof(next), "tpm-psk key allow %s user:NAME", name);
		doctor_note(d, "key", next, "nobody may use %s", name);
	}
	r = ask_quietly(d->call, x,
		tpmpsk_key_name_encode(
			0, TPMPSK_OP_KEY_CHECK, &m, x->packet, sizeof(x->packet), &x->len),
		true);
	if (r == TPMPSK_ERR_MALFORMED) {
		snprintf(next, sizeof(next), "tpm-psk key remove %s; then import its secret again",
			name);
		doctor_wrong(d, "key", next,
			"the TPM does not load %s: it was made by another TPM, or before this one "
			"was "
			"cleared, or its file is damaged",
			name);
	} else if (r < 0 && r != TPMPSK_ERR_UNKNOWN_IDENTITY) {
		doctor_wrong(d, "key", LOG, "%s: %s: %s", name, tpmpsk_strerror(r),
			x->reply.error.detail);
	}
	return d->wrong + d->notes - before;
}

static void check_keys(struct doctor *d)
{
	_cleanup_(json_freep) struct json_object *keys = NULL;
	unsigned trouble = 0;
	size_t n;

	if (!d->answers)
		return;
	if (!d->admin) {
		doctor_note(
			d, "keys", "sudo tpm-psk doctor", "only an admin of the daemon sees them");
		return;
	}
	if (ask_keys(d->call, &keys) != EXIT_DONE)
		return; /* told */
	n = json_object_array_length(keys);
	for (size_t i = 0; d->tpm_ready && i < n; i++)
		trouble += check_key(d, json_object_array_get_idx(keys, i));
	if (n == 0)
		doctor_note(d, "keys", "tpm-psk key import --help", "there are none yet");
	else if (d->tpm_ready && trouble == 0)
		doctor_ok(d, "keys", "the TPM loads %s%zu", n == 1 ? "the only one, " : "all ", n);
}

static void check_clock(struct doctor *d)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	if (time(NULL) < EARLIEST)
		doctor_wrong(d, "clock", "timedatectl set-ntp true", "it is wrong, by years");
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
		doctor_note(d, "clock", "timedatectl set-ntp true",
			"nothing keeps it right, and with session-identity peers' clocks must "
			"agree");
	else
		doctor_ok(d, "clock", "it is kept right");
}

/* What the daemon refused may say what is wrong with its peers. */
static void check_counts(struct doctor *d)
{
	uint64_t counts[TPMPSK_STATUS_COUNT] = { 0 };
	struct metrics m;

	if (!d->admin || metrics_fetch(d->call, &m, NULL) < 0)
		return;
	for (size_t i = 0; i < m.n_rows; i++)
		for (unsigned s = 0; s < TPMPSK_STATUS_COUNT; s++)
			counts[s] += m.rows[i].counts[s];
	if (counts[TPMPSK_STATUS_EXPIRED] > counts[TPMPSK_STATUS_OK] / 10)
		doctor_note(d, "clock", "timedatectl timesync-status",
			"%llu session identities were out of the time window: compare the clients' "
			"clocks",
			(unsigned long long)counts[TPMPSK_STATUS_EXPIRED]);
	if (counts[TPMPSK_STATUS_DEADLINE] > counts[TPMPSK_STATUS_OK] / 100)
		doctor_note(d, "load", "tpm-psk top", "%llu requests were not done in time",
			(unsigned long long)counts[TPMPSK_STATUS_DEADLINE]);
	if (m.audit_lost > 0)
		doctor_note(d, "audit", "df -h", "%llu lines could not be written",
			(unsigned long long)m.audit_lost);
	metrics_done(&m);
}

/* A derivation that is worth nothing to anybody: over random bytes, or a session identity that is not sent. */
static int try_derive(struct doctor *d, uint8_t purpose, struct exchange *x)
{
	const char *identity = options_get(&d->call->options, "--identity");
	struct tpmpsk_derive q = { .purpose = purpose, .identity_len = strlen(identity) };
	int r;

	memcpy(q.identity, identity, q.identity_len);
	switch (purpose) {
	case TPMPSK_PURPOSE_TLS12_SESSION:
		q.tls12_session.random_len = TPMPSK_RANDOM_SIZE;
		randombytes_buf(q.tls12_session.client_random, TPMPSK_RANDOM_SIZE);
		randombytes_buf(q.tls12_session.server_random, TPMPSK_RANDOM_SIZE);
		break;
	case TPMPSK_PURPOSE_SESSION_IDENTITY:
		q.role = TPMPSK_ROLE_CLIENT;
		break;
	default:
		q.exporter.ekm_len = TPMPSK_EKM_MIN;
		q.exporter.length = 32;
		randombytes_buf(q.exporter.ekm, TPMPSK_EKM_MIN);
	}
	r = ask_quietly(d->call, x,
		tpmpsk_derive_encode(0, &q, x->packet, sizeof(x->packet), &x->len), true);
	sodium_memzero(&x->reply.data, sizeof(x->reply.data));
	return r;
}

static void check_derive(struct doctor *d, uint8_t purpose)
{
	_cleanup_(exchange_freep) struct exchange *x = exchange_new();
	const struct passwd *user = getpwuid(geteuid());
	char next[160];
	int r;

	if (purpose == 0 || !d->answers)
		return;
	r = try_derive(d, purpose, x);
	if (r == 0) {
		doctor_ok(d, "derivation", "you get a secret for that identity");
	} else if (r == TPMPSK_ERR_DENIED || r == TPMPSK_ERR_UNKNOWN_IDENTITY) {
		snprintf(next, sizeof(next), "sudo tpm-psk key allow NAME user:%s",
			user ? user->pw_name : "NAME");
		doctor_wrong(d, "derivation", next,
			"%s: there is no such key, or you are not on its list%s",
			tpmpsk_strerror(r),
			purpose == TPMPSK_PURPOSE_SESSION_IDENTITY ? " as a client" : "");
	} else {
		doctor_wrong(
			d, "derivation", LOG, "%s: %s", tpmpsk_strerror(r), x->reply.error.detail);
	}
}

static enum exit_code read_purpose(struct invocation *call, uint8_t *ret)
{
	const char *identity = options_get(&call->options, "--identity");
	const char *name = options_get(&call->options, "--purpose");
	unsigned purpose = tpmpsk_purpose_by_name(name ? name : "session-identity");

	*ret = 0;
	if (name && !identity)
		return usage(call, "--purpose needs --identity");
	if (identity && (strlen(identity) < 1 || strlen(identity) > TPMPSK_IDENTITY_MAX))
		return usage(call, "an identity has 1 to %d bytes", TPMPSK_IDENTITY_MAX);
	if (purpose < TPMPSK_PURPOSE_TLS12_SESSION || purpose > TPMPSK_PURPOSE_EXPORTER_MAC)
		return usage(call, "--purpose is tls12-session, session-identity, exporter-kdf or "
				   "exporter-mac");
	if (identity)
		*ret = (uint8_t)purpose;
	return EXIT_DONE;
}

static enum exit_code run_doctor(struct invocation *call)
{
	struct doctor d = { .call = call };
	enum exit_code code;
	uint8_t purpose;

	code = read_purpose(call, &purpose);
	if (code != EXIT_DONE)
		return code;
	style_init();
	check_config(&d);
	check_daemon(&d);
	doctor_tpm(&d);
	check_keys(&d);
	check_clock(&d);
	check_counts(&d);
	check_derive(&d, purpose);
	if (d.wrong > 0)
		printf("\n%s%u wrong.%s Mend the first one first: others may go with it.\n",
			style(STYLE_BAD), d.wrong, style(STYLE_PLAIN));
	else
		printf("\n%sNothing is wrong.%s\n", style(STYLE_GOOD), style(STYLE_PLAIN));
	return d.wrong > 0 ? EXIT_FAILED : EXIT_DONE;
}

const struct command commands_doctor[] = {
	{ "doctor", NULL, 0, 0, { doctor_options, NULL },
		"Looks for what usually goes wrong, and says what to do",
		"Changes nothing. As root it sees most. Exit status 0: nothing is wrong; 1: "
		"something "
		"is.",
		run_doctor },
	{ 0 },
};
