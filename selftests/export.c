// SPDX-License-Identifier: GPL-2.0-only
/* KEYBLOB_EXPORT and KEYBLOB_INFO: what they take and what they refuse. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "lib/net.h"
#include "lib/suites.h"

FIXTURE(export)
{
	struct conn c;
	uint8_t blob[KEYBLOB_BLOB_SIZE];
};

FIXTURE_VARIANT(export)
{
	uint16_t version;
	uint16_t cipher;
};

SUITE_VARIANTS(export);

FIXTURE_SETUP(export)
{
	ASSERT_EQ(0, conn_open(&self->c, AF_INET, variant->version, variant->cipher));
}

FIXTURE_TEARDOWN(export)
{
	conn_close(&self->c);
}

/* After a refusal the socket is as before: plain, and ready for its keys. */
#define EXPECT_UNHARMED(c) do {			\
	EXPECT_TRUE(conn_works_plain(c));	\
	ASSERT_EQ(0, conn_import(c));		\
	EXPECT_TRUE(conn_works(c));		\
} while (0)

TEST_F(export, blob_describes_itself_and_hides_the_key)
{
	const struct keyblob_head *head = (const struct keyblob_head *)self->blob;
	uint8_t key[KEYBLOB_KEY_MAX], iv[KEYBLOB_IV_SIZE];

	ASSERT_EQ(0, tls_dir_keys(&self->c.tx, key, iv));
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, self->blob));
	EXPECT_EQ(KEYBLOB_MAGIC, head->magic);
	EXPECT_EQ(KEYBLOB_BLOB_VERSION, head->version);
	EXPECT_EQ(KEYBLOB_BLOB_SIZE, head->size);
	EXPECT_EQ(NULL, memmem(self->blob, sizeof(self->blob), key, 8));
	EXPECT_EQ(NULL, memmem(self->blob, sizeof(self->blob), iv, 8));
	if (variant->version == TLS_1_3_VERSION)
		EXPECT_EQ(NULL, memmem(self->blob, sizeof(self->blob), self->c.tx.secret, 8));
}

TEST_F(export, blobs_of_one_key_differ)
{
	uint8_t other[KEYBLOB_BLOB_SIZE];

	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, self->blob));
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, other));
	EXPECT_NE(0, memcmp(self->blob + 8, other + 8, 24));
	EXPECT_NE(0, memcmp(self->blob + 240, other + 240, 16));
	EXPECT_UNHARMED(&self->c);
}

/* Those of another secret than the one beside them show which are used. */
static int give_keys(struct keyblob_key *key)
{
	uint8_t write_key[KEYBLOB_KEY_MAX] = {}, iv[KEYBLOB_IV_SIZE];
	int ret = tls_dir_keys(key, write_key, iv);

	memcpy(key->key, write_key, sizeof(key->key));
	memcpy(key->iv, iv, sizeof(key->iv));
	if (key->tls_version == TLS_1_3_VERSION)
		key->secret[0] ^= 1;
	return ret;
}

TEST_F(export, keys_beside_a_secret_are_taken)
{
	ASSERT_EQ(0, give_keys(&self->c.tx));
	ASSERT_EQ(0, give_keys(&self->c.rx));
	ASSERT_EQ(0, conn_import(&self->c));
	EXPECT_TRUE(conn_works(&self->c));
}

/* Which bytes of struct keyblob_key to spoil, and what comes of it. */
struct spoil {
	const char *what;
	size_t offset;
	size_t len;
	uint64_t value;
	int version;		/* 0: both */
	int err;
};

#define FIELD(member)	offsetof(struct keyblob_key, member), \
			sizeof(((struct keyblob_key *)NULL)->member)
#define BYTE(member, i)	(offsetof(struct keyblob_key, member) + (i)), 1

static const struct spoil spoils[] = {
	{ "direction 0", FIELD(direction), 0, 0, EINVAL },
	{ "direction 3", FIELD(direction), 3, 0, EINVAL },
	{ "reserved", FIELD(reserved), 1, 0, EINVAL },
	{ "lifetime over an hour", FIELD(lifetime_ms), 3600001, 0, EINVAL },
	{ "endless lifetime", FIELD(lifetime_ms), 0xffffffff, 0, EINVAL },
	{ "SSL 3.0", FIELD(tls_version), 0x0300, 0, EOPNOTSUPP },
	{ "TLS 1.1", FIELD(tls_version), 0x0302, 0, EOPNOTSUPP },
	{ "DTLS 1.2", FIELD(tls_version), 0xfefd, 0, EOPNOTSUPP },
	{ "no cipher", FIELD(cipher), 0, 0, EOPNOTSUPP },
	{ "AES-CCM", FIELD(cipher), TLS_CIPHER_AES_CCM_128, 0, EOPNOTSUPP },
	{ "SM4-GCM", FIELD(cipher), TLS_CIPHER_SM4_GCM, 0, EOPNOTSUPP },
	{ "SM4-CCM", FIELD(cipher), TLS_CIPHER_SM4_CCM, 0, EOPNOTSUPP },
	{ "ARIA-GCM", FIELD(cipher), TLS_CIPHER_ARIA_GCM_128, 0, EOPNOTSUPP },
	{ "1.3: no secret", FIELD(secret_len), 0, TLS_1_3_VERSION, EINVAL },
	{ "1.3: short secret", FIELD(secret_len), 31, TLS_1_3_VERSION, EINVAL },
	{ "1.3: endless secret", FIELD(secret_len), 0xffff, TLS_1_3_VERSION, EINVAL },
	{ "1.3: key without iv", BYTE(key, 0), 1, TLS_1_3_VERSION, EINVAL },
	{ "1.3: key's last byte", BYTE(key, 31), 1, TLS_1_3_VERSION, EINVAL },
	{ "1.3: iv without key", BYTE(iv, 11), 1, TLS_1_3_VERSION, EINVAL },
	{ "1.2: secret length", FIELD(secret_len), 32, TLS_1_2_VERSION, EINVAL },
	{ "1.2: secret", BYTE(secret, 0), 1, TLS_1_2_VERSION, EINVAL },
	{ "1.2: generation", FIELD(generation), 1, TLS_1_2_VERSION, EINVAL },
};

TEST_F(export, malformed_key_material_is_refused)
{
	struct keyblob_key key;
	uint8_t before[KEYBLOB_BLOB_SIZE];
	socklen_t len;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(spoils); i++) {
		const struct spoil *s = &spoils[i];

		if (s->version && s->version != variant->version)
			continue;
		key = self->c.tx;
		memcpy((uint8_t *)&key + s->offset, &s->value, s->len);
		memset(self->blob, 0x77, sizeof(self->blob));
		memcpy(self->blob, &key, sizeof(key));
		memcpy(before, self->blob, sizeof(before));
		len = sizeof(self->blob);
		EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, self->blob,
					 &len));
		EXPECT_EQ(s->err, errno)
			TH_LOG("with %s", s->what);
		EXPECT_EQ(sizeof(self->blob), len);
		EXPECT_EQ(0, memcmp(self->blob, before, sizeof(before)));
	}
	EXPECT_UNHARMED(&self->c);
}

TEST_F(export, buffer_must_hold_a_blob)
{
	static const int lengths[] = { -1, 0, 1, sizeof(struct keyblob_key), 255 };
	uint8_t big[4096] = {};
	socklen_t len;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		memcpy(self->blob, &self->c.tx, sizeof(self->c.tx));
		len = lengths[i];
		EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, self->blob,
					 &len));
		EXPECT_EQ(EINVAL, errno)
			TH_LOG("with length %d", lengths[i]);
		EXPECT_EQ(0, memcmp(self->blob, &self->c.tx, sizeof(self->c.tx)));
	}

	memcpy(big, &self->c.tx, sizeof(self->c.tx));
	len = sizeof(big);
	EXPECT_EQ(0, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, big, &len));
	EXPECT_EQ(KEYBLOB_BLOB_SIZE, len);
	EXPECT_UNHARMED(&self->c);
}

TEST_F(export, bad_pointers_are_refused)
{
	const long page = sysconf(_SC_PAGESIZE);
	uint8_t *mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	socklen_t len = KEYBLOB_BLOB_SIZE;
	uint8_t *edge = mem + page - sizeof(self->c.tx);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_NONE));
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, NULL, &len));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, mem, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, mem + page, &len));
	EXPECT_EQ(EFAULT, errno);
	/* The key can be read, but there is no room for the blob. */
	memcpy(edge, &self->c.tx, sizeof(self->c.tx));
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, edge, &len));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_UNHARMED(&self->c);
}

TEST_F(export, direction_that_has_its_key_is_refused)
{
	struct keyblob_key other;

	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_TX));
	EXPECT_EQ(-EALREADY, keyblob_export(self->c.fd, &self->c.tx, self->blob));
	key_random(&other, KEYBLOB_DIR_TX, variant->version, variant->cipher);
	EXPECT_EQ(-EALREADY, keyblob_export(self->c.fd, &other, self->blob));

	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
	EXPECT_EQ(-EALREADY, keyblob_export(self->c.fd, &self->c.rx, self->blob));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(export, reset_connection_is_refused)
{
	const struct linger reset = { .l_onoff = 1 };
	struct keyblob_status status;

	ASSERT_EQ(0, setsockopt(self->c.peer.fd, SOL_SOCKET, SO_LINGER, &reset,
				sizeof(reset)));
	close(self->c.peer.fd);
	self->c.peer.fd = -1;
	usleep(20000);
	EXPECT_EQ(-ENOTCONN, keyblob_export(self->c.fd, &self->c.tx, self->blob));
	EXPECT_EQ(-ENOTCONN, keyblob_export(self->c.fd, &self->c.rx, self->blob));
	EXPECT_EQ(0, keyblob_info(self->c.fd, &status));
}

TEST_F(export, unknown_options_are_refused)
{
	static const int options[] = { 0, 1000, -1 };
	uint8_t buf[KEYBLOB_BLOB_SIZE] = {};
	socklen_t len;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		len = sizeof(buf);
		EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, options[i], buf, &len));
		EXPECT_EQ(ENOPROTOOPT, errno);
		EXPECT_EQ(-1, setsockopt(self->c.fd, SOL_KEYBLOB, options[i], buf, sizeof(buf)));
		EXPECT_EQ(ENOPROTOOPT, errno);
	}
	/* Options that exist, the other way round. */
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_TX, buf, &len));
	EXPECT_EQ(ENOPROTOOPT, errno);
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_RX, buf, &len));
	EXPECT_EQ(ENOPROTOOPT, errno);
	EXPECT_EQ(-1, setsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_EXPORT, buf, sizeof(buf)));
	EXPECT_EQ(ENOPROTOOPT, errno);
	EXPECT_EQ(-1, setsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_INFO, buf, sizeof(buf)));
	EXPECT_EQ(ENOPROTOOPT, errno);
	EXPECT_UNHARMED(&self->c);
}

/* Programs of before and after a field was added read the same structure. */
TEST_F(export, info_fills_what_the_buffer_takes)
{
	struct keyblob_status whole;
	uint8_t buf[2 * sizeof(whole)];
	socklen_t len;
	size_t i;

	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(0, keyblob_info(self->c.fd, &whole));
	for (i = 0; i <= sizeof(buf); i++) {
		const size_t want = i < sizeof(whole) ? i : sizeof(whole);

		memset(buf, 0x77, sizeof(buf));
		len = i;
		ASSERT_EQ(0, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_INFO, buf, &len));
		ASSERT_EQ(want, len);
		ASSERT_EQ(0, memcmp(buf, &whole, want));
		if (want < sizeof(buf))
			ASSERT_EQ(0x77, buf[want]);
	}
	len = -1;
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_INFO, buf, &len));
	EXPECT_EQ(EINVAL, errno);
	len = sizeof(buf);
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_INFO, NULL, &len));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, getsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_INFO, buf, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_HARNESS_MAIN
