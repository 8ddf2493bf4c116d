// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of a call on a keyblob socket fails once: the call says that there is no
 * memory and has changed nothing, or it does without. Somebody listens to the events, so
 * that they are made as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent.h"
#include "fault.h"
#include "kselftest_harness.h"
#include "lib/suites.h"
#include "peer.h"

#define SIZE		40000	/* bytes of data: full records, and a rest */
#define MINUTES		600	/* seconds that one test may take under emulation */

static uint8_t data[SIZE], got[SIZE];

FIXTURE(sockets)
{
	struct fault f;
	struct agent watcher;
	struct stream s;
};

FIXTURE_VARIANT(sockets)
{
	uint16_t version;
	uint16_t cipher;
};

/* All of the module's ways: both versions of TLS, and each cipher and hash it has them of. */
SUITE_VARIANT(sockets, 1_2, AES_GCM_128);
SUITE_VARIANT(sockets, 1_3, AES_GCM_256);
SUITE_VARIANT(sockets, 1_3, CHACHA20_POLY1305);

FIXTURE_SETUP(sockets)
{
	const char *missing = fault_missing();

	if (missing)
		SKIP(return, "%s", missing);
	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, fault_init(&self->f));
	ASSERT_EQ(0, agent_open(&self->watcher));
	ASSERT_EQ(0, agent_join(&self->watcher));
}

FIXTURE_TEARDOWN(sockets)
{
	fault_anywhere(0);
}

#define TLS_1_3_ONLY() do {						\
	if (variant->version != TLS_1_3_VERSION)			\
		SKIP(return, "TLS 1.2 has no KeyUpdate");		\
} while (0)

/* Where only the way to encrypt matters. */
#define NOT_AES_GCM_256() do {						\
	if (variant->cipher == TLS_CIPHER_AES_GCM_256)			\
		SKIP(return, "the same as with AES-128-GCM");		\
} while (0)

/* What does not depend on the suite is tested with one. */
#define ONE_SUITE_ONLY() do {						\
	if (variant->cipher != TLS_CIPHER_AES_GCM_256)			\
		SKIP(return, "the same as with AES-256-GCM");		\
} while (0)

static int open_conn(FIXTURE_DATA(sockets) *self, const FIXTURE_VARIANT(sockets) *variant)
{
	return conn_open(&self->s.c, self->f.nth % 2 ? AF_INET6 : AF_INET, variant->version,
			 variant->cipher);
}

static int open_stream(FIXTURE_DATA(sockets) *self, const FIXTURE_VARIANT(sockets) *variant)
{
	const struct timeval wait = { .tv_sec = 5 };
	int err = stream_open(&self->s, variant->version, variant->cipher, KEYBLOB_ROLE_SERVER);

	if (!err)
		setsockopt(self->s.c.peer.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return err;
}

/* Data both ways, whatever the generations; and both ends count the same records. */
static bool works(struct stream *s)
{
	struct keyblob_status status;
	char buf[4];

	return send(s->fd, "ping", 4, MSG_NOSIGNAL) == 4 && !peer_read(s, buf, 4) &&
	       !memcmp(buf, "ping", 4) && !peer_data(s, "pong") && !recv_all(s->fd, buf, 4) &&
	       !memcmp(buf, "pong", 4) && !keyblob_info(s->fd, &status) &&
	       status.tx_rec_seq == s->c.peer.rx.seq && status.rx_rec_seq == s->c.peer.tx.seq &&
	       status.tx_generation == s->c.tx.generation &&
	       status.rx_generation == s->c.rx.generation;
}

static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* ---- options ---- */

TEST_F_TIMEOUT(sockets, attach_that_fails_leaves_a_plain_socket, MINUTES)
{
	struct fault *f = &self->f;
	struct conn *c = &self->s.c;
	int fds[2], err;

	ONE_SUITE_ONLY();
	do {
		ASSERT_EQ(0, tcp_pair(f->nth % 2 ? AF_INET6 : AF_INET, fds));
		c->fd = fds[0];
		c->peer.fd = fds[1];
		err = fault_call(f, keyblob_attach(c->fd));
		if (err) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(err))
				TH_LOG("fault %u: error %d", f->nth, -err);
			EXPECT_TRUE(conn_works_plain(c));
			ASSERT_EQ(0, keyblob_attach(c->fd));
		}
		key_random(&c->tx, KEYBLOB_DIR_TX, variant->version, variant->cipher);
		key_random(&c->rx, KEYBLOB_DIR_RX, variant->version, variant->cipher);
		ASSERT_EQ(0, conn_peer(c));
		ASSERT_EQ(0, conn_import(c));
		EXPECT_TRUE(conn_works(c));
		conn_close(c);
	} while (f->hit);
	fault_report(f, "attach");
}

TEST_F_TIMEOUT(sockets, export_that_fails_changes_nothing, MINUTES)
{
	struct keyblob_status before, after;
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct fault *f = &self->f;
	struct conn *c = &self->s.c;
	int err;

	ONE_SUITE_ONLY();
	do {
		ASSERT_EQ(0, open_conn(self, variant));
		ASSERT_EQ(0, keyblob_info(c->fd, &before));
		err = fault_call(f, keyblob_export(c->fd, &c->tx, blob));
		ASSERT_TRUE(!err || (f->hit && is_fault(err)))
			TH_LOG("error %d", -err);
		ASSERT_EQ(0, keyblob_info(c->fd, &after));
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
		if (err)
			ASSERT_EQ(0, keyblob_export(c->fd, &c->tx, blob));
		ASSERT_EQ(0, keyblob_import(c->fd, KEYBLOB_DIR_TX, blob, sizeof(blob)));
		ASSERT_EQ(0, conn_import_one(c, KEYBLOB_DIR_RX));
		EXPECT_TRUE(conn_works(c));
		conn_close(c);
	} while (f->hit);
	fault_report(f, "KEYBLOB_EXPORT");
}

/* Makes the module's spare transform one of another algorithm. */
static int use_another_suite(const FIXTURE_VARIANT(sockets) *variant)
{
	const bool chacha = variant->cipher == TLS_CIPHER_CHACHA20_POLY1305;
	struct conn c;
	int err = conn_open(&c, AF_INET, TLS_1_2_VERSION, chacha ? TLS_CIPHER_AES_GCM_128 :
			    TLS_CIPHER_CHACHA20_POLY1305);

	if (err)
		return err;
	err = conn_import(&c);
	conn_close(&c);
	return err;
}

/* As the first key of the socket, or as the second; with a spare transform or without. */
static void import(struct __test_metadata *_metadata, FIXTURE_DATA(sockets) *self,
		   const FIXTURE_VARIANT(sockets) *variant, int direction, bool second,
		   bool spare)
{
	const int other = KEYBLOB_DIR_TX + KEYBLOB_DIR_RX - direction;
	struct keyblob_status before, after;
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct fault *f = &self->f;
	struct conn *c = &self->s.c;
	char what[64];
	int err;

	do {
		ASSERT_EQ(0, open_conn(self, variant));
		if (second)
			ASSERT_EQ(0, conn_import_one(c, other));
		if (!spare)
			ASSERT_EQ(0, use_another_suite(variant));
		ASSERT_EQ(0, keyblob_export(c->fd, direction == KEYBLOB_DIR_TX ? &c->tx : &c->rx,
					    blob));
		ASSERT_EQ(0, keyblob_info(c->fd, &before));
		err = fault_call(f, keyblob_import(c->fd, direction, blob, sizeof(blob)));
		if (err) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(err))
				TH_LOG("fault %u: error %d", f->nth, -err);
			ASSERT_EQ(0, keyblob_info(c->fd, &after));
			EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
			ASSERT_EQ(0, keyblob_import(c->fd, direction, blob, sizeof(blob)));
		}
		EXPECT_EQ(-EALREADY, keyblob_import(c->fd, direction, blob, sizeof(blob)));
		if (!second)
			ASSERT_EQ(0, conn_import_one(c, other));
		EXPECT_TRUE(conn_works(c))
			TH_LOG("fault %u", f->nth);
		conn_close(c);
	} while (f->hit);
	snprintf(what, sizeof(what), "KEYBLOB_%s, %s key, %s spare",
		 direction == KEYBLOB_DIR_TX ? "TX" : "RX", second ? "second" : "first",
		 spare ? "with a" : "without a");
	fault_report(f, what);
}

TEST_F_TIMEOUT(sockets, import_that_fails_changes_nothing, MINUTES)
{
	import(_metadata, self, variant, KEYBLOB_DIR_TX, false, false);
	import(_metadata, self, variant, KEYBLOB_DIR_RX, false, true);
	import(_metadata, self, variant, KEYBLOB_DIR_TX, true, true);
	import(_metadata, self, variant, KEYBLOB_DIR_RX, true, false);
}

TEST_F_TIMEOUT(sockets, info_that_fails_changes_nothing, MINUTES)
{
	struct keyblob_status status;
	struct fault *f = &self->f;
	int err;

	ONE_SUITE_ONLY();
	ASSERT_EQ(0, open_stream(self, variant));
	do {
		err = fault_call(f, keyblob_info(self->s.fd, &status));
		ASSERT_TRUE(!err || (f->hit && is_fault(err)));
		EXPECT_TRUE(works(&self->s));
	} while (f->hit);
	fault_report(f, "KEYBLOB_INFO");
}

/*
 * Where kTLS cannot encrypt, it drops what it was to: nothing follows, and nobody believes
 * that it was all. True: that has happened; there is another stream.
 */
static bool has_ended(struct __test_metadata *_metadata, FIXTURE_DATA(sockets) *self,
		      const FIXTURE_VARIANT(sockets) *variant, long err)
{
	uint8_t record[TLS_RECORD_MAX + 1], type;
	struct stream *s = &self->s;
	struct keyblob_status status;

	if (keyblob_info(s->fd, &status) || status.tx_end != KEYBLOB_END_TRUNCATED)
		return false;
	EXPECT_TRUE(self->f.hit && (err == -EBADMSG || err == -EPIPE));
	EXPECT_EQ(-1, send(s->fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
	/* What comes can be read as before. */
	EXPECT_EQ(0, peer_data(s, "pong"));
	EXPECT_EQ(0, recv_all(s->fd, record, 4));
	EXPECT_EQ(0, shutdown(s->fd, SHUT_WR));
	while (peer_next(s, &type, record) > 0)
		;
	EXPECT_EQ(-1, s->description);
	stream_close(s);
	EXPECT_EQ(0, open_stream(self, variant));
	return true;
}

static int rekey(int fd, int request)
{
	return setsockopt(fd, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request)) ?
	       -errno : 0;
}

TEST_F_TIMEOUT(sockets, rekey_that_fails_changes_nothing, MINUTES)
{
	struct keyblob_status before, after;
	struct fault *f = &self->f;
	struct stream *s = &self->s;
	int err;

	TLS_1_3_ONLY();
	ASSERT_EQ(0, open_stream(self, variant));
	do {
		const unsigned int updates = s->updates;

		ASSERT_EQ(0, keyblob_info(s->fd, &before));
		err = fault_call(f, rekey(s->fd, f->nth % 2));
		if (has_ended(_metadata, self, variant, err))
			continue;
		if (err) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(err))
				TH_LOG("fault %u: error %d", f->nth, -err);
			ASSERT_EQ(0, keyblob_info(s->fd, &after));
			EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)))
				TH_LOG("fault %u", f->nth);
			ASSERT_EQ(0, rekey(s->fd, f->nth % 2));
		}
		ASSERT_TRUE(works(s))
			TH_LOG("fault %u", f->nth);
		ASSERT_EQ(updates + 1, s->updates);
	} while (f->hit);
	fault_report(f, "KEYBLOB_REKEY");
}

/* ---- data ---- */

static long receive(int fd, void *to, size_t len, int flags)
{
	return result(recv(fd, to, len, flags));
}

/* The record stays; whoever reads next obeys it, and the answer goes before the next data. */
TEST_F_TIMEOUT(sockets, key_update_is_obeyed_by_the_next_reader, MINUTES)
{
	struct fault *f = &self->f;
	struct stream *s = &self->s;
	char byte;
	long n;

	TLS_1_3_ONLY();
	ASSERT_EQ(0, open_stream(self, variant));
	do {
		const unsigned int updates = s->updates;

		ASSERT_EQ(0, peer_update(s, true));
		ASSERT_EQ(0, peer_data(s, "x"));
		n = fault_call(f, receive(s->fd, &byte, 1, 0));
		if (n < 0) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(n))
				TH_LOG("fault %u: error %ld", f->nth, -n);
			n = receive(s->fd, &byte, 1, 0);
		}
		ASSERT_EQ(1, n)
			TH_LOG("fault %u", f->nth);
		ASSERT_EQ('x', byte);
		/* The reader tries to answer, which is not what its call is about. */
		if (has_ended(_metadata, self, variant, -EBADMSG))
			continue;
		ASSERT_TRUE(works(s))
			TH_LOG("fault %u", f->nth);
		ASSERT_EQ(updates + 1, s->updates);
	} while (f->hit);
	fault_report(f, "a KeyUpdate that was received");
}

static long send_some(int fd, const void *from, size_t len, int flags)
{
	return result(send(fd, from, len, MSG_NOSIGNAL | flags));
}

/* Without memory, data is taken later or in part, but never twice, and never lost. */
static void send_data(struct __test_metadata *_metadata, FIXTURE_DATA(sockets) *self,
		      const FIXTURE_VARIANT(sockets) *variant, size_t size, int flags)
{
	struct fault *f = &self->f;
	struct stream *s = &self->s;
	uint64_t at = 0;
	char what[64];
	size_t sent;
	long n;

	do {
		pattern(data, at, size);
		n = fault_call(f, send_some(s->fd, data, size, flags));
		if (has_ended(_metadata, self, variant, n < 0 ? n : -EBADMSG))
			continue;
		if (n < 0) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(n) || (flags & MSG_DONTWAIT && n == -EAGAIN))
				TH_LOG("fault %u: error %ld", f->nth, -n);
		}
		for (sent = n < 0 ? 0 : n; sent < size; sent += n) {
			n = send_some(s->fd, data + sent, size - sent, 0);
			ASSERT_LT(0, n)
				TH_LOG("fault %u: then error %ld", f->nth, -n);
		}
		ASSERT_EQ(0, peer_read(s, got, size))
			TH_LOG("fault %u: %s", f->nth, strerror(errno));
		ASSERT_EQ(0, memcmp(got, data, size));
		at += size;
	} while (f->hit);
	EXPECT_TRUE(works(s));
	snprintf(what, sizeof(what), "%zu bytes sent%s", size,
		 flags & MSG_DONTWAIT ? ", without waiting" : "");
	fault_report(f, what);
}

TEST_F_TIMEOUT(sockets, data_is_sent_whole, MINUTES)
{
	NOT_AES_GCM_256();
	ASSERT_EQ(0, open_stream(self, variant));
	send_data(_metadata, self, variant, 1, 0);
	send_data(_metadata, self, variant, SIZE, 0);
	send_data(_metadata, self, variant, 1, MSG_DONTWAIT);
	send_data(_metadata, self, variant, SIZE, MSG_DONTWAIT);
}

TEST_F_TIMEOUT(sockets, files_are_sent_whole, MINUTES)
{
	const int file = memfd_create("data", MFD_CLOEXEC);
	struct fault *f = &self->f;
	struct stream *s = &self->s;
	off_t from;
	long n;

	NOT_AES_GCM_256();
	ASSERT_EQ(0, open_stream(self, variant));
	ASSERT_LE(0, file);
	pattern(data, 0, SIZE);
	ASSERT_EQ(SIZE, write(file, data, SIZE));
	do {
		from = 0;
		n = fault_call(f, result(sendfile(s->fd, file, &from, SIZE)));
		if (has_ended(_metadata, self, variant, n < 0 ? n : -EBADMSG))
			continue;
		if (n < 0) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(n))
				TH_LOG("fault %u: error %ld", f->nth, -n);
		}
		while (from < SIZE)
			ASSERT_LT(0, sendfile(s->fd, file, &from, SIZE - from))
				TH_LOG("fault %u: %s", f->nth, strerror(errno));
		ASSERT_EQ(0, peer_read(s, got, SIZE))
			TH_LOG("fault %u: %s", f->nth, strerror(errno));
		ASSERT_EQ(0, memcmp(got, data, SIZE));
	} while (f->hit);
	EXPECT_TRUE(works(s));
	fault_report(f, "a file sent");
}

enum reader { READ, PEEK, SPLICE };

static long read_by(enum reader reader, int fd, const int ends[2])
{
	switch (reader) {
	case READ:
		return receive(fd, got, SIZE, 0);
	case PEEK:
		return receive(fd, got, SIZE, MSG_PEEK);
	default:
		return result(splice(fd, NULL, ends[1], NULL, SIZE, 0));
	}
}

/* What could not be decrypted for want of memory is there for the next reader. */
static void read_data(struct __test_metadata *_metadata, FIXTURE_DATA(sockets) *self,
		      enum reader reader)
{
	static const char *const names[] = { "data read", "data peeked at", "data spliced" };
	struct fault *f = &self->f;
	struct stream *s = &self->s;
	uint64_t at = 0;
	int ends[2];
	char byte;
	long n;

	ASSERT_EQ(0, pipe(ends));
	do {
		pattern(data, at, SIZE);
		ASSERT_EQ(0, tls_peer_write(&s->c.peer, data, SIZE));
		n = fault_call(f, read_by(reader, s->fd, ends));
		if (n < 0) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(n))
				TH_LOG("fault %u: error %ld", f->nth, -n);
		}
		if (n < 0 || reader == PEEK)
			n = 0;
		else if (reader == SPLICE)
			ASSERT_EQ(n, read(ends[0], got, n));
		/* Who sends at that moment has nothing to do with it. */
		ASSERT_EQ(1, send_some(s->fd, "x", 1, 0))
			TH_LOG("fault %u: %s", f->nth, strerror(errno));
		ASSERT_EQ(0, peer_read(s, &byte, 1));
		ASSERT_EQ(0, recv_all(s->fd, got + n, SIZE - n))
			TH_LOG("fault %u: %s", f->nth, strerror(errno));
		ASSERT_EQ(0, memcmp(got, data, SIZE));
		at += SIZE;
	} while (f->hit);
	EXPECT_TRUE(works(s));
	close(ends[0]);
	close(ends[1]);
	fault_report(f, names[reader]);
}

TEST_F_TIMEOUT(sockets, data_is_received_whole, MINUTES)
{
	NOT_AES_GCM_256();
	ASSERT_EQ(0, open_stream(self, variant));
	read_data(_metadata, self, READ);
	read_data(_metadata, self, PEEK);
	read_data(_metadata, self, SPLICE);
}

/* ---- the end ---- */

/*
 * Where not even close_notify can be made, TCP ends without it, which the peer takes for
 * a truncation, or without its FIN. What was sent before arrives.
 */
static void end(struct __test_metadata *_metadata, FIXTURE_DATA(sockets) *self,
		const FIXTURE_VARIANT(sockets) *variant, bool by_close)
{
	const struct timeval wait = { .tv_usec = 500000 };
	struct keyblob_status status;
	struct fault *f = &self->f;
	struct stream *s = &self->s;
	unsigned int truncated = 0;
	int err;

	pattern(data, 0, 100);
	do {
		ASSERT_EQ(0, open_stream(self, variant));
		setsockopt(s->c.peer.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		ASSERT_EQ(100, send_some(s->fd, data, 100, 0));
		if (by_close) {
			if (variant->version == TLS_1_3_VERSION)
				ASSERT_EQ(0, peer_update(s, true));
			ASSERT_EQ(0, peer_alert(s, ALERT_WARNING, ALERT_USER_CANCELED));
			err = fault_call(f, result(close(s->fd)));
			s->fd = -1;
		} else {
			err = fault_call(f, result(shutdown(s->fd, SHUT_WR)));
			ASSERT_EQ(0, keyblob_info(s->fd, &status));
		}
		EXPECT_EQ(0, err);
		err = peer_drain(s);
		/* Control records that could not be read make TCP's close a reset. */
		EXPECT_TRUE(!err || (f->hit && by_close && errno == ECONNRESET) ||
			    (f->hit && errno == EAGAIN))
			TH_LOG("fault %u: %s", f->nth, strerror(errno));
		EXPECT_EQ(100, s->bytes)
			TH_LOG("fault %u", f->nth);
		if (s->description == ALERT_CLOSE_NOTIFY) {
			EXPECT_EQ(ALERT_WARNING, s->level);
		} else {
			EXPECT_TRUE(f->hit);
			EXPECT_EQ(-1, s->description);
			truncated++;
		}
		if (!by_close && status.tx_end == KEYBLOB_END_CLOSE_NOTIFY)
			EXPECT_EQ(ALERT_CLOSE_NOTIFY, s->description);
		stream_close(s);
	} while (f->hit);
	TH_LOG("%u ends without close_notify", truncated);
	fault_report(f, by_close ? "close" : "shutdown");
}

TEST_F_TIMEOUT(sockets, shutdown_ends_with_close_notify_or_a_truncation, MINUTES)
{
	ONE_SUITE_ONLY();
	end(_metadata, self, variant, false);
}

TEST_F_TIMEOUT(sockets, close_ends_with_close_notify_or_a_truncation, MINUTES)
{
	ONE_SUITE_ONLY();
	end(_metadata, self, variant, true);
}

/* ---- all at once ---- */

/* One call after the other, whatever became of the last; how much was taken to be sent. */
static uint64_t live(struct stream *s, unsigned int n)
{
	uint64_t at = 0;
	long taken;
	int i;

	for (i = 0; i < 12; i++) {
		pattern(data, at, 5000);
		taken = send_some(s->fd, data, 5000, MSG_DONTWAIT | ((n + i) % 3 ? MSG_MORE : 0));
		at += taken > 0 ? taken : 0;
		if (i % 4 == 1)
			rekey(s->fd, 0);
		if (i % 4 == 2 && s->c.tx.tls_version == TLS_1_3_VERSION)
			peer_update(s, true);
		peer_data(s, "pong");
		receive(s->fd, got, SIZE, MSG_DONTWAIT);
	}
	if (n % 2)
		shutdown(s->fd, SHUT_WR);
	close(s->fd);
	s->fd = -1;
	return at;
}

/*
 * In softirqs and workqueues as well. The peer gets what was sent, from the beginning; all
 * of it, if it is told so by close_notify.
 */
TEST_F_TIMEOUT(sockets, no_gap_is_left_whatever_fails, MINUTES)
{
	const struct timeval wait = { .tv_usec = 300000 };
	struct stream *s = &self->s;
	unsigned int i, whole = 0;
	uint64_t sent;
	int err;

	NOT_AES_GCM_256();
	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, open_stream(self, variant));
		setsockopt(s->c.peer.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		ASSERT_EQ(0, fault_anywhere(1 + i % 20));
		sent = live(s, i);
		ASSERT_EQ(0, fault_anywhere(0));
		err = peer_drain(s) ? errno : 0;
		ASSERT_TRUE(err != EILSEQ && err != EBADMSG)
			TH_LOG("life %u: %s", i, strerror(err));
		ASSERT_GE(sent, s->bytes);
		if (s->description == ALERT_CLOSE_NOTIFY) {
			ASSERT_EQ(sent, s->bytes);
			whole++;
		}
		stream_close(s);
	}
	TH_LOG("%u of %u streams were whole", whole, i);
	ASSERT_EQ(0, open_stream(self, variant));
	EXPECT_TRUE(works(s));
}

/* ---- those who look at sockets ---- */

/* All TCP sockets, as ss -tie asks; 0 or a negative errno. */
static long dump(int fd)
{
	static uint8_t answers[1 << 15];
	const struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 req;
	} ask = {
		.head = {
			.nlmsg_len = sizeof(ask),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.req = {
			.sdiag_family = AF_INET,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_ext = 1 << (INET_DIAG_INFO - 1),
			.idiag_states = ~0U,
		},
	};
	const struct nlmsghdr *answer = (const void *)answers;

	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		return -errno;
	do {
		if (recv(fd, answers, sizeof(answers), 0) < 0)
			return -errno;
	} while (answer->nlmsg_type == SOCK_DIAG_BY_FAMILY);
	if (answer->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
	/* How it went is what a dump ends with. */
	return answer->nlmsg_type == NLMSG_DONE ? *(const int *)NLMSG_DATA(answer) : -EPROTO;
}

TEST_F_TIMEOUT(sockets, socket_may_be_looked_at_without_memory, MINUTES)
{
	struct fault *f = &self->f;
	long err;
	int fd;

	ONE_SUITE_ONLY();
	ASSERT_EQ(0, open_stream(self, variant));
	do {
		fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
		ASSERT_LE(0, fd);
		err = fault_call(f, dump(fd));
		ASSERT_TRUE(!err || (f->hit && (is_fault(err) || err == -ENOBUFS)))
			TH_LOG("error %ld", -err);
		close(fd);
	} while (f->hit);
	EXPECT_TRUE(works(&self->s));
	fault_report(f, "sock_diag");
}

TEST_HARNESS_MAIN
