/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * openssl-reload - loads the provider, makes a handshake with it, and unloads it, again and again:
 *
 *     openssl-reload CONFIG TIMES
 *
 * After a tenth of the times all that is made once has been made; from there on neither memory nor
 * descriptors may grow. Prints what did, and ends with 0 when it did not.
 */
#include "tests/openssl/pair.h"

#include <dirent.h>
#include <malloc.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GROWTH_MAX_KB 512 /* the allocator's own unevenness; a kilobyte each time would be more */

/* The address sanitizer keeps what was freed, and finds leaks by itself. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_MEMORY 1
#endif
#endif
#ifndef KEEPS_MEMORY
#define KEEPS_MEMORY 0
#endif

static unsigned long descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned long n = 0;

	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned long resident_kb(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	malloc_trim(0);
	if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

static bool use_once(const char *config)
{
	char reference[PAIR_PSK_MAX];
	struct pair_end client = { .psk = reference, .version = TLS1_3_VERSION };
	struct pair_end server = client;
	SSL_CTX *client_ctx, *server_ctx;
	bool ok;

	pair_reference(PAIR_IDENTITY, reference, sizeof(reference));
	server.server = true;
	client.libctx = server.libctx = pair_libctx(config);
	client_ctx = pair_ctx(&client);
	server_ctx = pair_ctx(&server);
	ok = pair_talk(client_ctx, server_ctx, NULL, NULL, NULL);
	SSL_CTX_free(client_ctx);
	SSL_CTX_free(server_ctx);
	OSSL_LIB_CTX_free(client.libctx);
	return ok;
}

int main(int argc, char *argv[])
{
	unsigned long times = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long fds = 0, kb = 0, now_kb;

	if (times < 10)
		return 2;
	for (unsigned long i = 0; i < times; i++) {
		if (!use_once(argv[1])) {
			ERR_print_errors_fp(stderr);
			return EXIT_FAILURE;
		}
		if (i == times / 10) {
			fds = descriptors();
			kb = resident_kb();
		}
	}
	now_kb = resident_kb();
	printf("memory %lu to %lu kB, descriptors %lu to %lu\n", kb, now_kb, fds, descriptors());
	if (KEEPS_MEMORY)
		now_kb = kb;
	return now_kb <= kb + GROWTH_MAX_KB && descriptors() == fds ? EXIT_SUCCESS : EXIT_FAILURE;
}
