/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy - who may use a key, for what and how often: the content of NAME.json.
 *
 * Owns the format: parsing, checking, printing, and the decision. The text is hostile until
 * policy_parse() has returned 0. Default deny: a key nobody is allowed serves nobody, uid 0
 * included. Resolves user and group names once, when a policy is parsed, which may block in NSS: at
 * start, reload and key management, never for a derivation. Used by one thread at a time.
 */
#ifndef TPMPSK_DAEMON_POLICY_H
#define TPMPSK_DAEMON_POLICY_H

#include "daemon/peer.h"
#include "proto/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_SIZE_MAX 65536 /* bytes of a policy file that is read at all */
#define POLICY_ERROR_SIZE 200

/* How a session-identity key derives: PROTOCOL.md. */
enum policy_mode {
	POLICY_STRICT,
	POLICY_EPOCH,
};

enum policy_who_kind {
	POLICY_UID,
	POLICY_GID,
};

/* One entry of `allow`, or of the configuration's `admins`. */
struct policy_who {
	char *text; /* as written, "user:www-data:client" */
	enum policy_who_kind kind;
	uint8_t roles; /* bit n: enum tpmpsk_role n; all bits when none was named */
	bool resolved; /* false: the name does not exist on this machine, the entry matches nobody */
	uint32_t id;
};

struct policy {
	size_t identity_len;
	uint8_t identity[TPMPSK_IDENTITY_MAX];
	uint8_t purpose; /* enum tpmpsk_purpose */
	uint8_t mode;    /* enum policy_mode */
	uint16_t scheme; /* enum tpmpsk_scheme of a signing key; none: not said, or no such key */
	uint32_t rate;   /* derivations a second, per key and user; 0 = unlimited */
	uint32_t burst;  /* at once; defaults to rate */
	/* the key that this one takes the place of; "" for none. While that is there, servers take both */
	char replaces[TPMPSK_KEY_NAME_MAX + 1];
	size_t n_allow;
	struct policy_who *allow;
};

/*
 * Parses the text of a policy file. On failure *ret is zeroed and error says what is wrong,
 * starting with the field or the line: "line 3: unexpected character" or "field 'purpose': 'tls' is
 * not a purpose". strict: a user or group that does not exist is an error (somebody is typing), and
 * no line is named; else it is kept, matches nobody, and the caller may warn (policy_unresolved()).
 * 0, -EBADMSG, -ENOMEM, -EIO (names cannot be looked up).
 */
int policy_parse(const char *text, size_t len, bool strict, struct policy *ret,
	char error[POLICY_ERROR_SIZE]) __attribute__((warn_unused_result));
void policy_done(struct policy *p);

/*
 * The text of the file, malloc'ed, with a newline at its end. 0, -ENOMEM, -E2BIG (it would be
 * longer than policy_parse() reads).
 */
int policy_print(const struct policy *p, char **ret_text) __attribute__((warn_unused_result));

/* Whether the peer may use the key in a role (TPMPSK_ROLE_NONE where the purpose has none). */
bool policy_allows(const struct policy *p, const struct peer *peer, enum tpmpsk_role role);

/* Whether an entry of the policy can match anybody at all. */
bool policy_may_match(const struct policy *p, const struct policy_who *w);

/* The first entry that can match nobody (no such user or group, or a role where there are none), or NULL. */
const struct policy_who *policy_unresolved(const struct policy *p);

/*
 * `key allow` and `key deny`: *ret is a copy of p with the entries of a JSON array of strings added
 * (those not there yet) or taken away. Taking away one that is not there is an error. Entries
 * compare by what they mean: user:root is uid:0, and one without a role stands for both roles. 0,
 * -EBADMSG, -ENOENT (no such user or group to add), -ENOMEM.
 */
int policy_with(const struct policy *p, const char *who_json, bool add, struct policy *ret,
	char error[POLICY_ERROR_SIZE]) __attribute__((warn_unused_result));

/*
 * One entry, as in `allow`. roles_allowed: whether ":client" or ":server" may follow. 0, -EBADMSG,
 * -ENOENT (no such user or group),
 * -ENOMEM.
 */
int policy_who_parse(const char *text, bool roles_allowed, struct policy_who *ret,
	char error[POLICY_ERROR_SIZE]) __attribute__((warn_unused_result));
/* The same, but a user or group that does not exist is no error: the entry is not resolved. */
int policy_who_read(const char *text, bool roles_allowed, struct policy_who *ret,
	char error[POLICY_ERROR_SIZE]) __attribute__((warn_unused_result));
/* Says of an entry that it is not resolved. -ENOENT. */
int policy_who_unknown(const struct policy_who *w, char error[POLICY_ERROR_SIZE]);
void policy_who_done(struct policy_who *w);
bool policy_who_matches(const struct policy_who *w, const struct peer *peer, enum tpmpsk_role role);
/* Whether both mean the same user or group, in whatever role. */
bool policy_who_same(const struct policy_who *a, const struct policy_who *b);

#endif
