/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/server.h"

#include "daemon/conn.h"
#include "daemon/notify.h"
#include "daemon/job.h"
#include "daemon/file.h"
#include "daemon/lock.h"
#include "daemon/primary.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_ROUND 64
#define ACCEPTS_PER_EVENT 16
#define ACCEPT_PAUSE_NS UINT64_C(100000000)
#define STOP_MS 10000 /* for what the TPM is doing, and to flush what is loaded */
#define AWAKE_NS UINT64_C(200000) /* how long the loop stays awake for a TPM that is as fast */

/* "FILE: field 'NAME': …" for what turns out wrong when a value is put to use. */
static void field_error(const struct server *s, char error[SERVER_ERROR_SIZE], const char *field,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

static void field_error(const struct server *s, char error[SERVER_ERROR_SIZE], const char *field,
	const char *format, ...)
{
	const char *file = s->config_path ? s->config_path : CONFIG_DEFAULT_PATH;
	va_list args;
	int n;

	n = snprintf(error, SERVER_ERROR_SIZE, "%.200s: field '%s': ", file, field);
	va_start(args, format);
	vsnprintf(error + n, SERVER_ERROR_SIZE - (size_t)n, format, args);
	va_end(args);
}

static int watch(struct server *s, int fd, struct source *source)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = source };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static void watch_listener(struct server *s, bool on)
{
	struct epoll_event ev = { .events = on ? (uint32_t)EPOLLIN : 0, .data.ptr = &s->on_listen };

	s->accept_again_ns = on ? 0 : clock_ns() + ACCEPT_PAUSE_NS;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listen_fd, &ev) < 0)
		log_error_r(-errno, "watch the socket");
}

/* When to be called next; 0: not at all. */
static uint64_t resume_accept(struct server *s, uint64_t now_ns)
{
	if (s->accept_again_ns && now_ns >= s->accept_again_ns)
		watch_listener(s, true);
	return s->accept_again_ns;
}

static void on_listen(struct server *s, struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int r;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
				      errno == ENOBUFS)) {
			/* Who it is that holds what is missing is not ours to know: try again in a while. */
			if (log_allowed(&s->accept_log))
				log_warning_r(-errno, "accept: waiting");
			watch_listener(s, false);
			return;
		}
		if (fd < 0)
			return; /* EAGAIN, or a peer that has gone already */
		r = conn_new(s, fd);
		if (r < 0 && log_allowed(&s->accept_log))
			log_warning_r(r, "new connection");
	}
}

void server_collect(struct server *s)
{
	struct job *job;

	while ((job = engine_collect(s->engine))) {
		job->at_engine = false;
		stats_job(&s->stats, (job->started_ns - job->received_ns) / 1000,
			(job->finished_ns - job->started_ns) / 1000);
		if (job->result == 0)
			s->tpm_ns = (7 * s->tpm_ns + (job->finished_ns - job->started_ns)) / 8;
		job_finish(s, job);
	}
}

static void on_engine(struct server *s, struct source *source, uint32_t events)
{
	(void)s; /* each round collects, whatever woke it */
	(void)source;
	(void)events;
}

static void swap(char **a, char **b)
{
	char *t = *a;

	*a = *b;
	*b = t;
}

/*
 * tcti, socket, keys and some more are what a running daemon stands on: the new values wait for a restart, and until then the old ones are
 * what we have. Says whether there was a difference.
 */
static bool keep_ground(struct config *old, struct config *new)
{
	bool same = strcmp(old->tcti, new->tcti) == 0 && strcmp(old->socket, new->socket) == 0 &&
		    strcmp(old->keys, new->keys) == 0 && old->socket_mode == new->socket_mode &&
		    old->encrypt_sessions == new->encrypt_sessions &&
		    old->replay_entries == new->replay_entries &&
		    old->sandbox == new->sandbox;

	swap(&old->tcti, &new->tcti);
	swap(&old->socket, &new->socket);
	swap(&old->keys, &new->keys);
	new->socket_mode = old->socket_mode;
	new->encrypt_sessions = old->encrypt_sessions;
	new->replay_entries = old->replay_entries;
	new->sandbox = old->sandbox;
	return same;
}

int server_reload(struct server *s, char error[SERVER_ERROR_SIZE])
{
	struct config config;
	struct audit_place place;
	int r;

	r = config_load(s->config_path, &config, error);
	if (r < 0)
		goto fail;
	r = audit_prepare(config.audit, &place);
	if (r < 0) {
		field_error(s, error, "audit", "%s: %s", config.audit, file_why(r));
		config_done(&config);
		goto fail;
	}
	r = keystore_reload(s->keys, error);
	if (r < 0) {
		audit_place_done(&place);
		config_done(&config);
		goto fail;
	}
	if (!keep_ground(&s->config, &config))
		log_warning("reload: tcti, socket, socket_mode, keys, encrypt_sessions, "
			    "replay_entries and sandbox change at the next start");
	audit_switch(&s->audit, &place);
	config_done(&s->config);
	s->config = config;
	session_reconfigure(s);
	malloc_trim(0); /* for a while, the old keys and the new ones were both there */
	log_notice("reload: done, %zu keys", keystore_count(s->keys));
	return 0;

fail:
	log_error("reload: nothing changed: %s", error);
	return r;
}

static void on_signal(struct server *s, struct source *source, uint32_t events)
{
	char error[SERVER_ERROR_SIZE];
	struct signalfd_siginfo info;

	(void)source;
	(void)events;
	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGHUP) {
			s->stopping = true;
			continue;
		}
		notify_reloading();
		/* A failure has been logged, and the old state is as ready as the new one would be. */
		if (server_reload(s, error) < 0)
			notify_state("STATUS=Reload failed; the configuration and keys before it "
				     "stay in force.");
		else
			notify_state("STATUS=Reloaded.");
		notify_state("READY=1");
	}
}

static int open_signals(struct server *s)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	/* Before the first thread, so that all of them inherit it. */
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN); /* a TCTI writes to sockets without asking for errors */
	s->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return s->signal_fd < 0 ? -errno : 0;
}

/* The socket that systemd handed over, checked: it must be what clients expect, and not block the loop. */
static int take_listen_fd(int fd)
{
	int domain, type, listening;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return -errno;
	if (domain != AF_UNIX || type != SOCK_SEQPACKET || !listening)
		return -EPROTOTYPE;
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : fd;
}

/* Whether somebody answers at an address that is taken. */
static bool in_use(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool used;

	if (fd < 0)
		return true;
	used = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	       errno != ECONNREFUSED;
	close(fd);
	return used;
}

/* Binds where a daemon that was killed left its socket, and nothing else. */
static int bind_over(int fd, const struct sockaddr_un *address)
{
	struct stat st;

	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (lstat(address->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (in_use(address))
		return -EADDRINUSE;
	if (unlink(address->sun_path) < 0 ||
		bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	return 0;
}

/* Removes the socket, unless by now it is somebody else's, and lets others have the place. */
static void unlink_own_socket(struct server *s)
{
	struct stat st;

	if (s->bound_path && lstat(s->bound_path, &st) == 0 && st.st_dev == s->bound_dev &&
		st.st_ino == s->bound_ino)
		unlink(s->bound_path);
	lock_release(s->config.socket, s->lock_fd);
	s->lock_fd = -1;
	free(s->bound_path);
	s->bound_path = NULL;
}

static int remember_socket(struct server *s, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	s->bound_path = strdup(path);
	if (!s->bound_path)
		return -ENOMEM;
	s->bound_dev = st.st_dev;
	s->bound_ino = st.st_ino;
	return 0;
}

static int bind_socket(struct server *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = s->config.socket;
	mode_t old;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	/* Two that start at once would each take the other's socket for one that a dead daemon left. */
	r = lock_take(path, &s->lock_fd);
	if (r < 0)
		return r == -EBUSY ? -EADDRINUSE : r;
	s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return -errno;
	/* Nobody gets in before the mode is right. */
	old = umask(0177);
	r = bind_over(s->listen_fd, &address);
	umask(old);
	if (r == 0)
		r = remember_socket(s, path);
	if (r == 0 &&
		(chmod(path, s->config.socket_mode) < 0 || listen(s->listen_fd, SOMAXCONN) < 0))
		r = -errno;
	return r;
}

static int open_listener(struct server *s, char error[SERVER_ERROR_SIZE])
{
	int fd = notify_listen_fd();
	int r;

	if (fd != -ENOENT) {
		r = fd < 0 ? fd : take_listen_fd(fd);
		if (r < 0) {
			snprintf(error, SERVER_ERROR_SIZE,
				"the socket handed over is not one listening SOCK_SEQPACKET "
				"socket");
			return r;
		}
		s->listen_fd = fd;
		return 0;
	}
	r = bind_socket(s);
	if (r == -EADDRINUSE)
		field_error(s, error, "socket", "%s: another process is listening there",
			s->config.socket);
	else if (r == -EEXIST)
		field_error(s, error, "socket", "%s: is there, and is no socket", s->config.socket);
	else if (r < 0)
		field_error(s, error, "socket", "%s: %s", s->config.socket, strerror(-r));
	return r;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning_r(-errno, "raise the number of descriptors");
}

static int start_engine(struct server *s, char error[SERVER_ERROR_SIZE])
{
	const struct tpm_options options = {
		.tcti = s->config.tcti,
		.encrypt_sessions = s->config.encrypt_sessions,
	};
	struct tpm *tpm;
	int r;

	r = primary_open_tpm(s->keys, &options, &tpm, error);
	if (r == -EREMCHG || r == -EBADMSG)
		return r;
	if (r == 0) {
		r = engine_start(&s->engine, &options, tpm);
		if (r < 0)
			tpm_free(tpm);
	}
	if (r < 0)
		field_error(s, error, "tcti", "%s: no TPM to be had there: %s", s->config.tcti,
			strerror(-r));
	return r;
}

static int start_loop(struct server *s, char error[SERVER_ERROR_SIZE])
{
	int r = 0;

	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		r = -errno;
	s->on_signal.on_event = on_signal;
	s->on_listen.on_event = on_listen;
	s->on_engine.on_event = on_engine;
	if (r == 0)
		r = watch(s, s->signal_fd, &s->on_signal);
	if (r == 0)
		r = watch(s, s->listen_fd, &s->on_listen);
	if (r == 0)
		r = watch(s, engine_fd(s->engine), &s->on_engine);
	if (r < 0)
		snprintf(error, SERVER_ERROR_SIZE, "event loop: %s", strerror(-r));
	return r;
}

/* On a single processor the TPM's answer comes no sooner for that. */
static bool has_processors_to_spare(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1;
}

int server_new(struct server **ret, const char *config_path, struct config *config,
	char error[SERVER_ERROR_SIZE])
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		snprintf(error, SERVER_ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	s->config_path = config_path;
	s->config = *config;
	s->epoll_fd = s->signal_fd = s->listen_fd = s->lock_fd = s->audit.place.fd = -1;
	s->started_ns = s->now_ns = clock_ns();
	s->started_unix = (uint64_t)time(NULL);
	s->may_stay_awake = has_processors_to_spare();
	list_init(&s->conns);
	list_init(&s->dying);
	list_init(&s->paused);
	list_init(&s->deadlines);
	limiter_init(&s->limiter);
	slab_init(&s->jobs, sizeof(struct job));
	raise_descriptor_limit();

	r = stats_init(&s->stats);
	if (r < 0)
		snprintf(error, SERVER_ERROR_SIZE, "out of memory");
	if (r == 0 && (r = open_signals(s)) < 0)
		snprintf(error, SERVER_ERROR_SIZE, "signals: %s", strerror(-r));
	if (r == 0) {
		r = audit_open(&s->audit, s->config.audit);
		if (r < 0)
			field_error(s, error, "audit", "%s: %s", s->config.audit, file_why(r));
	}
	if (r == 0)
		r = keystore_open(&s->keys, s->config.keys, error);
	if (r == 0)
		r = open_listener(s, error);
	/* Before there is a second thread; and what the TPM is reached by must be within reach from inside, to connect again. */
	if (r == 0) {
		r = sandbox_enter(&s->config, config_path, &s->gaps);
		if (r < 0)
			field_error(s, error, "sandbox", "cannot be entered: %s", strerror(-r));
	}
	if (r == 0)
		r = start_engine(s, error);
	if (r == 0) {
		users_init(&s->users, s->engine);
		r = session_init(s);
		if (r < 0)
			field_error(s, error, "replay_entries", "%u: %s", s->config.replay_entries,
				strerror(-r));
	}
	if (r == 0)
		r = start_loop(s, error);
	if (r < 0) {
		if (s->engine && !engine_stop(s->engine, STOP_MS))
			_exit(EXIT_FAILURE); /* the TPM thread still uses what would be freed */
		unlink_own_socket(s);
		s->config = (struct config){ 0 }; /* stays the caller's */
		server_free(s);
		return r;
	}
	*config = (struct config){ 0 };
	*ret = s;
	return 0;
}

/* The earlier of two times, of which 0 is never. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* How long to wait for events: until the next deadline or sign of life. */
static int wait_ms(const struct server *s, uint64_t deadline_ns, uint64_t now)
{
	uint64_t until = s->watchdog_ns ? earlier(deadline_ns, s->next_watchdog_ns) : deadline_ns;

	if (until == 0)
		return -1;
	if (until <= now)
		return 0;
	until = (until - now + 999999) / 1000000;
	return until < INT_MAX ? (int)until : INT_MAX;
}

/*
 * A software TPM answers sooner than a thread that sleeps on an idle processor wakes up; in virtual machines that takes 50 to 150 us. While
 * such a TPM works, the loop therefore looks for events without sleeping, for AWAKE_NS at the most, and gives its processor to whoever
 * wants it each time. A TPM that takes longer, as all chips do, is waited for asleep.
 */
static bool is_awake(const struct server *s)
{
	return s->may_stay_awake && s->n_jobs > 0 && s->tpm_ns > 0 && s->tpm_ns < AWAKE_NS;
}

static int wait_awake(struct server *s, struct epoll_event events[EVENTS_PER_ROUND], uint64_t until)
{
	int n;

	do {
		n = epoll_wait(s->epoll_fd, events, EVENTS_PER_ROUND, 0);
		if (n == 0)
			sched_yield();
	} while (n == 0 && clock_ns() < until);
	return n;
}

static int wait_for_events(struct server *s, struct epoll_event events[EVENTS_PER_ROUND],
	uint64_t deadline_ns, uint64_t now)
{
	int timeout_ms = wait_ms(s, deadline_ns, now), n = 0;

	/* Up to a millisecond late is what wait_ms() allows itself as well. */
	if (timeout_ms != 0 && is_awake(s))
		n = wait_awake(s, events, now + AWAKE_NS);
	return n != 0 ? n : epoll_wait(s->epoll_fd, events, EVENTS_PER_ROUND, timeout_ms);
}

/* None when we live on but the TPM thread never will: who waits for a sign starts us anew then. */
static void sign_of_life(struct server *s, uint64_t now)
{
	if (!s->watchdog_ns || now < s->next_watchdog_ns)
		return;
	if (!engine_hopeless(s->engine, now))
		notify_state("WATCHDOG=1");
	s->next_watchdog_ns = now + s->watchdog_ns;
}

/* Lets the TPM finish what it does, answers everyone, and closes. */
static int stop(struct server *s)
{
	bool in_order;

	notify_state("STOPPING=1");
	unlink_own_socket(s);
	in_order = engine_stop(s->engine, STOP_MS);
	server_collect(s);
	job_fail_all(s, TPMPSK_STATUS_SHUTTING_DOWN);
	while (!list_empty(&s->conns))
		conn_close(s, list_entry(s->conns.next, struct conn, link));
	conn_free_dying(s);
	audit_flush(&s->audit);
	if (in_order)
		return 0;
	log_error("TPM: did not finish its last command; ending without it");
	return -ETIMEDOUT;
}

int server_run(struct server *s)
{
	struct epoll_event events[EVENTS_PER_ROUND];

	s->watchdog_ns = notify_watchdog_ns();
	sandbox_log_gaps(&s->gaps);
	log_notice("ready: %zu keys, TPM at %s", keystore_count(s->keys), s->config.tcti);
	notify_state("READY=1\nSTATUS=Serving.");
	while (!s->stopping) {
		uint64_t now = clock_ns();
		uint64_t deadline_ns;
		int n;

		s->now_ns = now;
		deadline_ns = earlier(job_expire(s, now), session_tick(s, now));
		deadline_ns = earlier(deadline_ns, resume_accept(s, now));
		deadline_ns = earlier(deadline_ns, conn_resume_paused(s, now));
		deadline_ns = earlier(deadline_ns, engine_check(s->engine, now));
		sign_of_life(s, now);
		conn_free_dying(s);
		audit_flush(&s->audit);
		n = wait_for_events(s, events, deadline_ns, now);
		s->round++;
		for (int i = 0; i < n; i++) {
			struct source *source = events[i].data.ptr;

			source->on_event(s, source, events[i].events);
		}
		server_collect(s);
		conn_free_dying(s);
	}
	return stop(s);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	if (s->sessions.replay)
		session_done(s);
	if (s->engine)
		users_done(&s->users);
	engine_free(s->engine);
	keystore_free(s->keys);
	limiter_done(&s->limiter);
	slab_done(&s->jobs);
	stats_done(&s->stats);
	unlink_own_socket(s);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	audit_close(&s->audit);
	config_done(&s->config);
	free(s);
}
