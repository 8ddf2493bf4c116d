// SPDX-License-Identifier: GPL-2.0-only
/*
 * No key encrypts more records than it may, whichever way a program writes; and what
 * a program may not send.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"

#define RECORDS_MAX	100
#define SOL_TLS_LEVEL	282

/* A file that holds pattern(), in memory. */
struct source {
	int fd;
	const uint8_t *data;
	size_t size;
};

/* Each sends all of @src; 0 or a negative errno. */
typedef int writer(int fd, const struct source *src);

static int put_write(int fd, const struct source *src)
{
	size_t at;

	for (at = 0; at < src->size;) {
		size_t len = src->size - at;
		ssize_t n = write(fd, src->data + at, len < 1 << 20 ? len : 1 << 20);

		if (n < 0)
			return -errno;
		at += n;
	}
	return 0;
}

static int put_at_once(int fd, const struct source *src)
{
	ssize_t n = write(fd, src->data, src->size);

	return n < 0 ? -errno : n == src->size ? 0 : -EIO;
}

static int put_writev(int fd, const struct source *src)
{
	size_t at;

	for (at = 0; at < src->size;) {
		size_t len = src->size - at;
		struct iovec vec[3];
		ssize_t n;

		len = len < 300000 ? len : 300000;
		vec[0] = (struct iovec){ (void *)(src->data + at), len / 7 };
		vec[1] = (struct iovec){ (void *)(src->data + at + len / 7), len / 3 };
		vec[2] = (struct iovec){ (void *)(src->data + at + len / 7 + len / 3),
					 len - len / 7 - len / 3 };
		n = writev(fd, vec, 3);
		if (n < 0)
			return -errno;
		at += n;
	}
	return 0;
}

static int put_more(int fd, const struct source *src)
{
	size_t at;

	for (at = 0; at < src->size;) {
		size_t len = src->size - at;
		ssize_t n;

		len = len < 9001 ? len : 9001;
		n = send(fd, src->data + at, len, at % 5 ? MSG_MORE : 0);
		if (n < 0)
			return -errno;
		at += n;
	}
	return 0;
}

static int put_nonblock(int fd, const struct source *src)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	size_t at;

	for (at = 0; at < src->size;) {
		ssize_t n = send(fd, src->data + at, src->size - at, MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0)
			poll(&p, 1, 1000);
		else
			at += n;
	}
	return 0;
}

static int put_sendfile(int fd, const struct source *src)
{
	off_t at = 0;

	while (at < src->size) {
		ssize_t n = sendfile(fd, src->fd, &at, src->size - at);

		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

static int put_splice(int fd, const struct source *src)
{
	loff_t at = 0;
	int p[2], ret = 0;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	while (at < src->size && !ret) {
		ssize_t n = splice(src->fd, &at, p[1], NULL, 1 << 16, SPLICE_F_MORE);

		while (n > 0) {
			ssize_t m = splice(p[0], NULL, fd, NULL, n, at < src->size ?
					   SPLICE_F_MORE : 0);

			if (m <= 0) {
				ret = -errno;
				break;
			}
			n -= m;
		}
	}
	close(p[0]);
	close(p[1]);
	return ret;
}

static int source_open(struct source *src, size_t size)
{
	uint8_t *data;

	src->size = size;
	src->fd = memfd_create("source", MFD_CLOEXEC);
	if (src->fd < 0 || ftruncate(src->fd, size))
		return -1;
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, src->fd, 0);
	if (data == MAP_FAILED)
		return -1;
	pattern(data, 0, size);
	src->data = data;
	return 0;
}

static void source_close(struct source *src)
{
	munmap((void *)src->data, src->size);
	close(src->fd);
}

FIXTURE(rekey)
{
	struct stream s;
	struct source src;
};

FIXTURE_VARIANT(rekey)
{
	writer *put;
	size_t share;	/* of all, one in so many */
};

FIXTURE_VARIANT_ADD(rekey, write) { put_write, 1 };
FIXTURE_VARIANT_ADD(rekey, write_at_once) { put_at_once, 1 };
FIXTURE_VARIANT_ADD(rekey, writev) { put_writev, 2 };
FIXTURE_VARIANT_ADD(rekey, more) { put_more, 4 };
FIXTURE_VARIANT_ADD(rekey, nonblock) { put_nonblock, 2 };
FIXTURE_VARIANT_ADD(rekey, sendfile) { put_sendfile, 1 };
FIXTURE_VARIANT_ADD(rekey, splice) { put_splice, 2 };

FIXTURE_SETUP(rekey)
{
	const size_t all = getenv("KEYBLOB_SLOW_KERNEL") ? 16 << 20 : 64 << 20;

	ASSERT_EQ(0, param_set("records_max", RECORDS_MAX));
	ASSERT_EQ(0, source_open(&self->src, all / variant->share));
	ASSERT_EQ(0, stream_open(&self->s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_SERVER));
}

FIXTURE_TEARDOWN(rekey)
{
	stream_close(&self->s);
	source_close(&self->src);
	param_set("records_max", 0);
}

static void *drain(void *arg)
{
	return peer_drain(arg) ? arg : NULL;
}

TEST_F_TIMEOUT(rekey, no_key_encrypts_more_than_it_may, 120)
{
	const size_t records = self->src.size / TLS_RECORD_MAX;
	struct keyblob_status status;
	pthread_t thread;
	void *failed;

	ASSERT_EQ(0, pthread_create(&thread, NULL, drain, &self->s));
	ASSERT_EQ(0, variant->put(self->s.fd, &self->src));
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
	EXPECT_EQ(self->src.size, self->s.bytes);
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);
	EXPECT_GE(RECORDS_MAX, self->s.longest)
		TH_LOG("%llu records under one key", (unsigned long long)self->s.longest);
	EXPECT_LE((records - 1) / RECORDS_MAX, self->s.updates);
	EXPECT_EQ(0, self->s.requests);
	ASSERT_EQ(0, keyblob_info(self->s.fd, &status));
	EXPECT_EQ(self->s.updates, status.tx_generation);
}

static void *write_all(void *arg)
{
	struct source *src = arg;

	return put_at_once(src->fd, src) ? arg : NULL;
}

/* Several at a time, each with much to send. */
TEST(no_key_encrypts_more_than_it_may_for_many_senders)
{
	pthread_t threads[6];
	struct source src[6];
	uint8_t record[TLS_RECORD_MAX + 1], type;
	static uint8_t data[2 << 20];
	struct stream s;
	size_t bytes = 0;
	void *failed;
	int i;

	ASSERT_EQ(0, param_set("records_max", RECORDS_MAX));
	ASSERT_EQ(0, stream_open(&s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_SERVER));
	for (i = 0; i < 6; i++) {
		src[i] = (struct source){ .fd = s.fd, .data = data, .size = sizeof(data) };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, write_all, &src[i]));
	}
	while (bytes < 6 * sizeof(data)) {
		ssize_t n = peer_next(&s, &type, record);

		ASSERT_LT(0, n);
		bytes += type == TLS_TYPE_DATA ? n : 0;
	}
	for (i = 0; i < 6; i++) {
		pthread_join(threads[i], &failed);
		EXPECT_EQ(NULL, failed);
	}
	EXPECT_GE(RECORDS_MAX, s.longest)
		TH_LOG("%llu records under one key", (unsigned long long)s.longest);
	EXPECT_LE(6 * sizeof(data) / TLS_RECORD_MAX / RECORDS_MAX, s.updates);
	stream_close(&s);
	param_set("records_max", 0);
}

FIXTURE(limit)
{
	struct stream s;
	struct source src;
};

FIXTURE_VARIANT(limit)
{
	uint16_t cipher;
};

FIXTURE_VARIANT_ADD(limit, aes_gcm_256) { TLS_CIPHER_AES_GCM_256 };
FIXTURE_VARIANT_ADD(limit, chacha20_poly1305) { TLS_CIPHER_CHACHA20_POLY1305 };

FIXTURE_SETUP(limit)
{
	ASSERT_EQ(0, param_set("records_max", RECORDS_MAX));
	ASSERT_EQ(0, source_open(&self->src, 2 * RECORDS_MAX * TLS_RECORD_MAX));
	ASSERT_EQ(0, stream_open(&self->s, TLS_1_2_VERSION, variant->cipher,
				 KEYBLOB_ROLE_SERVER));
}

FIXTURE_TEARDOWN(limit)
{
	stream_close(&self->s);
	source_close(&self->src);
	param_set("records_max", 0);
}

TEST_F(limit, sending_stops_in_tls_1_2)
{
	/* One record is for the alert at the end. */
	const ssize_t limit = (RECORDS_MAX - 1) * TLS_RECORD_MAX;
	off_t at = 0;
	pthread_t thread;
	void *failed;
	char got[4];

	ASSERT_EQ(0, pthread_create(&thread, NULL, drain, &self->s));
	EXPECT_EQ(limit, write(self->s.fd, self->src.data, self->src.size));
	EXPECT_EQ(-1, write(self->s.fd, self->src.data, 1));
	EXPECT_EQ(EKEYEXPIRED, errno);
	EXPECT_EQ(-1, sendfile(self->s.fd, self->src.fd, &at, 1));
	EXPECT_EQ(EKEYEXPIRED, errno);
	/* Reading does not. */
	ASSERT_EQ(0, peer_data(&self->s, "more"));
	EXPECT_EQ(0, recv_all(self->s.fd, got, 4));
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
	EXPECT_EQ(limit, self->s.bytes);
	EXPECT_EQ(RECORDS_MAX, self->s.longest);
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);
}

TEST_F(limit, small_records_count_as_much)
{
	uint8_t byte;
	pthread_t thread;
	void *failed;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, drain, &self->s));
	for (i = 0; i < RECORDS_MAX - 1; i++) {
		pattern(&byte, i, 1);
		ASSERT_EQ(1, write(self->s.fd, &byte, 1));
	}
	EXPECT_EQ(-1, write(self->s.fd, &byte, 1));
	EXPECT_EQ(EKEYEXPIRED, errno);
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
	EXPECT_EQ(RECORDS_MAX - 1, self->s.bytes);
}

/* ---- what may not be sent ---- */

static ssize_t send_record(int fd, int level, int cmsg_type, uint8_t type, size_t cmsg_len)
{
	_Alignas(8) char control[CMSG_SPACE(64)] = {};
	struct iovec vec = { "\1\0", 2 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(cmsg_len),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = level;
	cmsg->cmsg_type = cmsg_type;
	cmsg->cmsg_len = CMSG_LEN(cmsg_len);
	*CMSG_DATA(cmsg) = type;
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

TEST(control_records_cannot_be_sent)
{
	struct stream s;
	uint8_t got[2];
	int type;

	ASSERT_EQ(0, stream_open(&s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_SERVER));
	for (type = 0; type < 256; type++) {
		if (type == TLS_TYPE_DATA)
			continue;
		EXPECT_EQ(-EACCES, send_record(s.fd, SOL_TLS_LEVEL, TLS_SET_RECORD_TYPE, type, 1));
	}
	EXPECT_GT(0, send_record(s.fd, SOL_TLS_LEVEL, TLS_SET_RECORD_TYPE, 21, 0));
	/* Nothing of it has left. */
	EXPECT_TRUE(conn_works(&s.c));
	EXPECT_EQ(0, send_record(s.fd, SOL_TLS_LEVEL, TLS_SET_RECORD_TYPE, TLS_TYPE_DATA, 1));
	EXPECT_EQ(0, tls_peer_read(&s.c.peer, got, 2));
	EXPECT_TRUE(conn_works(&s.c));
	stream_close(&s);
}

TEST_HARNESS_MAIN
