// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of kmod/blob.c: what is taken, how it is sealed, what opens again. */
#include "kselftest_harness.h"
#include "../lib/blob_error.h"
#include "blob.h"

/* Key material that is in order. */
static struct keyblob_key good_key(u16 version, u16 cipher)
{
	const struct kb_suite *suite = kb_suite_find(version, cipher);
	struct keyblob_key key = {
		.direction = KEYBLOB_DIR_TX,
		.tls_version = version,
		.cipher = cipher,
		.rec_seq = 0x0102030405060708,
	};

	if (version == TLS_1_3_VERSION) {
		key.secret_len = suite->hash_size;
		key.generation = 7;
		memset(key.secret, 0xa5, suite->hash_size);
	} else {
		memset(key.key, 0x5a, suite->key_size);
		memset(key.iv, 0x3c, sizeof(key.iv));
	}
	return key;
}

FIXTURE(blob)
{
	struct kb_sealed sealed;
	u8 blob[KEYBLOB_BLOB_SIZE] __aligned(8);
	struct kb_sealed got;
};

FIXTURE_VARIANT(blob)
{
	u16 version;
	u16 cipher;
};

#define VARIANT(v, name)						\
	FIXTURE_VARIANT_ADD(blob, v##_##name) {				\
		.version = TLS_##v##_VERSION,				\
		.cipher = TLS_CIPHER_##name,				\
	}

VARIANT(1_2, AES_GCM_128);
VARIANT(1_2, AES_GCM_256);
VARIANT(1_2, CHACHA20_POLY1305);
VARIANT(1_3, AES_GCM_128);
VARIANT(1_3, AES_GCM_256);
VARIANT(1_3, CHACHA20_POLY1305);

FIXTURE_SETUP(blob)
{
	struct keyblob_key key = good_key(variant->version, variant->cipher);

	ASSERT_EQ(0, kb_blob_init());
	ASSERT_EQ(0, kb_blob_from_key(&key, &self->sealed));
	self->sealed.cookie = 0x1122334455667788;
	self->sealed.position = 0x99aabbccddeeff00;
	self->sealed.expires = 1000000007;
	kb_blob_seal(&self->sealed, self->blob);
	memset(&self->got, 0xee, sizeof(self->got));
}

FIXTURE_TEARDOWN(blob)
{
	kb_blob_exit();
}

static bool all_zero(const void *p, size_t len)
{
	const u8 *at = p;

	while (len--) {
		if (*at++)
			return false;
	}
	return true;
}

TEST_F(blob, opens_to_what_was_sealed)
{
	ASSERT_EQ(0, kb_blob_open(self->blob, sizeof(self->blob), &self->got));
	EXPECT_EQ(0, memcmp(&self->got, &self->sealed, sizeof(self->got)));
}

TEST_F(blob, takes_over_every_field_of_the_key)
{
	struct keyblob_key key = good_key(variant->version, variant->cipher);

	EXPECT_EQ(key.direction, self->sealed.direction);
	EXPECT_EQ(key.tls_version, self->sealed.tls_version);
	EXPECT_EQ(key.cipher, self->sealed.cipher);
	EXPECT_EQ(key.secret_len, self->sealed.secret_len);
	EXPECT_EQ(key.generation, self->sealed.generation);
	EXPECT_EQ(key.rec_seq, self->sealed.rec_seq);
	EXPECT_EQ(0, memcmp(key.secret, self->sealed.secret, sizeof(key.secret)));
	EXPECT_EQ(0, memcmp(key.key, self->sealed.key, sizeof(key.key)));
	EXPECT_EQ(0, memcmp(key.iv, self->sealed.iv, sizeof(key.iv)));
}

TEST_F(blob, takes_over_keys_beside_a_secret)
{
	struct keyblob_key key = good_key(variant->version, variant->cipher);

	memset(key.key, 0x5a, kb_suite_find(variant->version, variant->cipher)->key_size);
	memset(key.iv, 0x3c, sizeof(key.iv));
	ASSERT_EQ(0, kb_blob_from_key(&key, &self->sealed));
	EXPECT_EQ(0, memcmp(key.key, self->sealed.key, sizeof(key.key)));
	EXPECT_EQ(0, memcmp(key.iv, self->sealed.iv, sizeof(key.iv)));
}

TEST_F(blob, head_describes_itself)
{
	const struct keyblob_head *head = (const struct keyblob_head *)self->blob;

	EXPECT_EQ(0, memcmp(self->blob, "KBLB", 4));
	EXPECT_EQ(KEYBLOB_BLOB_VERSION, head->version);
	EXPECT_EQ(KEYBLOB_BLOB_SIZE, head->size);
}

TEST_F(blob, every_flipped_bit_is_refused)
{
	size_t i;
	int bit;

	for (i = 0; i < sizeof(self->blob); i++) {
		for (bit = 0; bit < 8; bit++) {
			self->blob[i] ^= 1 << bit;
			memset(&self->got, 0xee, sizeof(self->got));
			ASSERT_EQ(error_of(i), kb_blob_open(self->blob, sizeof(self->blob),
							    &self->got));
			if (error_of(i) == -EBADMSG)
				ASSERT_TRUE(all_zero(&self->got, sizeof(self->got)));
			self->blob[i] ^= 1 << bit;
		}
	}
	EXPECT_EQ(0, kb_blob_open(self->blob, sizeof(self->blob), &self->got));
}

/* Each length in a buffer of just that size, so that a sanitizer sees overreads. */
TEST_F(blob, every_other_length_is_refused)
{
	size_t len;

	for (len = 0; len <= 2 * KEYBLOB_BLOB_SIZE; len++) {
		u8 *copy = malloc(len ? len : 1);

		ASSERT_NE(NULL, copy);
		memset(copy, 0, len);
		memcpy(copy, self->blob, len < sizeof(self->blob) ? len : sizeof(self->blob));
		EXPECT_EQ(len == KEYBLOB_BLOB_SIZE ? 0 : -EINVAL,
			  kb_blob_open(copy, len, &self->got));
		free(copy);
	}
}

TEST_F(blob, unknown_version_is_told_from_damage_whatever_the_length)
{
	struct keyblob_head *head = (struct keyblob_head *)self->blob;

	head->version = KEYBLOB_BLOB_VERSION + 1;
	head->size = 100;
	EXPECT_EQ(-EPROTONOSUPPORT, kb_blob_open(self->blob, 100, &self->got));
	EXPECT_EQ(-EPROTONOSUPPORT, kb_blob_open(self->blob, sizeof(*head), &self->got));
}

TEST_F(blob, another_load_does_not_open_it)
{
	kb_blob_exit();
	ASSERT_EQ(0, kb_blob_init());
	EXPECT_EQ(-EBADMSG, kb_blob_open(self->blob, sizeof(self->blob), &self->got));
	EXPECT_TRUE(all_zero(&self->got, sizeof(self->got)));
}

TEST_F(blob, key_is_gone_after_unload)
{
	kb_blob_exit();
	EXPECT_EQ(-EBADMSG, kb_blob_open(self->blob, sizeof(self->blob), &self->got));
}

/* All parts that are neither head nor equal by chance differ between two blobs. */
TEST_F(blob, no_two_blobs_are_alike)
{
	const struct kb_suite *suite = kb_suite_find(variant->version, variant->cipher);
	const size_t random = KB_BLOB_DECOY + sizeof(struct tls_crypto_info);
	u8 other[KEYBLOB_BLOB_SIZE] __aligned(8);
	const size_t sealed = KB_BLOB_DECOY + KB_INFO_MAX;

	kb_blob_seal(&self->sealed, other);
	EXPECT_EQ(0, memcmp(self->blob, other, sizeof(struct keyblob_head)));
	EXPECT_NE(0, memcmp(self->blob + sizeof(struct keyblob_head),
			    other + sizeof(struct keyblob_head), 24));
	EXPECT_NE(0, memcmp(self->blob + random, other + random,
			    suite->info_size - sizeof(struct tls_crypto_info)));
	EXPECT_NE(0, memcmp(self->blob + sealed, other + sealed, sizeof(other) - sealed));
}

TEST_F(blob, decoy_is_a_crypto_info_of_the_suite)
{
	const struct kb_suite *suite = kb_suite_find(variant->version, variant->cipher);
	const u8 *decoy = self->blob + KB_BLOB_DECOY;
	struct tls_crypto_info info;

	memcpy(&info, decoy, sizeof(info));
	EXPECT_EQ(variant->version, info.version);
	EXPECT_EQ(variant->cipher, info.cipher_type);
	EXPECT_FALSE(all_zero(decoy + sizeof(info), suite->info_size - sizeof(info)));
	EXPECT_TRUE(all_zero(decoy + suite->info_size, KB_INFO_MAX - suite->info_size));
}

TEST_F(blob, shows_nothing_of_the_key)
{
	const struct keyblob_key key = good_key(variant->version, variant->cipher);
	const u8 *secret = key.secret_len ? key.secret : key.key;

	EXPECT_EQ(NULL, memmem(self->blob, sizeof(self->blob), secret, 4));
	if (variant->version == TLS_1_2_VERSION)
		EXPECT_EQ(NULL, memmem(self->blob, sizeof(self->blob), key.iv, 4));
}

/* A way to spoil key material, and what is to come of it. */
struct spoil {
	const char *what;
	void (*apply)(struct keyblob_key *key);
	int version;		/* 0: both */
	int err;
};

static void direction_0(struct keyblob_key *k) { k->direction = 0; }
static void direction_3(struct keyblob_key *k) { k->direction = 3; }
static void reserved(struct keyblob_key *k) { k->reserved = 1; }
static void no_version(struct keyblob_key *k) { k->tls_version = 0; }
static void version_1_1(struct keyblob_key *k) { k->tls_version = 0x0302; }
static void version_1_4(struct keyblob_key *k) { k->tls_version = 0x0305; }
static void no_cipher(struct keyblob_key *k) { k->cipher = 0; }
static void ccm(struct keyblob_key *k) { k->cipher = TLS_CIPHER_AES_CCM_128; }
static void sm4(struct keyblob_key *k) { k->cipher = TLS_CIPHER_SM4_GCM; }
static void secret_short(struct keyblob_key *k) { k->secret_len--; }
static void secret_long(struct keyblob_key *k) { k->secret_len++; }
static void secret_none(struct keyblob_key *k) { k->secret_len = 0; }
static void secret_huge(struct keyblob_key *k) { k->secret_len = 0xffff; }
static void secret_zero(struct keyblob_key *k) { memset(k->secret, 0, sizeof(k->secret)); }
static void secret_tail(struct keyblob_key *k)
{
	if (k->secret_len < KEYBLOB_SECRET_MAX)
		k->secret[KEYBLOB_SECRET_MAX - 1] = 1;
	else
		k->secret_len = 32;
}
static void key_first(struct keyblob_key *k) { k->key[0] = 1; }
static void key_last(struct keyblob_key *k) { k->key[KEYBLOB_KEY_MAX - 1] = 1; }
static void iv_first(struct keyblob_key *k) { k->iv[0] = 1; }
static void iv_last(struct keyblob_key *k) { k->iv[KEYBLOB_IV_SIZE - 1] = 1; }
static void some_secret_len(struct keyblob_key *k) { k->secret_len = 32; }
static void some_secret(struct keyblob_key *k) { k->secret[KEYBLOB_SECRET_MAX - 1] = 1; }
static void some_generation(struct keyblob_key *k) { k->generation = 1; }
static void key_zero(struct keyblob_key *k) { memset(k->key, 0, sizeof(k->key)); }
static void key_tail(struct keyblob_key *k)
{
	if (k->cipher == TLS_CIPHER_AES_GCM_128)
		k->key[16] = 1;
	else
		k->secret[0] = 1;
}

static const struct spoil spoils[] = {
	{ "direction 0", direction_0, 0, -EINVAL },
	{ "direction 3", direction_3, 0, -EINVAL },
	{ "reserved", reserved, 0, -EINVAL },
	{ "version 0", no_version, 0, -EOPNOTSUPP },
	{ "TLS 1.1", version_1_1, 0, -EOPNOTSUPP },
	{ "TLS 1.4", version_1_4, 0, -EOPNOTSUPP },
	{ "cipher 0", no_cipher, 0, -EOPNOTSUPP },
	{ "AES-CCM", ccm, 0, -EOPNOTSUPP },
	{ "SM4-GCM", sm4, 0, -EOPNOTSUPP },
	{ "1.3: short secret", secret_short, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: long secret", secret_long, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: no secret", secret_none, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: huge secret", secret_huge, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: secret of zeroes", secret_zero, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: bytes after the secret", secret_tail, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: key without iv", key_first, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: key's last byte", key_last, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: iv without key", iv_first, TLS_1_3_VERSION, -EINVAL },
	{ "1.3: iv's last byte", iv_last, TLS_1_3_VERSION, -EINVAL },
	{ "1.2: secret length", some_secret_len, TLS_1_2_VERSION, -EINVAL },
	{ "1.2: secret", some_secret, TLS_1_2_VERSION, -EINVAL },
	{ "1.2: generation", some_generation, TLS_1_2_VERSION, -EINVAL },
	{ "1.2: key of zeroes", key_zero, TLS_1_2_VERSION, -EINVAL },
	{ "1.2: bytes after the key", key_tail, TLS_1_2_VERSION, -EINVAL },
};

TEST_F(blob, malformed_key_material_is_refused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(spoils); i++) {
		struct keyblob_key key = good_key(variant->version, variant->cipher);

		if (spoils[i].version && spoils[i].version != variant->version)
			continue;
		ASSERT_EQ(0, kb_blob_from_key(&key, &self->got));
		spoils[i].apply(&key);
		memset(&self->got, 0xee, sizeof(self->got));
		EXPECT_EQ(spoils[i].err, kb_blob_from_key(&key, &self->got))
			TH_LOG("with %s", spoils[i].what);
		EXPECT_TRUE(all_zero(&self->got, sizeof(self->got)))
			TH_LOG("with %s", spoils[i].what);
	}
}

TEST_HARNESS_MAIN
