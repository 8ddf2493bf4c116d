// SPDX-License-Identifier: GPL-2.0-only
/*
 * KEYBLOB_HANDSHAKE as the application sees it: what the call returns and when, what the
 * socket does meanwhile and afterwards, and what happens when either side goes away.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"
#include "kselftest_harness.h"

#define STILL	150	/* ms in which nothing happens */
#define SOON	5000	/* ms in which it does */

static struct answer answer;
static struct accepted got;
static struct app_result result;

FIXTURE(calls)
{
	struct exchange x;
};

FIXTURE_SETUP(calls)
{
	int fds[2];

	ASSERT_EQ(0, exchange_init(&self->x));
	ASSERT_EQ(0, tcp_pair(AF_INET, fds));
	ASSERT_EQ(0, keyblob_attach(fds[0]));
	ASSERT_EQ(0, app_start(&self->x.app, fds[0], 65534));
	/* The application has it for itself. */
	close(fds[0]);
	self->x.c.peer.fd = fds[1];
	ASSERT_EQ(0, conn_peer(&self->x.c));
}

FIXTURE_TEARDOWN(calls)
{
	app_kill(&self->x.app);
}

/* ---- without an agent, and malformed ---- */

TEST_F(calls, no_agent_is_a_clear_error_at_once)
{
	char data[5];

	agent_close(&self->x.a);
	EXPECT_EQ(-ESRCH, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	EXPECT_EQ(-ESRCH, app_do(&self->x.app, APP_HANDSHAKE, 0));
	/* The socket is as it was. */
	EXPECT_EQ(5, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(0, recv_all(self->x.c.peer.fd, data, 5));
	ASSERT_EQ(0, agent_new(&self->x.a));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, 0));
}

TEST_F(calls, malformed_requests_are_refused)
{
	struct keyblob_handshake *what = &self->x.app.what;
	const struct keyblob_handshake good = *what;
	int i;

	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	for (i = 0; i < 9; i++) {
		*what = good;
		switch (i) {
		case 0: what->flags = 1; break;
		case 1: what->role = 0; break;
		case 2: what->role = 3; break;
		case 3: what->reserved = 1; break;
		case 4: what->timeout_ms = KEYBLOB_HANDSHAKE_MS_MAX + 1; break;
		case 5: what->peer_name[0] = 'x'; break;	/* of a server */
		case 6: what->identity[0] = '\n'; break;
		case 7: what->alpn_len = 2; break;		/* an empty name */
		case 8: what->alpn_len = 257; break;
		}
		EXPECT_EQ(-EINVAL, app_do(&self->x.app, APP_HANDSHAKE, 0)) {
			TH_LOG("case %d", i);
		}
	}
	*what = good;
	EXPECT_EQ(-EINVAL, app_do(&self->x.app, APP_HANDSHAKE, KEYBLOB_HANDSHAKE_SIZE_MIN - 1));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, KEYBLOB_HANDSHAKE_SIZE_MIN));
}

/* Of a newer header: what is not known here may not be asked for. */
TEST_F(calls, longer_request_has_nothing_but_zeros_behind_what_is_known)
{
	struct {
		struct keyblob_handshake what;
		char more[8];
	} longer = { .what.role = KEYBLOB_ROLE_SERVER };
	static const char page[2 << 16];
	int fds[2];

	agent_close(&self->x.a);
	ASSERT_EQ(0, tcp_pair(AF_INET, fds));
	ASSERT_EQ(0, keyblob_attach(fds[0]));
#define ASKED(value, len) (setsockopt(fds[0], SOL_KEYBLOB, KEYBLOB_HANDSHAKE, value, len) ? errno : 0)
	EXPECT_EQ(ESRCH, ASKED(&longer, sizeof(longer)));
	longer.more[7] = 1;
	EXPECT_EQ(E2BIG, ASKED(&longer, sizeof(longer)));
	EXPECT_EQ(E2BIG, ASKED(page, sizeof(page)));
	EXPECT_EQ(EFAULT, ASKED(NULL, sizeof(longer.what)));
#undef ASKED
}

static void *ask_over_and_over(void *arg)
{
	const struct keyblob_handshake what = { .role = KEYBLOB_ROLE_SERVER };
	const int fd = *(int *)arg;
	long done = 0;
	int i;

	for (i = 0; i < 2000; i++)
		done += !setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &what, sizeof(what));
	return (void *)done;
}

TEST_F(calls, without_an_agent_nobody_is_told_that_it_is_done)
{
	pthread_t threads[2];
	int fds[2], i;
	void *done;

	agent_close(&self->x.a);
	ASSERT_EQ(0, tcp_pair(AF_INET, fds));
	ASSERT_EQ(0, keyblob_attach(fds[0]));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, ask_over_and_over, &fds[0]));
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &done);
		EXPECT_EQ(NULL, done);
	}
}

/* ---- blocking ---- */

TEST_F(calls, blocking_call_returns_when_the_keys_are_there)
{
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, conn_import(&self->x.c));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, agent_done(&self->x.a, got.id, 0, &answer));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(0, result.ret);
	EXPECT_TRUE(exchange_works(&self->x));
	EXPECT_EQ(-EISCONN, app_do(&self->x.app, APP_HANDSHAKE, 0));
}

TEST_F(calls, blocking_call_tells_why_not)
{
	struct keyblob_status status;
	struct nl_msg *msg;

	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	msg = agent_msg(&self->x.a, KEYBLOB_GENL_DONE);
	nla_put_u64(msg, KEYBLOB_A_GENL_ID, got.id);
	nla_put_u32(msg, KEYBLOB_A_GENL_ERROR, EKEYREJECTED);
	nla_put_u8(msg, KEYBLOB_A_GENL_ALERT_RECEIVED, 42);
	nla_put_string(msg, KEYBLOB_A_GENL_REASON, "not by this one");
	ASSERT_EQ(0, agent_call(&self->x.a, msg, &answer));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-EKEYREJECTED, result.ret);
	ASSERT_EQ(0, keyblob_info(self->x.c.fd, &status));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_FAILED, status.handshake);
	EXPECT_EQ(2, status.has_alert);
	EXPECT_EQ(42, status.alert);
	EXPECT_STREQ("not by this one", status.reason);
}

TEST_F(calls, failure_is_for_good)
{
	char byte;

	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, exchange_fail(&self->x, &got, ECONNABORTED));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-ECONNABORTED, result.ret);
	EXPECT_EQ(-EPIPE, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_HANDSHAKE, 0));
	/* The peer sees the end, and nothing before it. */
	EXPECT_EQ(0, recv(self->x.c.peer.fd, &byte, 1, 0));
}

/* ---- non-blocking ---- */

TEST_F(calls, nonblocking_success_is_like_that_of_connect)
{
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_EQ(-EALREADY, app_do(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_EQ(0, app_do(&self->x.app, APP_POLL, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_EQ(-EALREADY, app_do(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_EQ(0, app_do(&self->x.app, APP_POLL, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_POLL_WAIT, 0));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(POLLOUT, result.ret);
	EXPECT_EQ(0, app_do(&self->x.app, APP_SO_ERROR, 0));
	EXPECT_EQ(5, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_READ, 0));
}

TEST_F(calls, nonblocking_failure_is_told_by_so_error_once)
{
	long events;

	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	ASSERT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, app_call(&self->x.app, APP_POLL_WAIT, 0));
	ASSERT_EQ(0, exchange_fail(&self->x, &got, EACCES));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	events = POLLIN | POLLOUT | POLLERR | POLLHUP;
	EXPECT_EQ(events, result.ret & events);
	EXPECT_EQ(EACCES, app_do(&self->x.app, APP_SO_ERROR, 0));
	EXPECT_EQ(0, app_do(&self->x.app, APP_SO_ERROR, 0));
	EXPECT_EQ(-EPIPE, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_READ, 0));
}

/* ---- signals and time ---- */

TEST_F(calls, signal_interrupts_and_the_same_call_waits_on)
{
	ASSERT_EQ(0, app_do(&self->x.app, APP_SIGNALS, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, kill(self->x.app.pid, SIGUSR1));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-EINTR, result.ret);
	EXPECT_EQ(1, result.signals);
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(0, result.ret);
	EXPECT_TRUE(exchange_works(&self->x));
}

TEST_F(calls, interrupted_call_learns_what_happened_meanwhile)
{
	ASSERT_EQ(0, app_do(&self->x.app, APP_SIGNALS, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, kill(self->x.app.pid, SIGUSR1));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-EINTR, result.ret);
	ASSERT_EQ(0, exchange_fail(&self->x, &got, EACCES));
	EXPECT_EQ(-EACCES, app_do(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_HANDSHAKE, 0));
}

TEST_F(calls, restarting_signal_is_not_seen)
{
	ASSERT_EQ(0, app_do(&self->x.app, APP_SIGNALS, SA_RESTART));
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, kill(self->x.app.pid, SIGUSR1));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(0, result.ret);
	EXPECT_EQ(1, result.signals);
	EXPECT_TRUE(exchange_works(&self->x));
}

TEST_F(calls, timeout_ends_waiting_for_an_agent)
{
	uint32_t counts[3];

	self->x.app.what.timeout_ms = 300;
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_FALSE(app_end(&self->x.app, &result, 100));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-ETIMEDOUT, result.ret);
	ASSERT_EQ(0, agent_status(&self->x.a, counts));
	EXPECT_EQ(0, counts[1]);
	EXPECT_EQ(-EAGAIN, agent_accept(&self->x.a, &got));
}

TEST_F(calls, timeout_ends_what_an_agent_has_taken)
{
	self->x.app.what.timeout_ms = 300;
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-ETIMEDOUT, result.ret);
	EXPECT_EQ(-ENOENT, agent_done(&self->x.a, got.id, 0, &answer));
	EXPECT_GT(0, conn_import(&self->x.c));
}

/* ---- whose the connection is meanwhile ---- */

TEST_F(calls, agent_alone_uses_the_connection)
{
	char data[6];

	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	ASSERT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_WRITE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(6, send(self->x.c.peer.fd, "client", 6, 0));
	ASSERT_EQ(0, recv_all(self->x.c.fd, data, 1));
	EXPECT_EQ('c', data[0]);
	ASSERT_EQ(6, send(self->x.c.fd, "server", 6, 0));
	ASSERT_EQ(0, recv_all(self->x.c.peer.fd, data, 6));
	EXPECT_EQ(0, memcmp("server", data, 6));
	/* There is something to read, and room to write. */
	EXPECT_EQ(0, app_do(&self->x.app, APP_POLL, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_READ, MSG_PEEK));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_SPLICE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_SENDFILE, 0));
	ASSERT_EQ(0, recv_all(self->x.c.fd, data, 5));
	EXPECT_EQ(0, memcmp("lient", data, 5));
	/* The peer got nothing else. */
	EXPECT_EQ(-1, recv(self->x.c.peer.fd, data, 1, MSG_DONTWAIT));
}

FIXTURE(waiting)
{
	struct exchange x;
	struct app other;	/* shares the socket */
};

FIXTURE_VARIANT(waiting)
{
	enum app_op op;
	bool reads;
};

FIXTURE_VARIANT_ADD(waiting, read) { .op = APP_READ, .reads = true };
FIXTURE_VARIANT_ADD(waiting, write) { .op = APP_WRITE };
FIXTURE_VARIANT_ADD(waiting, splice) { .op = APP_SPLICE, .reads = true };
FIXTURE_VARIANT_ADD(waiting, sendfile) { .op = APP_SENDFILE };

FIXTURE_SETUP(waiting)
{
	int fds[2];

	ASSERT_EQ(0, exchange_init(&self->x));
	ASSERT_EQ(0, tcp_pair(AF_INET6, fds));
	ASSERT_EQ(0, keyblob_attach(fds[0]));
	ASSERT_EQ(0, app_start(&self->x.app, fds[0], 65534));
	ASSERT_EQ(0, app_start(&self->other, fds[0], 65534));
	close(fds[0]);
	self->x.c.peer.fd = fds[1];
	ASSERT_EQ(0, conn_peer(&self->x.c));
	/* Blocking calls; the handshake is under way. */
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
}

FIXTURE_TEARDOWN(waiting)
{
	app_kill(&self->x.app);
	app_kill(&self->other);
}

TEST_F(waiting, call_of_another_process_goes_on_with_the_keys)
{
	char data[5];

	ASSERT_EQ(0, app_call(&self->other, variant->op, 0));
	EXPECT_FALSE(app_end(&self->other, &result, STILL));
	ASSERT_EQ(0, conn_import(&self->x.c));
	EXPECT_FALSE(app_end(&self->other, &result, STILL));
	ASSERT_EQ(0, agent_done(&self->x.a, got.id, 0, &answer));
	if (variant->reads) {
		ASSERT_EQ(0, tls_peer_write(&self->x.c.peer, "world", 5));
		ASSERT_TRUE(app_end(&self->other, &result, SOON));
		EXPECT_EQ(0, memcmp("world", result.data, 5));
	} else {
		ASSERT_EQ(0, tls_peer_read(&self->x.c.peer, data, 5));
		EXPECT_EQ(0, memcmp("hello", data, 5));
		ASSERT_TRUE(app_end(&self->other, &result, SOON));
	}
	EXPECT_EQ(5, result.ret);
}

TEST_F(waiting, call_of_another_process_ends_with_the_handshake)
{
	ASSERT_EQ(0, app_call(&self->other, variant->op, 0));
	EXPECT_FALSE(app_end(&self->other, &result, STILL));
	ASSERT_EQ(0, agent_done(&self->x.a, got.id, ECONNABORTED, &answer));
	ASSERT_TRUE(app_end(&self->other, &result, SOON));
	EXPECT_GT(0, result.ret);
}

TEST_F(waiting, call_of_another_process_has_its_own_timeout)
{
	ASSERT_EQ(0, app_do(&self->other, APP_TIMEOUT, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->other, variant->op, 0));
	ASSERT_EQ(0, conn_import(&self->x.c));
	EXPECT_EQ(0, agent_done(&self->x.a, got.id, 0, &answer));
}

TEST_F(waiting, call_of_another_process_is_interrupted_by_a_signal)
{
	ASSERT_EQ(0, app_do(&self->other, APP_SIGNALS, 0));
	ASSERT_EQ(0, app_call(&self->other, variant->op, 0));
	EXPECT_FALSE(app_end(&self->other, &result, STILL));
	ASSERT_EQ(0, kill(self->other.pid, SIGUSR1));
	ASSERT_TRUE(app_end(&self->other, &result, SOON));
	EXPECT_EQ(-EINTR, result.ret);
	ASSERT_EQ(0, conn_import(&self->x.c));
	EXPECT_EQ(0, agent_done(&self->x.a, got.id, 0, &answer));
}

TEST_F(waiting, death_of_one_of_two_processes_does_not_matter)
{
	char data[5];

	app_kill(&self->x.app);
	usleep(STILL * 1000);
	ASSERT_EQ(0, conn_import(&self->x.c));
	ASSERT_EQ(0, agent_done(&self->x.a, got.id, 0, &answer));
	EXPECT_EQ(5, app_do(&self->other, APP_WRITE, 0));
	EXPECT_EQ(0, tls_peer_read(&self->x.c.peer, data, 5));
}

/* ---- who goes away ---- */

TEST_F(calls, close_takes_a_request_back)
{
	uint32_t counts[3];

	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	ASSERT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_CLOSE, 0));
	ASSERT_EQ(0, agent_status(&self->x.a, counts));
	EXPECT_EQ(0, counts[1]);
	EXPECT_EQ(-EAGAIN, agent_accept(&self->x.a, &got));
}

TEST_F(calls, death_takes_a_request_back)
{
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_TRUE(agent_is_told(&self->x.a, SOON));
	app_kill(&self->x.app);
	EXPECT_EQ(-EAGAIN, agent_accept(&self->x.a, &got));
}

/* The agent has the socket open, too; it is told within a few seconds. */
TEST_F(calls, close_cancels_what_an_agent_has_taken)
{
	uint32_t counts[3];
	int i;

	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	ASSERT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, app_do(&self->x.app, APP_CLOSE, 0));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, agent_status(&self->x.a, counts));
		if (!counts[2])
			break;
		usleep(100000);
	}
	EXPECT_EQ(0, counts[2]);
	EXPECT_EQ(-ENOENT, agent_done(&self->x.a, got.id, 0, &answer));
}

TEST_F(calls, agent_that_dies_before_it_began_is_replaced)
{
	struct agent other;

	ASSERT_EQ(0, agent_new(&other));
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	if (agent_accept(&self->x.a, &got) == -EAGAIN)
		usleep(STILL * 1000);
	if (got.fd < 0)
		ASSERT_EQ(0, agent_accept(&self->x.a, &got));
	close(got.fd);
	agent_close(&self->x.a);
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	self->x.a = other;
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(0, result.ret);
	EXPECT_TRUE(exchange_works(&self->x));
}

TEST_F(calls, agent_that_dies_in_the_middle_fails_the_call)
{
	ASSERT_EQ(0, app_call(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(1, send(self->x.c.fd, "x", 1, 0));
	agent_close(&self->x.a);
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-ECONNABORTED, result.ret);
}

TEST_HARNESS_MAIN
