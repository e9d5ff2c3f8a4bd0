/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcti_test - what a test and the TCTI for tests share, in a file that both map.
 *
 * libtss2-tcti-test.so wraps another TCTI and is loaded by the TCTI loader like any other, with
 *
 *     PATH/libtss2-tcti-test.so:file=FILE;INNER        ("…;swtpm:path=/tmp/x/tpm")
 *
 * It counts commands by their code, adds latency, hides TPM2_HMAC or SHA-384 and injects faults, all by what
 * stands in FILE at that moment: the test changes it while the daemon runs. One process at a time
 * uses the TCTI; the fields are atomic because the test looks on.
 */
#ifndef TPMPSK_TESTS_TCTI_TCTI_TEST_H
#define TPMPSK_TESTS_TCTI_TCTI_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define TCTI_TEST_FIRST 0x11f /* the lowest command code, TPM2_CC_NV_UndefineSpaceSpecial */
#define TCTI_TEST_CODES 0x80

enum tcti_test_fault {
	TCTI_TEST_NO_FAULT,
	TCTI_TEST_ANSWER,   /* the TPM does not see the command; the answer is the code `value` */
	TCTI_TEST_REPLACE,  /* the TPM executes it, but the answer is the code `value` */
	TCTI_TEST_TRUNCATE, /* the answer ends after `value` bytes */
	TCTI_TEST_GARBAGE,  /* everything behind the answer's header is other than the TPM said */
	TCTI_TEST_FLIP,     /* one byte of the answer, at `value`, is another */
	TCTI_TEST_DROP,     /* the connection is lost: this and all later commands fail */
	TCTI_TEST_HANG,     /* no answer, as long as `hanging` is set */
};

struct tcti_test {
	/* Written by the TCTI. */
	_Atomic uint64_t commands;
	_Atomic uint64_t count[TCTI_TEST_CODES]; /* by code - TCTI_TEST_FIRST */
	_Atomic uint64_t faults;                 /* injected so far */
	_Atomic uint32_t hanging;                /* by TCTI_TEST_HANG, until the test clears it */
	/* Written by the test. */
	_Atomic uint32_t latency_us;  /* added to every command */
	_Atomic uint32_t load_us;     /* added to TPM2_Load and TPM2_ContextLoad besides */
	_Atomic uint32_t hide_hmac;   /* the TPM is one without TPM2_HMAC */
	_Atomic uint32_t hide_sha384; /* the TPM is one without SHA-384 */
	_Atomic uint32_t fault;       /* enum tcti_test_fault; set last */
	_Atomic uint32_t code;        /* the fault hits this command only; 0: any */
	_Atomic uint32_t skip;        /* so many such commands pass first; counts down */
	_Atomic uint32_t times;       /* how many are hit then; counts down to no fault */
	_Atomic uint32_t value;
	/* What is tried from inside at the next command: see intruder.h. */
	char path[200];
	_Atomic uint32_t attempt; /* enum intruder_attempt; set last, 0 again when it is done */
	_Atomic int32_t outcome;
};

/* Makes the file if need be and maps it. NULL with errno. */
static inline struct tcti_test *tcti_test_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(struct tcti_test)) == 0)
		map = mmap(
			NULL, sizeof(struct tcti_test), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static inline void tcti_test_unmap(struct tcti_test *t)
{
	if (t)
		munmap(t, sizeof(*t));
}

/* The TCTI's name and configuration: pattern of inner as in printf, "%s" for scene_options.tcti. */
static inline void tcti_test_name(char *buf, size_t cap, const char *file, const char *inner)
{
	const char *build = getenv("TPMPSK_BUILD");

	snprintf(buf, cap, "%s/tests/tcti/libtss2-tcti-test.so:file=%s;%s", build ? build : ".",
		file, inner);
}

/* How many commands of a code (TPM2_CC_…) were sent; 0 for all. */
static inline uint64_t tcti_test_count(const struct tcti_test *t, uint32_t code)
{
	if (code == 0)
		return t->commands;
	return code - TCTI_TEST_FIRST < TCTI_TEST_CODES ? t->count[code - TCTI_TEST_FIRST] : 0;
}

/* From the skip-th command of a code (0: any) on, the fault hits so many of them. */
static inline void tcti_test_inject(struct tcti_test *t, enum tcti_test_fault fault, uint32_t code,
	uint32_t skip, uint32_t times, uint32_t value)
{
	t->fault = TCTI_TEST_NO_FAULT;
	t->code = code;
	t->skip = skip;
	t->times = times;
	t->value = value;
	t->fault = fault;
}

#endif
