// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of KEYBLOB_HANDSHAKE fails once: of the application's calls, and of the
 * agent's messages. A request is refused, or it is answered: none is forgotten.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "fault.h"
#include "kselftest_harness.h"
#include "lib/net.h"

#define MINUTES	600	/* seconds that one test may take under emulation */
#define SOON	5000	/* ms */

static struct accepted got;
static struct answer answer;

FIXTURE(requests)
{
	struct fault f;
	struct agent a;
	struct agent watcher;	/* events are made as well */
	struct conn c;		/* its fd is the application's */
	struct keyblob_handshake what;
	int listener;
	struct sockaddr_storage addr;
	socklen_t len;
};

FIXTURE_SETUP(requests)
{
	const char *missing = fault_missing();

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, agent_new(&self->a));
	ASSERT_EQ(0, agent_open(&self->watcher));
	ASSERT_EQ(0, agent_join(&self->watcher));
	self->listener = tcp_listen(AF_INET, &self->addr, &self->len);
	ASSERT_LE(0, self->listener);
	self->what.role = KEYBLOB_ROLE_CLIENT;
	strcpy(self->what.peer_name, "server.example");
	ASSERT_EQ(0, fault_init(&self->f));
}

FIXTURE_TEARDOWN(requests)
{
	fault_anywhere(0);
}

static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

static int ask(FIXTURE_DATA(requests) *self)
{
	return result(setsockopt(self->c.fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &self->what,
				 sizeof(self->what)));
}

static void nonblock(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* A connected keyblob socket that does not block, as the application has it. */
static int open_conn(FIXTURE_DATA(requests) *self)
{
	int err = conn_open(&self->c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);

	if (!err)
		nonblock(self->c.fd);
	return err;
}

static int handshake_of(int fd)
{
	struct keyblob_status status;

	return keyblob_info(fd, &status) ? -1 : status.handshake;
}

/* The agent's part once it has taken the request: both keys. */
static int import_by_agent(FIXTURE_DATA(requests) *self)
{
	const int fd = self->c.fd;
	int err;

	self->c.fd = got.fd;
	err = conn_import(&self->c);
	self->c.fd = fd;
	close(got.fd);
	return err;
}

static bool succeeded(FIXTURE_DATA(requests) *self)
{
	struct pollfd pfd = { .fd = self->c.fd, .events = POLLOUT };

	if (poll(&pfd, 1, SOON) != 1 || handshake_of(self->c.fd) != KEYBLOB_HANDSHAKE_DONE)
		return false;
	fcntl(self->c.fd, F_SETFL, 0);
	return conn_works(&self->c);
}

/* It wants to be told again. */
static bool finds_none(FIXTURE_DATA(requests) *self)
{
	if (agent_accept(&self->a, &got) != -EAGAIN)
		return false;
	self->a.told = 0;
	return true;
}

/* The agent is told, takes the request, and does all that is due; 0 or a negative errno. */
static int serve(FIXTURE_DATA(requests) *self)
{
	int err = agent_take(&self->a, &got);

	if (!err)
		err = import_by_agent(self);
	if (!err)
		err = agent_done(&self->a, got.id, 0, &answer);
	if (!err && !succeeded(self))
		err = -EPROTO;
	return err || finds_none(self) ? err : -EEXIST;
}

/* ---- the application ---- */

TEST_F_TIMEOUT(requests, request_that_fails_changes_nothing, MINUTES)
{
	struct keyblob_status before, after;
	struct fault *f = &self->f;
	int err;

	do {
		ASSERT_EQ(0, open_conn(self));
		ASSERT_EQ(0, keyblob_info(self->c.fd, &before));
		err = fault_call(f, ask(self));
		if (err != -EINPROGRESS) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(err))
				TH_LOG("fault %u: error %d", f->nth, -err);
			ASSERT_EQ(0, keyblob_info(self->c.fd, &after));
			EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
			ASSERT_EQ(-EINPROGRESS, ask(self));
		}
		ASSERT_EQ(0, serve(self))
			TH_LOG("fault %u", f->nth);
		conn_close(&self->c);
	} while (f->hit);
	fault_report(f, "KEYBLOB_HANDSHAKE");
}

TEST_F_TIMEOUT(requests, template_that_fails_changes_nothing, MINUTES)
{
	struct fault *f = &self->f;
	int err;

	do {
		self->c.fd = socket(AF_INET, SOCK_STREAM, 0);
		err = fault_call(f, keyblob_attach(self->c.fd));
		ASSERT_TRUE(!err || (f->hit && is_fault(err)));
		if (err)
			ASSERT_EQ(0, keyblob_attach(self->c.fd));
		ASSERT_EQ(KEYBLOB_HANDSHAKE_NONE, handshake_of(self->c.fd));
		close(self->c.fd);
	} while (f->hit);
	fault_report(f, "attach of an unconnected socket");

	self->c.fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, keyblob_attach(self->c.fd));
	do {
		const int before = handshake_of(self->c.fd);

		err = fault_call(f, ask(self));
		ASSERT_TRUE(!err || (f->hit && is_fault(err)));
		EXPECT_EQ(err ? before : KEYBLOB_HANDSHAKE_SET, handshake_of(self->c.fd));
	} while (f->hit);
	close(self->c.fd);
	fault_report(f, "KEYBLOB_HANDSHAKE of an unconnected socket");
}

/* The far end sees the end of the connection, or nothing yet, but not a byte. */
static bool nothing_came(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/*
 * connect() includes the handshake, or says why it does not: then it can be called again,
 * or the socket is done for.
 */
TEST_F_TIMEOUT(requests, connection_is_never_plain, MINUTES)
{
	struct fault *f = &self->f;
	struct conn *c = &self->c;
	unsigned int dead = 0;
	struct pollfd pfd;
	long err;

	do {
		memset(c, 0, sizeof(*c));
		key_random(&c->tx, KEYBLOB_DIR_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
		key_random(&c->rx, KEYBLOB_DIR_RX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
		c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		ASSERT_EQ(0, keyblob_attach(c->fd));
		ASSERT_EQ(0, ask(self));
		err = fault_call(f, ({
			long ret = result(connect(c->fd, (void *)&self->addr, self->len));

			pfd = (struct pollfd){ .fd = c->fd, .events = POLLOUT };
			poll(&pfd, 1, 0);
			ret;
		}));
		if (err != -EINPROGRESS) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(err) || err == -ENOBUFS)
				TH_LOG("fault %u: error %ld", f->nth, -err);
			err = result(connect(c->fd, (void *)&self->addr, self->len));
			ASSERT_TRUE(err == -EINPROGRESS || err == -EALREADY)
				TH_LOG("fault %u: error %ld", f->nth, -err);
		}
		pfd = (struct pollfd){ .fd = self->listener, .events = POLLIN };
		ASSERT_EQ(1, poll(&pfd, 1, SOON));
		c->peer.fd = accept(self->listener, NULL, NULL);
		ASSERT_EQ(0, conn_peer(c));
		/* Whoever polls next finds it connected. */
		pfd = (struct pollfd){ .fd = c->fd, .events = POLLOUT };
		poll(&pfd, 1, 0);
		if (handshake_of(c->fd) == KEYBLOB_HANDSHAKE_FAILED) {
			EXPECT_TRUE(f->hit);
			EXPECT_GT(0, send(c->fd, "x", 1, MSG_NOSIGNAL));
			EXPECT_TRUE(nothing_came(c->peer.fd));
			dead++;
		} else {
			ASSERT_EQ(0, serve(self))
				TH_LOG("fault %u", f->nth);
		}
		conn_close(c);
	} while (f->hit);
	TH_LOG("%u connections failed", dead);
	fault_report(f, "connect");
}

/* A connection that cannot be accepted is ended, or is there for the next accept(). */
TEST_F_TIMEOUT(requests, accepted_connection_is_never_plain, MINUTES)
{
	struct fault *f = &self->f;
	struct conn *c = &self->c;
	unsigned int dead = 0;

	self->what = (struct keyblob_handshake){ .role = KEYBLOB_ROLE_SERVER };
	ASSERT_EQ(0, keyblob_attach(self->listener));
	c->fd = self->listener;
	ASSERT_EQ(0, ask(self));
	nonblock(self->listener);
	do {
		memset(c, 0, sizeof(*c));
		key_random(&c->tx, KEYBLOB_DIR_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
		key_random(&c->rx, KEYBLOB_DIR_RX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
		c->peer.fd = socket(AF_INET, SOCK_STREAM, 0);
		ASSERT_EQ(0, connect(c->peer.fd, (void *)&self->addr, self->len));
		ASSERT_EQ(0, conn_peer(c));
		c->fd = fault_call(f, result(accept4(self->listener, NULL, NULL, SOCK_NONBLOCK)));
		if (c->fd < 0) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(c->fd) || c->fd == -ENOBUFS || c->fd == -ENFILE ||
				    c->fd == -ECONNABORTED)
				TH_LOG("fault %u: error %d", f->nth, -c->fd);
			c->fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK);
		}
		if (c->fd < 0 || handshake_of(c->fd) == KEYBLOB_HANDSHAKE_FAILED) {
			EXPECT_TRUE(f->hit);
			EXPECT_TRUE(nothing_came(c->peer.fd));
			dead++;
		} else {
			ASSERT_EQ(0, serve(self))
				TH_LOG("fault %u", f->nth);
		}
		conn_close(c);
	} while (f->hit);
	TH_LOG("%u connections failed", dead);
	fault_report(f, "accept");
}

/* ---- the agent ---- */

/*
 * A message of the agent's meets a fault on its way to the kernel, within, or on the way
 * back: ENOBUFS, and whether it was obeyed is not known.
 */
static int call(struct fault *f, struct agent *a, struct nl_msg *msg, struct answer *to)
{
	int err = fault_call(f, agent_send(a, msg));

	if (err)
		return err;
	err = agent_answer(a, to);
	f->refused += f->hit && err;
	return err;
}

static bool is_lost(int err)
{
	return is_fault(err) || err == -ENOBUFS || err == -EIO;
}

TEST_F_TIMEOUT(requests, agent_is_registered_or_not, MINUTES)
{
	struct fault *f = &self->f;
	uint32_t counts[3];
	struct agent a;
	int err;

	do {
		ASSERT_EQ(0, agent_open(&a));
		err = call(f, &a, agent_msg(&a, KEYBLOB_GENL_AGENT_REGISTER), &answer);
		ASSERT_TRUE(!err || (f->hit && is_lost(err)))
			TH_LOG("fault %u: error %d", f->nth, -err);
		if (err) {
			err = agent_register(&a, false, &answer);
			ASSERT_TRUE(!err || err == -EALREADY);
		}
		ASSERT_EQ(0, agent_status(&self->a, counts));
		EXPECT_EQ(2, counts[0]);
		agent_close(&a);
		ASSERT_EQ(0, agent_status(&self->a, counts));
		EXPECT_EQ(1, counts[0]);
	} while (f->hit);
	fault_report(f, "AGENT_REGISTER");
	do {
		err = call(f, &self->a, agent_msg(&self->a, KEYBLOB_GENL_STATUS), &answer);
		ASSERT_TRUE(!err || (f->hit && is_lost(err)))
			TH_LOG("fault %u: error %d", f->nth, -err);
		EXPECT_TRUE(err || answer.attrs[KEYBLOB_A_GENL_AGENTS]);
	} while (f->hit);
	fault_report(f, "STATUS");
	do {
		ASSERT_EQ(0, agent_new(&a));
		err = call(f, &a, agent_msg(&a, KEYBLOB_GENL_AGENT_RETIRE), &answer);
		ASSERT_TRUE(!err || (f->hit && is_lost(err)))
			TH_LOG("fault %u: error %d", f->nth, -err);
		agent_close(&a);
	} while (f->hit);
	fault_report(f, "AGENT_RETIRE");
}

/* Descriptors are not lost either. */
TEST_F_TIMEOUT(requests, request_that_cannot_be_taken_is_offered_again, MINUTES)
{
	struct fault *f = &self->f;
	int err;

	do {
		ASSERT_EQ(0, open_conn(self));
		ASSERT_EQ(-EINPROGRESS, ask(self));
		ASSERT_TRUE(agent_is_told(&self->a, SOON));
		got.answer.cmd = 0;
		err = call(f, &self->a, agent_msg(&self->a, KEYBLOB_GENL_ACCEPT), &got.answer);
		ASSERT_TRUE(!err || (f->hit && is_lost(err)))
			TH_LOG("fault %u: error %d", f->nth, -err);
		/* The reply may be there, behind the error that stands for its acknowledgment. */
		if (err == -ENOBUFS)
			agent_event(&self->a, &got.answer, 100);
		if (agent_accepted(&got) && agent_accept(&self->a, &got))
			ASSERT_EQ(0, agent_take(&self->a, &got))
				TH_LOG("fault %u: not told after error %d", f->nth, -err);
		ASSERT_EQ(0, import_by_agent(self))
			TH_LOG("fault %u", f->nth);
		ASSERT_EQ(0, agent_done(&self->a, got.id, 0, &answer));
		ASSERT_TRUE(succeeded(self) && finds_none(self));
		conn_close(&self->c);
	} while (f->hit);
	fault_report(f, "ACCEPT");
}

TEST_F_TIMEOUT(requests, answer_that_fails_can_be_given_again, MINUTES)
{
	struct fault *f = &self->f;
	int err;

	do {
		ASSERT_EQ(0, open_conn(self));
		ASSERT_EQ(-EINPROGRESS, ask(self));
		ASSERT_EQ(0, agent_take(&self->a, &got));
		ASSERT_EQ(0, import_by_agent(self));
		err = call(f, &self->a, agent_done_msg(&self->a, got.id, 0), &answer);
		if (err) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_lost(err))
				TH_LOG("fault %u: error %d", f->nth, -err);
			err = agent_done(&self->a, got.id, 0, &answer);
			ASSERT_TRUE(!err || err == -ENOENT);
		}
		ASSERT_TRUE(succeeded(self) && finds_none(self))
			TH_LOG("fault %u", f->nth);
		conn_close(&self->c);
	} while (f->hit);
	fault_report(f, "DONE");
}

/* What an agent leaves behind when it dies is told to another, if not at once. */
TEST_F_TIMEOUT(requests, request_of_an_agent_that_dies_goes_to_another, MINUTES)
{
	struct fault *f = &self->f;
	struct agent other;
	int fd;

	do {
		ASSERT_EQ(0, open_conn(self));
		ASSERT_EQ(-EINPROGRESS, ask(self));
		ASSERT_TRUE(agent_is_told(&self->a, SOON));
		ASSERT_EQ(0, agent_new(&other));
		ASSERT_EQ(0, agent_accept(&other, &got));
		fd = got.fd;
		/* Now there is nothing for the first, which is to be told again. */
		ASSERT_TRUE(finds_none(self));
		fault_call(f, (agent_close(&other), 0));
		close(fd);
		ASSERT_EQ(0, serve(self))
			TH_LOG("fault %u", f->nth);
		conn_close(&self->c);
	} while (f->hit);
	fault_report(f, "death of an agent");
}

/* The module's workqueue, which fail-nth does not reach, has no memory for a while. */
TEST_F_TIMEOUT(requests, request_is_told_of_when_there_is_memory_again, MINUTES)
{
	struct agent other;
	int i, fd;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, open_conn(self));
		ASSERT_EQ(-EINPROGRESS, ask(self));
		ASSERT_TRUE(agent_is_told(&self->a, SOON));
		ASSERT_EQ(0, agent_new(&other));
		ASSERT_EQ(0, agent_accept(&other, &got));
		fd = got.fd;
		ASSERT_TRUE(finds_none(self));
		ASSERT_EQ(0, fault_anywhere(100));
		agent_close(&other);
		close(fd);
		usleep(250000);
		ASSERT_EQ(0, fault_anywhere(0));
ASSERT_EQ(0, serve(self))
			TH_LOG("round %d", i);
		conn_close(&self->c);
	}
}

TEST_F_TIMEOUT(requests, application_that_closes_takes_its_request_back, MINUTES)
{
	struct fault *f = &self->f;
	uint32_t counts[3];

	do {
		ASSERT_EQ(0, open_conn(self));
		ASSERT_EQ(-EINPROGRESS, ask(self));
		ASSERT_EQ(0, fault_call(f, result(close(self->c.fd))));
		self->c.fd = -1;
		ASSERT_EQ(0, agent_status(&self->a, counts));
		EXPECT_EQ(0, counts[1]);
		conn_close(&self->c);
	} while (f->hit);
	fault_report(f, "close with a handshake under way");
}

TEST_HARNESS_MAIN
