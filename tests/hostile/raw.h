/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw - a client without a library: packets of any kind over a connection of one's own, and derivations checked against software.
 *
 * For tests of what the daemon does with what no library would send. All waits have deadlines. Tests only.
 */
#ifndef TPMPSK_TESTS_HOSTILE_RAW_H
#define TPMPSK_TESTS_HOSTILE_RAW_H

#include "proto/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RAW_TIMEOUT_MS 20000

/* A connected socket, or -errno. */
int raw_connect(const char *path);
/* The same, made by another user with exactly these supplementary groups: who connects is who the daemon sees. For root only. */
int raw_connect_as(const char *path, uid_t uid, size_t n_groups, const gid_t *groups);

/* Sends one packet and waits for one. The reply's length; 0: the daemon closed; -errno (-ETIMEDOUT: it said nothing). */
int raw_call(int fd, const void *packet, size_t len, uint8_t reply[TPMPSK_MESSAGE_MAX]);

/* Status of a reply, or -1 when it is no well-formed reply to id. */
int raw_status(const uint8_t *reply, int len, uint32_t id);
/*
 * Over a connection of its own: the status of a request with id 1, or -1 when there was no answer. The reply and its length as raw_call()
 * gives them.
 */
int raw_once(const char *socket, const uint8_t *packet, size_t len, uint8_t reply[TPMPSK_MESSAGE_MAX],
	int *ret_len);

/* Asks for tls12-session with randoms made from seed and id 1; returns the status, or -1 when there was no good answer. */
int raw_ask(int fd, const char *identity, uint64_t seed);

/* A derive request for tls12-session with randoms made from seed. */
void raw_derive(struct tpmpsk_derive *q, const char *identity, uint64_t seed);
/* The right answer for it, under a secret held in software. */
void raw_expected(
	const struct tpmpsk_derive *q, const void *secret, size_t secret_len, uint8_t psk[32]);

/* Becomes another user in a child process; ends it when that fails. group 0: no supplementary group. */
void raw_become(unsigned uid, unsigned group);

#endif
