// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody gets a key out of a keyblob socket: not before, during or after an import.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "kselftest_harness.h"
#include "lib/net.h"
#include "lib/suites.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

static const int options[] = { TLS_TX, TLS_RX };
/* Lengths that kTLS takes: the head, and all of each crypto_info. */
static const socklen_t lengths[] = {
	sizeof(struct tls_crypto_info),
	sizeof(struct tls12_crypto_info_aes_gcm_128),
	sizeof(struct tls12_crypto_info_aes_gcm_256),
	sizeof(struct tls12_crypto_info_chacha20_poly1305),
};

FIXTURE(opacity)
{
	struct conn c;
};

FIXTURE_VARIANT(opacity)
{
	uint16_t version;
	uint16_t cipher;
};

SUITE_VARIANTS(opacity);

FIXTURE_SETUP(opacity)
{
	ASSERT_EQ(0, conn_open(&self->c, AF_INET, variant->version, variant->cipher));
}

FIXTURE_TEARDOWN(opacity)
{
	conn_close(&self->c);
}

/* Every form of access to kTLS's keys gets EACCES; the number that did not. */
static int count_key_access(int fd, uint16_t version, uint16_t cipher)
{
	struct tls12_crypto_info_aes_gcm_256 info = {
		.info = { .version = version, .cipher_type = cipher },
	};
	uint8_t buf[64];
	int bad = 0;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			socklen_t len = lengths[j];

			bad += !getsockopt(fd, SOL_TLS, options[i], buf, &len) ||
			       errno != EACCES;
			bad += !setsockopt(fd, SOL_TLS, options[i], &info, lengths[j]) ||
			       errno != EACCES;
		}
		bad += !getsockopt(fd, SOL_TLS, options[i], NULL, NULL) || errno != EACCES;
		bad += !setsockopt(fd, SOL_TLS, options[i], NULL, 0) || errno != EACCES;
	}
	return bad;
}

TEST_F(opacity, key_access_of_ktls_is_refused)
{
	EXPECT_EQ(0, count_key_access(self->c.fd, variant->version, variant->cipher));
	EXPECT_TRUE(conn_works_plain(&self->c));
	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
	EXPECT_EQ(0, count_key_access(self->c.fd, variant->version, variant->cipher));
	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_TX));
	EXPECT_EQ(0, count_key_access(self->c.fd, variant->version, variant->cipher));
	EXPECT_TRUE(conn_works(&self->c));
	EXPECT_EQ(0, count_key_access(self->c.fd, variant->version, variant->cipher));
}

/* A control: on plain kTLS the same call hands the key out. */
TEST(plain_ktls_hands_out_its_key)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = { .version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
		.key = "a key to be seen",
	}, got;
	socklen_t len = sizeof(got);
	int fds[2];

	ASSERT_EQ(0, tcp_pair(AF_INET, fds));
	ASSERT_EQ(0, ulp_attach(fds[0], "tls"));
	ASSERT_EQ(0, setsockopt(fds[0], SOL_TLS, TLS_TX, &info, sizeof(info)));
	ASSERT_EQ(0, getsockopt(fds[0], SOL_TLS, TLS_TX, &got, &len));
	EXPECT_EQ(0, memcmp(got.key, info.key, sizeof(got.key)));
	close(fds[0]);
	close(fds[1]);
}

/* What must not be seen: parts of this many bytes. */
#define PART	8

struct needles {
	uint8_t part[16][PART];
	int count;
};

static void add_needles(struct needles *n, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i + PART <= len; i += PART)
		memcpy(n->part[n->count++], data + i, PART);
}

/* Parts of keys, IVs and secrets. TLS 1.2 GCM shows its explicit nonce on the wire. */
static void needles_of(const struct conn *c, struct needles *n)
{
	uint8_t key[KEYBLOB_KEY_MAX], iv[KEYBLOB_IV_SIZE];
	const struct keyblob_key *keys[] = { &c->tx, &c->rx };
	int i;

	n->count = 0;
	for (i = 0; i < 2; i++) {
		const struct tls_suite *suite = tls_suite_find(keys[i]->tls_version,
							       keys[i]->cipher);

		tls_dir_keys(keys[i], key, iv);
		add_needles(n, key, suite->key_size > 16 ? 16 : suite->key_size);
		add_needles(n, iv, PART);
		if (suite->version == TLS_1_3_VERSION ||
		    suite->cipher == TLS_CIPHER_CHACHA20_POLY1305)
			add_needles(n, iv + KEYBLOB_IV_SIZE - PART, PART);
		if (keys[i]->secret_len)
			add_needles(n, keys[i]->secret, 2 * PART);
	}
}

/* The round that the hammers work on. */
struct round {
	_Atomic(struct conn *) conn;
	struct needles needles;
	atomic_int working;	/* hammers that may still use conn */
	atomic_int stop;
};

struct hammer {
	pthread_t thread;
	struct round *round;
	unsigned int decoys;
	unsigned int leaks;
	unsigned int odd;	/* neither EACCES nor what kTLS says of its own accord */
	int odd_errno;
};

static bool shows(const struct needles *n, const uint8_t *buf, size_t len)
{
	int i;

	for (i = 0; i < n->count; i++) {
		if (memmem(buf, len, n->part[i], PART))
			return true;
	}
	return false;
}

static void strike(struct hammer *h, struct conn *c)
{
	struct tcp_info info;
	uint8_t buf[64];
	socklen_t len;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			len = lengths[j];
			if (!getsockopt(c->fd, SOL_TLS, options[i], buf, &len)) {
				h->decoys++;
				h->leaks += shows(&h->round->needles, buf, len);
			} else if (errno != EACCES && errno != EBUSY && errno != EINVAL) {
				h->odd++;
				h->odd_errno = errno;
			}
		}
	}
	/* Calls that the module passes on to what is below it at that moment. */
	len = sizeof(info);
	if (getsockopt(c->fd, SOL_TCP, TCP_INFO, &info, &len)) {
		h->odd++;
		h->odd_errno = errno;
	}
}

static void *hammer(void *arg)
{
	struct hammer *h = arg;

	while (!h->round->stop) {
		struct conn *c;

		h->round->working++;
		c = h->round->conn;
		if (c)
			strike(h, c);
		h->round->working--;
	}
	return NULL;
}

#define HAMMERS	2

/* Two threads hammer while a third imports; they see decoys at best. */
TEST_F_TIMEOUT(opacity, hammering_getsockopt_never_shows_a_key, 60)
{
	struct round round = {};
	struct hammer hammers[HAMMERS] = {};
	struct timespec begin, now = {};
	unsigned int rounds, decoys = 0;
	int i;

	for (i = 0; i < HAMMERS; i++) {
		hammers[i].round = &round;
		ASSERT_EQ(0, pthread_create(&hammers[i].thread, NULL, hammer, &hammers[i]));
	}
	/* Ahead of the hammers wherever there are fewer processors than threads. */
	setpriority(PRIO_PROCESS, 0, -10);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	/* For five seconds, but as many rounds as mean something on a slow machine. */
	for (rounds = 0; rounds < 30 || now.tv_sec - begin.tv_sec < 5; rounds++) {
		struct conn c;

		ASSERT_EQ(0, conn_open(&c, AF_INET, variant->version, variant->cipher));
		needles_of(&c, &round.needles);
		round.conn = &c;
		ASSERT_EQ(0, conn_import_one(&c, rounds % 2 ? KEYBLOB_DIR_TX : KEYBLOB_DIR_RX));
		ASSERT_EQ(0, conn_import_one(&c, rounds % 2 ? KEYBLOB_DIR_RX : KEYBLOB_DIR_TX));
		ASSERT_TRUE(conn_works(&c));
		round.conn = NULL;
		while (round.working)
			;
		conn_close(&c);
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	round.stop = 1;
	for (i = 0; i < HAMMERS; i++) {
		pthread_join(hammers[i].thread, NULL);
		EXPECT_EQ(0, hammers[i].leaks);
		EXPECT_EQ(0, hammers[i].odd)
			TH_LOG("errno %d", hammers[i].odd_errno);
		decoys += hammers[i].decoys;
	}
	TH_LOG("%u rounds, %u decoys seen", rounds, decoys);
}

TEST_HARNESS_MAIN
