// SPDX-License-Identifier: GPL-2.0-only
/*
 * Thousands of connections at a time open, carry data, get new keys, move between processes
 * and end in every way, round after round: what the kernel has in use afterwards is what
 * it had after the first round. Needs the machine for itself.
 *
 *   KEYBLOB_SOAK_CONNECTIONS	at a time: 2000
 *   KEYBLOB_SOAK_SECONDS	after which no other round begins: 20
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/usage.h"
#include "peer.h"

#define FOREVER		100000	/* s */
#define ROUNDS_MAX	6	/* until one leaves no memory behind */
#define NOISE_KB	64	/* of the allocator of memory per CPU */
#define NOISE_FILES	256	/* the kernel counts them by and large */

enum { BY_KILL, BY_CLOSE, BY_SHUTDOWN, BY_RESET, WAYS };

static int rekey(int fd)
{
	const int request = 1;

	return setsockopt(fd, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request));
}

/* The other process: uses what it gets, keeps what is to die with it, gives the rest back. */
static void host(int channel)
{
	char got[5];
	int fd, n;

	for (n = 0; (fd = fd_recv(channel)) >= 0; n++) {
		if (recv_all(fd, got, 5) || memcmp(got, "there", 5) ||
		    send(fd, "moved", 5, MSG_NOSIGNAL) != 5)
			break;
		if (n % WAYS == BY_KILL)
			continue;
		if (fd_send(channel, fd))
			break;
		close(fd);
	}
	pause();
	_exit(1);
}

static bool peer_gets(struct stream *s, const char *text)
{
	char got[16];

	return !peer_read(s, got, strlen(text)) && !memcmp(got, text, strlen(text));
}

/* A connection that has its keys, with each key changed and data carried under each. */
static int begin(struct stream *s, int n)
{
	const struct tls_suite *suite = &tls_suites[n % 6];
	const bool v13 = suite->version == TLS_1_3_VERSION;
	char got[5];

	if (stream_open(s, suite->version, suite->cipher, KEYBLOB_ROLE_CLIENT))
		return -1;
	if (send(s->fd, "hello", 5, MSG_NOSIGNAL) != 5 || !peer_gets(s, "hello") ||
	    peer_data(s, "first") || (v13 && peer_update(s, true)) || peer_data(s, "again") ||
	    recv_all(s->fd, got, 5) || recv_all(s->fd, got, 5) || memcmp(got, "again", 5) ||
	    (v13 && rekey(s->fd)))
		return -1;
	return 0;
}

/* To the other process and, unless it ends there, back; the peer sees what it wrote. */
static int move(struct stream *s, int channel, int n)
{
	if (peer_data(s, "there") || fd_send(channel, s->fd))
		return -1;
	close(s->fd);
	s->fd = n % WAYS == BY_KILL ? -1 : fd_recv(channel);
	if (!peer_gets(s, "moved"))
		return -1;
	return n % WAYS != BY_KILL && s->fd < 0 ? -1 : 0;
}

/* This side's end as its peer sees it. The peer's own is a reset: no TIME_WAIT. */
static int end(struct stream *s, int n)
{
	const struct linger reset = { .l_onoff = 1 };
	bool good;

	if (n % WAYS == BY_SHUTDOWN)
		shutdown(s->fd, SHUT_WR);
	if (n % WAYS == BY_RESET)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (n % WAYS == BY_CLOSE || n % WAYS == BY_RESET) {
		close(s->fd);
		s->fd = -1;
	}
	good = peer_sees_end(s, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
	setsockopt(s->c.peer.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	stream_close(s);
	return good == (n % WAYS != BY_RESET) ? 0 : -1;
}

/* All connections at once, through all of it. 0, or a line number. */
static int live(struct stream *streams, int count)
{
	int channel[2], n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel))
		return __LINE__;
	pid = fork();
	if (!pid) {
		close(channel[0]);
		host(channel[1]);
	}
	close(channel[1]);
	for (n = 0; n < count; n++)
		if (begin(&streams[n], n))
			return __LINE__;
	for (n = 0; n < count; n++)
		if (move(&streams[n], channel[0], n))
			return __LINE__;
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) != pid)
		return __LINE__;
	for (n = 0; n < count; n++)
		if (end(&streams[n], n))
			return __LINE__;
	close(channel[0]);
	return 0;
}

/* What has been left behind, but for memory that all share; NULL: nothing. */
static const char *growth(const struct usage *before, const struct usage *after)
{
	if (after->refs != before->refs || after->tls_refs != before->tls_refs)
		return "references to modules";
	if (after->sockets != before->sockets || after->orphans != before->orphans)
		return "sockets";
	if (after->files > before->files + NOISE_FILES)
		return "files";
	if (after->percpu_kb > before->percpu_kb + NOISE_KB)
		return "memory per CPU";
	return NULL;
}

/* The smallest thing that a connection allocates takes 256 bytes; half for noise. */
static long slab_limit_kb(int count)
{
	return count * 128 / 1024;
}

FIXTURE(soak)
{
	struct stream *streams;
	int count;
	struct usage before;
};

FIXTURE_SETUP(soak)
{
	const char *count = getenv("KEYBLOB_SOAK_CONNECTIONS");
	struct rlimit files;

	if (getenv("KEYBLOB_SLOW_KERNEL"))
		SKIP(return, "its checkers take memory; kmemleak looks for leaks");
	self->count = count && *count ? atoi(count) : 2000;
	files.rlim_cur = files.rlim_max = 6 * self->count + 100;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	self->streams = calloc(self->count, sizeof(*self->streams));
	ASSERT_NE(NULL, self->streams);
	signal(SIGPIPE, SIG_IGN);
}

FIXTURE_TEARDOWN(soak)
{
	free(self->streams);
}

/* Memory: the allocators' ups and downs are not in every round, a leak is. */
TEST_F_TIMEOUT(soak, thousands_of_connections_leave_nothing_behind, FOREVER)
{
	const char *seconds = getenv("KEYBLOB_SOAK_SECONDS");
	const long limit = now_ms() + (seconds && *seconds ? atol(seconds) : 20) * 1000;
	long least = LONG_MAX;
	struct usage after;
	int rounds;

	ASSERT_EQ(0, live(self->streams, self->count));
	self->before = usage();
	self->before = usage_settled(&self->before);
	for (rounds = 0; rounds < 2 || now_ms() < limit ||
			 (rounds < ROUNDS_MAX && least >= slab_limit_kb(self->count)); rounds++) {
		ASSERT_EQ(0, live(self->streams, self->count));
		after = usage_settled(&self->before);
		ASSERT_EQ(NULL, growth(&self->before, &after))
			TH_LOG("left: %s", growth(&self->before, &after));
		TH_LOG("%d connections: %+ld kB", self->count, after.slab_kb - self->before.slab_kb);
		if (after.slab_kb - self->before.slab_kb < least)
			least = after.slab_kb - self->before.slab_kb;
		self->before.slab_kb = after.slab_kb;
	}
	EXPECT_GT(slab_limit_kb(self->count), least);
}

/* The comparison itself: of one socket, and of as little memory as a leak would take. */
TEST_F(soak, what_is_left_behind_is_noticed)
{
	struct usage before = usage(), after;
	struct conn c;
	int n;

	before = usage_settled(&before);
	ASSERT_EQ(0, conn_open(&c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128));
	after = usage();
	EXPECT_STREQ("references to modules", growth(&before, &after));
	after.refs = before.refs;
	after.tls_refs = before.tls_refs;
	EXPECT_STREQ("sockets", growth(&before, &after));
	conn_close(&c);

	/* More than there is room for in what earlier connections left to the allocators. */
	for (n = 0; n < 5 * self->count; n++)
		ASSERT_LE(0, eventfd(0, EFD_CLOEXEC));
	after = usage();
	EXPECT_LE(slab_limit_kb(self->count), after.slab_kb - before.slab_kb);
	after.refs = before.refs;
	after.tls_refs = before.tls_refs;
	after.sockets = before.sockets;
	after.orphans = before.orphans;
	EXPECT_STREQ("files", growth(&before, &after));
}

TEST_HARNESS_MAIN
