// SPDX-License-Identifier: GPL-2.0-only
/*
 * KEYBLOB_HANDSHAKE set before a socket is connected, or on one that listens: connect(2)
 * includes the handshake, accept(2) returns sockets whose handshake is under way, and
 * nothing that is not TLS leaves either.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"
#include "kselftest_harness.h"

#define STILL	150	/* ms in which nothing happens */
#define SOON	5000	/* ms in which it does */

static struct accepted got;
static struct app_result result;

FIXTURE(templates)
{
	struct exchange x;
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

	ASSERT_EQ(0, exchange_init(&self->x));
	ASSERT_LE(0, fd);
	ASSERT_LE(0, listener);
	own = variant->role == KEYBLOB_ROLE_CLIENT ? fd : listener;
	self->other = own == fd ? listener : fd;
	ASSERT_EQ(0, keyblob_attach(own));
	ASSERT_EQ(0, app_start(&self->x.app, own, 65534));
	close(own);
	self->x.app.address = self->addr;
	self->x.app.what.role = variant->role;
	if (variant->role == KEYBLOB_ROLE_CLIENT)
		strcpy(self->x.app.what.peer_name, "server.example");
}

FIXTURE_TEARDOWN(templates)
{
	app_kill(&self->x.app);
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
	self->x.c.peer.fd = accept(self->other, NULL, NULL);
	return self->x.c.peer.fd < 0 ? -errno : conn_peer(&self->x.c);
}

static int call_in(FIXTURE_DATA(templates) *self)
{
	self->x.c.peer.fd = self->other;
	if (connect(self->other, (struct sockaddr *)&self->addr, self->len))
		return -errno;
	return conn_peer(&self->x.c);
}

/* Bytes that have reached the peer, after a while. */
static int at_peer(FIXTURE_DATA(templates) *self)
{
	int n = 0;

	usleep(50000);
	return ioctl(self->x.c.peer.fd, FIONREAD, &n) ? -errno : n;
}

/* ---- clients ---- */

TEST_F(templates, connect_returns_when_the_keys_are_there)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_STREQ("server.example", nla_get_string(
			     got.answer.attrs[KEYBLOB_A_GENL_PEER_NAME]));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(0, result.ret);
	EXPECT_TRUE(exchange_works(&self->x));
	EXPECT_EQ(-EISCONN, app_do(&self->x.app, APP_CONNECT, 0));
	EXPECT_EQ(-EISCONN, app_do(&self->x.app, APP_HANDSHAKE, 0));
}

TEST_F(templates, connect_fails_as_the_handshake_does)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, exchange_fail(&self->x, &got, EKEYREJECTED));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-EKEYREJECTED, result.ret);
	EXPECT_EQ(-EPIPE, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(0, at_peer(self));
}

TEST_F(templates, nonblocking_connect_is_done_when_the_keys_are_there)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_POLL_WAIT, 0));
	ASSERT_EQ(0, meet(self));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(POLLOUT, result.ret);
	EXPECT_EQ(0, app_do(&self->x.app, APP_SO_ERROR, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(5, app_do(&self->x.app, APP_WRITE, 0));
}

TEST_F(templates, nonblocking_connect_asked_again_says_how_far_it_is)
{
	long again;

	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	app_do(&self->x.app, APP_POLL, 0);
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_EQ(-EALREADY, app_do(&self->x.app, APP_CONNECT, 0));
	EXPECT_EQ(0, app_do(&self->x.app, APP_POLL, 0));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	again = app_do(&self->x.app, APP_CONNECT, 0);
	EXPECT_TRUE(again == 0 || again == -EISCONN);
	EXPECT_EQ(-EISCONN, app_do(&self->x.app, APP_CONNECT, 0));
}

TEST_F(templates, nonblocking_connect_that_fails_is_told_by_so_error)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, app_call(&self->x.app, APP_POLL_WAIT, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, exchange_fail(&self->x, &got, EKEYREJECTED));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(POLLERR, result.ret & POLLERR);
	EXPECT_EQ(EKEYREJECTED, app_do(&self->x.app, APP_SO_ERROR, 0));
	EXPECT_EQ(-EPIPE, app_do(&self->x.app, APP_WRITE, 0));
}

TEST_F(templates, option_may_come_when_it_is_connected)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	EXPECT_TRUE(exchange_works(&self->x));
}

TEST_F(templates, nobody_listens_is_an_ordinary_refusal)
{
	CLIENTS_ONLY();
	close(self->other);
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_EQ(-ECONNREFUSED, app_do(&self->x.app, APP_CONNECT, 0));
	EXPECT_EQ(-ECONNREFUSED, app_do(&self->x.app, APP_CONNECT, 0));
	EXPECT_FALSE(agent_is_told(&self->x.a, STILL));
}

TEST_F(templates, without_an_agent_nothing_is_connected)
{
	struct pollfd pfd;

	agent_close(&self->x.a);
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		EXPECT_EQ(-ESRCH, app_do(&self->x.app, APP_CONNECT, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		EXPECT_EQ(0, app_do(&self->x.app, APP_ACCEPT, 0));
		EXPECT_EQ(-ESRCH, app_do(&self->x.app, APP_READ, 0));
	}
	EXPECT_EQ(-EPIPE, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_READ, 0));
	pfd = (struct pollfd){ .fd = self->x.c.peer.fd, .events = POLLIN };
	EXPECT_EQ(1, poll(&pfd, 1, SOON));
	EXPECT_EQ(0, at_peer(self));
}

/* Who writes without asking whether it is connected yet gets nothing out in the clear. */
TEST_F(templates, nothing_plain_leaves)
{
	int i;

	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
		for (i = 0; i < 20; i++)
			EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_WRITE, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		ASSERT_EQ(0, app_do(&self->x.app, APP_ACCEPT, 0));
		ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	}
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_SENDFILE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_SPLICE, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-EAGAIN, app_do(&self->x.app, APP_SENDFILE, 0));
	EXPECT_EQ(0, at_peer(self));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	EXPECT_EQ(5, app_do(&self->x.app, APP_WRITE, 0));
}

/* A full backlog leaves the next SYN unanswered. */
static int connecting(int family, const struct sockaddr_storage *addr, socklen_t len)
{
	const struct keyblob_handshake what = {
		.role = KEYBLOB_ROLE_CLIENT,
		.peer_name = "server.example",
	};
	struct tcp_info info = {};
	socklen_t info_len = sizeof(info);
	int fd = -1, i;

	for (i = 0; i < 5 && info.tcpi_state != TCP_SYN_SENT; i++) {
		fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (keyblob_attach(fd) ||
		    setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &what, sizeof(what)))
			return -1;
		(void)connect(fd, (const struct sockaddr *)addr, len);
		getsockopt(fd, SOL_TCP, TCP_INFO, &info, &info_len);
	}
	return info.tcpi_state == TCP_SYN_SENT ? fd : -1;
}

TEST_F(templates, who_reads_or_writes_while_it_connects_waits)
{
	const struct timeval timeout = { .tv_usec = 100000 };
	struct pollfd pfd;
	char byte = 'x';
	int fd;

	CLIENTS_ONLY();
	ASSERT_EQ(0, listen(self->other, 0));
	fd = connecting(variant->family, &self->addr, self->len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, send(fd, &byte, 1, 0));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, recv(fd, &byte, 1, 0));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, recv(fd, &byte, 1, MSG_ERRQUEUE));
	EXPECT_EQ(EAGAIN, errno);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN | POLLOUT };
	EXPECT_EQ(0, poll(&pfd, 1, 0));

	ASSERT_EQ(0, fcntl(fd, F_SETFL, 0));
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)));
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	EXPECT_EQ(-1, send(fd, &byte, 1, 0));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, recv(fd, &byte, 1, 0));
	EXPECT_EQ(EAGAIN, errno);
}

/* The peer has said its last before anybody looked: no keyblob socket comes of it. */
TEST_F(templates, connection_that_is_half_closed_at_once_fails)
{
	const short over = POLLIN | POLLOUT | POLLHUP;
	struct pollfd pfd;
	int fd;

	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	fd = app_dup(&self->x.app);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, connect(fd, (struct sockaddr *)&self->addr, self->len));
	EXPECT_EQ(EINPROGRESS, errno);
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, shutdown(self->x.c.peer.fd, SHUT_WR));
	usleep(50000);
	pfd = (struct pollfd){ .fd = fd, .events = over };
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(over | POLLERR, pfd.revents);
	EXPECT_EQ(ENOTCONN, app_do(&self->x.app, APP_SO_ERROR, 0));
	/* And so it stays. */
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(over, pfd.revents);
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(-EPIPE, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_HANDSHAKE, 0));
	EXPECT_EQ(-1, listen(fd, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, at_peer(self));
}

/* What somebody sends and breaks off before there is TLS is not data. */
TEST_F(templates, nothing_plain_is_read)
{
	const struct linger reset = { .l_onoff = 1 };

	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
		EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		ASSERT_EQ(0, app_do(&self->x.app, APP_ACCEPT, 0));
		ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	}
	ASSERT_EQ(5, send(self->x.c.peer.fd, "plain", 5, 0));
	ASSERT_EQ(0, setsockopt(self->x.c.peer.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(self->x.c.peer.fd);
	usleep(50000);
	EXPECT_GT(0, app_do(&self->x.app, APP_READ, 0));
	EXPECT_GT(0, app_do(&self->x.app, APP_SPLICE, 0));
	EXPECT_GT(0, app_do(&self->x.app, APP_WRITE, 0));
	EXPECT_GT(0, app_do(&self->x.app, APP_READ, 0));
}

/* Whoever polls or accepts: the option's setter asks. */
TEST_F(templates, who_set_the_option_asks)
{
	struct pollfd pfd;
	int fd, one;

	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	fd = app_dup(&self->x.app);
	ASSERT_LE(0, fd);
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
		EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
		pfd = (struct pollfd){ .fd = fd, .events = POLLOUT };
		poll(&pfd, 1, STILL);
	} else {
		ASSERT_EQ(0, call_in(self));
		one = accept(fd, NULL, NULL);
		ASSERT_LE(0, one);
	}
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_EQ(65534, nla_get_u32(got.answer.attrs[KEYBLOB_A_GENL_UID]));
	EXPECT_EQ(self->x.app.pid, nla_get_u32(got.answer.attrs[KEYBLOB_A_GENL_PID]));
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

/* As long as nobody has met the connection, it is TCP's alone. */
TEST_F(templates, connection_may_be_given_up_until_its_handshake_begins)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_NONBLOCK, 0));
	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
	EXPECT_EQ(0, app_do(&self->x.app, APP_CONNECT, 1));
	close(accept(self->other, NULL, NULL));

	EXPECT_EQ(-EINPROGRESS, app_do(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	app_do(&self->x.app, APP_POLL, 0);
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_EQ(-EOPNOTSUPP, app_do(&self->x.app, APP_CONNECT, 1));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	EXPECT_EQ(-EOPNOTSUPP, app_do(&self->x.app, APP_CONNECT, 1));
	EXPECT_TRUE(exchange_works(&self->x));
}

TEST_F(templates, what_was_set_can_be_set_anew)
{
	struct keyblob_status status;
	int fd = socket(variant->family, SOCK_STREAM, 0);

	CLIENTS_ONLY();
	ASSERT_EQ(0, keyblob_attach(fd));
	ASSERT_EQ(0, keyblob_info(fd, &status));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_NONE, status.handshake);
	ASSERT_EQ(0, setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &self->x.app.what,
				sizeof(self->x.app.what)));
	ASSERT_EQ(0, keyblob_info(fd, &status));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_SET, status.handshake);
	close(fd);

	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	strcpy(self->x.app.what.peer_name, "another.example");
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_STREQ("another.example", nla_get_string(
			     got.answer.attrs[KEYBLOB_A_GENL_PEER_NAME]));
}

TEST_F(templates, signal_interrupts_connect_and_it_goes_on)
{
	CLIENTS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_do(&self->x.app, APP_SIGNALS, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_CONNECT, 0));
	ASSERT_EQ(0, meet(self));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, kill(self->x.app.pid, SIGUSR1));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(-EINTR, result.ret);
	ASSERT_EQ(0, app_call(&self->x.app, APP_CONNECT, 0));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_TRUE(result.ret == 0 || result.ret == -EISCONN);
	EXPECT_TRUE(exchange_works(&self->x));
}

/* ---- servers ---- */

TEST_F(templates, accepted_sockets_have_their_handshake_under_way)
{
	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, call_in(self));
	/* Before it is accepted, nobody is asked. */
	EXPECT_FALSE(agent_is_told(&self->x.a, STILL));
	ASSERT_EQ(0, app_do(&self->x.app, APP_ACCEPT, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, app_call(&self->x.app, APP_READ, 0));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_EQ(0, tls_peer_write(&self->x.c.peer, "world", 5));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(5, result.ret);
	EXPECT_EQ(0, memcmp(result.data, "world", 5));
	EXPECT_TRUE(exchange_works(&self->x));
}

TEST_F(templates, socket_may_be_prepared_before_it_listens)
{
	struct sockaddr_storage addr = { .ss_family = variant->family };
	socklen_t len = sizeof(addr);
	int fd = socket(variant->family, SOCK_STREAM, 0);

	SERVERS_ONLY();
	ASSERT_EQ(0, keyblob_attach(fd));
	ASSERT_EQ(0, setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &self->x.app.what,
				sizeof(self->x.app.what)));
	ASSERT_EQ(0, listen(fd, 5));
	ASSERT_EQ(0, getsockname(fd, (struct sockaddr *)&addr, &len));
	ASSERT_EQ(0, connect(self->other, (struct sockaddr *)&addr, len));
	ASSERT_LE(0, accept(fd, NULL, NULL));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_EQ(0, exchange_fail(&self->x, &got, EACCES));
}

TEST_F(templates, poll_waits_for_the_handshake_of_an_accepted_socket)
{
	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_POLL_WAIT, 0));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, call_in(self));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(POLLIN, result.ret);
	ASSERT_EQ(0, app_do(&self->x.app, APP_ACCEPT, 0));
	ASSERT_EQ(0, app_call(&self->x.app, APP_POLL_WAIT, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	EXPECT_FALSE(app_end(&self->x.app, &result, STILL));
	ASSERT_EQ(0, exchange_succeed(&self->x, &got));
	ASSERT_TRUE(app_end(&self->x.app, &result, SOON));
	EXPECT_EQ(POLLOUT, result.ret);
}

TEST_F(templates, failure_of_an_accepted_socket_is_its_alone)
{
	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, call_in(self));
	ASSERT_EQ(0, app_do(&self->x.app, APP_ACCEPT, 0));
	ASSERT_EQ(0, exchange_take(&self->x, &got));
	ASSERT_EQ(0, exchange_fail(&self->x, &got, ECONNABORTED));
	EXPECT_EQ(-ECONNABORTED, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(-ENOTCONN, app_do(&self->x.app, APP_READ, 0));
	EXPECT_EQ(0, at_peer(self));
}

/* What is in the backlog when the listening socket goes is TCP's own. */
TEST_F(templates, listening_socket_goes_with_its_backlog)
{
	char byte;

	SERVERS_ONLY();
	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, call_in(self));
	ASSERT_EQ(0, app_do(&self->x.app, APP_CLOSE, 0));
	EXPECT_GE(0, recv(self->x.c.peer.fd, &byte, 1, 0));
}

/* ---- both ---- */

TEST_F(templates, application_that_dies_takes_the_request_back)
{
	uint32_t counts[3];
	int i;

	ASSERT_EQ(0, app_do(&self->x.app, APP_HANDSHAKE, 0));
	if (variant->role == KEYBLOB_ROLE_CLIENT) {
		ASSERT_EQ(0, app_call(&self->x.app, APP_CONNECT, 0));
		ASSERT_EQ(0, meet(self));
	} else {
		ASSERT_EQ(0, call_in(self));
		ASSERT_EQ(0, app_do(&self->x.app, APP_ACCEPT, 0));
	}
	ASSERT_TRUE(agent_is_told(&self->x.a, SOON));
	app_kill(&self->x.app);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, agent_status(&self->x.a, counts));
		if (!counts[1])
			break;
		usleep(20000);
	}
	EXPECT_EQ(0, counts[1]);
	EXPECT_EQ(-EAGAIN, agent_accept(&self->x.a, &got));
}

TEST_HARNESS_MAIN
