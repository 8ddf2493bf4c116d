// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of kmod/schedule.c and kmod/suite.c. */
#include "kselftest_harness.h"
#include "schedule.h"

/* Reads hexadecimal digits, blanks among them skipped. */
static size_t unhex(const char *hex, u8 *out)
{
	size_t n = 0;
	int used;

	while (sscanf(hex, " %2hhx%n", out + n, &used) == 1) {
		hex += used;
		n++;
	}
	return n;
}

/* RFC 8448 section 3, "Simple 1-RTT Handshake", application traffic. */
static const struct {
	const char *secret;
	const char *key;
	const char *iv;
} rfc8448[] = {
	{ /* server */
		"a1 1a f9 f0 55 31 f8 56 ad 47 11 6b 45 a9 50 32"
		"82 04 b4 f4 4b fb 6b 3a 4b 4f 1f 3f cb 63 16 43",
		"9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56",
		"cf 78 2b 88 dd 83 54 9a ad f1 e9 84",
	},
	{ /* client */
		"9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52"
		"87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5",
		"17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51",
		"5b 78 92 3d ee 08 57 90 33 e5 23 d9",
	},
};

TEST(keys_are_those_of_rfc_8448)
{
	const struct kb_suite *suite = kb_suite_find(TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	u8 secret[48], key[32], iv[12];
	struct kb_keys keys;
	size_t i;

	ASSERT_NE(NULL, suite);
	for (i = 0; i < ARRAY_SIZE(rfc8448); i++) {
		ASSERT_EQ(32, unhex(rfc8448[i].secret, secret));
		ASSERT_EQ(16, unhex(rfc8448[i].key, key));
		ASSERT_EQ(12, unhex(rfc8448[i].iv, iv));
		ASSERT_EQ(0, kb_schedule_keys(suite, secret, &keys));
		EXPECT_EQ(0, memcmp(keys.key, key, 16));
		EXPECT_EQ(0, memcmp(keys.nonce, iv, 12));
	}
}

/*
 * The secret is 00 01 02 ... 2f (or its first 32 bytes); computed by
 *	openssl kdf -keylen 32 -kdfopt digest:SHA384 -kdfopt mode:EXPAND_ONLY \
 *		-kdfopt hexkey:000102... -kdfopt 'prefix:tls13 ' -kdfopt label:key TLS13-KDF
 * and by Python's hmac.
 */
static const struct {
	u16 cipher;
	const char *key;
	const char *iv;
} counted[] = {
	{ TLS_CIPHER_AES_GCM_256,
	  "6877d022f1c61d24ebb7487c16752d9a4798e40431c75b39320e537c90e23225",
	  "42822531a0fe88648fc09e9f" },
	{ TLS_CIPHER_CHACHA20_POLY1305,
	  "2ffbc449e87844051c7768f61ffd8ad070830f01ec2c520ef65f08e8296dffa0",
	  "2f41c846a431a163814bcd71" },
};

TEST(every_suite_expands_by_its_own_hash_and_key_size)
{
	u8 secret[48], key[32], iv[12];
	struct kb_keys keys;
	size_t i;

	for (i = 0; i < sizeof(secret); i++)
		secret[i] = i;
	for (i = 0; i < ARRAY_SIZE(counted); i++) {
		const struct kb_suite *suite = kb_suite_find(TLS_1_3_VERSION, counted[i].cipher);

		ASSERT_NE(NULL, suite);
		ASSERT_EQ(suite->key_size, unhex(counted[i].key, key));
		ASSERT_EQ(12, unhex(counted[i].iv, iv));
		ASSERT_EQ(0, kb_schedule_keys(suite, secret, &keys));
		EXPECT_EQ(0, memcmp(keys.key, key, suite->key_size));
		EXPECT_EQ(0, memcmp(keys.nonce, iv, 12));
	}
}

/* RFC 8446 section 7.2 */
TEST(next_traffic_secret_expands_with_its_label)
{
	u8 secret[48], want[48], got[48];
	size_t i;

	for (i = 0; i < sizeof(secret); i++)
		secret[i] = i;
	ASSERT_EQ(48, unhex("401331b63e9d59f202e8f041042d9516f4cd7fa2e2ee1463"
			    "1d3b49fc340d7af37fc2c0c9f252d8036f81ec5b85cbe5db", want));
	ASSERT_EQ(0, kb_expand_label(KB_SHA384, secret, 48, "traffic upd", got, 48));
	EXPECT_EQ(0, memcmp(got, want, 48));
}

TEST(expand_label_refuses_more_than_one_block)
{
	u8 secret[64] = { 1 }, out[64];

	EXPECT_EQ(0, kb_expand_label(KB_SHA256, secret, 32, "key", out, 32));
	EXPECT_EQ(-EINVAL, kb_expand_label(KB_SHA256, secret, 32, "key", out, 33));
	EXPECT_EQ(-EINVAL, kb_expand_label(KB_SHA384, secret, 49, "key", out, 16));
	EXPECT_EQ(-EINVAL, kb_expand_label(KB_SHA256, secret, 32,
					   "a label that is too long for it", out, 16));
}

TEST(suites_are_the_six_that_keyblob_carries)
{
	static const u16 carried[] = {
		TLS_CIPHER_AES_GCM_128, TLS_CIPHER_AES_GCM_256, TLS_CIPHER_CHACHA20_POLY1305,
	};
	unsigned int version, cipher, found = 0;
	size_t i;

	for (version = 0x0300; version <= 0x0305; version++) {
		for (cipher = 0; cipher < 256; cipher++)
			found += !!kb_suite_find(version, cipher);
	}
	EXPECT_EQ(6, found);
	for (i = 0; i < ARRAY_SIZE(carried); i++) {
		EXPECT_NE(NULL, kb_suite_find(TLS_1_2_VERSION, carried[i]));
		EXPECT_NE(NULL, kb_suite_find(TLS_1_3_VERSION, carried[i]));
	}
}

TEST(suite_sizes_make_a_12_byte_nonce_and_fit_the_bounds)
{
	unsigned int cipher;

	for (cipher = 0; cipher < 256; cipher++) {
		const struct kb_suite *suite = kb_suite_find(TLS_1_3_VERSION, cipher);

		if (!suite)
			continue;
		EXPECT_EQ(KB_NONCE_SIZE, suite->salt_size + suite->iv_size);
		EXPECT_GE(KB_KEY_MAX, suite->key_size);
		EXPECT_GE(KB_HASH_MAX, suite->hash_size);
		EXPECT_GE(KB_INFO_MAX, suite->info_size);
		/* Head, iv, key, salt, rec_seq and nothing else. */
		EXPECT_EQ(sizeof(struct tls_crypto_info) + suite->iv_size + suite->key_size +
			  suite->salt_size + 8, suite->info_size);
	}
}

TEST_HARNESS_MAIN
