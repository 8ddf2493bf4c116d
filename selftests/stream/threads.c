// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads and processes on one socket: nothing is torn, lost or held up, and
 * nothing breaks, whatever they do to it.
 */
#include <errno.h>
#include <linux/tls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"

#define MESSAGES	3000	/* of each sender */
#define READERS		2
#define WRITERS		2

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
	return m->number < MESSAGES && !memcmp(&want, m, sizeof(want));
}

struct shared {
	struct stream s;
	atomic_uchar seen[MESSAGES];
	atomic_uint unread;
	atomic_bool done;
	atomic_int next;
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

	for (i = 0; i < MESSAGES; i++) {
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

	for (i = 0; i < MESSAGES; i++) {
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
	long last[WRITERS] = { -1, -1 };
	struct message m;
	int i;

	for (i = 0; i < WRITERS * MESSAGES; i++) {
		if (peer_read(&sh->s, &m, sizeof(m)) || !message_good(&m) ||
		    m.sender >= WRITERS || m.number != last[m.sender] + 1)
			return arg;
		last[m.sender]++;
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
	self->sh = calloc(1, sizeof(*self->sh));
	ASSERT_NE(NULL, self->sh);
	ASSERT_EQ(0, stream_open(&self->sh->s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_CLIENT));
	self->sh->unread = MESSAGES;
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
	EXPECT_EQ(0, sh->unread);
	ASSERT_EQ(0, keyblob_info(sh->s.fd, &status));
	EXPECT_EQ(MESSAGES / 10, status.rx_generation);
	EXPECT_LE(sh->s.updates, status.tx_generation);
	EXPECT_LT(0, sh->s.updates);
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
	int round, i;

	ASSERT_NE(NULL, m);
	for (round = 0; round < 150; round++) {
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
