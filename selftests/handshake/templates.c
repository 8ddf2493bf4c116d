// SPDX-License-Identifier: GPL-2.0-only
/*
 * KEYBLOB_HANDSHAKE set before a socket is connected, or on one that listens: connect(2)
 * includes the handshake, accept(2) returns sockets whose handshake is under way, and
 * nothing that is not TLS leaves either.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "app.h"
#include "kselftest_harness.h"
#include "lib/net.h"

#define STILL	150	/* ms in which nothing happens */
#define SOON	5000	/* ms in which it does */

static struct answer answer;
static struct accepted got;
static struct app_result result;

FIXTURE(templates)
{
	struct agent a;
	struct app app;
	struct conn c;			/* fd: what the agent got; peer: the other end */
	int other;			/* listens, for an application that connects; or
					 * connects to one that listens */
	struct sockaddr_storage addr;
	socklen_t len;
};

FIXTURE_VARIANT(templates)
{
	int family;
	uint16_t role;			/* of the application; clients connect */
};

FIXTURE_VARIANT_ADD(templates, client_ipv4)
{
	.family = AF_INET,
	.role = KEYBLOB_ROLE_CLIENT,
};

FIXTURE_VARIANT_ADD(templates, client_ipv6)
{
	.family = AF_INET6,
	.role = KEYBLOB_ROLE_CLIENT,
};

FIXTURE_VARIANT_ADD(templates, server_ipv4)
{
	.family = AF_INET,
	.role = KEYBLOB_ROLE_SERVER,
};

FIXTURE_VARIANT_ADD(templates, server_ipv6)
{
	.family = AF_INET6,
	.role = KEYBLOB_ROLE_SERVER,
};

FIXTURE_SETUP(templates)
{
	int fd = socket(variant->family, SOCK_STREAM, 0);
	int listener = tcp_listen(variant->family, &self->addr, &self->len);
	int own;

	ASSERT_EQ(0, agent_new(&self->a));
	ASSERT_LE(0, fd);
	ASSERT_LE(0, listener);
	own = variant->role == KEYBLOB_ROLE_CLIENT ? fd : listener;
	self->other = own == fd ? listener : fd;
	ASSERT_EQ(0, keyblob_attach(own));
	ASSERT_EQ(0, app_start(&self->app, own, 65534));
	close(own);
	self->app.address = self->addr;
	self->app.what.role = variant->role;
	if (variant->role == KEYBLOB_ROLE_CLIENT)
		strcpy(self->app.what.peer_name, "server.example");
	memset(&self->c, 0, sizeof(self->c));
	self->c.fd = -1;
	self->c.peer.fd = -1;
	key_random(&self->c.tx, KEYBLOB_DIR_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	key_random(&self->c.rx, KEYBLOB_DIR_RX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
}

FIXTURE_TEARDOWN(templates)
{
	app_kill(&self->app);
}

#define CLIENTS_ONLY() do {						\
	if (variant->role != KEYBLOB_ROLE_CLIENT)			\
		SKIP(return, "about sockets that connect");		\
} while (0)

#define SERVERS_ONLY() do {						\
	if (variant->role != KEYBLOB_ROLE_SERVER)			\
		SKIP(return, "about sockets that listen");		\
} while (0)

/* The other end of the connection that the application made, or is to accept. */
static int meet(FIXTURE_DATA(templates) *self)
{
	self->c.peer.fd = accept(self->other, NULL, NULL);
	return self->c.peer.fd < 0 ? -errno : conn_peer(&self->c);
}

static int call_in(FIXTURE_DATA(templates) *self)
{
	self->c.peer.fd = self->other;
	if (connect(self->other, (struct sockaddr *)&self->addr, self->len))
		return -errno;
	return conn_peer(&self->c);
}

/* The agent takes the request; 0 or a negative errno. */
static int take(FIXTURE_DATA(templates) *self)
{
	int err = agent_take(&self->a, &got);

	self->c.fd = got.fd;
	return err;
}

static int succeed(FIXTURE_DATA(templates) *self)
{
	int err = conn_import(&self->c);

	if (err)
		return err;
	close(self->c.fd);
	return agent_done(&self->a, got.id, 0, &answer);
}

static int fail(FIXTURE_DATA(templates) *self, int error)
{
	close(self->c.fd);
	return agent_done(&self->a, got.id, error, &answer);
}

/* Does data flow between the application and the peer, under TLS? */
static bool works(FIXTURE_DATA(templates) *self)
{
	char data[5];

	return app_do(&self->app, APP_WRITE, 0) == 5 &&
	       !tls_peer_read(&self->c.peer, data, 5) && !memcmp(data, "hello", 5) &&
	       !tls_peer_write(&self->c.peer, "world", 5) &&
	       !app_call(&self->app, APP_READ, 0) && app_end(&self->app, &result, SOON) &&
	       result.ret == 5 && !memcmp(result.data, "world", 5);
}

/* Bytes that have reached the peer, after a while. */
static int at_peer(FIXTURE_DATA(templates) *self)
{
	int n = 0;

	usleep(50000);
	return ioctl(self->c.peer.fd, FIONREAD, &n) ? -errno : n;
}

/* ---- clients ---- */

TEST_F(templates, connect_returns_when_the_keys_are_there)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, take(self));
	EXPECT_STREQ("server.example", nla_get_string(
			     got.answer.attrs[KEYBLOB_A_GENL_PEER_NAME]));
	EXPECT_FALSE(app_end(&self->app, &result, STILL));
	ASSERT_EQ(0, succeed(self));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(0, result.ret);
	EXPECT_TRUE(works(self));
	EXPECT_EQ(-EISCONN, app_do(&self->app, APP_CONNECT, 0));
	EXPECT_EQ(-EISCONN, app_do(&self->app, APP_HANDSHAKE, 0));
}

TEST_F(templates, connect_fails_as_the_handshake_does)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, fail(self, EKEYREJECTED));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(-EKEYREJECTED, result.ret);
	EXPECT_EQ(-EPIPE, app_do(&self->app, APP_WRITE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->app, APP_READ, 0));
	EXPECT_EQ(0, at_peer(self));
}

TEST_F(templates, nonblocking_connect_is_done_when_the_keys_are_there)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->app, APP_CONNECT, 0));
	ASSERT_EQ(0, app_call(&self->app, APP_POLL_WAIT, 0));
	ASSERT_EQ(0, meet(self));
	EXPECT_FALSE(app_end(&self->app, &result, STILL));
	ASSERT_EQ(0, take(self));
	EXPECT_FALSE(app_end(&self->app, &result, STILL));
	ASSERT_EQ(0, succeed(self));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(POLLOUT, result.ret);
	EXPECT_EQ(0, app_do(&self->app, APP_SO_ERROR, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_READ, 0));
	EXPECT_EQ(5, app_do(&self->app, APP_WRITE, 0));
}

TEST_F(templates, nonblocking_connect_asked_again_says_how_far_it_is)
{
	long again;

	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	app_do(&self->app, APP_POLL, 0);
	ASSERT_EQ(0, take(self));
	EXPECT_EQ(-EALREADY, app_do(&self->app, APP_CONNECT, 0));
	EXPECT_EQ(0, app_do(&self->app, APP_POLL, 0));
	ASSERT_EQ(0, succeed(self));
	again = app_do(&self->app, APP_CONNECT, 0);
	EXPECT_TRUE(again == 0 || again == -EISCONN);
	EXPECT_EQ(-EISCONN, app_do(&self->app, APP_CONNECT, 0));
}

TEST_F(templates, nonblocking_connect_that_fails_is_told_by_so_error)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, app_call(&self->app, APP_POLL_WAIT, 0));
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, fail(self, EKEYREJECTED));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(POLLERR, result.ret & POLLERR);
	EXPECT_EQ(EKEYREJECTED, app_do(&self->app, APP_SO_ERROR, 0));
	EXPECT_EQ(-EPIPE, app_do(&self->app, APP_WRITE, 0));
}

TEST_F(templates, nobody_listens_is_an_ordinary_refusal)
{
	CLIENTS_ONLY();
	close(self->other);
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	EXPECT_EQ(-ECONNREFUSED, app_do(&self->app, APP_CONNECT, 0));
	EXPECT_EQ(-ECONNREFUSED, app_do(&self->app, APP_CONNECT, 0));
	EXPECT_FALSE(agent_is_told(&self->a, STILL));
}

TEST_F(templates, without_an_agent_nothing_is_connected)
{
	struct pollfd pfd;

	agent_close(&self->a);
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		EXPECT_EQ(-ESRCH, app_do(&self->app, APP_CONNECT, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		EXPECT_EQ(0, app_do(&self->app, APP_ACCEPT, 0));
		EXPECT_EQ(-ESRCH, app_do(&self->app, APP_READ, 0));
	}
	EXPECT_EQ(-EPIPE, app_do(&self->app, APP_WRITE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->app, APP_READ, 0));
	pfd = (struct pollfd){ .fd = self->c.peer.fd, .events = POLLIN };
	EXPECT_EQ(1, poll(&pfd, 1, SOON));
	EXPECT_EQ(0, at_peer(self));
}

/* Who writes without asking whether it is connected yet gets nothing out in the clear. */
TEST_F(templates, nothing_plain_leaves)
{
	int i;

	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		EXPECT_EQ(-EINPROGRESS, app_do(&self->app, APP_CONNECT, 0));
		for (i = 0; i < 20; i++)
			EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_WRITE, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		ASSERT_EQ(0, app_do(&self->app, APP_ACCEPT, 0));
		ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
	}
	EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_WRITE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_SENDFILE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_READ, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_SPLICE, 0));
	ASSERT_EQ(0, take(self));
	EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_WRITE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->app, APP_SENDFILE, 0));
	EXPECT_EQ(0, at_peer(self));
	ASSERT_EQ(0, succeed(self));
	EXPECT_EQ(5, app_do(&self->app, APP_WRITE, 0));
}

/* What somebody sends and breaks off before there is TLS is not data. */
TEST_F(templates, nothing_plain_is_read)
{
	const struct linger reset = { .l_onoff = 1 };

	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
		EXPECT_EQ(-EINPROGRESS, app_do(&self->app, APP_CONNECT, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		ASSERT_EQ(0, app_do(&self->app, APP_ACCEPT, 0));
		ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
	}
	ASSERT_EQ(5, send(self->c.peer.fd, "plain", 5, 0));
	ASSERT_EQ(0, setsockopt(self->c.peer.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(self->c.peer.fd);
	usleep(50000);
	EXPECT_GT(0, app_do(&self->app, APP_READ, 0));
	EXPECT_GT(0, app_do(&self->app, APP_SPLICE, 0));
	EXPECT_GT(0, app_do(&self->app, APP_WRITE, 0));
	EXPECT_GT(0, app_do(&self->app, APP_READ, 0));
}

/* Whoever polls or accepts: the option's setter asks. */
TEST_F(templates, who_set_the_option_asks)
{
	struct pollfd pfd;
	int fd, one;

	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	fd = app_dup(&self->app);
	ASSERT_LE(0, fd);
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		ASSERT_EQ(0, app_do(&self->app, APP_NONBLOCK, 0));
		EXPECT_EQ(-EINPROGRESS, app_do(&self->app, APP_CONNECT, 0));
		pfd = (struct pollfd){ .fd = fd, .events = POLLOUT };
		poll(&pfd, 1, STILL);
	} else {
		ASSERT_EQ(0, call_in(self));
		one = accept(fd, NULL, NULL);
		ASSERT_LE(0, one);
	}
	ASSERT_EQ(0, take(self));
	EXPECT_EQ(65534, nla_get_u32(got.answer.attrs[KEYBLOB_A_GENL_UID]));
	EXPECT_EQ(self->app.pid, nla_get_u32(got.answer.attrs[KEYBLOB_A_GENL_PID]));
}

TEST_F(templates, data_in_a_syn_is_refused)
{
	const int one = 1;
	int fd = socket(variant->family, SOCK_STREAM, 0);

	CLIENTS_ONLY();
	ASSERT_EQ(0, keyblob_attach(fd));
	EXPECT_EQ(-1, setsockopt(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(-1, sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&self->addr,
			     self->len));
	EXPECT_EQ(EOPNOTSUPP, errno);
	close(fd);
	fd = socket(variant->family, SOCK_STREAM, 0);
	ASSERT_EQ(0, setsockopt(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)));
	EXPECT_EQ(-EOPNOTSUPP, keyblob_attach(fd));
	close(fd);
}

TEST_F(templates, what_was_set_can_be_set_anew)
{
	struct keyblob_status status;
	int fd = socket(variant->family, SOCK_STREAM, 0);

	CLIENTS_ONLY();
	ASSERT_EQ(0, keyblob_attach(fd));
	ASSERT_EQ(0, keyblob_info(fd, &status));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_NONE, status.handshake);
	ASSERT_EQ(0, setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &self->app.what,
				sizeof(self->app.what)));
	ASSERT_EQ(0, keyblob_info(fd, &status));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_SET, status.handshake);
	close(fd);

	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	strcpy(self->app.what.peer_name, "another.example");
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->app, APP_CONNECT, 0));
	ASSERT_EQ(0, take(self));
	EXPECT_STREQ("another.example", nla_get_string(
			     got.answer.attrs[KEYBLOB_A_GENL_PEER_NAME]));
}

TEST_F(templates, signal_interrupts_connect_and_it_goes_on)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->app, APP_SIGNALS, 0));
	ASSERT_EQ(0, app_call(&self->app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, kill(self->app.pid, SIGUSR1));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(-EINTR, result.ret);
	ASSERT_EQ(0, app_call(&self->app, APP_CONNECT, 0));
	EXPECT_FALSE(app_end(&self->app, &result, STILL));
	ASSERT_EQ(0, succeed(self));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_TRUE(result.ret == 0 || result.ret == -EISCONN);
	EXPECT_TRUE(works(self));
}

/* ---- servers ---- */

TEST_F(templates, accepted_sockets_have_their_handshake_under_way)
{
	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, call_in(self));
	/* Before it is accepted, nobody is asked. */
	EXPECT_FALSE(agent_is_told(&self->a, STILL));
	ASSERT_EQ(0, app_do(&self->app, APP_ACCEPT, 0));
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, app_call(&self->app, APP_READ, 0));
	EXPECT_FALSE(app_end(&self->app, &result, STILL));
	ASSERT_EQ(0, succeed(self));
	ASSERT_EQ(0, tls_peer_write(&self->c.peer, "world", 5));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(5, result.ret);
	EXPECT_EQ(0, memcmp(result.data, "world", 5));
	EXPECT_TRUE(works(self));
}

TEST_F(templates, poll_waits_for_the_handshake_of_an_accepted_socket)
{
	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->app, APP_POLL_WAIT, 0));
	EXPECT_FALSE(app_end(&self->app, &result, STILL));
	ASSERT_EQ(0, call_in(self));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(POLLIN, result.ret);
	ASSERT_EQ(0, app_do(&self->app, APP_ACCEPT, 0));
	ASSERT_EQ(0, app_call(&self->app, APP_POLL_WAIT, 0));
	ASSERT_EQ(0, take(self));
	EXPECT_FALSE(app_end(&self->app, &result, STILL));
	ASSERT_EQ(0, succeed(self));
	ASSERT_TRUE(app_end(&self->app, &result, SOON));
	EXPECT_EQ(POLLOUT, result.ret);
}

TEST_F(templates, failure_of_an_accepted_socket_is_its_alone)
{
	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, call_in(self));
	ASSERT_EQ(0, app_do(&self->app, APP_ACCEPT, 0));
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, fail(self, ECONNABORTED));
	EXPECT_EQ(-ECONNABORTED, app_do(&self->app, APP_READ, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->app, APP_READ, 0));
	EXPECT_EQ(0, at_peer(self));
}

/* What is in the backlog when the listening socket goes is TCP's own. */
TEST_F(templates, listening_socket_goes_with_its_backlog)
{
	char byte;

	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, call_in(self));
	ASSERT_EQ(0, app_do(&self->app, APP_CLOSE, 0));
	EXPECT_GE(0, recv(self->c.peer.fd, &byte, 1, 0));
}

/* ---- both ---- */

TEST_F(templates, application_that_dies_takes_the_request_back)
{
	uint32_t counts[3];
	int i;

	ASSERT_EQ(0, app_do(&self->app, APP_HANDSHAKE, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		ASSERT_EQ(0, app_call(&self->app, APP_CONNECT, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		ASSERT_EQ(0, app_do(&self->app, APP_ACCEPT, 0));
	}
	ASSERT_TRUE(agent_is_told(&self->a, SOON));
	app_kill(&self->app);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, agent_status(&self->a, counts));
		if (!counts[1])
			break;
		usleep(20000);
	}
	EXPECT_EQ(0, counts[1]);
	EXPECT_EQ(-EAGAIN, agent_accept(&self->a, &got));
}

TEST_HARNESS_MAIN
