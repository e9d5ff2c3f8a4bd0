/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static struct termios before;
static bool is_open;
static volatile sig_atomic_t end, resized, suspended;

static void on_signal(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else if (number == SIGTSTP)
		suspended = 1;
	else
		end = 1;
}

static void put(const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = write(STDOUT_FILENO, text, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* a terminal that has gone: the signal for that comes next */
		text += n;
		left -= (size_t)n;
	}
}

bool screen_possible(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal &&
	       strcmp(terminal, "dumb") != 0;
}

static int take_terminal(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return -errno;
	put(ENTER);
	return 0;
}

int screen_open(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP };
	struct sigaction action = { .sa_handler = on_signal };
	int r;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	r = take_terminal();
	is_open = r == 0;
	if (is_open)
		atexit(screen_close);
	return r;
}

void screen_close(void)
{
	if (!is_open)
		return;
	is_open = false;
	put(LEAVE);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

void screen_size(size_t *ret_columns, size_t *ret_rows)
{
	struct winsize size;
	bool known =
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;

	*ret_columns = known ? size.ws_col : 80;
	*ret_rows = known ? size.ws_row : 24;
}

void screen_draw(const char *text)
{
	/* Each line's rest is cleared behind it, and all below the last: nothing flickers. */
	char *page = malloc(strlen(text) * 4 + 32);
	char *p = page;

	if (!page)
		return;
	p = stpcpy(p, "\033[H");
	for (; *text; text++) {
		if (*text == '\n')
			p = stpcpy(p, text[1] ? "\033[K\r\n" : "\033[K");
		else
			*p++ = *text;
	}
	strcpy(p, "\033[J");
	put(page);
	free(page);
}

/* Ctrl-Z: the shell gets its terminal, until it brings us back. */
static void suspend(void)
{
	suspended = 0;
	put(LEAVE);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	raise(SIGSTOP);
	(void)take_terminal();
}

int screen_wait(int timeout_ms)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	unsigned char key;
	int n;

	/* A signal between here and poll() waits for the next key or the end of the time, at worst. */
	n = end || resized || suspended ? -1 : poll(&p, 1, timeout_ms);
	if (end)
		return SCREEN_END;
	if (suspended) {
		suspend();
		return SCREEN_RESIZE;
	}
	if (resized) {
		resized = 0;
		return SCREEN_RESIZE;
	}
	if (n > 0 && read(STDIN_FILENO, &key, 1) == 1)
		return key > 0 ? key : SCREEN_NOTHING;
	/* The terminal has gone. */
	return n > 0 ? SCREEN_END : SCREEN_NOTHING;
}
