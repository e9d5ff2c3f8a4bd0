/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the time until `denied` tell whether there is a key? A user without rights asks for an identity that has a key and for one that has
 * none, in random order, 100,000 times each, and the two distributions of answering times are compared: by Welch's t, and by the
 * greatest distance between them (Kolmogorov and Smirnov). The same for a user who may use another key, and so is told unknown-identity.
 * As a yardstick the same identity is compared with itself. Prints a table; the question is for people to answer, on their machine.
 */
#include "tests/hostile/raw.h"
#include "tests/swtpm/scene.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_DEFAULT 100000
#define NOBODY 20001
#define SOMEBODY 20002 /* may use another key of the purpose */

static struct scene scene;

struct sample {
	double *us;
	size_t n;
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of all but the slowest hundredth, which is other processes' doing. */
static void moments(const struct sample *s, double *ret_mean, double *ret_variance)
{
	size_t n = s->n - s->n / 100;
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += s->us[i];
	*ret_mean = sum / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (s->us[i] - *ret_mean) * (s->us[i] - *ret_mean);
	*ret_variance = squares / (double)(n - 1) / (double)n;
}

/* Both are sorted. */
static double distance(const struct sample *a, const struct sample *b)
{
	double greatest = 0;
	size_t i = 0, j = 0;

	while (i < a->n && j < b->n) {
		double at = a->us[i] < b->us[j] ? a->us[i] : b->us[j], d;

		while (i < a->n && a->us[i] <= at)
			i++;
		while (j < b->n && b->us[j] <= at)
			j++;
		d = fabs((double)i / (double)a->n - (double)j / (double)b->n);
		greatest = d > greatest ? d : greatest;
	}
	return greatest;
}

static void compare(const char *what, struct sample s[2])
{
	double mean[2], variance[2], d, scaled, p = 0;

	for (int k = 0; k < 2; k++) {
		qsort(s[k].us, s[k].n, sizeof(double), by_value);
		moments(&s[k], &mean[k], &variance[k]);
	}
	d = distance(&s[0], &s[1]);
	/* The series for the probability of a distance as great by chance (Kolmogorov). */
	scaled = d * sqrt((double)s[0].n * (double)s[1].n / (double)(s[0].n + s[1].n));
	for (int k = 1; k <= 100; k++)
		p += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * scaled * scaled);
	printf("%-44s %8.2f %8.2f %8.2f %8.2f %8.2f %8.4f %8.3f\n", what, s[0].us[s[0].n / 2],
		s[1].us[s[1].n / 2], mean[0], mean[1],
		(mean[0] - mean[1]) / sqrt(variance[0] + variance[1]), d,
		scaled < 0.2 ? 1
		: p > 1      ? 1
			     : p);
}

static void measure(
	const char *what, uid_t uid, const char *first, const char *second, size_t n, int expected)
{
	const char *const identities[2] = { first, second };
	int fd = raw_connect_as(scene.socket, uid, 0, NULL);
	struct sample s[2];

	for (int k = 0; k < 2; k++)
		s[k] = (struct sample){ .us = calloc(n, sizeof(double)) };
	while (s[0].n < n || s[1].n < n) {
		unsigned k = s[0].n == n ? 1 : s[1].n == n ? 0 : randombytes_uniform(2);
		double start = now_us();

		if (raw_ask(fd, identities[k], s[k].n) != expected) {
			fprintf(stderr, "%s: not the answer that was expected\n", what);
			exit(1);
		}
		s[k].us[s[k].n++] = now_us() - start;
	}
	compare(what, s);
	close(fd);
	free(s[0].us);
	free(s[1].us);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : N_DEFAULT;

	if (geteuid() != 0 || sodium_init() < 0 || n < 200) {
		fputs("usage: timing [TIMES]        as root: it asks as other users\n", stderr);
		return 2;
	}
	if (scene_init(&scene, &(struct scene_options){ .config = "{\"audit\":\"off\"}" }) < 0)
		return 1;
	if (scene_psk_ok(&scene, "key", "generate", "there", "--identity", "Exists1", "--purpose",
		    "tls12-session", "--allow", "uid:0", NULL) != 0 ||
		scene_psk_ok(&scene, "key", "generate", "other", "--identity", "Other", "--purpose",
			"tls12-session", "--allow", "uid:20002", NULL) != 0)
		return 1;
	printf("%zu answers each, in us; t and distance: without the slowest 1 %%, and of all\n",
		n);
	printf("%-44s %8s %8s %8s %8s %8s %8s %8s\n", "", "median", "median", "mean", "mean", "t",
		"distance", "p");
	measure("no right: one key and itself", NOBODY, "Exists1", "Exists1", n,
		TPMPSK_STATUS_DENIED);
	measure("no right: a key and none", NOBODY, "Exists1", "Missing", n, TPMPSK_STATUS_DENIED);
	measure("a right to another: a key and none", SOMEBODY, "Exists1", "Missing", n,
		TPMPSK_STATUS_UNKNOWN_IDENTITY);
	scene_done(&scene);
	return 0;
}
