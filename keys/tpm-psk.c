/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tpm-psk, the operator's command: finds the command in the tables, reads its options, runs it.
 */
#include "keys/command.h"
#include "keys/print.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct option common_options[] = {
	{ "--socket", "PATH",
		"the daemon's socket (else $TPM_PSK_SOCKET, else " TPMPSK_DEFAULT_SOCKET ")",
		false },
	{ "--timeout", "MS", "milliseconds to wait for the daemon (5000)", false },
	{ "--help", NULL, "this text", false },
	{ "--version", NULL, "the version", false },
	{ NULL, NULL, NULL, false },
};

static const struct command *const tables[] = { commands_status, commands_top, commands_metrics,
	commands_doctor, commands_bench, commands_key, commands_list, commands_certificate,
	commands_derive, commands_reference };

#define FOR_EACH_COMMAND(c)                                                                        \
	for (size_t t_ = 0; t_ < sizeof(tables) / sizeof(tables[0]); t_++)                         \
		for (const struct command *c = tables[t_]; c->name; c++)

static void print_options(const struct option *option)
{
	for (; option && option->name; option++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s", option->name, option->value ? " " : "",
			option->value ? option->value : "");
		printf("  %-26s %s\n", left, option->help);
	}
}

/* All commands, or those of a group ("key"). */
static void print_overview(const char *group)
{
	size_t len = strlen(group);

	puts("usage: tpm-psk [--socket PATH] [--timeout MS] COMMAND ...\n\ncommands:");
	FOR_EACH_COMMAND(c)
	if (len == 0 || (strncmp(c->name, group, len) == 0 && c->name[len] == ' '))
		printf("  %-26s %s\n", c->name, c->summary);
	puts("\noptions:");
	print_options(common_options);
	puts("\n'tpm-psk COMMAND --help' tells more. Exit status: 0 done, 1 refused or failed, 2 "
	     "wrong use.");
}

static void print_help(const struct command *c)
{
	printf("usage: tpm-psk %s%s%s%s\n\n%s.\n", c->name, c->args ? " " : "",
		c->args ? c->args : "", c->options[0] ? " [options]" : "", c->summary);
	if (c->notes)
		printf("\n%s\n", c->notes);
	puts("\noptions:");
	print_options(c->options[0]);
	print_options(c->options[1]);
	print_options(common_options);
}

/* The command that argv begins with; *ret_words is how many words its name has. */
static const struct command *find_command(char **argv, size_t *ret_words)
{
	FOR_EACH_COMMAND(c)
	{
		const char *space = strchr(c->name, ' ');
		size_t len = space ? (size_t)(space - c->name) : strlen(c->name);

		if (!argv[0] || strlen(argv[0]) != len || strncmp(argv[0], c->name, len) != 0)
			continue;
		if (space && (!argv[1] || strcmp(argv[1], space + 1) != 0))
			continue;
		*ret_words = space ? 2 : 1;
		return c;
	}
	return NULL;
}

static enum exit_code no_command(char **argv)
{
	bool group = argv[0] && strcmp(argv[0], "key") == 0;
	_cleanup_(text_freep) char *word = text_escape(argv[0] ? argv[0] : "");
	_cleanup_(text_freep) char *next = text_escape(group && argv[1] ? argv[1] : "");

	if (argv[0])
		fprintf(stderr, "tpm-psk: usage: there is no command '%s%s%s'", word,
			*next ? " " : "", next);
	else
		fputs("tpm-psk: usage: a command is missing", stderr);
	fprintf(stderr, " (see tpm-psk %s--help)\n", group ? "key " : "");
	return EXIT_USAGE;
}

/* Options that end the matter before a command runs. */
static bool informed(const struct options *o, const struct command *c, char **words)
{
	if (options_get(o, "--version"))
		puts("tpm-psk " TPMPSK_VERSION);
	else if (options_get(o, "--help") && c)
		print_help(c);
	else if (options_get(o, "--help"))
		print_overview(words[0] && strcmp(words[0], "key") == 0 ? "key" : "");
	else
		return false;
	return true;
}

/* An empty variable in a script must not lead to the system's daemon. */
static bool empty_socket(const struct options *o)
{
	const char *socket = options_get(o, "--socket");

	return socket && !*socket;
}

static enum exit_code run(struct invocation *call, char **argv)
{
	struct options *o = &call->options;
	const struct option *options[OPTIONS_TABLES] = { common_options };
	char error[OPTIONS_ERROR_SIZE];
	size_t used, words = 0;
	int r;

	r = options_read(o, options, argv, true, error, &used);
	if (r == 0) {
		argv += used;
		call->command = find_command(argv, &words);
		if (call->command) {
			options[1] = call->command->options[0];
			options[2] = call->command->options[1];
		}
		/* "key --help" has no command, but something to say */
		r = argv[0] ? options_read(o, options, argv + (words ? words : 1), !call->command,
				      error, &used)
			    : 0;
	}
	if (r < 0 && call->command)
		return usage(call, "%s", error);
	if (r < 0) {
		fprintf(stderr, "tpm-psk: usage: %s (see tpm-psk --help)\n", error);
		return EXIT_USAGE;
	}
	if (informed(o, call->command, argv))
		return EXIT_DONE;
	if (!call->command)
		return no_command(argv);
	if (o->n_args < call->command->min_args)
		return usage(call, "%s: something is missing", call->command->args);
	if (o->n_args > call->command->max_args)
		return usage(call, "'%s' is too much", o->args[call->command->max_args]);
	if (empty_socket(o))
		return usage(call, "--socket: the path is empty");
	return call->command->run(call);
}

#ifdef __SANITIZE_ADDRESS__
#define DUMPABLE 1 /* the leak checker attaches to the process */
#else
#define DUMPABLE 0
#endif

/* Secrets pass through this process: nobody but root may look into it, and it leaves no core. */
static int confine(void)
{
	const struct rlimit none = { 0, 0 };

	if (sodium_init() < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
		prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) < 0)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct invocation call = { 0 };
	enum exit_code code;

	if (argc < 1 || confine() < 0 || options_init(&call.options, (size_t)argc) < 0) {
		fputs("tpm-psk: cannot start\n", stderr);
		return EXIT_FAILED;
	}
	code = run(&call, argv + 1);
	tpmpsk_close(call.handle);
	options_done(&call.options);
	if (fflush(stdout) != 0 && code == EXIT_DONE) {
		perror("tpm-psk: standard output");
		code = EXIT_FAILED;
	}
	return (int)code;
}
