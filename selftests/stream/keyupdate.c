// SPDX-License-Identifier: GPL-2.0-only
/*
 * KeyUpdates in both directions, many of them and too many.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"
#include "readers.h"

FIXTURE(keyupdate)
{
	struct stream s;
	long refused;
};

FIXTURE_VARIANT(keyupdate)
{
	uint16_t cipher;
};

FIXTURE_VARIANT_ADD(keyupdate, aes_gcm_128) { TLS_CIPHER_AES_GCM_128 };
FIXTURE_VARIANT_ADD(keyupdate, aes_gcm_256) { TLS_CIPHER_AES_GCM_256 };
FIXTURE_VARIANT_ADD(keyupdate, chacha20_poly1305) { TLS_CIPHER_CHACHA20_POLY1305 };

static void defaults(void)
{
	param_set("records_max", 0);
	param_set("keyupdates_in_row", 32);
	param_set("keyupdates_per_second", 1000);
}

FIXTURE_SETUP(keyupdate)
{
	defaults();
	self->refused = param_get("keyupdates_refused");
	ASSERT_LE(0, self->refused);
	ASSERT_EQ(0, stream_open(&self->s, TLS_1_3_VERSION, variant->cipher,
				 KEYBLOB_ROLE_SERVER));
}

FIXTURE_TEARDOWN(keyupdate)
{
	stream_close(&self->s);
	defaults();
}

static int rekey(int fd, int request)
{
	return setsockopt(fd, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request)) ?
	       -errno : 0;
}

TEST_F(keyupdate, rekey_sends_a_key_update)
{
	struct keyblob_status status;
	char got[4];
	int i;

	for (i = 1; i <= 4; i++) {
		ASSERT_EQ(0, rekey(self->s.fd, 0));
		ASSERT_EQ(4, write(self->s.fd, "data", 4));
		ASSERT_EQ(0, peer_read(&self->s, got, 4));
		EXPECT_EQ(0, memcmp(got, "data", 4));
		EXPECT_EQ(i, self->s.updates);
	}
	EXPECT_EQ(0, self->s.requests);
	ASSERT_EQ(0, keyblob_info(self->s.fd, &status));
	EXPECT_EQ(4, status.tx_generation);
	EXPECT_EQ(1, status.tx_rec_seq);
	EXPECT_EQ(0, status.rx_generation);
}

TEST_F(keyupdate, rekey_asks_for_one)
{
	struct keyblob_status status;
	char got[4];

	ASSERT_EQ(0, rekey(self->s.fd, 1));
	ASSERT_EQ(4, write(self->s.fd, "data", 4));
	ASSERT_EQ(0, peer_read(&self->s, got, 4));
	EXPECT_EQ(1, self->s.requests);
	ASSERT_EQ(0, peer_update(&self->s, false));
	ASSERT_EQ(0, peer_data(&self->s, "back"));
	ASSERT_EQ(0, recv_all(self->s.fd, got, 4));
	ASSERT_EQ(0, keyblob_info(self->s.fd, &status));
	EXPECT_EQ(1, status.tx_generation);
	EXPECT_EQ(1, status.rx_generation);
}

TEST_F(keyupdate, rekey_takes_0_and_1)
{
	const int one = 1;

	EXPECT_EQ(-EINVAL, rekey(self->s.fd, 2));
	EXPECT_EQ(-EINVAL, rekey(self->s.fd, -1));
	EXPECT_EQ(-1, setsockopt(self->s.fd, SOL_KEYBLOB, KEYBLOB_REKEY, &one, 2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(conn_works(&self->s.c));
}

TEST_F(keyupdate, rekey_after_the_end_is_refused)
{
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	EXPECT_EQ(-EPIPE, rekey(self->s.fd, 0));
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
}

/* Both ask at the same time: the two requests cross, and both are answered. */
TEST_F(keyupdate, requests_may_cross)
{
	struct keyblob_status status;
	char got[4];
	int i;

	for (i = 1; i <= 10; i++) {
		ASSERT_EQ(0, rekey(self->s.fd, 1));
		ASSERT_EQ(0, peer_update(&self->s, true));
		ASSERT_EQ(0, peer_data(&self->s, "ping"));
		ASSERT_EQ(0, recv_all(self->s.fd, got, 4));
		ASSERT_EQ(4, write(self->s.fd, "pong", 4));
		ASSERT_EQ(0, peer_read(&self->s, got, 4));
		ASSERT_EQ(0, peer_update(&self->s, false));
	}
	EXPECT_EQ(20, self->s.updates);
	EXPECT_EQ(10, self->s.requests);
	ASSERT_EQ(0, peer_data(&self->s, "ping"));
	ASSERT_EQ(0, recv_all(self->s.fd, got, 4));
	ASSERT_EQ(0, keyblob_info(self->s.fd, &status));
	EXPECT_EQ(20, status.rx_generation);
	EXPECT_EQ(20, status.tx_generation);
}

#define CHUNK	600	/* bytes of data between two KeyUpdates */

/* One of four directions of work in key_updates_pass_under_data. */
struct task {
	pthread_t thread;
	struct stream *s;
	unsigned int updates;
	atomic_bool *done;
	uint64_t bytes;
	bool ok;
};

static void *peer_sends(void *arg)
{
	struct task *t = arg;
	uint8_t data[CHUNK];
	unsigned int i;

	for (i = 0; i < t->updates; i++) {
		pattern(data, t->bytes, sizeof(data));
		if (tls_peer_write(&t->s->c.peer, data, sizeof(data)) ||
		    peer_update(t->s, i % 2))
			return NULL;
		t->bytes += sizeof(data);
	}
	t->ok = !peer_alert(t->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
	return NULL;
}

static void *socket_reads(void *arg)
{
	struct task *t = arg;
	uint8_t data[4096], want[4096];
	ssize_t n;

	while ((n = read(t->s->fd, data, sizeof(data))) > 0) {
		pattern(want, t->bytes, n);
		if (memcmp(want, data, n))
			return NULL;
		t->bytes += n;
	}
	t->ok = !n;
	*t->done = true;
	return NULL;
}

static void *socket_sends(void *arg)
{
	struct task *t = arg;
	uint8_t data[CHUNK];

	while (!*t->done) {
		pattern(data, t->bytes, sizeof(data));
		if (send(t->s->fd, data, sizeof(data), MSG_NOSIGNAL) != sizeof(data))
			return NULL;
		t->bytes += sizeof(data);
	}
	t->ok = !shutdown(t->s->fd, SHUT_WR);
	return NULL;
}

static void *peer_reads(void *arg)
{
	struct task *t = arg;

	t->ok = !peer_drain(t->s) && t->s->description == ALERT_CLOSE_NOTIFY;
	t->bytes = t->s->bytes;
	return NULL;
}

TEST_F_TIMEOUT(keyupdate, key_updates_pass_under_data, 300)
{
	static void *(*const jobs[])(void *) = {
		peer_sends, socket_reads, socket_sends, peer_reads,
	};
	struct keyblob_status status;
	struct task tasks[4];
	atomic_bool done = false;
	const unsigned int updates = getenv("KEYBLOB_SLOW_KERNEL") ? 1000 : 10000;
	long began = now_ms();
	int i;

	ASSERT_EQ(0, param_set("keyupdates_per_second", 1000000));
	for (i = 0; i < 4; i++) {
		tasks[i] = (struct task){ .s = &self->s, .updates = updates, .done = &done };
		ASSERT_EQ(0, pthread_create(&tasks[i].thread, NULL, jobs[i], &tasks[i]));
	}
	for (i = 0; i < 4; i++)
		pthread_join(tasks[i].thread, NULL);
	for (i = 0; i < 4; i++)
		EXPECT_TRUE(tasks[i].ok)
			TH_LOG("task %d", i);
	EXPECT_EQ(tasks[0].bytes, tasks[1].bytes);
	EXPECT_EQ(tasks[2].bytes, tasks[3].bytes);
	ASSERT_EQ(0, keyblob_info(self->s.fd, &status));
	EXPECT_EQ(updates, status.rx_generation);
	/* Answers may be fewer than requests: one does for all so far. */
	EXPECT_LT(0, self->s.updates);
	EXPECT_GE(updates / 2, self->s.updates);
	EXPECT_EQ(self->s.updates, status.tx_generation);
	TH_LOG("%u updates, %u answers, %llu bytes there, %llu back, %ld ms", updates,
	       self->s.updates, (unsigned long long)tasks[0].bytes,
	       (unsigned long long)tasks[2].bytes, now_ms() - began);
}

/* Sends until nothing more goes in: the peer does not read. */
static void fill_up(int fd)
{
	static uint8_t data[1 << 16];
	int stuck = 0;

	/* TCP takes more as long as the receiver's window grows, and waits in between. */
	while (stuck < 100) {
		if (send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
			stuck = 0;
		} else {
			stuck++;
			sleep_ms(5);
		}
	}
}

TEST_F(keyupdate, answers_do_not_pile_up)
{
	int before, after, i, answers = 0;
	uint8_t record[TLS_RECORD_MAX + 1], type;
	struct keyblob_status status;
	char got[1];

	fill_up(self->s.fd);
	ASSERT_EQ(0, ioctl(self->s.fd, SIOCOUTQ, &before));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, peer_update(&self->s, true));
		ASSERT_EQ(0, peer_data(&self->s, "x"));
		ASSERT_EQ(0, recv_all(self->s.fd, got, 1));
	}
	ASSERT_EQ(0, ioctl(self->s.fd, SIOCOUTQ, &after));
	EXPECT_GE(before + 64, after)
		TH_LOG("%d, then %d bytes in the queue", before, after);
	ASSERT_EQ(0, keyblob_info(self->s.fd, &status));
	EXPECT_EQ(300, status.rx_generation);

	/* One answer comes when there is room. */
	while (poll(&(struct pollfd){ self->s.c.peer.fd, POLLIN }, 1, 200) > 0)
		ASSERT_LT(0, peer_next(&self->s, &type, record));
	ASSERT_EQ(1, send(self->s.fd, "y", 1, MSG_NOSIGNAL));
	do {
		ASSERT_LT(0, peer_next(&self->s, &type, record));
		answers += type == TLS_TYPE_HANDSHAKE;
	} while (type != TLS_TYPE_DATA || record[0] != 'y');
	EXPECT_EQ(1, self->s.updates);
}

/* A reader alone: the answer goes out as soon as there is room, not with the next data. */
TEST_F(keyupdate, answer_comes_with_the_next_read_after_room_is_there)
{
	unsigned int before;
	uint8_t record[TLS_RECORD_MAX + 1], type;
	char got[1];

	fill_up(self->s.fd);
	ASSERT_EQ(0, peer_update(&self->s, true));
	ASSERT_EQ(0, peer_data(&self->s, "x"));
	ASSERT_EQ(0, recv_all(self->s.fd, got, 1));
	while (poll(&(struct pollfd){ self->s.c.peer.fd, POLLIN }, 1, 200) > 0)
		ASSERT_LT(0, peer_next(&self->s, &type, record));
	before = self->s.updates;
	ASSERT_EQ(0, peer_update(&self->s, true));
	ASSERT_EQ(0, peer_data(&self->s, "x"));
	ASSERT_EQ(0, recv_all(self->s.fd, got, 1));
	ASSERT_EQ(5, peer_next(&self->s, &type, record));
	EXPECT_EQ(before + 1, self->s.updates);
}

/* A sender that waits for room does not keep a reader from its data. */
static uint8_t much[8 << 20];

static void *send_much(void *arg)
{
	struct task *t = arg;

	t->ok = send(t->s->fd, much, sizeof(much), MSG_NOSIGNAL) == sizeof(much);
	*t->done = true;
	return NULL;
}

TEST_F(keyupdate, reader_does_not_wait_for_a_blocked_sender)
{
	atomic_bool done = false;
	struct task t = { .s = &self->s, .done = &done };
	char got[1];
	int i;

	pattern(much, 0, sizeof(much));
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, send_much, &t));
	sleep_ms(300);
	ASSERT_FALSE(atomic_load(&done));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, peer_update(&self->s, true));
		ASSERT_EQ(0, peer_data(&self->s, "x"));
		ASSERT_EQ(0, recv_all(self->s.fd, got, 1));
	}
	ASSERT_FALSE(atomic_load(&done));
	ASSERT_EQ(0, shutdown(self->s.c.peer.fd, SHUT_WR));
	/* Its data first, and behind it the answer. */
	while (self->s.bytes < sizeof(much) || !self->s.updates) {
		uint8_t record[TLS_RECORD_MAX + 1], want[TLS_RECORD_MAX], type;
		ssize_t n = peer_next(&self->s, &type, record);

		ASSERT_LT(0, n);
		if (type != TLS_TYPE_DATA)
			continue;
		pattern(want, self->s.bytes, n);
		ASSERT_EQ(0, memcmp(want, record, n));
		self->s.bytes += n;
	}
	pthread_join(t.thread, NULL);
	EXPECT_TRUE(t.ok);
	/* Where there was no room for one, the next answers for both. */
	EXPECT_GT(20, self->s.updates);
}

/* ---- too many ---- */

FIXTURE(storm)
{
	struct stream s;
	long refused;
	char buf[64];
};

FIXTURE_VARIANT(storm)
{
	reader *get;
	bool waits;	/* whatever the socket's flags say */
};

FIXTURE_VARIANT_ADD(storm, read) { get_read };
FIXTURE_VARIANT_ADD(storm, splice) { get_splice };
FIXTURE_VARIANT_ADD(storm, uring) { get_uring_recv, true };

FIXTURE_SETUP(storm)
{
	defaults();
	self->refused = param_get("keyupdates_refused");
	ASSERT_LE(0, self->refused);
	ASSERT_EQ(0, stream_open(&self->s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_CLIENT));
}

FIXTURE_TEARDOWN(storm)
{
	stream_close(&self->s);
	defaults();
}

#define GET(len)	variant->get(self->s.fd, self->buf, len)

#define EXPECT_ENDED(self) do {							\
	EXPECT_EQ(-EPROTO, GET(1));						\
	EXPECT_EQ(-EPROTO, GET(1));						\
	EXPECT_EQ((self)->refused + 1, param_get("keyupdates_refused"));	\
	EXPECT_TRUE(peer_sees_end(&(self)->s, ALERT_FATAL, ALERT_UNEXPECTED_MESSAGE)); \
} while (0)

TEST_F(storm, as_many_in_a_row_as_allowed_do_no_harm)
{
	int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 32; i++)
			ASSERT_EQ(0, peer_update(&self->s, i % 2));
		ASSERT_EQ(0, peer_data(&self->s, "x"));
		ASSERT_EQ(1, GET(1));
	}
	EXPECT_EQ(self->refused, param_get("keyupdates_refused"));
}

TEST_F(storm, one_more_in_a_row_ends_the_connection)
{
	int i;

	for (i = 0; i < 33; i++)
		ASSERT_EQ(0, peer_update(&self->s, false));
	EXPECT_ENDED(self);
}

TEST_F(storm, answers_to_own_requests_do_not_count)
{
	int i;

	ASSERT_EQ(0, param_set("keyupdates_per_second", 40));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, rekey(self->s.fd, 1));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, peer_update(&self->s, false));
	ASSERT_EQ(0, peer_data(&self->s, "x"));
	ASSERT_EQ(1, GET(1));
	EXPECT_EQ(self->refused, param_get("keyupdates_refused"));

	for (i = 0; i < 33; i++)
		ASSERT_EQ(0, peer_update(&self->s, false));
	EXPECT_ENDED(self);
}

TEST_F(storm, requests_are_no_answers)
{
	int i;

	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, rekey(self->s.fd, 1));
	for (i = 0; i < 33; i++)
		ASSERT_EQ(0, peer_update(&self->s, true));
	EXPECT_ENDED(self);
}

TEST_F(storm, tickets_and_warnings_between_them_do_not_help)
{
	int i;

	for (i = 0; i < 33; i++) {
		ASSERT_EQ(0, peer_ticket(&self->s));
		ASSERT_EQ(0, peer_update(&self->s, false));
	}
	EXPECT_ENDED(self);
}

TEST_F(storm, empty_data_between_them_does_not_help)
{
	int i;

	for (i = 0; i < 33; i++) {
		ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_DATA, "", 0));
		ASSERT_EQ(0, peer_update(&self->s, false));
	}
	EXPECT_ENDED(self);
}

TEST_F(storm, too_many_in_a_second_end_the_connection)
{
	/* One that is not reached in a second is none. */
	const int limit = getenv("KEYBLOB_SLOW_KERNEL") ? 5 : 20, updates = 15 * limit;
	long began;
	int i;

	ASSERT_EQ(0, param_set("keyupdates_per_second", limit));
	for (i = 0; i < updates; i++) {
		ASSERT_EQ(0, peer_update(&self->s, false));
		ASSERT_EQ(0, peer_data(&self->s, "x"));
	}
	began = now_ms();
	for (i = 0; i < updates && GET(1) == 1; i++)
		;
	/* Those of the second that it took, begun anew in between. */
	EXPECT_LE(limit, i);
	EXPECT_GE(limit * (2 + (now_ms() - began) / 1000), i);
	EXPECT_ENDED(self);
}

TEST_F(storm, a_second_later_there_may_be_more)
{
	int i;

	ASSERT_EQ(0, param_set("keyupdates_per_second", 20));
	for (i = 0; i < 30; i++) {
		if (i == 15)
			sleep_ms(1200);
		ASSERT_EQ(0, peer_update(&self->s, false));
		ASSERT_EQ(0, peer_data(&self->s, "x"));
		ASSERT_EQ(1, GET(1));
	}
	EXPECT_EQ(self->refused, param_get("keyupdates_refused"));
}

TEST_F(storm, warnings_in_a_row_end_the_connection)
{
	int i;

	for (i = 0; i < 257; i++)
		ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_USER_CANCELED));
	EXPECT_ENDED(self);
}

TEST_F(storm, tickets_in_a_row_end_the_connection)
{
	int i;

	for (i = 0; i < 257; i++)
		ASSERT_EQ(0, peer_ticket(&self->s));
	EXPECT_ENDED(self);
}

/* Sends tickets, and nothing else, as fast as it can for a while. */
struct flood {
	pthread_t thread;
	struct stream *s;
	long ms;
	unsigned int sent;
};

static void *flood(void *arg)
{
	const uint8_t ticket[] = { HS_NEW_SESSION_TICKET, 0, 0, 1, 0 };
	struct flood *f = arg;
	const long end = now_ms() + f->ms;
	uint8_t wire[64 * 32];
	size_t len;
	int i;

	while (now_ms() < end) {
		for (i = 0, len = 0; i < 64; i++)
			len += tls_seal(&f->s->c.peer.tx, TLS_TYPE_HANDSHAKE, ticket,
					sizeof(ticket), wire + len);
		if (peer_raw(f->s, wire, len))
			break;
		f->sent += 64;
	}
	return NULL;
}

TEST_F(storm, flood_of_tickets_does_not_hold_a_reader_that_must_not_wait)
{
	struct flood f = { .s = &self->s, .ms = 2000 };
	long began, longest = 0, took;
	ssize_t n = -EAGAIN;

	if (variant->waits)
		SKIP(return, "waits in any case");
	stream_nonblock(&self->s);
	ASSERT_EQ(0, pthread_create(&f.thread, NULL, flood, &f));
	for (began = now_ms(); now_ms() < began + 2200; longest = took > longest ? took : longest) {
		took = now_ms();
		n = GET(1);
		took = now_ms() - took;
		if (n != -EAGAIN)
			break;
	}
	pthread_join(f.thread, NULL);
	EXPECT_TRUE(n == -EAGAIN || n == -EPROTO)
		TH_LOG("read: %zd", n);
	EXPECT_GT(500, longest)
		TH_LOG("a call took %ld ms, %u tickets in all", longest, f.sent);
}

static void on_alarm(int sig)
{
}

TEST_F(storm, reader_under_a_flood_of_tickets_hears_signals)
{
	const struct itimerval in_300_ms = { .it_value = { .tv_usec = 300000 } };
	const struct sigaction action = { .sa_handler = on_alarm };
	struct flood f = { .s = &self->s, .ms = 2500 };
	sigset_t alarm_only;
	long began;
	ssize_t n;

	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	ASSERT_EQ(0, pthread_create(&f.thread, NULL, flood, &f));
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
	began = now_ms();
	setitimer(ITIMER_REAL, &in_300_ms, NULL);
	n = GET(1);
	EXPECT_TRUE(n == -EINTR || n == -EPROTO)
		TH_LOG("read: %zd", n);
	EXPECT_GT(1500, now_ms() - began);
	pthread_join(f.thread, NULL);
}

TEST_HARNESS_MAIN
