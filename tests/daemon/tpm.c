/* SPDX-License-Identifier: BSD-2-Clause */
/* The TPM module against a software TPM: right answers, few commands, and none for foreign keys. */
#include "daemon/tpm.h"

#include "tests/daemon/tpm_keys.h"
#include "tests/swtpm/vectors.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#define SECRET "a secret of the bed"

static struct tpm_bed bed;
static struct keyfile key;

static void set_up(void)
{
	tpm_bed_init(&bed);
}

static void set_up_key(void)
{
	tpm_bed_init(&bed);
	tpm_bed_open(&bed, true);
	tpm_bed_key(&bed, SECRET, strlen(SECRET), &key);
}

static void tear_down(void)
{
	keyfile_done(&key);
	tpm_bed_done(&bed);
}

TestSuite(tpm, .init = set_up_key, .fini = tear_down, .timeout = 120);
TestSuite(tpm_bare, .init = set_up, .fini = tear_down, .timeout = 120);

static bool right(uint64_t id)
{
	return tpm_bed_right(&bed, id, &key, SECRET, strlen(SECRET), "input", 5);
}

static uint64_t sent(uint32_t code)
{
	return tcti_test_count(bed.tcti, code);
}

/* PURPOSES of tls12-session: the label, then both randoms. */
static void check_vector(const struct vector *v, uint64_t id)
{
	static const char label[] = "pre master secret";
	uint8_t secret[1024], in[128], psk[64], mac[TPM_MAC_MAX];
	size_t secret_len = vector_bytes(v, "key", secret, sizeof(secret));
	size_t len = strlen(label), mac_len;
	struct keyfile k;

	memcpy(in, label, len);
	len += vector_bytes(v, "client_random", in + len, 32);
	len += vector_bytes(v, "server_random", in + len, 32);
	tpm_bed_key(&bed, secret, secret_len, &k);
	cr_assert_eq(tpm_hmac(bed.tpm, id, &k.objects[0], in, len, mac, &mac_len), 0);
	cr_assert_eq(mac_len, vector_bytes(v, "psk", psk, sizeof(psk)));
	cr_assert_arr_eq(mac, psk, mac_len);
	keyfile_done(&k);
}

static void check_vectors(void)
{
	struct vectors *vectors = vectors_load();
	const struct vector *v;
	size_t pos = 0;

	while ((v = vectors_next(vectors, "tls12-session", &pos)))
		check_vector(v, pos);
	cr_assert_gt(pos, 3);
	vectors_free(vectors);
}

Test(tpm_bare, gives_every_known_answer_in_an_encrypted_session)
{
	tpm_bed_open(&bed, true);
	check_vectors();
}

Test(tpm_bare, gives_every_known_answer_with_password_authorisation)
{
	tpm_bed_open(&bed, false);
	check_vectors();
}

Test(tpm_bare, gives_every_known_answer_on_a_TPM_without_the_HMAC_command)
{
	bed.tcti->hide_hmac = 1;
	for (int encrypt = 0; encrypt < 2; encrypt++) {
		tpm_bed_open(&bed, encrypt);
		cr_assert_not(tpm_info(bed.tpm)->one_shot_hmac);
		check_vectors();
	}
	cr_assert_eq(sent(TPM2_CC_HMAC), 0);
	cr_assert_gt(sent(TPM2_CC_HMAC_Start), 0);
}

Test(tpm, sends_one_command_for_an_HMAC_with_a_loaded_key)
{
	uint64_t before;

	for (int encrypt = 0; encrypt < 2; encrypt++) {
		tpm_bed_open(&bed, encrypt);
		cr_assert(right(1));
		cr_assert(tpm_is_loaded(bed.tpm, 1));
		before = sent(0);
		for (int i = 0; i < 20; i++)
			cr_assert(right(1));
		cr_assert_eq(sent(0) - before, 20);
	}
}

Test(tpm_bare, counts_the_commands_that_it_sends)
{
	for (int round = 0; round < 4; round++) {
		uint64_t before;

		bed.tcti->hide_hmac = round >= 2;
		tpm_free(bed.tpm);
		bed.tpm = NULL;
		before = sent(0);
		tpm_bed_open(&bed, round % 2);
		keyfile_done(&key);
		tpm_bed_key(&bed, SECRET, strlen(SECRET), &key);
		for (uint64_t id = 1; id <= 5; id++)
			cr_assert(right(id));
		tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER,
			round < 2 ? TPM2_CC_HMAC : TPM2_CC_HMAC_Start, 0, 1, TPM2_RC_REFERENCE_H0);
		cr_assert(right(5));
		cr_assert_eq(tpm_stats(bed.tpm)->commands, sent(0) - before, "round %d", round);
	}
}

Test(tpm, answers_right_for_sixty_keys_in_random_order)
{
	struct keyfile keys[60];
	char secret[16];
	unsigned seed = 7;

	for (unsigned i = 0; i < 60; i++) {
		snprintf(secret, sizeof(secret), "secret %u", i);
		tpm_bed_key(&bed, secret, strlen(secret), &keys[i]);
	}
	for (int n = 0; n < 300; n++) {
		unsigned i = (unsigned)rand_r(&seed) % 60;

		snprintf(secret, sizeof(secret), "secret %u", i);
		cr_assert(tpm_bed_right(&bed, i, &keys[i], secret, strlen(secret), "input", 5));
	}
	cr_assert_gt(tpm_stats(bed.tpm)->evictions, 0);
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
	for (unsigned i = 0; i < 60; i++)
		keyfile_done(&keys[i]);
}

Test(tpm, keeps_the_keys_used_last_and_forgets_when_told)
{
	cr_assert_geq(tpm_info(bed.tpm)->slots, 2);
	for (uint64_t id = 1; id <= tpm_info(bed.tpm)->slots + 1; id++)
		cr_assert(right(id));
	cr_assert_not(tpm_is_loaded(bed.tpm, 1));
	cr_assert(tpm_is_loaded(bed.tpm, 2));
	tpm_forget(bed.tpm, 2);
	cr_assert_not(tpm_is_loaded(bed.tpm, 2));
	cr_assert_eq(tpm_stats(bed.tpm)->loaded, tpm_info(bed.tpm)->slots - 1);
}

Test(tpm, makes_room_for_a_key_by_what_was_used_longest_ago)
{
	cr_assert_eq(tpm_info(bed.tpm)->slots, 2);
	cr_assert(right(1) && right(2) && right(1) && right(3));
	cr_assert(tpm_is_loaded(bed.tpm, 1) && !tpm_is_loaded(bed.tpm, 2));
}

/* One handshake of TLS 1.3 needs two objects of a key, again and again, whatever was used before. */
Test(tpm, makes_room_for_an_object_by_another_key_rather_than_by_its_own)
{
	const uint64_t other = 1 + KEYFILE_OBJECTS_MAX;
	uint64_t before;

	cr_assert_eq(tpm_info(bed.tpm)->slots, 2);
	for (int i = 0; i < 30; i++)
		cr_assert(right(other));
	cr_assert(right(1) && right(2));
	cr_assert(tpm_is_loaded(bed.tpm, 1) && tpm_is_loaded(bed.tpm, 2));
	before = sent(0);
	for (int i = 0; i < 10; i++)
		cr_assert(right(1) && right(2));
	cr_assert_eq(sent(0) - before, 20);
	/* With nothing else there, it has to be its own. */
	cr_assert(right(3));
	cr_assert_not(tpm_is_loaded(bed.tpm, 1) && tpm_is_loaded(bed.tpm, 2));
}

Test(tpm, does_not_make_room_by_the_key_in_use)
{
	bed.tcti->hide_hmac = 1;
	tpm_bed_open(&bed, true);
	cr_assert(right(1));
	tcti_test_inject(
		bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_HMAC_Start, 0, 1, TPM2_RC_OBJECT_MEMORY);
	cr_assert(right(1));
}

Test(tpm, makes_room_when_the_TPM_has_fewer_slots_than_it_says)
{
	cr_assert(right(1));
	tcti_test_inject(bed.tcti, TCTI_TEST_ANSWER, TPM2_CC_Load, 0, 1, TPM2_RC_OBJECT_MEMORY);
	cr_assert(right(2));
	cr_assert_not(tpm_is_loaded(bed.tpm, 1));
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
}

Test(tpm, finds_room_for_a_new_key_while_all_slots_are_taken)
{
	struct keyfile k;

	for (uint64_t id = 1; id <= tpm_info(bed.tpm)->slots; id++)
		cr_assert(right(id));
	tpm_bed_key(&bed, "another", 7, &k);
	cr_assert(tpm_bed_right(&bed, 100, &k, "another", 7, "input", 5));
	keyfile_done(&k);
}

Test(tpm, refuses_a_key_of_another_TPM)
{
	cr_assert_eq(swtpm_replace(&bed.swtpm), 0);
	tpm_bed_open(&bed, true);
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EKEYREJECTED);
	cr_assert_not(right(1));
	cr_assert_not(tpm_is_loaded(bed.tpm, 1));
}

Test(tpm, leaves_nothing_loaded_after_trying_a_key)
{
	for (int i = 0; i < 10; i++)
		cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), 0);
	cr_assert_eq(tpm_stats(bed.tpm)->rebuilds, 0);
	cr_assert_eq(tpm_stats(bed.tpm)->loaded, 0);
	cr_assert_eq(sent(TPM2_CC_FlushContext), sent(TPM2_CC_Load));
}

Test(tpm, gives_tpm2_tss_one_library_context_unless_told_not_to)
{
	OSSL_LIB_CTX *a = OSSL_LIB_CTX_new(), *b = OSSL_LIB_CTX_new();

	cr_assert_eq(a, b);
	setenv("TPM_PSKD_STOCK_ESYS", "1", 1);
	tpm_bed_open(&bed, true);
	cr_assert(right(1));
	a = OSSL_LIB_CTX_new();
	cr_assert_neq(a, b);
	OSSL_LIB_CTX_free(a);
}

Test(tpm, refuses_a_torn_key)
{
	struct keyfile_object *o = &key.objects[0];

	for (uint16_t i = 0; i < o->priv_len; i = (uint16_t)(i + 7)) {
		o->priv[i] ^= 0x10;
		cr_assert_eq(tpm_try_hmac(bed.tpm, o), -EKEYREJECTED, "private byte %u", i);
		o->priv[i] ^= 0x10;
	}
	for (uint16_t i = 0; i < o->pub_len; i++) {
		int r;

		o->pub[i] ^= 0x10;
		r = tpm_try_hmac(bed.tpm, o);
		cr_assert(r == -EKEYREJECTED || r == -EINVAL, "public byte %u: %d", i, r);
		o->pub[i] ^= 0x10;
	}
	o->priv_len--;
	cr_assert_eq(tpm_try_hmac(bed.tpm, o), -EKEYREJECTED);
	o->priv_len++;
	cr_assert_eq(tpm_try_hmac(bed.tpm, o), 0);
}

Test(tpm, refuses_a_persistent_parent_that_is_not_there)
{
	key.objects[0].parent = 0x81000123;
	cr_assert_eq(tpm_try_hmac(bed.tpm, &key.objects[0]), -EKEYREJECTED);
}

Test(tpm, makes_keys_of_its_own_that_differ)
{
	struct keyfile k[2] = { 0 };
	uint8_t mac[2][TPM_MAC_MAX];
	size_t len;

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(tpm_create_hmac(bed.tpm, TPMPSK_DIGEST_SHA256, NULL, 0, &k[i]), 0);
		cr_assert_eq(tpm_hmac(bed.tpm, 10 + (uint64_t)i, &k[i].objects[0],
				     (const uint8_t *)"in", 2, mac[i], &len),
			0);
		cr_assert_eq(len, 32);
		keyfile_done(&k[i]);
	}
	cr_assert_arr_neq(mac[0], mac[1], 32);
}

Test(tpm, keeps_no_session_without_encryption)
{
	struct keyfile k;
	uint64_t before;

	tpm_bed_open(&bed, false);
	cr_assert_eq(sent(TPM2_CC_StartAuthSession), 1, "that of the bed's first connection");
	before = sent(TPM2_CC_FlushContext);
	tpm_bed_key(&bed, "another", 7, &k);
	cr_assert_eq(sent(TPM2_CC_StartAuthSession), 2);
	cr_assert_eq(sent(TPM2_CC_FlushContext) - before, 1);
	keyfile_done(&k);
}

Test(tpm_bare, says_what_TPM_it_is)
{
	tpm_bed_open(&bed, true);
	cr_assert_str_eq(tpm_info(bed.tpm)->manufacturer, "IBM");
	cr_assert(tpm_info(bed.tpm)->one_shot_hmac);
	cr_assert_not(tpm_info(bed.tpm)->shared);
}

Test(tpm_bare, refuses_to_open_what_is_no_TPM)
{
	struct tpm *t = NULL;

	cr_assert_eq(
		tpm_open(&t, &(struct tpm_options){ "swtpm:path=/nonexistent", true }), -ENODEV);
	cr_assert_eq(tpm_open(&t, &(struct tpm_options){ "no-such-tcti:x", true }), -ENODEV);
	cr_assert_null(t);
}

/* Two slots, two users: the one with many keys makes room among its own. */
Test(tpm, does_not_let_a_user_push_out_the_key_of_another)
{
	tpm_bed_open(&bed, true);
	tpm_work_for(bed.tpm, 1001);
	cr_assert(right(1));
	for (uint64_t id = 2; id < 20; id++) {
		tpm_work_for(bed.tpm, 1002);
		cr_assert(right(id));
		cr_assert(tpm_is_loaded(bed.tpm, 1));
	}
	/* But what nobody else uses goes in its turn. */
	tpm_work_for(bed.tpm, 1001);
	for (uint64_t id = 20; id < 24; id++)
		cr_assert(right(id));
	cr_assert_not(tpm_is_loaded(bed.tpm, 1));
}
