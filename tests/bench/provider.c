/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * provider - what the OpenSSL provider costs who has no use for it: handshakes without a reference,
 * with the provider before OpenSSL's own and without it.
 */
#include "bench.h"
#include "tests/openssl/pair.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* One end of each kind, made when first asked for and kept. */
struct handshakes {
	int version;
	const char *psk; /* NULL: a certificate */
	bool resumed;
	bool with_provider;
	SSL_CTX *client, *server;
	SSL_SESSION *session;
	struct pair_end ends[2];
};

static void write_config(FILE *f)
{
	const char *build = getenv("TPMPSK_BUILD");

	fprintf(f,
		"openssl_conf = init\n[init]\nproviders = providers\nalg_section = algorithms\n"
		"[providers]\ndefault = section1\ntpmpsk = section2\n"
		"[section1]\nactivate = 1\n"
		"[section2]\nmodule = %s/client-lib/openssl/tpmpsk.so\nactivate = 1\n"
		"[algorithms]\ndefault_properties = ?tpmpsk.references=yes\n",
		build ? build : ".");
}

static OSSL_LIB_CTX *library(bool with_provider)
{
	char path[64] = "/dev/null";
	OSSL_LIB_CTX *libctx;
	int fd = memfd_create("openssl.cnf", 0);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		abort();
	if (with_provider) {
		write_config(f);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	fflush(f);
	libctx = pair_libctx(path);
	if (with_provider != (OSSL_PROVIDER_available(libctx, "tpmpsk") == 1)) {
		fprintf(stderr, "the provider is not there; is $TPMPSK_BUILD right?\n");
		abort();
	}
	fclose(f);
	return libctx;
}

static void set_up(struct handshakes *h)
{
	static OSSL_LIB_CTX *libraries[2];
	OSSL_LIB_CTX **libctx = &libraries[h->with_provider];

	if (h->client)
		return;
	if (!*libctx)
		*libctx = library(h->with_provider);
	for (int i = 0; i < 2; i++)
		h->ends[i] = (struct pair_end){
			.libctx = *libctx, .server = i == 1, .version = h->version, .psk = h->psk
		};
	h->client = pair_ctx(&h->ends[0]);
	h->server = pair_ctx(&h->ends[1]);
	if (h->resumed && !pair_talk(h->client, h->server, NULL, &h->session, NULL))
		abort();
}

/*
 * The processor's time and not the clock's: nothing here waits, and what else runs on the machine
 * would count for more than what is looked for.
 */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int measure(const void *how, size_t n, struct bench_result *ret)
{
	struct handshakes *h = (struct handshakes *)(uintptr_t)how;
	uint64_t *ns = calloc(n, sizeof(*ns)), begin;

	if (!ns)
		return -ENOMEM;
	set_up(h);
	for (size_t i = 0; i < n / 10; i++) /* the caches are the other row's */
		(void)pair_talk(h->client, h->server, h->session, NULL, NULL);
	begin = now_ns();
	for (size_t i = 0; i < n; i++) {
		uint64_t start = now_ns();
		bool resumed = false;

		if (!pair_talk(h->client, h->server, h->session, NULL, &resumed) ||
			(h->resumed && !resumed)) {
			ERR_print_errors_fp(stderr);
			free(ns);
			return -EPROTO;
		}
		ns[i] = now_ns() - start;
	}
	bench_summarise(ns, n, now_ns() - begin, ret);
	free(ns);
	return 0;
}

#define PSK "0123456789abcdef"
static struct handshakes full13[2] = { { .version = TLS1_3_VERSION },
	{ .version = TLS1_3_VERSION, .with_provider = true } };
static struct handshakes full12[2] = { { .version = TLS1_2_VERSION },
	{ .version = TLS1_2_VERSION, .with_provider = true } };
static struct handshakes ticket13[2] = { { .version = TLS1_3_VERSION, .resumed = true },
	{ .version = TLS1_3_VERSION, .resumed = true, .with_provider = true } };
static struct handshakes psk13[2] = { { .version = TLS1_3_VERSION, .psk = PSK },
	{ .version = TLS1_3_VERSION, .psk = PSK, .with_provider = true } };

static const struct bench_row rows[] = {
	{ "TLS 1.3, certificate", measure, &full13[0] },
	{ "  with the provider", measure, &full13[1], .base = &rows[0], .ratio_min = 0.98 },
	{ "TLS 1.2, certificate", measure, &full12[0] },
	{ "  with the provider", measure, &full12[1], .base = &rows[2], .ratio_min = 0.98 },
	{ "TLS 1.3, ticket", measure, &ticket13[0] },
	{ "  with the provider", measure, &ticket13[1], .base = &rows[4], .ratio_min = 0.98 },
	{ "TLS 1.3, PSK in the program", measure, &psk13[0] },
	{ "  with the provider", measure, &psk13[1], .base = &rows[6], .ratio_min = 0.98 },
};

int main(int argc, char *argv[])
{
	static const struct bench bench = {
		.name = "provider",
		.about = "handshakes that have nothing to do with the TPM",
		.what = "handshakes",
		.n = 300,
		.n_rows = sizeof(rows) / sizeof(rows[0]),
		.rows = rows,
	};

	return bench_main(&bench, argc, argv);
}
