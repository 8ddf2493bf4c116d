// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads and processes on one socket: nothing is torn, lost or held up, and
 * nothing breaks, whatever they do to it.
 */
#include <errno.h>
#include <linux/tls.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"

#define MESSAGES_MAX	3000	/* of each sender */
#define READERS		2
#define WRITERS		2
#define WRITERS_MAX	4

static unsigned int per_sender = MESSAGES_MAX;

/* Where the kernel checks all it does, and is slow, races show earlier. */
static unsigned int a_part_if_slow(unsigned int much)
{
	return getenv("KEYBLOB_SLOW_KERNEL") ? much / 4 : much;
}

struct message {
	uint32_t sender;
	uint32_t number;
	uint8_t rest[56];
};

static void message_make(struct message *m, uint32_t sender, uint32_t number)
{
	m->sender = sender;
	m->number = number;
	fill(m->rest, sizeof(m->rest), sender << 16 | number);
}

static bool message_good(const struct message *m)
{
	struct message want;

	message_make(&want, m->sender, m->number);
	return m->number < per_sender && !memcmp(&want, m, sizeof(want));
}

struct shared {
	struct stream s;
	atomic_uchar seen[MESSAGES_MAX];
	atomic_uint unread;
	atomic_bool done;
	atomic_int next;
	int writers;
};

static void *reader(void *arg)
{
	struct shared *sh = arg;
	struct message m;
	long last = -1;
	ssize_t n;

	while ((n = recv(sh->s.fd, &m, sizeof(m), MSG_WAITALL)) == sizeof(m)) {
		/* Each sees a part of them, in order. */
		if (!message_good(&m) || m.number <= last || sh->seen[m.number]++)
			return arg;
		last = m.number;
		sh->unread--;
	}
	return n ? arg : NULL;
}

static void *writer(void *arg)
{
	struct shared *sh = arg;
	const uint32_t me = sh->next++;
	struct message m;
	uint32_t i;

	for (i = 0; i < per_sender; i++) {
		message_make(&m, me, i);
		if (send(sh->s.fd, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
			return arg;
	}
	return NULL;
}

static void *rekeyer(void *arg)
{
	struct shared *sh = arg;
	int request = 0;

	while (!sh->done) {
		if (setsockopt(sh->s.fd, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request)))
			return arg;
		sleep_ms(5);
	}
	return NULL;
}

static void *peer_writer(void *arg)
{
	struct shared *sh = arg;
	struct message m;
	uint32_t i;

	for (i = 0; i < per_sender; i++) {
		message_make(&m, 7, i);
		if (tls_peer_write(&sh->s.c.peer, &m, sizeof(m)))
			return arg;
		if (i % 10 == 0 && peer_update(&sh->s, i % 20))
			return arg;
		if (i % 33 == 0 && peer_ticket(&sh->s))
			return arg;
	}
	return peer_alert(&sh->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY) ? arg : NULL;
}

/* Senders may share records, and messages records; their bytes may not mix. */
static void *peer_reader(void *arg)
{
	struct shared *sh = arg;
	uint32_t due[WRITERS_MAX] = {};
	struct message m;
	int i;

	for (i = 0; i < sh->writers * per_sender; i++) {
		if (peer_read(&sh->s, &m, sizeof(m)) || !message_good(&m) ||
		    m.sender >= sh->writers || m.number != due[m.sender]++)
			return arg;
	}
	sh->done = true;
	return NULL;
}

FIXTURE(threads)
{
	struct shared *sh;
};

FIXTURE_SETUP(threads)
{
	param_set("records_max", 0);
	per_sender = a_part_if_slow(MESSAGES_MAX);
	self->sh = calloc(1, sizeof(*self->sh));
	ASSERT_NE(NULL, self->sh);
	ASSERT_EQ(0, stream_open(&self->sh->s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_CLIENT));
	self->sh->unread = per_sender;
	self->sh->writers = WRITERS;
}

FIXTURE_TEARDOWN(threads)
{
	stream_close(&self->sh->s);
	free(self->sh);
}

TEST_F_TIMEOUT(threads, readers_and_writers_share_a_socket_under_key_updates, 90)
{
	static void *(*const jobs[])(void *) = {
		reader, reader, writer, writer, rekeyer, peer_writer, peer_reader,
	};
	struct shared *sh = self->sh;
	struct keyblob_status status;
	pthread_t threads[7];
	void *failed;
	int i;

	for (i = 0; i < 7; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, jobs[i], sh));
	for (i = 6; i >= 0; i--) {
		pthread_join(threads[i], &failed);
		EXPECT_EQ(NULL, failed)
			TH_LOG("thread %d", i);
	}
	EXPECT_EQ(0, atomic_load(&sh->unread));
	ASSERT_EQ(0, keyblob_info(sh->s.fd, &status));
	EXPECT_EQ(per_sender / 10, status.rx_generation);
	EXPECT_LE(sh->s.updates, status.tx_generation);
	EXPECT_LT(0, sh->s.updates);
}

/* A writer that must not wait: it is woken once each time that it was turned away. */
static void *event_writer(void *arg)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	struct shared *sh = arg;
	const uint32_t me = sh->next++;
	const int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct message m;
	uint32_t i = 0;

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, sh->s.fd, &event))
		goto out;
	while (i < per_sender) {
		message_make(&m, me, i);
		if (send(sh->s.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(m))
			i++;
		else if (errno != EAGAIN || epoll_wait(epoll, &event, 1, 20000) != 1)
			break;
	}
out:
	close(epoll);
	return i == per_sender ? NULL : arg;
}

/* In a small buffer, so that they are in each other's way. */
TEST_F_TIMEOUT(threads, senders_who_must_not_wait_lose_no_wake_up, 90)
{
	static void *(*const jobs[])(void *) = {
		event_writer, event_writer, event_writer, writer, rekeyer, peer_reader,
	};
	struct shared *sh = self->sh;
	const int size = 8192;
	pthread_t threads[6];
	void *failed;
	int i;

	sh->writers = 4;
	ASSERT_EQ(0, setsockopt(sh->s.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, jobs[i], sh));
	for (i = 5; i >= 0; i--) {
		pthread_join(threads[i], &failed);
		EXPECT_EQ(NULL, failed)
			TH_LOG("thread %d", i);
	}
}

#define MUCH	(8 << 20)	/* more than a socket holds */

static void *patient_writer(void *arg)
{
	struct shared *sh = arg;
	void *data = calloc(1, MUCH);
	const ssize_t n = data ? send(sh->s.fd, data, MUCH, MSG_NOSIGNAL) : -1;

	free(data);
	return n == MUCH ? NULL : arg;
}

/* One message among zeros. */
static void *peer_taker(void *arg)
{
	uint8_t data[TLS_RECORD_MAX + 1], type;
	struct shared *sh = arg;
	size_t bytes = 0;
	int messages = 0;
	ssize_t n;

	while (bytes < MUCH + sizeof(struct message)) {
		n = peer_next(&sh->s, &type, data);
		if (n <= 0 || type != TLS_TYPE_DATA)
			return arg;
		bytes += n;
		if (n == sizeof(struct message) && message_good((struct message *)data))
			messages++;
	}
	return messages == 1 ? NULL : arg;
}

/* kTLS would have it wait with the other one. */
TEST_F(threads, sender_who_must_not_wait_is_told_at_once_while_another_waits)
{
	struct shared *sh = self->sh;
	struct pollfd p = { .fd = sh->s.fd, .events = POLLOUT };
	pthread_t patient, taker;
	struct message m;
	void *failed;
	ssize_t n;
	long began;
	int i;

	message_make(&m, 1, 1);
	ASSERT_EQ(0, pthread_create(&patient, NULL, patient_writer, sh));
	while (poll(&p, 1, 200))
		sleep_ms(50);
	for (i = 0; i < 10; i++) {
		began = now_ms();
		EXPECT_EQ(-1, send(sh->s.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL));
		EXPECT_EQ(EAGAIN, errno);
		EXPECT_GT(1000, now_ms() - began);
	}
	ASSERT_EQ(0, pthread_create(&taker, NULL, peer_taker, sh));
	do {
		ASSERT_EQ(1, poll(&p, 1, 20000));
		n = send(sh->s.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EAGAIN);
	EXPECT_EQ(sizeof(m), n);
	pthread_join(patient, &failed);
	EXPECT_EQ(NULL, failed);
	pthread_join(taker, &failed);
	EXPECT_EQ(NULL, failed);
}

/* Parent and child read and write in turn; the end of one is not the end of the socket. */
TEST_F(threads, fork_shares_a_socket)
{
	struct stream *s = &self->sh->s;
	int round, status;
	char got[8];

	for (round = 0; round < 10; round++) {
		pid_t child;

		ASSERT_EQ(0, peer_data(s, "to child"));
		ASSERT_EQ(0, peer_update(s, true));
		ASSERT_EQ(0, peer_data(s, "to paren"));
		child = fork();
		if (!child) {
			if (recv_all(s->fd, got, 8) || memcmp(got, "to child", 8) ||
			    write(s->fd, "of child", 8) != 8)
				_exit(1);
			_exit(0);
		}
		ASSERT_LT(0, child);
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_EQ(0, status);
		ASSERT_EQ(0, recv_all(s->fd, got, 8));
		EXPECT_EQ(0, memcmp(got, "to paren", 8));
		ASSERT_EQ(8, write(s->fd, "of paren", 8));
		ASSERT_EQ(0, peer_read(s, got, 8));
		EXPECT_EQ(0, memcmp(got, "of child", 8));
		ASSERT_EQ(0, peer_read(s, got, 8));
		EXPECT_EQ(0, memcmp(got, "of paren", 8));
	}
	EXPECT_EQ(10, s->updates);
}

/* A reader that sleeps in another thread does not keep a socket from its end. */
static void *sleeper(void *arg)
{
	const int *fd = arg;
	char byte;

	return recv(*fd, &byte, 1, 0) ? arg : NULL;
}

TEST_F(threads, shutdown_wakes_readers)
{
	struct stream *s = &self->sh->s;
	pthread_t threads[3];
	void *failed;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, sleeper, &s->fd));
	sleep_ms(50);
	ASSERT_EQ(0, shutdown(s->fd, SHUT_RDWR));
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], &failed);
		EXPECT_EQ(NULL, failed);
	}
	EXPECT_TRUE(peer_sees_end(s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
}

TEST_F(threads, close_notify_wakes_all_readers)
{
	struct stream *s = &self->sh->s;
	pthread_t threads[3];
	void *failed;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, sleeper, &s->fd));
	sleep_ms(50);
	ASSERT_EQ(0, peer_alert(s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], &failed);
		EXPECT_EQ(NULL, failed);
	}
}

/*
 * A key may turn at any moment, so when kTLS sets up the other direction as well. One
 * direction has its key, and turns it all the time, while the other gets its own.
 */
#define TURNS	400		/* of the peer's key */

struct turning {
	struct stream s;
	uint16_t first;		/* the direction that turns */
	atomic_bool done;
	int bytes;
	int error;
};

static void *turner(void *arg)
{
	struct turning *t = arg;
	int request = 0;
	char byte;

	while (!t->done) {
		if (t->first == KEYBLOB_DIR_TX) {
			setsockopt(t->s.fd, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request));
			usleep(100);
		} else if (recv(t->s.fd, &byte, 1, MSG_DONTWAIT) == 1) {
			t->bytes++;
		} else {
			t->error = errno;
		}
	}
	return NULL;
}

/* One round; 0, or the number of what went wrong. */
static int turn_and_import(struct turning *t, uint16_t first)
{
	struct stream *s = &t->s;
	struct conn at_first;
	pthread_t thread;
	int err, i;

	memset(t, 0, sizeof(*t));
	t->first = first;
	if (conn_open(&s->c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128))
		return 1;
	s->fd = s->c.fd;
	/* The peer's key turns in s->c. */
	at_first = s->c;
	for (i = 0; first == KEYBLOB_DIR_RX && i < TURNS; i++)
		if (peer_update(s, false) || peer_data(s, "a"))
			return 2;
	if (conn_import_one(&at_first, first) || pthread_create(&thread, NULL, turner, t))
		return 3;
	do {
		err = conn_import_one(&at_first, first == KEYBLOB_DIR_TX ? KEYBLOB_DIR_RX :
									   KEYBLOB_DIR_TX);
	} while (err == -EBUSY);	/* a reader was there */
	for (i = 0; first == KEYBLOB_DIR_RX && i < 2000 && t->bytes < TURNS; i++)
		sleep_ms(10);
	t->done = true;
	pthread_join(thread, NULL);
	if (err)
		return 4;
	return first == KEYBLOB_DIR_RX && t->bytes != TURNS ? 5 : 0;
}

static bool both_ways(struct stream *s)
{
	char got[5];

	return send(s->fd, "hello", 5, MSG_NOSIGNAL) == 5 && !peer_read(s, got, 5) &&
	       !memcmp(got, "hello", 5) && !peer_data(s, "world") &&
	       !recv_all(s->fd, got, 5) && !memcmp(got, "world", 5);
}

TEST_F_TIMEOUT(threads, keys_turn_while_the_other_direction_gets_its_own, 90)
{
	const int rounds = a_part_if_slow(60);
	static struct turning t;
	int round;

	for (round = 0; round < rounds; round++) {
		const uint16_t first = round % 2 ? KEYBLOB_DIR_TX : KEYBLOB_DIR_RX;

		ASSERT_EQ(0, turn_and_import(&t, first))
			TH_LOG("round %d: %d bytes, then %s", round, t.bytes, strerror(t.error));
		ASSERT_TRUE(both_ways(&t.s))
			TH_LOG("round %d", round);
		stream_close(&t.s);
	}
}

/*
 * Everything at once, from the first import to the last close. That nothing breaks
 * shows in the kernel's log; that nothing hangs, here.
 */
struct melee {
	struct conn c;
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE];
	pthread_barrier_t barrier;
	atomic_int next;
	unsigned int seed;
};

#define FIGHTERS	7

static void *fight(void *arg)
{
	struct melee *m = arg;
	const int me = m->next++;
	const int fd = m->c.fd, copy = dup(fd), one = 1;
	struct keyblob_status status;
	uint8_t data[3000] = {};
	int i;

	pthread_barrier_wait(&m->barrier);
	for (i = 0; i < (int)(m->seed + me * 7) % 5; i++)
		sched_yield();
	switch (me) {
	case 0:
		keyblob_import(fd, KEYBLOB_DIR_TX, m->blobs[0], KEYBLOB_BLOB_SIZE);
		break;
	case 1:
		keyblob_import(fd, KEYBLOB_DIR_RX, m->blobs[1], KEYBLOB_BLOB_SIZE);
		break;
	case 2:
		for (i = 0; i < 10; i++)
			recv(copy, data, sizeof(data), MSG_DONTWAIT);
		break;
	case 3:
		for (i = 0; i < 10; i++)
			send(copy, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 4:
		for (i = 0; i < 10; i++) {
			setsockopt(copy, SOL_KEYBLOB, KEYBLOB_REKEY, &one, sizeof(one));
			keyblob_info(copy, &status);
		}
		break;
	case 5:
		if (m->seed % 3)
			sleep_ms(m->seed % 4);
		shutdown(copy, m->seed % 2 ? SHUT_RDWR : SHUT_WR);
		break;
	case 6:
		for (i = 0; i < 10; i++) {
			const uint8_t update[] = { HS_KEY_UPDATE, 0, 0, 1, 1 };

			tls_peer_send(&m->c.peer, i % 2 ? TLS_TYPE_HANDSHAKE : TLS_TYPE_DATA,
				      update, sizeof(update));
		}
		if (m->seed % 2)
			shutdown(m->c.peer.fd, SHUT_WR);
		break;
	}
	close(copy);
	return NULL;
}

TEST_F_TIMEOUT(threads, nothing_breaks_when_all_is_done_at_once, 90)
{
	pthread_t threads[FIGHTERS];
	struct melee *m = calloc(1, sizeof(*m));
	const int rounds = a_part_if_slow(150);
	int round, i;

	ASSERT_NE(NULL, m);
	for (round = 0; round < rounds; round++) {
		ASSERT_EQ(0, conn_open(&m->c, round % 2 ? AF_INET : AF_INET6, TLS_1_3_VERSION,
				       TLS_CIPHER_AES_GCM_128));
		ASSERT_EQ(0, keyblob_export(m->c.fd, &m->c.tx, m->blobs[0]));
		ASSERT_EQ(0, keyblob_export(m->c.fd, &m->c.rx, m->blobs[1]));
		ASSERT_EQ(0, pthread_barrier_init(&m->barrier, NULL, FIGHTERS));
		m->next = 0;
		m->seed = round;
		for (i = 0; i < FIGHTERS; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, fight, m));
		for (i = 0; i < FIGHTERS; i++)
			pthread_join(threads[i], NULL);
		conn_close(&m->c);
		pthread_barrier_destroy(&m->barrier);
	}
	free(m);
}

TEST_HARNESS_MAIN
