// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll(), select() and epoll tell of data, and of nothing else: no wake-up is lost,
 * and none is in vain so often that a program would spin.
 */
#include <errno.h>
#include <linux/tls.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"

/* Each returns 1 (readable, or at an end), 0 (not, for @ms), or -1. */
typedef int waiter(int epoll, int fd, int ms);

static int wait_poll(int epoll, int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms);
}

static int wait_select(int epoll, int fd, int ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &t);
}

static int wait_epoll(int epoll, int fd, int ms)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, ms);
}

FIXTURE(wait)
{
	struct stream s;
	int epoll;
	char buf[4096];
};

FIXTURE_VARIANT(wait)
{
	waiter *wait;
	uint32_t events;
};

FIXTURE_VARIANT_ADD(wait, poll) { wait_poll, 0 };
FIXTURE_VARIANT_ADD(wait, select) { wait_select, 0 };
FIXTURE_VARIANT_ADD(wait, epoll_level) { wait_epoll, EPOLLIN };
FIXTURE_VARIANT_ADD(wait, epoll_edge) { wait_epoll, EPOLLIN | EPOLLET };

FIXTURE_SETUP(wait)
{
	struct epoll_event event = { .events = variant->events };

	ASSERT_EQ(0, stream_open(&self->s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_CLIENT));
	stream_nonblock(&self->s);
	self->epoll = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, self->epoll);
	if (variant->events)
		ASSERT_EQ(0, epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->s.fd, &event));
}

FIXTURE_TEARDOWN(wait)
{
	close(self->epoll);
	stream_close(&self->s);
}

#define WAIT(ms)	variant->wait(self->epoll, self->s.fd, ms)

/* As event loops do: waits, then reads until the call comes back short or empty. */
#define EXPECT_TEXT(text) do {							\
	const size_t _len = strlen(text);					\
	size_t _have = 0;							\
	while (_have < _len) {							\
		ssize_t _n;							\
		ASSERT_EQ(1, WAIT(3000));					\
		do {								\
			_n = recv(self->s.fd, self->buf + _have,		\
				  sizeof(self->buf) - _have, 0);		\
			ASSERT_TRUE(_n > 0 || (_n < 0 && errno == EAGAIN));	\
			if (_n > 0)						\
				_have += _n;					\
		} while (_n == sizeof(self->buf));				\
	}									\
	ASSERT_EQ(_len, _have);							\
	EXPECT_EQ(0, memcmp(self->buf, text, _len));				\
} while (0)

#define EXPECT_DRAINED()	EXPECT_EQ(-1, recv(self->s.fd, self->buf, 1, 0))

TEST_F(wait, nothing_is_nothing)
{
	EXPECT_EQ(0, WAIT(50));
}

TEST_F(wait, data_is_told_of)
{
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_TEXT("data");
	EXPECT_EQ(0, WAIT(50));
	ASSERT_EQ(0, peer_data(&self->s, "more"));
	EXPECT_TEXT("more");
	EXPECT_EQ(0, WAIT(50));
}

TEST_F(wait, part_of_a_record_is_nothing)
{
	uint8_t wire[64];
	ssize_t n = tls_seal(&self->s.c.peer.tx, TLS_TYPE_DATA, "data", 4, wire);
	ssize_t i;

	for (i = 0; i < n - 1; i++) {
		ASSERT_EQ(0, peer_raw(&self->s, wire + i, 1));
		EXPECT_EQ(0, WAIT(i ? 0 : 20));
	}
	ASSERT_EQ(0, peer_raw(&self->s, wire + i, 1));
	EXPECT_TEXT("data");
}

TEST_F(wait, ticket_is_nothing_once_it_was_read)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, peer_ticket(&self->s));
		sleep_ms(10);
		EXPECT_DRAINED();
		EXPECT_EQ(0, WAIT(50));
	}
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_TEXT("data");
}

TEST_F(wait, data_behind_a_ticket_is_told_of)
{
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_TEXT("data");
	ASSERT_EQ(0, peer_ticket(&self->s));
	EXPECT_DRAINED();
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_data(&self->s, "more"));
	EXPECT_TEXT("more");
	EXPECT_EQ(0, WAIT(50));
}

TEST_F(wait, data_around_a_key_update_is_told_of)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, peer_data(&self->s, "one "));
		ASSERT_EQ(0, peer_update(&self->s, i % 2));
		ASSERT_EQ(0, peer_data(&self->s, "two"));
		sleep_ms(10);
		EXPECT_TEXT("one two");
		EXPECT_EQ(0, WAIT(20));
	}
}

/* A small buffer leaves part of a record behind, and a KeyUpdate behind that. */
TEST_F(wait, rest_of_a_record_is_told_of)
{
	size_t have = 0;
	ssize_t n;

	ASSERT_EQ(0, peer_data(&self->s, "0123456789"));
	ASSERT_EQ(0, peer_update(&self->s, false));
	ASSERT_EQ(0, peer_data(&self->s, "abcdef"));
	sleep_ms(10);
	ASSERT_EQ(1, WAIT(1000));
	while (have < 16) {
		if (!(variant->events & EPOLLET))
			ASSERT_EQ(1, WAIT(1000));
		n = recv(self->s.fd, self->buf + have, 3, 0);
		ASSERT_LT(0, n);
		have += n;
	}
	EXPECT_EQ(0, memcmp(self->buf, "0123456789abcdef", 16));
	EXPECT_DRAINED();
	EXPECT_EQ(0, WAIT(50));
}

TEST_F(wait, peeked_data_is_told_of)
{
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	ASSERT_EQ(1, WAIT(1000));
	ASSERT_EQ(4, recv(self->s.fd, self->buf, 4, MSG_PEEK));
	if (!(variant->events & EPOLLET))
		ASSERT_EQ(1, WAIT(1000));
	ASSERT_EQ(4, recv(self->s.fd, self->buf, 4, 0));
	EXPECT_EQ(0, WAIT(50));
}

TEST_F(wait, close_notify_is_told_of)
{
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	ASSERT_EQ(1, WAIT(3000));
	EXPECT_EQ(0, recv(self->s.fd, self->buf, 4, 0));
	if (!(variant->events & EPOLLET))
		EXPECT_EQ(1, WAIT(1000));
}

TEST_F(wait, cut_stream_is_told_of)
{
	shutdown(self->s.c.peer.fd, SHUT_WR);
	ASSERT_EQ(1, WAIT(3000));
	EXPECT_EQ(-1, recv(self->s.fd, self->buf, 4, 0));
	EXPECT_EQ(ECONNRESET, errno);
}

TEST_F(wait, forged_record_is_told_of)
{
	uint8_t wire[64];
	ssize_t n = tls_seal(&self->s.c.peer.tx, TLS_TYPE_DATA, "data", 4, wire);

	wire[n - 1] ^= 1;
	ASSERT_EQ(0, peer_raw(&self->s, wire, n));
	ASSERT_EQ(1, WAIT(3000));
	EXPECT_EQ(-1, recv(self->s.fd, self->buf, 4, 0));
	EXPECT_EQ(EBADMSG, errno);
}

/* What event loops ask when they are told of an error. */
TEST_F(wait, too_long_record_is_told_of_though_so_error_was_read)
{
	const uint8_t wire[] = { TLS_TYPE_DATA, 3, 3, 0x7f, 0xff, 0 };
	socklen_t len = sizeof(int);
	int error;

	ASSERT_EQ(0, peer_raw(&self->s, wire, sizeof(wire)));
	ASSERT_EQ(1, WAIT(3000));
	ASSERT_EQ(0, getsockopt(self->s.fd, SOL_SOCKET, SO_ERROR, &error, &len));
	EXPECT_EQ(-1, recv(self->s.fd, self->buf, 4, 0));
	EXPECT_EQ(EPROTO, errno);
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_FATAL, ALERT_RECORD_OVERFLOW));
}

struct talk {
	pthread_t thread;
	struct stream *s;
	atomic_bool stop;
};

static void *trickle(void *arg)
{
	uint8_t data[20] = "twenty bytes of data", wire[64];
	struct talk *t = arg;
	ssize_t n = tls_seal(&t->s->c.peer.tx, TLS_TYPE_DATA, data, sizeof(data), wire);
	ssize_t i;

	for (i = 0; i < n - 1 && !t->stop; i++) {
		peer_raw(t->s, wire + i, 1);
		sleep_ms(100);
	}
	return NULL;
}

static void *tickets(void *arg)
{
	struct talk *t = arg;

	while (!t->stop) {
		peer_ticket(t->s);
		sleep_ms(100);
	}
	return NULL;
}

/* The most CPU that 1.5 s of waiting may take; what spins takes all of it. */
static long idle_ms(void)
{
	return getenv("KEYBLOB_SLOW_KERNEL") ? 700 : 150;
}

/*
 * An event loop for 1.5 s under @say, which has nothing for it. On a slow machine one
 * turn of it may take a millisecond.
 */
#define EXPECT_IDLE(say) do {							\
	struct talk _talk = { .s = &self->s };					\
	const long _end = now_ms() + 1500;					\
	const long _cpu = cpu_ms();						\
	int _turns = 0;								\
	ASSERT_EQ(0, pthread_create(&_talk.thread, NULL, say, &_talk));		\
	while (now_ms() < _end) {						\
		if (WAIT(_end - now_ms()) > 0)					\
			EXPECT_EQ(-1, recv(self->s.fd, self->buf, 4, 0));	\
		_turns++;							\
	}									\
	_talk.stop = true;							\
	pthread_join(_talk.thread, NULL);					\
	EXPECT_GE(20, _turns);							\
	EXPECT_GT(idle_ms(), cpu_ms() - _cpu)						\
		TH_LOG("%d turns, %ld ms of CPU", _turns, cpu_ms() - _cpu);	\
} while (0)

TEST_F(wait, trickling_record_does_not_spin)
{
	EXPECT_IDLE(trickle);
}

TEST_F(wait, tickets_do_not_spin)
{
	EXPECT_IDLE(tickets);
}

/* A reader that does not poll. */
struct reader {
	pthread_t thread;
	int fd;
	long cpu;
	ssize_t ret;
};

static void *blocked(void *arg)
{
	struct reader *r = arg;
	char buf[64];
	long cpu = cpu_ms();

	r->ret = recv(r->fd, buf, sizeof(buf), 0);
	r->cpu = cpu_ms() - cpu;
	return NULL;
}

TEST(blocked_reader_does_not_spin)
{
	static void *(*const say[])(void *) = { trickle, tickets };
	struct stream s;
	struct reader r;
	struct talk t;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, stream_open(&s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
					 KEYBLOB_ROLE_CLIENT));
		t = (struct talk){ .s = &s };
		r = (struct reader){ .fd = s.fd };
		ASSERT_EQ(0, pthread_create(&r.thread, NULL, blocked, &r));
		ASSERT_EQ(0, pthread_create(&t.thread, NULL, say[i], &t));
		sleep_ms(1500);
		t.stop = true;
		pthread_join(t.thread, NULL);
		shutdown(s.c.peer.fd, SHUT_WR);
		pthread_join(r.thread, NULL);
		EXPECT_EQ(-1, r.ret);
		EXPECT_GT(idle_ms(), r.cpu);
		stream_close(&s);
	}
}

/* A pipeline of requests as the peer's own pace has it; nothing but waiting and reading. */
static void *chatter(void *arg)
{
	struct talk *t = arg;
	uint8_t data[512];
	uint64_t at = 0;
	int i;

	for (i = 0; i < 400; i++) {
		size_t n = 1 + i * 37 % sizeof(data);

		pattern(data, at, n);
		if (i % 3 == 0)
			peer_ticket(t->s);
		if (i % 5 == 0)
			peer_update(t->s, i % 2);
		tls_peer_write(&t->s->c.peer, data, n);
		if (i % 7 == 0)
			peer_update(t->s, false);
		at += n;
		if (i % 11 == 0)
			sleep_ms(i % 3);
	}
	peer_alert(t->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
	return NULL;
}

TEST_F(wait, event_loop_gets_it_all)
{
	struct talk t = { .s = &self->s };
	uint64_t at = 0, total = 0;
	ssize_t n = 1;
	int i;

	for (i = 0; i < 400; i++)
		total += 1 + i * 37 % 512;
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, chatter, &t));
	while (n) {
		ASSERT_EQ(1, WAIT(5000))
			TH_LOG("%llu of %llu bytes", (unsigned long long)at,
			       (unsigned long long)total);
		/* Short means drained. */
		do {
			uint8_t want[sizeof(self->buf)];

			n = recv(self->s.fd, self->buf, sizeof(self->buf), 0);
			ASSERT_TRUE(n >= 0 || errno == EAGAIN);
			if (n <= 0)
				break;
			pattern(want, at, n);
			ASSERT_EQ(0, memcmp(want, self->buf, n));
			at += n;
		} while (n == sizeof(self->buf));
	}
	pthread_join(t.thread, NULL);
	EXPECT_EQ(total, at);
}

/* Room to send is told of, and is not confused by what is received. */
TEST(room_to_send_is_told_of)
{
	static uint8_t data[1 << 16];
	struct pollfd p = { .events = POLLOUT };
	uint8_t record[TLS_RECORD_MAX + 1], type;
	struct stream s;
	int stuck = 0;

	ASSERT_EQ(0, stream_open(&s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_CLIENT));
	p.fd = s.fd;
	EXPECT_EQ(1, poll(&p, 1, 0));
	while (stuck < 100) {
		if (send(s.fd, data, sizeof(data), MSG_DONTWAIT) > 0) {
			stuck = 0;
		} else {
			stuck++;
			sleep_ms(5);
		}
	}
	EXPECT_EQ(0, poll(&p, 1, 20));
	ASSERT_EQ(0, peer_update(&s, true));
	ASSERT_EQ(0, peer_data(&s, "x"));
	ASSERT_EQ(1, recv(s.fd, record, 1, 0));
	EXPECT_EQ(0, poll(&p, 1, 20));
	while (poll(&(struct pollfd){ s.c.peer.fd, POLLIN }, 1, 200) > 0)
		ASSERT_LT(0, peer_next(&s, &type, record));
	EXPECT_EQ(1, poll(&p, 1, 3000));
	stream_close(&s);
}

TEST_HARNESS_MAIN
