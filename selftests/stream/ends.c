// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a socket takes its leave: close_notify behind all data and before the FIN, and
 * not a moment longer than TCP would take.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"

/* What a call that does not wait may take on a slow machine. */
#define AT_ONCE_MS	400

FIXTURE(ends)
{
	struct stream s;
};

FIXTURE_VARIANT(ends)
{
	uint16_t version;
	uint16_t cipher;
};

FIXTURE_VARIANT_ADD(ends, 1_2) { TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128 };
FIXTURE_VARIANT_ADD(ends, 1_3) { TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128 };

FIXTURE_SETUP(ends)
{
	ASSERT_EQ(0, stream_open(&self->s, variant->version, variant->cipher,
				 KEYBLOB_ROLE_CLIENT));
}

FIXTURE_TEARDOWN(ends)
{
	stream_close(&self->s);
}

static int close_it(struct stream *s)
{
	int ret = close(s->fd);

	s->fd = -1;
	return ret;
}

/* Sends of pattern() from @at on until the peer's and our buffers are full. */
static uint64_t fill_up(int fd, uint64_t at)
{
	static uint8_t data[1 << 16];
	int stuck = 0;

	while (stuck < 100) {
		ssize_t n;

		pattern(data, at, sizeof(data));
		n = send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			at += n;
			stuck = 0;
		} else {
			stuck++;
			sleep_ms(5);
		}
	}
	return at;
}

/* The peer gets @len bytes, one close_notify, and the FIN. */
#define EXPECT_FULL_END(len) do {						\
	EXPECT_EQ(0, peer_drain(&self->s))					\
		TH_LOG("%s", strerror(errno));					\
	EXPECT_EQ(len, self->s.bytes);						\
	EXPECT_EQ(ALERT_WARNING, self->s.level);				\
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);			\
} while (0)

TEST_F(ends, shutdown_sends_close_notify)
{
	struct keyblob_status status;
	uint8_t data[100];
	char got[4];

	pattern(data, 0, sizeof(data));
	ASSERT_EQ(sizeof(data), write(self->s.fd, data, sizeof(data)));
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	EXPECT_FULL_END(sizeof(data));
	/* The other direction goes on. */
	ASSERT_EQ(0, peer_data(&self->s, "back"));
	EXPECT_EQ(0, recv_all(self->s.fd, got, 4));
	ASSERT_EQ(0, keyblob_info(self->s.fd, &status));
	EXPECT_EQ(KEYBLOB_END_CLOSE_NOTIFY, status.tx_end);
	EXPECT_EQ(KEYBLOB_END_OPEN, status.rx_end);
}

TEST_F(ends, close_sends_close_notify)
{
	uint8_t data[100];

	pattern(data, 0, sizeof(data));
	ASSERT_EQ(sizeof(data), write(self->s.fd, data, sizeof(data)));
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_FULL_END(sizeof(data));
}

TEST_F(ends, close_notify_is_sent_once)
{
	const uint64_t records = self->s.c.peer.rx.seq;

	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	shutdown(self->s.fd, SHUT_WR);
	shutdown(self->s.fd, SHUT_RDWR);
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_FULL_END(0);
	EXPECT_EQ(records + 1, self->s.c.peer.rx.seq);
}

TEST_F(ends, close_of_a_copy_ends_nothing)
{
	int copy = dup(self->s.fd);

	ASSERT_LE(0, copy);
	ASSERT_EQ(0, close(copy));
	if (!fork())
		_exit(0);
	wait(NULL);
	EXPECT_TRUE(conn_works(&self->s.c));
}

TEST_F(ends, close_with_a_full_buffer_waits_for_nothing)
{
	uint64_t len = fill_up(self->s.fd, 0);
	long began;

	ASSERT_LT(1 << 16, len);
	began = now_ms();
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_GT(AT_ONCE_MS, now_ms() - began);
	EXPECT_FULL_END(len);
}

TEST_F(ends, nonblocking_close_with_a_full_buffer_waits_for_nothing)
{
	uint64_t len;
	long began;

	stream_nonblock(&self->s);
	len = fill_up(self->s.fd, 0);
	began = now_ms();
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_GT(AT_ONCE_MS, now_ms() - began);
	EXPECT_FULL_END(len);
}

TEST_F(ends, shutdown_with_a_full_buffer_waits_for_nothing)
{
	uint64_t len = fill_up(self->s.fd, 0);
	long began = now_ms();

	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	EXPECT_GT(AT_ONCE_MS, now_ms() - began);
	EXPECT_FULL_END(len);
}

static void *drain(void *arg)
{
	sleep_ms(300);
	return peer_drain(arg) ? arg : NULL;
}

TEST_F(ends, lingering_close_waits_until_the_peer_has_it_all)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 10 };
	uint64_t len = fill_up(self->s.fd, 0);
	pthread_t thread;
	void *failed;
	long began;

	ASSERT_EQ(0, setsockopt(self->s.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ASSERT_EQ(0, pthread_create(&thread, NULL, drain, &self->s));
	began = now_ms();
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_LE(200, now_ms() - began);
	EXPECT_GT(9000, now_ms() - began);
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
	EXPECT_EQ(len, self->s.bytes);
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);
}

TEST_F(ends, lingering_close_waits_no_longer_than_asked)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 1 };
	uint64_t len = fill_up(self->s.fd, 0);
	long began;

	ASSERT_EQ(0, setsockopt(self->s.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	began = now_ms();
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_LE(900, now_ms() - began);
	EXPECT_GT(1000 + AT_ONCE_MS, now_ms() - began);
	EXPECT_FULL_END(len);
}

TEST_F(ends, close_that_asks_for_a_reset_gets_one)
{
	const struct linger linger = { .l_onoff = 1 };
	uint8_t record[TLS_RECORD_MAX + 1], type;

	ASSERT_EQ(4, write(self->s.fd, "data", 4));
	ASSERT_EQ(4, peer_next(&self->s, &type, record));
	ASSERT_EQ(0, setsockopt(self->s.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_EQ(-1, recv(self->s.c.peer.fd, record, 1, 0));
	EXPECT_EQ(ECONNRESET, errno);
}

TEST_F(ends, killed_process_sends_close_notify)
{
	uint8_t data[100];
	pid_t child;

	pattern(data, 0, sizeof(data));
	child = fork();
	if (!child) {
		if (write(self->s.fd, data, sizeof(data)) == sizeof(data))
			pause();
		_exit(1);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, close_it(&self->s));
	sleep_ms(50);
	ASSERT_EQ(0, kill(child, SIGKILL));
	waitpid(child, NULL, 0);
	EXPECT_FULL_END(sizeof(data));
}

/* Killed in the middle of a write: what has been taken comes whole, then the end. */
TEST_F(ends, process_killed_while_it_sends_sends_close_notify)
{
	const size_t size = 16 << 20;
	uint8_t *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	ASSERT_NE(MAP_FAILED, data);
	pattern(data, 0, size);
	child = fork();
	if (!child) {
		send(self->s.fd, data, size, 0);
		_exit(1);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, close_it(&self->s));
	sleep_ms(300);
	ASSERT_EQ(0, kill(child, SIGKILL));
	waitpid(child, NULL, 0);
	EXPECT_EQ(0, peer_drain(&self->s))
		TH_LOG("%s", strerror(errno));
	EXPECT_LT(1 << 16, self->s.bytes);
	EXPECT_GT(size, self->s.bytes);
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);
}

TEST_F(ends, unread_control_records_do_not_make_it_a_reset)
{
	ASSERT_EQ(4, write(self->s.fd, "\0\1\2\3", 4));
	if (variant->version == TLS_1_3_VERSION) {
		ASSERT_EQ(0, peer_ticket(&self->s));
		ASSERT_EQ(0, peer_update(&self->s, false));
		ASSERT_EQ(0, peer_ticket(&self->s));
	}
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_USER_CANCELED));
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	sleep_ms(20);
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_FULL_END(4);
}

TEST_F(ends, unread_data_makes_it_a_reset_as_on_tcp)
{
	uint8_t record[TLS_RECORD_MAX + 1], type;
	ssize_t n;

	ASSERT_EQ(0, peer_data(&self->s, "never read"));
	ASSERT_EQ(0, peer_data(&self->s, "nor this"));
	ASSERT_EQ(0, peer_data(&self->s, "nor that"));
	sleep_ms(20);
	ASSERT_EQ(0, close_it(&self->s));
	while ((n = peer_next(&self->s, &type, record)) > 0)
		;
	EXPECT_EQ(-1, n);
	EXPECT_EQ(ECONNRESET, errno);
}

TEST_F(ends, half_filled_record_goes_before_close_notify)
{
	uint8_t data[100];

	pattern(data, 0, sizeof(data));
	ASSERT_EQ(60, send(self->s.fd, data, 60, MSG_MORE));
	ASSERT_EQ(40, send(self->s.fd, data + 60, 40, MSG_MORE));
	ASSERT_EQ(0, close_it(&self->s));
	EXPECT_FULL_END(sizeof(data));
}

TEST_F(ends, half_filled_record_goes_before_close_notify_of_shutdown)
{
	uint8_t data[100];

	pattern(data, 0, sizeof(data));
	ASSERT_EQ(sizeof(data), send(self->s.fd, data, sizeof(data), MSG_MORE));
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	EXPECT_FULL_END(sizeof(data));
}

static int rekey(int fd, int request)
{
	return setsockopt(fd, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request)) ?
	       -errno : 0;
}

TEST_F(ends, half_filled_record_goes_before_key_updates)
{
	uint8_t data[100];
	char got[1];

	pattern(data, 0, sizeof(data));
	ASSERT_EQ(30, send(self->s.fd, data, 30, MSG_MORE));
	if (variant->version == TLS_1_2_VERSION) {
		EXPECT_EQ(-EOPNOTSUPP, rekey(self->s.fd, 0));
	} else {
		ASSERT_EQ(0, rekey(self->s.fd, 0));
		ASSERT_EQ(20, send(self->s.fd, data + 30, 20, MSG_MORE));
		ASSERT_EQ(0, peer_update(&self->s, true));
		ASSERT_EQ(0, peer_data(&self->s, "x"));
		ASSERT_EQ(0, recv_all(self->s.fd, got, 1));
		ASSERT_EQ(50, send(self->s.fd, data + 50, 50, MSG_MORE));
	}
	ASSERT_EQ(0, close_it(&self->s));
	if (variant->version == TLS_1_2_VERSION) {
		EXPECT_FULL_END(30);
	} else {
		EXPECT_FULL_END(100);
		EXPECT_EQ(2, self->s.updates);
	}
}

struct sender {
	pthread_t thread;
	int fd;
	atomic_bool done;
	ssize_t ret;
	int error;
};

static uint8_t much[16 << 20];

static void *send_much(void *arg)
{
	struct sender *s = arg;

	s->ret = send(s->fd, much, sizeof(much), MSG_NOSIGNAL);
	s->error = errno;
	s->done = true;
	return NULL;
}

TEST_F(ends, shutdown_turns_away_a_blocked_sender)
{
	struct sender t = { .fd = self->s.fd };
	long began;

	pattern(much, 0, sizeof(much));
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, send_much, &t));
	sleep_ms(400);
	ASSERT_FALSE(atomic_load(&t.done));
	began = now_ms();
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	pthread_join(t.thread, NULL);
	EXPECT_GT(2 * AT_ONCE_MS, now_ms() - began);
	EXPECT_TRUE(t.ret > 0 || t.error == EPIPE);
	EXPECT_EQ(0, peer_drain(&self->s))
		TH_LOG("%s", strerror(errno));
	/* What was promised came. */
	if (t.ret > 0)
		EXPECT_EQ(t.ret, self->s.bytes);
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);
}

TEST_F(ends, writing_after_the_end_is_epipe)
{
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	EXPECT_EQ(-1, send(self->s.fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_FULL_END(0);
}

TEST_F_SIGNAL(ends, writing_after_the_end_is_sigpipe, SIGPIPE)
{
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	write(self->s.fd, "x", 1);
}

TEST_F_SIGNAL(ends, writing_after_a_fatal_alert_is_sigpipe, SIGPIPE)
{
	char byte;

	ASSERT_EQ(0, peer_alert(&self->s, ALERT_FATAL, ALERT_HANDSHAKE_FAILURE));
	ASSERT_EQ(-1, read(self->s.fd, &byte, 1));
	write(self->s.fd, "x", 1);
}

TEST_F(ends, reset_by_the_peer_is_econnreset)
{
	const struct linger linger = { .l_onoff = 1 };
	char byte;

	ASSERT_EQ(0, setsockopt(self->s.c.peer.fd, SOL_SOCKET, SO_LINGER, &linger,
				sizeof(linger)));
	close(self->s.c.peer.fd);
	self->s.c.peer.fd = -1;
	sleep_ms(20);
	EXPECT_EQ(-1, read(self->s.fd, &byte, 1));
	EXPECT_EQ(ECONNRESET, errno);
	EXPECT_EQ(-1, send(self->s.fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(0, close_it(&self->s));
}

TEST_F(ends, socket_without_a_sending_key_sends_none)
{
	char byte;
	struct conn c;

	ASSERT_EQ(0, conn_open(&c, AF_INET, variant->version, variant->cipher));
	ASSERT_EQ(0, conn_import_one(&c, KEYBLOB_DIR_RX));
	ASSERT_EQ(0, shutdown(c.fd, SHUT_WR));
	close(c.fd);
	c.fd = -1;
	EXPECT_EQ(0, read(c.peer.fd, &byte, 1));
	conn_close(&c);
}

TEST_HARNESS_MAIN
