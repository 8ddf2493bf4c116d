// SPDX-License-Identifier: GPL-2.0-only
/*
 * KEYBLOB_TX and KEYBLOB_RX: a blob is good for one direction of one socket, in one
 * state, once. Each refusal is followed by proof that the socket is unharmed.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "kselftest_harness.h"
#include "lib/blob_error.h"
#include "lib/net.h"
#include "lib/suites.h"

static const int directions[] = { KEYBLOB_DIR_TX, KEYBLOB_DIR_RX };

FIXTURE(import)
{
	struct conn c;
	uint8_t tx[KEYBLOB_BLOB_SIZE];
	uint8_t rx[KEYBLOB_BLOB_SIZE];
};

FIXTURE_VARIANT(import)
{
	uint16_t version;
	uint16_t cipher;
};

SUITE_VARIANTS(import);

FIXTURE_SETUP(import)
{
	ASSERT_EQ(0, conn_open(&self->c, AF_INET6, variant->version, variant->cipher));
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, self->tx));
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.rx, self->rx));
}

FIXTURE_TEARDOWN(import)
{
	conn_close(&self->c);
}

#define TX(self)	\
	keyblob_import((self)->c.fd, KEYBLOB_DIR_TX, (self)->tx, KEYBLOB_BLOB_SIZE)
#define RX(self)	\
	keyblob_import((self)->c.fd, KEYBLOB_DIR_RX, (self)->rx, KEYBLOB_BLOB_SIZE)

/* After a refusal the very blobs of the setup are still good. */
#define EXPECT_UNHARMED(self) do {			\
	ASSERT_EQ(0, TX(self));				\
	ASSERT_EQ(0, RX(self));				\
	EXPECT_TRUE(conn_works(&(self)->c));		\
} while (0)

/* The same where the stream has moved: with new ones. */
#define EXPECT_UNHARMED_BUT_MOVED(self) do {		\
	EXPECT_TRUE(conn_works_plain(&(self)->c));	\
	ASSERT_EQ(0, conn_import(&(self)->c));		\
	EXPECT_TRUE(conn_works(&(self)->c));		\
} while (0)

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

TEST_F(import, every_altered_byte_is_refused)
{
	size_t i;

	for (i = 0; i < KEYBLOB_BLOB_SIZE; i++) {
		self->tx[i] ^= 1 << (i % 8);
		self->rx[i] ^= 0xff;
		ASSERT_EQ(error_of(i), TX(self))
			TH_LOG("byte %zu", i);
		ASSERT_EQ(error_of(i), RX(self))
			TH_LOG("byte %zu", i);
		self->tx[i] ^= 1 << (i % 8);
		self->rx[i] ^= 0xff;
	}
	EXPECT_UNHARMED(self);
}

TEST_F(import, key_is_the_blobs_whatever_was_exported_since)
{
	struct keyblob_key keys[] = { self->c.tx, self->c.rx };
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	int i;

	for (i = 0; i < 2; i++) {
		keys[i].key[0] ^= variant->version == TLS_1_2_VERSION;
		keys[i].secret[0] ^= variant->version == TLS_1_3_VERSION;
		ASSERT_EQ(0, keyblob_export(self->c.fd, &keys[i], blob));
	}
	EXPECT_UNHARMED(self);
}

TEST_F(import, made_up_blob_is_refused)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	int i;

	for (i = 0; i < 2; i++) {
		fill(blob, sizeof(blob), 5);
		EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, directions[i], blob, sizeof(blob)));
		memcpy(blob, self->tx, sizeof(struct keyblob_head));
		EXPECT_EQ(-EBADMSG, keyblob_import(self->c.fd, directions[i], blob, sizeof(blob)));
	}
	/* Parts of two good ones are not a third. */
	memcpy(blob, self->tx, 128);
	memcpy(blob + 128, self->rx + 128, 128);
	EXPECT_EQ(-EBADMSG, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, blob, sizeof(blob)));
	EXPECT_EQ(-EBADMSG, keyblob_import(self->c.fd, KEYBLOB_DIR_RX, blob, sizeof(blob)));
	EXPECT_UNHARMED(self);
}

TEST_F(import, unknown_version_is_refused)
{
	struct keyblob_head *head = (struct keyblob_head *)self->tx;

	head->version = KEYBLOB_BLOB_VERSION + 1;
	EXPECT_EQ(-EPROTONOSUPPORT, TX(self));
	/* A later version may be of another size. */
	head->size = 64;
	EXPECT_EQ(-EPROTONOSUPPORT, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, self->tx, 64));
	head->version = KEYBLOB_BLOB_VERSION;
	head->size = KEYBLOB_BLOB_SIZE;
	EXPECT_UNHARMED(self);
}

TEST_F(import, every_other_length_is_refused)
{
	uint8_t big[4096] = {};
	int len;

	memcpy(big, self->tx, sizeof(self->tx));
	for (len = 0; len < KEYBLOB_BLOB_SIZE; len++)
		EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, big, len));
	EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, big, 257));
	EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, big, sizeof(big)));
	EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, big, -1));
	EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, big, 0x7fffffff));
	EXPECT_UNHARMED(self);
}

TEST_F(import, bad_pointers_are_refused)
{
	const long page = sysconf(_SC_PAGESIZE);
	uint8_t *mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *edge = mem + page - KEYBLOB_BLOB_SIZE / 2;

	ASSERT_NE(MAP_FAILED, mem);
	memcpy(edge, self->tx, sizeof(self->tx));
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_NONE));
	EXPECT_EQ(-EFAULT, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, NULL, KEYBLOB_BLOB_SIZE));
	EXPECT_EQ(-EFAULT, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, edge, KEYBLOB_BLOB_SIZE));
	EXPECT_UNHARMED(self);
}

TEST_F(import, other_direction_is_refused)
{
	EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_RX, self->tx,
					  sizeof(self->tx)));
	EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, self->rx,
					  sizeof(self->rx)));
	EXPECT_UNHARMED(self);
}

TEST_F(import, directions_of_two_suites_are_refused)
{
	const struct tls_suite *s;
	struct keyblob_key key;
	uint8_t blob[KEYBLOB_BLOB_SIZE];

	ASSERT_EQ(0, TX(self));
	for (s = tls_suites; s->name; s++) {
		if (s->version == variant->version && s->cipher == variant->cipher)
			continue;
		key_random(&key, KEYBLOB_DIR_RX, s->version, s->cipher);
		ASSERT_EQ(0, keyblob_export(self->c.fd, &key, blob));
		EXPECT_EQ(-EINVAL, keyblob_import(self->c.fd, KEYBLOB_DIR_RX, blob,
						  sizeof(blob)))
			TH_LOG("with %s", s->name);
	}
	ASSERT_EQ(0, RX(self));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(import, other_socket_is_refused)
{
	struct conn other;

	ASSERT_EQ(0, conn_open(&other, AF_INET6, variant->version, variant->cipher));
	EXPECT_EQ(-ESTALE, keyblob_import(other.fd, KEYBLOB_DIR_TX, self->tx, sizeof(self->tx)));
	EXPECT_EQ(-ESTALE, keyblob_import(other.fd, KEYBLOB_DIR_RX, self->rx, sizeof(self->rx)));
	EXPECT_TRUE(conn_works_plain(&other));
	ASSERT_EQ(0, conn_import(&other));
	EXPECT_TRUE(conn_works(&other));
	/* ... whose key it may have already. */
	EXPECT_EQ(-ESTALE, keyblob_import(other.fd, KEYBLOB_DIR_TX, self->tx, sizeof(self->tx)));
	conn_close(&other);
	EXPECT_UNHARMED(self);
}

TEST_F(import, other_end_of_the_connection_is_refused)
{
	ASSERT_EQ(0, keyblob_attach(self->c.peer.fd));
	EXPECT_EQ(-ESTALE, keyblob_import(self->c.peer.fd, KEYBLOB_DIR_TX, self->tx,
					  sizeof(self->tx)));
	EXPECT_EQ(-ESTALE, keyblob_import(self->c.peer.fd, KEYBLOB_DIR_RX, self->rx,
					  sizeof(self->rx)));
	EXPECT_UNHARMED(self);
}

TEST_F(import, byte_written_since_is_refused)
{
	char byte;

	ASSERT_EQ(1, write(self->c.fd, "x", 1));
	EXPECT_EQ(-ESTALE, TX(self));
	/* Acknowledged and read, it has still been written. */
	ASSERT_EQ(1, read(self->c.peer.fd, &byte, 1));
	sleep_ms(20);
	EXPECT_EQ(-ESTALE, TX(self));
	EXPECT_UNHARMED_BUT_MOVED(self);
}

TEST_F(import, byte_read_since_is_refused)
{
	char byte;

	ASSERT_EQ(2, write(self->c.peer.fd, "xy", 2));
	ASSERT_EQ(1, read(self->c.fd, &byte, 1));
	EXPECT_EQ(-ESTALE, RX(self));
	ASSERT_EQ(1, read(self->c.fd, &byte, 1));
	EXPECT_EQ(-ESTALE, RX(self));
	EXPECT_UNHARMED_BUT_MOVED(self);
}

/* The end of the handshake may still be in flight: only what was consumed counts. */
TEST_F(import, bytes_that_arrived_since_do_no_harm)
{
	char buf[8];

	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "early", 5));
	sleep_ms(20);
	ASSERT_EQ(5 + 16, recv(self->c.fd, (char[64]){}, 21, MSG_PEEK));
	ASSERT_EQ(0, TX(self));
	ASSERT_EQ(0, RX(self));
	ASSERT_EQ(0, recv_all(self->c.fd, buf, 5));
	EXPECT_EQ(0, memcmp(buf, "early", 5));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(import, other_direction_may_move)
{
	char byte;

	ASSERT_EQ(1, write(self->c.peer.fd, "x", 1));
	ASSERT_EQ(1, read(self->c.fd, &byte, 1));
	EXPECT_EQ(0, TX(self));
	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
	EXPECT_TRUE(conn_works(&self->c));
}

/* A client that sends its request and half-closes, just between the two calls. */
TEST_F(import, half_close_since_does_no_harm)
{
	char buf[8];

	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "GET", 3));
	ASSERT_EQ(0, shutdown(self->c.peer.fd, SHUT_WR));
	sleep_ms(20);
	ASSERT_EQ(0, TX(self));
	ASSERT_EQ(0, RX(self));
	ASSERT_EQ(0, recv_all(self->c.fd, buf, 3));
	EXPECT_EQ(0, memcmp(buf, "GET", 3));
	ASSERT_EQ(3, write(self->c.fd, "200", 3));
	ASSERT_EQ(0, tls_peer_read(&self->c.peer, buf, 3));
	EXPECT_EQ(0, memcmp(buf, "200", 3));
}

TEST_F(import, expired_blob_is_refused)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct keyblob_key key;
	int i;

	for (i = 0; i < 2; i++) {
		key = directions[i] == KEYBLOB_DIR_TX ? self->c.tx : self->c.rx;
		key.lifetime_ms = 1;
		ASSERT_EQ(0, keyblob_export(self->c.fd, &key, blob));
		sleep_ms(5);
		EXPECT_EQ(-EKEYEXPIRED, keyblob_import(self->c.fd, directions[i], blob,
						       sizeof(blob)));
	}
	EXPECT_UNHARMED(self);
}

TEST_F(import, lifetime_is_what_was_asked_for)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct keyblob_key key = self->c.tx;

	key.lifetime_ms = 3600000;
	ASSERT_EQ(0, keyblob_export(self->c.fd, &key, blob));
	key.lifetime_ms = 500;
	ASSERT_EQ(0, keyblob_export(self->c.fd, &key, self->tx));
	sleep_ms(600);
	EXPECT_EQ(-EKEYEXPIRED, TX(self));
	EXPECT_EQ(0, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, blob, sizeof(blob)));
}

TEST_F(import, blob_is_single_use)
{
	uint8_t again[KEYBLOB_BLOB_SIZE];

	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, again));
	ASSERT_EQ(0, TX(self));
	EXPECT_EQ(-EALREADY, TX(self));
	/* Another blob of the same key would use its nonces again as well. */
	EXPECT_EQ(-EALREADY, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, again, sizeof(again)));
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.rx, again));
	ASSERT_EQ(0, RX(self));
	EXPECT_EQ(-EALREADY, RX(self));
	EXPECT_EQ(-EALREADY, keyblob_import(self->c.fd, KEYBLOB_DIR_RX, again, sizeof(again)));
	EXPECT_TRUE(conn_works(&self->c));
	EXPECT_EQ(-EALREADY, TX(self));
	EXPECT_EQ(-EALREADY, RX(self));
	EXPECT_TRUE(conn_works(&self->c));
}

struct racer {
	pthread_barrier_t *barrier;
	int fd;
	const uint8_t *blob;
	int result;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(r->barrier);
	r->result = keyblob_import(r->fd, KEYBLOB_DIR_TX, r->blob, KEYBLOB_BLOB_SIZE);
	return NULL;
}

TEST_F(import, blob_is_single_use_among_threads)
{
	pthread_barrier_t barrier;
	pthread_t threads[4];
	struct racer r[4];
	int round, i, won;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 4));
	for (round = 0; round < 20; round++) {
		conn_close(&self->c);
		ASSERT_EQ(0, conn_open(&self->c, AF_INET, variant->version, variant->cipher));
		ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, self->tx));
		for (i = 0; i < 4; i++) {
			r[i] = (struct racer){ &barrier, self->c.fd, self->tx, 0 };
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, race, &r[i]));
		}
		won = 0;
		for (i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			EXPECT_TRUE(!r[i].result || r[i].result == -EALREADY ||
				    r[i].result == -EBUSY)
				TH_LOG("error %d", -r[i].result);
			won += !r[i].result;
		}
		ASSERT_EQ(1, won);
		ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
		ASSERT_TRUE(conn_works(&self->c));
	}
}

struct asker {
	int fd;
	atomic_bool stop;
	atomic_bool asks;
	int error;		/* what KEYBLOB_INFO gave other than success */
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	struct keyblob_status status;
	socklen_t len;

	while (!atomic_load(&a->stop)) {
		len = sizeof(status);
		if (getsockopt(a->fd, SOL_KEYBLOB, KEYBLOB_INFO, &status, &len))
			a->error = errno;
		atomic_store(&a->asks, true);
	}
	return NULL;
}

TEST_F(import, options_are_there_during_an_import)
{
	struct asker a = { 0 };
	pthread_t thread;
	int round;

	for (round = 0; round < 50 && !a.error; round++) {
		conn_close(&self->c);
		ASSERT_EQ(0, conn_open(&self->c, AF_INET, variant->version, variant->cipher));
		a.fd = self->c.fd;
		atomic_store(&a.stop, false);
		atomic_store(&a.asks, false);
		ASSERT_EQ(0, pthread_create(&thread, NULL, ask, &a));
		while (!atomic_load(&a.asks))
			sched_yield();
		EXPECT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_TX));
		EXPECT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
		atomic_store(&a.stop, true);
		pthread_join(thread, NULL);
	}
	EXPECT_EQ(0, a.error)
		TH_LOG("KEYBLOB_INFO in round %d: %s", round, strerror(a.error));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(import, reset_connection_is_refused)
{
	const struct linger reset = { .l_onoff = 1 };
	struct keyblob_status status;

	ASSERT_EQ(0, RX(self));
	ASSERT_EQ(0, setsockopt(self->c.peer.fd, SOL_SOCKET, SO_LINGER, &reset,
				sizeof(reset)));
	close(self->c.peer.fd);
	self->c.peer.fd = -1;
	sleep_ms(20);
	EXPECT_EQ(-ENOTCONN, TX(self));
	EXPECT_EQ(0, keyblob_info(self->c.fd, &status));
	EXPECT_EQ(0, status.tx_ready);
}

struct blocked {
	pthread_t thread;
	int fd;
	atomic_int done;
	size_t len;
	ssize_t result;
};

static void *sender(void *arg)
{
	struct blocked *b = arg;
	uint8_t *data = calloc(1, b->len);

	b->result = send(b->fd, data, b->len, MSG_NOSIGNAL);
	b->done = 1;
	free(data);
	return NULL;
}

static void *receiver(void *arg)
{
	struct blocked *b = arg;
	char buf[16];

	b->result = recv(b->fd, buf, sizeof(buf), 0);
	b->done = 1;
	return NULL;
}

/* What a blocked sender has left would follow in the clear. */
TEST_F(import, is_refused_while_another_thread_sends)
{
	struct blocked b = { .fd = self->c.fd, .len = 8 << 20 };
	size_t left = b.len;
	uint8_t buf[65536];
	ssize_t n;

	ASSERT_EQ(0, pthread_create(&b.thread, NULL, sender, &b));
	sleep_ms(100);
	ASSERT_EQ(0, atomic_load(&b.done));
	/* The stream stands still, but only for now. */
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, self->tx));
	EXPECT_EQ(-EBUSY, TX(self));
	/* Receiving has nothing to do with it. */
	EXPECT_EQ(0, RX(self));

	for (; left; left -= n) {
		n = recv(self->c.peer.fd, buf, sizeof(buf), 0);
		ASSERT_LT(0, n);
	}
	pthread_join(b.thread, NULL);
	ASSERT_EQ(b.len, b.result);
	ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_TX));
	EXPECT_TRUE(conn_works(&self->c));
}

/* A thread that reads by the one key while the other is put in gets its data. */
TEST_F(import, reader_of_the_other_direction_is_left_in_peace)
{
	struct blocked b = { .fd = self->c.fd };
	int err;

	ASSERT_EQ(0, RX(self));
	ASSERT_EQ(0, pthread_create(&b.thread, NULL, receiver, &b));
	sleep_ms(50);
	ASSERT_EQ(0, atomic_load(&b.done));
	err = TX(self);
	EXPECT_TRUE(err == 0 || err == -EBUSY);
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "wake", 4));
	pthread_join(b.thread, NULL);
	EXPECT_EQ(4, b.result);
	if (err)
		ASSERT_EQ(0, TX(self));
	EXPECT_TRUE(conn_works(&self->c));
}

/*
 * The caller scribbles into the blob while it is imported. Whatever comes of it:
 * no key but the sealed one ever encrypts, and no direction is half set up.
 */
struct scribbler {
	pthread_t thread;
	uint8_t *blob;
	atomic_int stop;
};

#define DECOY	32	/* where it begins in a blob */

/* Right and wrong take turns, each for about as long as an import takes. */
static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint8_t good[KEYBLOB_BLOB_SIZE];
	uint32_t random = 1;

	memcpy(good, s->blob, sizeof(good));
	while (!s->stop) {
		volatile uint8_t *at;
		volatile unsigned int wait;

		fill(&random, sizeof(random), random);
		/* Half of the time at version and cipher. */
		at = s->blob + DECOY + (random & 1 ? random / 2 % 4 : random / 2 % 56);
		*at ^= 1 + random / 256 % 7;
		for (wait = random >> 16 & 0x3fff; wait && !s->stop; wait--)
			;
		*at = good[at - s->blob];
		for (wait = random >> 20 & 0x3fff; wait && !s->stop; wait--)
			;
	}
	return NULL;
}

TEST_F_TIMEOUT(import, blob_changed_during_import_does_no_harm, 120)
{
	int round, i, err, refused = 0, aborted = 0;

	/* Until it has hit, on a busy machine; else the test tests nothing. */
	for (round = 0; round < 40 || (!refused && round < 1000); round++) {
		struct scribbler s = { .blob = self->tx };

		conn_close(&self->c);
		ASSERT_EQ(0, conn_open(&self->c, AF_INET, variant->version, variant->cipher));
		ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, self->tx));
		ASSERT_EQ(0, pthread_create(&s.thread, NULL, scribble, &s));
		for (i = 0, err = -EBADMSG; i < 50 && err && err != -ECONNABORTED; i++) {
			err = TX(self);
			refused += !!err;
		}
		s.stop = 1;
		pthread_join(s.thread, NULL);
		if (err == -ECONNABORTED) {
			aborted++;
			EXPECT_EQ(-1, send(self->c.fd, "x", 1, MSG_NOSIGNAL));
			continue;
		}
		if (err)
			ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_TX))
				TH_LOG("after error %d", -err);
		ASSERT_EQ(0, conn_import_one(&self->c, KEYBLOB_DIR_RX));
		ASSERT_TRUE(conn_works(&self->c))
			TH_LOG("after error %d", -err);
	}
	TH_LOG("%d refused, %d aborted", refused, aborted);
	EXPECT_LT(0, refused);
}

TEST_HARNESS_MAIN
