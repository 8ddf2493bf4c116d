// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a socket does once its keys are imported: plaintext for the application, TLS
 * on the wire, for each cipher, version and address family.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "lib/net.h"

#define BIG	(1 << 20)

/* Receives @len bytes at the peer while the test sends; result: 0, or -1. */
struct peer_job {
	pthread_t thread;
	struct tls_peer *peer;
	uint8_t *data;
	size_t len;
	int result;
};

static void *peer_reads(void *arg)
{
	struct peer_job *job = arg;

	job->result = tls_peer_read(job->peer, job->data, job->len);
	return NULL;
}

static void *peer_writes(void *arg)
{
	struct peer_job *job = arg;

	job->result = tls_peer_write(job->peer, job->data, job->len);
	return NULL;
}

static int start(struct peer_job *job, void *(*fn)(void *), struct tls_peer *peer,
		 uint8_t *data, size_t len)
{
	job->peer = peer;
	job->data = data;
	job->len = len;
	job->result = -1;
	return pthread_create(&job->thread, NULL, fn, job);
}

static int finish(struct peer_job *job)
{
	pthread_join(job->thread, NULL);
	return job->result;
}

FIXTURE(data)
{
	struct conn c;
	uint8_t *sent;
	uint8_t *got;
};

FIXTURE_VARIANT(data)
{
	int family;
	uint16_t version;
	uint16_t cipher;
};

#define VARIANT(ip, v, name)						\
	FIXTURE_VARIANT_ADD(data, ip##_##v##_##name) {			\
		.family = family_##ip,					\
		.version = TLS_##v##_VERSION,				\
		.cipher = TLS_CIPHER_##name,				\
	}

#define family_ipv4 AF_INET
#define family_ipv6 AF_INET6

VARIANT(ipv4, 1_2, AES_GCM_128);
VARIANT(ipv4, 1_2, AES_GCM_256);
VARIANT(ipv4, 1_2, CHACHA20_POLY1305);
VARIANT(ipv4, 1_3, AES_GCM_128);
VARIANT(ipv4, 1_3, AES_GCM_256);
VARIANT(ipv4, 1_3, CHACHA20_POLY1305);
VARIANT(ipv6, 1_2, AES_GCM_128);
VARIANT(ipv6, 1_2, AES_GCM_256);
VARIANT(ipv6, 1_2, CHACHA20_POLY1305);
VARIANT(ipv6, 1_3, AES_GCM_128);
VARIANT(ipv6, 1_3, AES_GCM_256);
VARIANT(ipv6, 1_3, CHACHA20_POLY1305);

FIXTURE_SETUP(data)
{
	self->sent = malloc(BIG);
	self->got = malloc(BIG);
	ASSERT_NE(NULL, self->sent);
	ASSERT_NE(NULL, self->got);
	fill(self->sent, BIG, 1);
	ASSERT_EQ(0, conn_open(&self->c, variant->family, variant->version, variant->cipher));
}

FIXTURE_TEARDOWN(data)
{
	conn_close(&self->c);
	free(self->sent);
	free(self->got);
}

/* What goes in at one side comes out at the other, whatever its size. */
TEST_F(data, every_size_arrives_both_ways)
{
	static const size_t sizes[] = { 1, 2, 15, 16, 17, 1000, 16383, 16384, 16385, 65536, BIG };
	struct peer_job job;
	size_t i;

	ASSERT_EQ(0, conn_import(&self->c));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t len = sizes[i], done = 0;

		memset(self->got, 0, len);
		ASSERT_EQ(0, start(&job, peer_reads, &self->c.peer, self->got, len));
		while (done < len) {
			ssize_t n = write(self->c.fd, self->sent + done, len - done);

			ASSERT_LT(0, n);
			done += n;
		}
		ASSERT_EQ(0, finish(&job));
		ASSERT_EQ(0, memcmp(self->got, self->sent, len));

		memset(self->got, 0, len);
		ASSERT_EQ(0, start(&job, peer_writes, &self->c.peer, self->sent, len));
		ASSERT_EQ(0, recv_all(self->c.fd, self->got, len));
		ASSERT_EQ(0, finish(&job));
		ASSERT_EQ(0, memcmp(self->got, self->sent, len));
	}
}

TEST_F(data, wire_shows_no_plaintext)
{
	uint8_t wire[4096];
	ssize_t n;

	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(1000, write(self->c.fd, self->sent, 1000));
	n = recv(self->c.peer.fd, wire, sizeof(wire), 0);
	ASSERT_LT(1000, n);
	EXPECT_EQ(TLS_TYPE_DATA, wire[0]);
	EXPECT_EQ(NULL, memmem(wire, n, self->sent, 16));
}

TEST_F(data, sendfile_and_splice_carry_plaintext)
{
	int file = memfd_create("data", MFD_CLOEXEC);
	int pipes[2];
	struct peer_job job;
	size_t done = 0;
	off_t at = 0;
	ssize_t n;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	ASSERT_EQ(BIG / 4, write(file, self->sent, BIG / 4));
	ASSERT_EQ(0, conn_import(&self->c));

	ASSERT_EQ(0, start(&job, peer_reads, &self->c.peer, self->got, BIG / 4));
	while (at < BIG / 4)
		ASSERT_LT(0, sendfile(self->c.fd, file, &at, BIG / 4 - at));
	ASSERT_EQ(0, finish(&job));
	ASSERT_EQ(0, memcmp(self->got, self->sent, BIG / 4));

	memset(self->got, 0, 20000);
	ASSERT_EQ(20000, write(pipes[1], self->sent, 20000));
	ASSERT_EQ(0, start(&job, peer_reads, &self->c.peer, self->got, 20000));
	while (done < 20000) {
		n = splice(pipes[0], NULL, self->c.fd, NULL, 20000 - done, 0);
		ASSERT_LT(0, n);
		done += n;
	}
	ASSERT_EQ(0, finish(&job));
	ASSERT_EQ(0, memcmp(self->got, self->sent, 20000));

	memset(self->got, 0, 20000);
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, self->sent, 20000));
	for (done = 0; done < 20000; done += n) {
		n = splice(self->c.fd, NULL, pipes[1], NULL, 20000 - done, 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(n, read(pipes[0], self->got + done, n));
	}
	ASSERT_EQ(0, memcmp(self->got, self->sent, 20000));
}

TEST_F(data, writev_and_partial_reads_keep_the_order)
{
	struct iovec iov[3] = {
		{ self->sent, 10 },
		{ self->sent + 10, 20000 },
		{ self->sent + 20010, 1 },
	};
	size_t at = 0, step = 1;

	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(20011, writev(self->c.fd, iov, 3));
	ASSERT_EQ(0, tls_peer_read(&self->c.peer, self->got, 20011));
	ASSERT_EQ(0, memcmp(self->got, self->sent, 20011));

	memset(self->got, 0, 20011);
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, self->sent, 20011));
	while (at < 20011) {
		size_t n = step < 20011 - at ? step : 20011 - at;

		ASSERT_EQ(n, recv(self->c.fd, self->got + at, n, MSG_WAITALL));
		at += n;
		step = step * 2 + 1;
	}
	ASSERT_EQ(0, memcmp(self->got, self->sent, 20011));
}

TEST_F(data, poll_tells_when_data_is_there)
{
	struct pollfd p = { .fd = self->c.fd, .events = POLLIN | POLLOUT };
	char byte;

	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(1, poll(&p, 1, 1000));
	EXPECT_EQ(POLLOUT, p.revents);
	EXPECT_EQ(-1, recv(self->c.fd, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "x", 1));
	p.events = POLLIN;
	ASSERT_EQ(1, poll(&p, 1, 1000));
	EXPECT_EQ(POLLIN, p.revents);
	ASSERT_EQ(1, recv(self->c.fd, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ('x', byte);
}

TEST_F(data, reading_nothing_takes_nothing)
{
	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "hello", 5));
	EXPECT_EQ(0, recv(self->c.fd, self->got, 0, 0));
	EXPECT_EQ(-1, recv(self->c.fd, self->got, 5, MSG_ERRQUEUE));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, recv_all(self->c.fd, self->got, 5));
	EXPECT_EQ(0, memcmp(self->got, "hello", 5));
}

TEST_F(data, state_continues_where_the_handshake_ended)
{
	struct keyblob_status status;
	int i;

	/* Far enough to carry over, and below the limit of any AEAD. */
	self->c.tx.rec_seq = 0xfffe;
	self->c.rx.rec_seq = 0x12ffff;
	if (variant->version == TLS_1_3_VERSION) {
		self->c.tx.generation = 3;
		self->c.rx.generation = 0xfffffffe;
	}
	ASSERT_EQ(0, conn_peer(&self->c));
	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(0, keyblob_info(self->c.fd, &status));
	EXPECT_EQ(self->c.tx.rec_seq, status.tx_rec_seq);
	EXPECT_EQ(self->c.rx.rec_seq, status.rx_rec_seq);

	for (i = 0; i < 5; i++)
		ASSERT_TRUE(conn_works(&self->c));
	ASSERT_EQ(0, keyblob_info(self->c.fd, &status));
	EXPECT_EQ(self->c.tx.rec_seq + 5, status.tx_rec_seq);
	EXPECT_EQ(self->c.rx.rec_seq + 5, status.rx_rec_seq);
	EXPECT_EQ(self->c.tx.generation, status.tx_generation);
	EXPECT_EQ(self->c.rx.generation, status.rx_generation);
}

TEST_F(data, info_tells_what_is_there)
{
	struct keyblob_status status = {};
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	ASSERT_EQ(0, getsockopt(self->c.fd, SOL_SOCKET, SO_COOKIE, &cookie, &len));
	ASSERT_EQ(0, keyblob_info(self->c.fd, &status));
	EXPECT_EQ(sizeof(status), status.size);
	EXPECT_EQ(0, status.tls_version);
	EXPECT_EQ(0, status.cipher);
	EXPECT_EQ(cookie, status.cookie);
	EXPECT_EQ(0, status.tx_ready);
	EXPECT_EQ(0, status.rx_ready);

	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
	ASSERT_EQ(0, keyblob_info(self->c.fd, &status));
	EXPECT_EQ(variant->version, status.tls_version);
	EXPECT_EQ(variant->cipher, status.cipher);
	EXPECT_EQ(0, status.tx_ready);
	EXPECT_EQ(1, status.rx_ready);

	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_TX));
	ASSERT_EQ(0, keyblob_info(self->c.fd, &status));
	EXPECT_EQ(1, status.tx_ready);
	EXPECT_EQ(1, status.rx_ready);
	EXPECT_EQ(cookie, status.cookie);
	EXPECT_EQ(KEYBLOB_END_OPEN, status.tx_end);
	EXPECT_EQ(KEYBLOB_END_OPEN, status.rx_end);
	EXPECT_EQ(0, status.tx_alert);
	EXPECT_EQ(0, status.rx_alert);
}

TEST_F(data, one_direction_may_be_imported_before_the_other)
{
	char buf[8];

	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "sealed", 6));
	ASSERT_EQ(0, recv_all(self->c.fd, buf, 6));
	EXPECT_EQ(0, memcmp(buf, "sealed", 6));
	ASSERT_EQ(5, write(self->c.fd, "plain", 5));
	ASSERT_EQ(0, recv_all(self->c.peer.fd, buf, 5));
	EXPECT_EQ(0, memcmp(buf, "plain", 5));

	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_TX));
	EXPECT_TRUE(conn_works(&self->c));
}

/* A request that came with the end of the handshake, and its half-close. */
TEST_F(data, half_closed_peer_is_served)
{
	char buf[8];

	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "GET", 3));
	ASSERT_EQ(0, shutdown(self->c.peer.fd, SHUT_WR));
	usleep(10000);
	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(0, recv_all(self->c.fd, buf, 3));
	EXPECT_EQ(0, memcmp(buf, "GET", 3));
	ASSERT_EQ(3, write(self->c.fd, "200", 3));
	ASSERT_EQ(0, tls_peer_read(&self->c.peer, buf, 3));
	EXPECT_EQ(0, memcmp(buf, "200", 3));
}

TEST_F(data, altered_record_is_refused)
{
	uint8_t wire[TLS_WIRE_MAX], buf[16];
	ssize_t n;

	ASSERT_EQ(0, conn_import(&self->c));
	n = tls_seal(&self->c.peer.tx, TLS_TYPE_DATA, "altered", 7, wire);
	ASSERT_LT(0, n);
	wire[n - 1] ^= 1;
	ASSERT_EQ(n, write(self->c.peer.fd, wire, n));
	EXPECT_EQ(-1, recv(self->c.fd, buf, sizeof(buf), 0));
	EXPECT_EQ(EBADMSG, errno);
}

FIXTURE(explicit_nonce)
{
	struct conn c;
};

FIXTURE_VARIANT(explicit_nonce)
{
	uint16_t cipher;
};

FIXTURE_VARIANT_ADD(explicit_nonce, AES_GCM_128) { .cipher = TLS_CIPHER_AES_GCM_128 };
FIXTURE_VARIANT_ADD(explicit_nonce, AES_GCM_256) { .cipher = TLS_CIPHER_AES_GCM_256 };

FIXTURE_SETUP(explicit_nonce)
{
	ASSERT_EQ(0, conn_open(&self->c, AF_INET, TLS_1_2_VERSION, variant->cipher));
}

FIXTURE_TEARDOWN(explicit_nonce)
{
	conn_close(&self->c);
}

/* Starting over would use nonces of the handshake again. */
TEST_F(explicit_nonce, continues)
{
	uint8_t type, buf[TLS_RECORD_MAX + 1];
	uint64_t first;
	int i;

	/* It carries over within its eight bytes, and never into the salt. */
	memset(self->c.tx.iv + 4, 0xff, 8);
	self->c.tx.iv[11] = 0xfe;
	ASSERT_EQ(0, conn_peer(&self->c));
	first = self->c.peer.rx.explicit_nonce;
	ASSERT_EQ(0, conn_import(&self->c));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(7, write(self->c.fd, "a nonce", 7));
		ASSERT_EQ(7, tls_peer_recv(&self->c.peer, &type, buf));
		EXPECT_EQ(first + i, self->c.peer.rx.explicit_nonce);
	}
}

/* The peer's may be any; RFC 5288 demands no counter. */
TEST_F(explicit_nonce, of_the_peer_is_free)
{
	char buf[8];
	int i;

	memset(self->c.rx.iv + 4, 0, 8);
	ASSERT_EQ(0, conn_import(&self->c));
	for (i = 0; i < 4; i++) {
		self->c.peer.tx.explicit_nonce = 0x0123456789abcdef * (i + 3);
		ASSERT_EQ(0, tls_peer_write(&self->c.peer, "a nonce", 7));
		ASSERT_EQ(0, recv_all(self->c.fd, buf, 7));
		EXPECT_EQ(0, memcmp(buf, "a nonce", 7));
	}
}

/* As with TCP: the call fails, and that is all. */
TEST_F(data, bad_address_does_no_harm)
{
	void *nowhere = (void *)16;
	char buf[8];

	ASSERT_EQ(0, conn_import(&self->c));
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "first", 5));
	EXPECT_EQ(-1, recv(self->c.fd, nowhere, 64, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, send(self->c.fd, nowhere, 64, MSG_NOSIGNAL));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(5, send(self->c.fd, "right", 5, MSG_NOSIGNAL));
	ASSERT_EQ(0, tls_peer_read(&self->c.peer, buf, 5));
	EXPECT_EQ(0, memcmp(buf, "right", 5));
	ASSERT_EQ(0, recv_all(self->c.fd, buf, 5));
	EXPECT_EQ(0, memcmp(buf, "first", 5));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_HARNESS_MAIN
