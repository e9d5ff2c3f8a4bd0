/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * openssl-threads - a program with many threads whose server and client both have a reference, and
 * which then forks:
 *
 *     openssl-threads CONFIG VERSION THREADS HANDSHAKES FORKS
 *
 * VERSION is 1.2 or 1.3. Each thread makes that many handshakes through contexts that all share, and
 * so does each forked child. Ends with 0 when none failed.
 */
#include "tests/openssl/pair.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64

static SSL_CTX *client_ctx, *server_ctx;
static unsigned long handshakes;

static void *work(void *arg)
{
	unsigned long *failed = arg;

	for (unsigned long i = 0; i < handshakes; i++) {
		if (pair_talk(client_ctx, server_ctx, NULL, NULL, NULL))
			continue;
		(*failed)++;
		ERR_print_errors_fp(stderr);
	}
	return NULL;
}

static unsigned long fork_and_wait(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		unsigned long failed = 0;

		alarm(60);
		work(&failed);
		_exit(failed > 0);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

static unsigned long run(unsigned long threads, unsigned long forks)
{
	unsigned long failed[THREADS_MAX] = { 0 }, sum = 0;
	pthread_t ids[THREADS_MAX];

	for (unsigned long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, &failed[i]) != 0)
			abort();
	for (unsigned long i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		sum += failed[i];
	}
	/* Not while threads are in OpenSSL, whose own locks are not made for that. */
	for (unsigned long i = 0; i < forks; i++)
		sum += fork_and_wait();
	return sum;
}

int main(int argc, char *argv[])
{
	char reference[PAIR_PSK_MAX];
	struct pair_end client = { .psk = reference },
			server = { .psk = reference, .server = true };
	unsigned long threads, failed;
	OSSL_LIB_CTX *libctx;

	if (argc != 6)
		return 2;
	threads = strtoul(argv[3], NULL, 10);
	handshakes = strtoul(argv[4], NULL, 10);
	if (threads > THREADS_MAX)
		return 2;
	pair_reference(PAIR_IDENTITY, reference, sizeof(reference));
	libctx = pair_libctx(argv[1]);
	client.libctx = server.libctx = libctx;
	client.version = server.version =
		strcmp(argv[2], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	client_ctx = pair_ctx(&client);
	server_ctx = pair_ctx(&server);
	failed = run(threads, strtoul(argv[5], NULL, 10));
	SSL_CTX_free(client_ctx);
	SSL_CTX_free(server_ctx);
	OSSL_LIB_CTX_free(libctx);
	printf("%lu failed\n", failed);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
