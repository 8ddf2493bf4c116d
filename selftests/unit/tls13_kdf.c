// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of userspace/agent/tls13_kdf.c, against RFC 8448 and the default provider. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "kselftest_harness.h"
#include "tls13_kdf.h"
#include "traffic_secrets.h"

#define HASH_MAX 48

static const struct {
	const char *name;
	size_t len;
} hashes[] = { { "SHA2-256", 32 }, { "SHA2-384", 48 } };

/* What is asked for; what is NULL or 0 is left out. */
struct ask {
	int mode;
	const char *digest;
	const void *key, *salt, *data;
	size_t key_len, salt_len, data_len;
	const char *label;
};

static void octets(OSSL_PARAM **p, const char *name, const void *data, size_t len)
{
	if (data)
		*(*p)++ = OSSL_PARAM_construct_octet_string(name, (void *)data, len);
}

/* @params: PARAMS_MAX, in the order that libssl has. */
#define PARAMS_MAX 8

static void fill(OSSL_PARAM *p, const struct ask *ask)
{
	*p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, (int *)&ask->mode);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)ask->digest, 0);
	octets(&p, OSSL_KDF_PARAM_KEY, ask->key, ask->key_len);
	octets(&p, OSSL_KDF_PARAM_SALT, ask->salt, ask->salt_len);
	octets(&p, OSSL_KDF_PARAM_PREFIX, "tls13 ", 6);
	octets(&p, OSSL_KDF_PARAM_LABEL, ask->label, strlen(ask->label));
	octets(&p, OSSL_KDF_PARAM_DATA, ask->data, ask->data_len);
	*p = OSSL_PARAM_construct_end();
}

static int derive(const struct ask *ask, uint8_t *to, size_t len)
{
	OSSL_PARAM params[PARAMS_MAX];

	fill(params, ask);
	return tls13_kdf_derive(to, len, params);
}

/* By libcrypto, of the provider that @properties choose. */
static int derive_by(const char *properties, const struct ask *ask, uint8_t *to, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, properties);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[PARAMS_MAX];
	int ok;

	fill(params, ask);
	ok = EVP_KDF_derive(ctx, to, len, params);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok;
}

static int derive_by_default(const struct ask *ask, uint8_t *to, size_t len)
{
	return derive_by("provider=default", ask, to, len);
}

FIXTURE(kdf) {
	uint8_t secret[HASH_MAX], data[HASH_MAX], input[256];
	uint8_t out[HASH_MAX + 1], expected[HASH_MAX + 1];
};

FIXTURE_SETUP(kdf)
{
	ASSERT_EQ(0, tls13_kdf_init());
	ASSERT_EQ(1, RAND_bytes(self->secret, sizeof(self->secret)));
	ASSERT_EQ(1, RAND_bytes(self->data, sizeof(self->data)));
	ASSERT_EQ(1, RAND_bytes(self->input, sizeof(self->input)));
}

FIXTURE_TEARDOWN(kdf)
{
	tls13_kdf_exit();
}

/* Section 3: early secret; handshake secret, which is of the one derived from that. */
TEST_F(kdf, stages_are_those_of_rfc_8448)
{
	static const uint8_t early[] = {
		0x33, 0xad, 0x0a, 0x1c, 0x60, 0x7e, 0xc0, 0x3b, 0x09, 0xe6, 0xcd, 0x98, 0x93, 0x68,
		0x0c, 0xe2, 0x10, 0xad, 0xf3, 0x00, 0xaa, 0x1f, 0x26, 0x60, 0xe1, 0xb2, 0x2e, 0x10,
		0xf1, 0x70, 0xf9, 0x2a,
	};
	static const uint8_t shared[] = {
		0x8b, 0xd4, 0x05, 0x4f, 0xb5, 0x5b, 0x9d, 0x63, 0xfd, 0xfb, 0xac, 0xf9, 0xf0, 0x4b,
		0x9f, 0x0d, 0x35, 0xe6, 0xd6, 0x3f, 0x53, 0x75, 0x63, 0xef, 0xd4, 0x62, 0x72, 0x90,
		0x0f, 0x89, 0x49, 0x2d,
	};
	static const uint8_t handshake[] = {
		0x1d, 0xc8, 0x26, 0xe9, 0x36, 0x06, 0xaa, 0x6f, 0xdc, 0x0a, 0xad, 0xc1, 0x2f, 0x74,
		0x1b, 0x01, 0x04, 0x6a, 0xa6, 0xb9, 0x9f, 0x69, 0x1e, 0xd2, 0x21, 0xa9, 0xf0, 0xca,
		0x04, 0x3f, 0xbe, 0xac,
	};
	struct ask ask = {
		.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
		.digest = "SHA2-256",
		.label = "derived",
	};

	ASSERT_EQ(1, derive(&ask, self->out, 32));
	EXPECT_EQ(0, memcmp(self->out, early, 32));
	ask.salt = early;
	ask.salt_len = sizeof(early);
	ask.key = shared;
	ask.key_len = sizeof(shared);
	ASSERT_EQ(1, derive(&ask, self->out, 32));
	EXPECT_EQ(0, memcmp(self->out, handshake, 32));
}

TEST_F(kdf, expands_as_the_default_provider)
{
	static const char *const labels[] = { "key", "finished", "c hs traffic", "res master", "" };

	for (size_t i = 0; i < 2 * 5 * 2; i++) {
		const size_t hash_len = hashes[i & 1].len;
		const struct ask ask = {
			.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
			.digest = hashes[i & 1].name,
			.key = self->secret,
			.key_len = hash_len,
			.data = i & 2 ? self->data : NULL,
			.data_len = hash_len,
			.label = labels[i / 4],
		};

		for (size_t len = 1; len <= hash_len; len++) {
			ASSERT_EQ(1, derive_by_default(&ask, self->expected, len));
			ASSERT_EQ(1, derive(&ask, self->out, len));
			ASSERT_EQ(0, memcmp(self->out, self->expected, len));
		}
	}
}

TEST_F(kdf, extracts_as_the_default_provider)
{
	/* Of nothing, of a PSK, and of the longest that a group gives. */
	static const size_t lens[] = { 0, 32, 48, 66, 256 };

	for (size_t i = 0; i < 2 * 2 * 5; i++) {
		const size_t hash_len = hashes[i & 1].len;
		const struct ask ask = {
			.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
			.digest = hashes[i & 1].name,
			.key = lens[i / 4] ? self->input : NULL,
			.key_len = lens[i / 4],
			.salt = i & 2 ? self->secret : NULL,
			.salt_len = hash_len,
			.label = "derived",
		};

		ASSERT_EQ(1, derive_by_default(&ask, self->expected, hash_len));
		ASSERT_EQ(1, derive(&ask, self->out, hash_len));
		ASSERT_EQ(0, memcmp(self->out, self->expected, hash_len));
	}
}

TEST_F(kdf, what_tls_does_not_ask_for_is_refused)
{
	const struct ask good = {
		.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
		.digest = "SHA2-256",
		.key = self->secret,
		.key_len = 32,
		.label = "key",
	};
	OSSL_PARAM params[PARAMS_MAX];
	char long_label[256];
	struct ask ask;

	ASSERT_EQ(1, derive(&good, self->out, 32));
	EXPECT_EQ(0, derive(&good, self->out, 33));
	ask = good;
	ask.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
	EXPECT_EQ(0, derive(&ask, self->out, 32));
	ask.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	EXPECT_EQ(1, derive(&ask, self->out, 32));
	EXPECT_EQ(0, derive(&ask, self->out, 16));
	ask = good;
	ask.digest = "SHA2-512";
	EXPECT_EQ(0, derive(&ask, self->out, 32));
	ask = good;
	ask.key = NULL;
	EXPECT_EQ(0, derive(&ask, self->out, 32));
	ask = good;
	ask.key_len = 33;
	EXPECT_EQ(0, derive(&ask, self->out, 32));
	ask = good;
	ask.data = self->input;
	ask.data_len = HASH_MAX + 1;
	EXPECT_EQ(0, derive(&ask, self->out, 32));
	memset(long_label, 'x', 255);
	long_label[250] = 0;
	ask = good;
	ask.label = long_label;
	EXPECT_EQ(0, derive(&ask, self->out, 32));
	long_label[249] = 0;
	EXPECT_EQ(1, derive(&ask, self->out, 32));

	fill(params, &good);
	params[0].data_size = 1;
	EXPECT_EQ(0, tls13_kdf_derive(self->out, 32, params));
	fill(params, &good);
	params[1].key = "what?";
	EXPECT_EQ(0, tls13_kdf_derive(self->out, 32, params));
	fill(params, &good);
	EXPECT_EQ(0, tls13_kdf_derive(self->out, 32, params + 1));
	EXPECT_EQ(1, tls13_kdf_derive(self->out, 32, params));
}

static struct derived told;

static void tell(const struct derived *derived)
{
	told = *derived;
}

TEST_F(kdf, provider_tells_and_leaves_to_the_default_one_what_is_not_known)
{
	const struct ask ask = {
		.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
		.digest = "SHA2-256",
		.key = self->secret,
		.key_len = 32,
		.label = "key",
	};
	const size_t lens[] = { 16, 33 };

	ASSERT_EQ(0, traffic_secrets_init(tell));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(i == 0, derive(&ask, self->out, lens[i]));
		ASSERT_EQ(1, derive_by(TRAFFIC_SECRETS_PROPERTIES, &ask, self->out, lens[i]));
		EXPECT_EQ(SECRET_WRITE_KEY, told.which);
		EXPECT_EQ(lens[i], told.len);
		EXPECT_TRUE(told.bytes == self->out);
		EXPECT_EQ(32, told.from_len);
		EXPECT_EQ(0, memcmp(self->secret, told.from, 32));
		ASSERT_EQ(1, derive_by_default(&ask, self->expected, lens[i]));
		EXPECT_EQ(0, memcmp(self->expected, self->out, lens[i]));
	}
	traffic_secrets_exit();
}

TEST_HARNESS_MAIN
