/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/swtpm/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* After <sys/wait.h>: both define P_PIDFD. */
#include <sys/pidfd.h>

struct command {
	pid_t pid;
	int pidfd;
	int out; /* pipe, non-blocking */
	int err; /* file in memory */
	bool reaped;
	int status;
	char *pending; /* read from out, not yet handed on */
	size_t pending_len;
};

extern char **environ;

long long command_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / (1000 * 1000);
}

static int left_ms(long long until)
{
	long long left = until - command_now_ms();

	return left > 0 ? (int)left : 0;
}

/* environ and the additions; an addition replaces the variable it names. */
static char **make_env(const char *const *add)
{
	size_t n = 0, n_add = 0, k = 0;
	char **env;

	while (environ[n])
		n++;
	while (add && add[n_add])
		n_add++;
	env = calloc(n + n_add + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;

		for (size_t j = 0; j < n_add; j++) {
			size_t name = strcspn(add[j], "=") + 1;

			replaced |= strncmp(environ[i], add[j], name) == 0;
		}
		if (!replaced)
			env[k++] = environ[i];
	}
	for (size_t j = 0; j < n_add; j++)
		env[k++] = (char *)add[j];
	return env;
}

/*
 * A pipe that already holds all the input: it fits, so nobody has to write while the program runs.
 */
static int make_input(const struct command_options *o, int *ret)
{
	size_t len = o->input && !o->input_len ? strlen(o->input) : o->input_len;
	int fds[2];

	if (len > COMMAND_STDIN_MAX)
		return -EMSGSIZE;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	if (len > 0 && write(fds[1], o->input, len) != (ssize_t)len) {
		close(fds[0]);
		close(fds[1]);
		return -EIO;
	}
	close(fds[1]);
	*ret = fds[0];
	return 0;
}

static void become(const struct command_options *o)
{
	if (!o->as_user)
		return;
	if (setgroups(o->n_groups, o->groups) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
		setresuid(o->uid, o->uid, o->uid) < 0)
		_exit(126);
}

static void child(const char *const argv[], char **env, const struct command_options *o,
	pid_t parent, const int fds[3])
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(126);
	if (o->pass_fd > 2)
		fcntl(o->pass_fd, F_SETFD, 0);
	become(o);
	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(126);
	execvpe(argv[0], (char *const *)argv, env);
	_exit(127);
}

static int spawn(struct command *c, const char *const argv[], const struct command_options *o)
{
	char **env = make_env(o->env);
	int in = -1, out[2] = { -1, -1 }, r;
	pid_t parent = getpid();

	if (!env)
		return -ENOMEM;
	r = make_input(o, &in);
	if (r < 0)
		goto out;
	c->err = memfd_create("stderr", MFD_CLOEXEC);
	if (c->err < 0 || fcntl(c->err, F_SETFL, O_APPEND) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		r = -errno;
		goto out;
	}
	c->pid = fork();
	if (c->pid == 0)
		child(argv, env, o, parent, (int[3]){ in, out[1], c->err });
	if (c->pid < 0) {
		r = -errno;
		goto out;
	}
	c->out = out[0];
	out[0] = -1;
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0)
		r = -errno;
out:
	free(env);
	if (in >= 0)
		close(in);
	for (int i = 0; i < 2; i++)
		if (out[i] >= 0)
			close(out[i]);
	return r;
}

int command_start(
	struct command **ret, const char *const argv[], const struct command_options *options)
{
	static const struct command_options plain;
	struct command *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->pidfd = c->out = c->err = -1;
	r = spawn(c, argv, options ? options : &plain);
	if (r < 0) {
		command_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static void reap(struct command *c)
{
	int status;

	if (c->reaped || c->pid <= 0)
		return;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	c->reaped = true;
	c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void command_free(struct command *c)
{
	if (!c)
		return;
	if (!c->reaped && c->pid > 0)
		kill(c->pid, SIGKILL);
	reap(c);
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){ c->pidfd, c->out, c->err }[i];

		if (fd >= 0)
			close(fd);
	}
	free(c->pending);
	free(c);
}

pid_t command_pid(const struct command *c)
{
	return c->pid;
}

int command_pidfd(const struct command *c)
{
	return c->pidfd;
}

/* Reads what is there. 0: nothing now, 1: got some, -ENODATA: closed. */
static int pump(struct command *c)
{
	char chunk[4096], *grown;
	ssize_t n = read(c->out, chunk, sizeof(chunk));

	if (n == 0)
		return -ENODATA;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	grown = realloc(c->pending, c->pending_len + (size_t)n + 1);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + c->pending_len, chunk, (size_t)n);
	c->pending = grown;
	c->pending_len += (size_t)n;
	c->pending[c->pending_len] = '\0';
	return 1;
}

static int take_line(struct command *c, char *buf, size_t cap)
{
	char *end = c->pending_len ? memchr(c->pending, '\n', c->pending_len) : NULL;
	size_t len;

	if (!end)
		return -EAGAIN;
	len = (size_t)(end - c->pending);
	if (len >= cap)
		return -EMSGSIZE;
	memcpy(buf, c->pending, len);
	buf[len] = '\0';
	c->pending_len -= len + 1;
	memmove(c->pending, end + 1, c->pending_len);
	return 0;
}

int command_read_line(struct command *c, char *buf, size_t cap, int deadline_ms)
{
	long long until = command_now_ms() + deadline_ms;

	for (;;) {
		struct pollfd p = { .fd = c->out, .events = POLLIN };
		int r = take_line(c, buf, cap);

		if (r != -EAGAIN)
			return r;
		r = pump(c);
		if (r < 0)
			return r;
		if (r == 0 && poll(&p, 1, left_ms(until)) == 0)
			return -ETIMEDOUT;
	}
}

static char *slurp(int fd, size_t *ret_len)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return NULL;
	n = pread(fd, text, (size_t)st.st_size, 0);
	*ret_len = n > 0 ? (size_t)n : 0;
	text[*ret_len] = '\0';
	return text;
}

char *command_err(const struct command *c)
{
	size_t len;

	return slurp(c->err, &len);
}

int command_wait_err(struct command *c, const char *text, int deadline_ms)
{
	long long until = command_now_ms() + deadline_ms;
	int ended = 0;

	/*
	 * A file in memory cannot be polled: look, wait for the end for two milliseconds, look
	 * again.
	 */
	for (;;) {
		struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
		char *err = command_err(c);
		bool there = err && strstr(err, text);

		free(err);
		if (there)
			return 0;
		if (ended)
			return -ENODATA;
		if (left_ms(until) == 0)
			return -ETIMEDOUT;
		ended = poll(&p, 1, 2) > 0;
	}
}

/* Until the program has ended, reading along so that it cannot block on its output. */
static int wait_end(struct command *c, int deadline_ms)
{
	long long until = command_now_ms() + deadline_ms;
	bool open = true;
	int r;

	while (!c->reaped) {
		struct pollfd p[2] = { { .fd = c->pidfd, .events = POLLIN },
			{ .fd = open ? c->out : -1, .events = POLLIN } };

		if (poll(p, 2, left_ms(until)) == 0)
			return -ETIMEDOUT;
		if (p[1].revents && pump(c) < 0)
			open = false;
		if (p[0].revents)
			reap(c);
	}
	/* A grandchild may hold the pipe open: take what is there and no more. */
	do
		r = open ? pump(c) : 0;
	while (r > 0);
	return 0;
}

int command_stop(struct command *c, int sig, int deadline_ms, struct command_result *ret)
{
	int r;

	if (sig && !c->reaped)
		kill(c->pid, sig);
	r = wait_end(c, deadline_ms);
	if (r < 0)
		return r;
	*ret = (struct command_result){ .status = c->status };
	ret->err = slurp(c->err, &ret->err_len);
	ret->out = c->pending ? c->pending : calloc(1, 1);
	ret->out_len = c->pending_len;
	c->pending = NULL;
	c->pending_len = 0;
	if (!ret->err || !ret->out) {
		command_result_done(ret);
		return -ENOMEM;
	}
	ret->out[ret->out_len] = '\0';
	return 0;
}

int command_run(
	const char *const argv[], const struct command_options *options, struct command_result *ret)
{
	int deadline = options && options->deadline_ms ? options->deadline_ms : COMMAND_DEADLINE_MS;
	struct command *c;
	int r;

	r = command_start(&c, argv, options);
	if (r < 0)
		return r;
	r = command_stop(c, 0, deadline, ret);
	command_free(c);
	return r;
}

void command_result_done(struct command_result *r)
{
	free(r->out);
	free(r->err);
	*r = (struct command_result){ 0 };
}
