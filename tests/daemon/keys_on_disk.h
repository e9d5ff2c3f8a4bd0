/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys_on_disk - a key directory under test: files put there by hand, and what a store makes of them.
 *
 * One directory a test, in static state. Tests only; asserts instead of returning errors.
 */
#ifndef TPMPSK_TESTS_DAEMON_KEYS_ON_DISK_H
#define TPMPSK_TESTS_DAEMON_KEYS_ON_DISK_H

#include "daemon/keystore.h"

#include <stdbool.h>

extern struct keystore *store;
extern char error[KEYSTORE_ERROR_SIZE];
extern char keys_path[64]; /* the directory, 0700 */

/* A suite's .init and .fini. */
void keys_setup(void);
void keys_teardown(void);

/* keystore_open() into store; closes the one before. Checks that a failure is one line about the directory. */
int keys_open(void);
void keys_close(void);

/* What a key is made of: areas and an identity that follow from the seed, allowed to uid seed. */
void keys_make(unsigned seed, struct policy *policy, struct keyfile *file);
/* keystore_add() of that. */
int keys_add(const char *name, unsigned seed);
/* Whether store has the key, with just that content. */
bool keys_has(const char *name, unsigned seed);

/* Files of the directory, by hand. */
void keys_put(const char *file, const char *text);
void keys_put_json(const char *file, unsigned seed);
void keys_put_pem(const char *file, unsigned seed);
/* A key file of so many objects. */
void keys_put_pem_of(const char *file, unsigned n_objects);
bool keys_there(const char *file);
/* The number of files in the directory, whatever they are. */
size_t keys_files(void);
/* dir/file; valid until the next call. */
const char *keys_file(const char *file);

#endif
