/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/names.h"
#include "daemon/secret.h"
#include "daemon/server.h"
#include "daemon/text.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 2

static const char usage[] =
	"usage: tpm-pskd [--config FILE] [--check-config] [--version] [--help]\n"
	"\n"
	"Owns the machine's TPM 2.0 and answers TLS processes that ask for the secret of one "
	"session.\n"
	"\n"
	"  --config FILE    read FILE instead of " CONFIG_DEFAULT_PATH "\n"
	"  --check-config   read the configuration, say what is wrong with it, and exit\n"
	"  --version        print the version and exit\n"
	"  --help           print this and exit\n"
	"\n"
	"Stays in the foreground and logs to standard error. SIGHUP reloads configuration and "
	"keys,\n"
	"SIGTERM ends it. Exit status: 0 ended in order, 1 an error, 2 wrong usage.\n";

struct arguments {
	const char *config;
	bool check_only;
};

/* One line, which says where help is. */
static int misused(const char *argument, const char *why)
{
	char shown[TEXT_SHOWN_SIZE];

	fprintf(stderr, "tpm-pskd: %s: %s (see tpm-pskd --help)\n",
		text_show(shown, argument, strlen(argument)), why);
	return EXIT_USAGE;
}

/* -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *argument = argv[optind];
	int option;

	opterr = 0; /* misused() says it */
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret->config = optarg;
			break;
		case 'k':
			ret->check_only = true;
			break;
		case 'v':
			puts("tpm-pskd " TPMPSK_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case ':':
			return misused(argument, "a value is missing");
		default:
			return misused(argument, strchr(argument, '=') && optopt
							 ? "takes no value"
							 : "no such option");
		}
		argument = argv[optind];
	}
	if (optind < argc)
		return misused(argv[optind], "unexpected");
	return -1;
}

static int serve(const char *config_path, struct config *config)
{
	char error[SERVER_ERROR_SIZE];
	struct server *server;
	int r;

	secret_harden_process();
	r = server_new(&server, config_path, config, error);
	if (r < 0) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	r = server_run(server);
	if (r < 0)
		_exit(EXIT_FAILURE); /* the TPM thread is stuck and still uses what would be freed */
	server_free(server);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	char error[CONFIG_ERROR_SIZE];
	struct config config;
	int r, status;

	status = parse_arguments(argc, argv, &arguments);
	if (status >= 0)
		return status;
	log_init("tpm-pskd");
	umask(0077);
	if (sodium_init() < 0) {
		log_error("libsodium: cannot be initialised");
		return EXIT_FAILURE;
	}
	/* Before anything is open or known that another process should not have. */
	r = arguments.check_only ? 0 : names_start();
	if (r < 0) {
		log_error_r(r, "start looking up users and groups");
		return EXIT_FAILURE;
	}
	r = config_load(arguments.config, &config, error);
	if (r < 0) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	status = arguments.check_only ? EXIT_SUCCESS : serve(arguments.config, &config);
	config_done(&config);
	return status;
}
