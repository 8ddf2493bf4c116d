// SPDX-License-Identifier: GPL-2.0-only
/* Sockets from birth to death; see calls.h. */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>

#include "calls.h"

static int family_of(uint32_t n)
{
	return n & 1 ? AF_INET6 : AF_INET;
}

/* Loopback, any port. */
static socklen_t loopback(int family, struct sockaddr_storage *addr)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
	struct sockaddr_in *in = (struct sockaddr_in *)addr;

	memset(addr, 0, sizeof(*addr));
	addr->ss_family = family;
	if (family == AF_INET6) {
		in6->sin6_addr = in6addr_loopback;
		return sizeof(*in6);
	}
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(*in);
}

static int domain_of(int fd)
{
	int domain = AF_INET;
	socklen_t len = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	return domain;
}

/* Two sockets, and keys for them that are not imported. */
static long pair(struct world *w, const uint32_t *a)
{
	struct link *link;
	int fds[2];

	if (tcp_pair(family_of(a[1]), fds))
		return -errno;
	link = link_make(w, a[0], fds[0], fds[1], a[2], a[3]);
	return world_put(w, a[0], fds[0], link);
}

static long new_socket(struct world *w, const uint32_t *a)
{
	int fd = socket(family_of(a[1]), SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		be_patient(fd, 5);
	return world_put(w, a[0], fd, NULL);
}

static long listen_to(struct world *w, const uint32_t *a)
{
	const int fd = world_fd(w, a[0]);
	struct sockaddr_storage addr;
	socklen_t len = loopback(domain_of(fd), &addr);

	if (!(a[1] & 1) && bind(fd, (struct sockaddr *)&addr, len))
		return -errno;
	return result(listen(fd, a[1] % 5));
}

/* To a socket of nobody's, which becomes its peer. */
static long connect_to_peer(struct world *w, uint32_t slot, int fd, uint32_t suite)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = tcp_listen(domain_of(fd), &addr, &len);
	int peer;
	long ret;

	if (listener < 0)
		return -errno;
	ret = result(connect(fd, (struct sockaddr *)&addr, len));
	be_patient(listener, 20);
	peer = ret == -EBADF ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (peer >= 0)
		w->slots[slot % SLOTS].link = link_make(w, slot, fd, peer, suite, 1);
	return ret;
}

static long connect_to(struct world *w, const uint32_t *a)
{
	const int fd = world_fd(w, a[0]);
	struct sockaddr_storage addr;
	socklen_t len;

	switch (a[1] % 8) {
	case 0:	/* to nothing: disconnect */
		len = loopback(AF_UNSPEC, &addr);
		break;
	case 1:	/* to one that may listen */
		len = sizeof(addr);
		if (getsockname(world_fd(w, a[2]), (struct sockaddr *)&addr, &len))
			return -errno;
		break;
	case 2:	/* to a port where nobody is */
		len = loopback(domain_of(fd), &addr);
		((struct sockaddr_in *)&addr)->sin_port = htons(1);
		break;
	case 3:	/* to no address */
		len = a[2] % 64;
		memset(&addr, a[2] >> 8, sizeof(addr));
		break;
	default:
		return connect_to_peer(w, a[0], fd, a[2]);
	}
	return result(connect(fd, (struct sockaddr *)&addr, len));
}

/* What connects, if it is nobody's, is the peer of what is accepted. */
static long accept_from(struct world *w, const uint32_t *a)
{
	const int listener = world_fd(w, a[1]);
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct link *link = NULL;
	int client = -1, fd;

	if (a[2] % 4 && !getsockname(listener, (struct sockaddr *)&addr, &len)) {
		client = socket(domain_of(listener), SOCK_STREAM | SOCK_CLOEXEC, 0);
		be_patient(client, 5);
		(void)connect(client, (struct sockaddr *)&addr, len);
	}
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | (a[2] & 8 ? SOCK_NONBLOCK : 0));
	if (fd < 0) {
		long err = -errno;

		if (client >= 0)
			close(client);
		return err;
	}
	if (client >= 0)
		link = link_make(w, a[0], fd, client, a[3], 2);
	return world_put(w, a[0], fd, link);
}

static long duplicate(struct world *w, const uint32_t *a)
{
	return world_put(w, a[0], dup(world_fd(w, a[1])), w->slots[a[1] % SLOTS].link);
}

static long close_slot(struct world *w, const uint32_t *a)
{
	struct slot *s = &w->slots[a[0] % SLOTS];
	const int fd = s->fd;

	s->fd = -1;
	return result(close(fd));
}

static long shut_down(struct world *w, const uint32_t *a)
{
	return result(shutdown(world_fd(w, a[0]), a[1] % 4));
}

static long nonblock(struct world *w, const uint32_t *a)
{
	return result(fcntl(world_fd(w, a[0]), F_SETFL, a[1] & 1 ? O_NONBLOCK : 0));
}

static long patience(struct world *w, const uint32_t *a)
{
	be_patient(world_fd(w, a[0]), 1 + a[1] % 8 * 5);
	return 0;
}

static long linger(struct world *w, const uint32_t *a)
{
	const struct linger l = { .l_onoff = a[1] & 1, .l_linger = a[1] >> 1 & 1 };

	return result(setsockopt(world_fd(w, a[0]), SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
}

/* Options that are not ours, and matter to what we do. */
static long tune(struct world *w, const uint32_t *a)
{
	static const struct {
		int level, name;
	} options[] = {
		{ SOL_SOCKET, SO_SNDBUF }, { SOL_SOCKET, SO_RCVBUF }, { SOL_SOCKET, SO_RCVLOWAT },
		{ SOL_SOCKET, SO_ZEROCOPY }, { SOL_SOCKET, SO_BUSY_POLL },
		{ SOL_SOCKET, SO_OOBINLINE }, { SOL_SOCKET, SO_TIMESTAMPING },
		{ SOL_TCP, TCP_NODELAY }, { SOL_TCP, TCP_CORK }, { SOL_TCP, TCP_NOTSENT_LOWAT },
		{ SOL_TCP, TCP_FASTOPEN }, { SOL_TCP, TCP_FASTOPEN_CONNECT },
		{ SOL_TCP, TCP_REPAIR }, { SOL_TCP, TCP_REPAIR_QUEUE }, { SOL_TCP, TCP_QUEUE_SEQ },
		{ SOL_TCP, TCP_USER_TIMEOUT }, { SOL_TCP, TCP_INQ }, { SOL_TCP, TCP_MAXSEG },
		{ SOL_TCP, TCP_DEFER_ACCEPT }, { SOL_TCP, TCP_WINDOW_CLAMP },
		{ SOL_IPV6, IPV6_ADDRFORM }, { SOL_IPV6, IPV6_RECVPKTINFO },
		{ SOL_TLS, 3 /* TLS_TX_ZEROCOPY_RO */ }, { SOL_TLS, 4 /* TLS_RX_EXPECT_NO_PAD */ },
	};
	const unsigned int i = a[1] % (sizeof(options) / sizeof(options[0]));
	int value = a[2];

	if (options[i].name == IPV6_ADDRFORM && options[i].level == SOL_IPV6)
		value = AF_INET;
	return result(setsockopt(world_fd(w, a[0]), options[i].level, options[i].name, &value,
				 sizeof(value)));
}

static long poll_one(struct world *w, const uint32_t *a)
{
	struct pollfd pfd = { .fd = world_fd(w, a[0]), .events = a[1] };

	return poll(&pfd, 1, a[2] % 8 * 2) < 0 ? -errno : pfd.revents;
}

static long control(struct world *w, const uint32_t *a)
{
	static const unsigned long requests[] = {
		SIOCINQ, SIOCOUTQ, SIOCATMARK, SIOCOUTQNSD, FIONBIO, FIOASYNC, SIOCGSTAMP, FIONREAD,
	};
	int value = a[2] & 1;

	return result(ioctl(world_fd(w, a[0]), requests[a[1] % 8], memory(w, a[3], &value, 4)));
}

const struct call_type socket_calls[] = {
	{ "pair", "snnr", 4, pair },
	{ "socket", "sn", 3, new_socket },
	{ "listen", "hn", 3, listen_to },
	{ "connect", "snh", 3, connect_to },
	{ "accept", "shnn", 4, accept_from },
	{ "dup", "ss", 1, duplicate },
	{ "close", "s", 3, close_slot },
	{ "shutdown", "sn", 3, shut_down },
	{ "nonblock", "sn", 2, nonblock },
	{ "patience", "sn", 1, patience },
	{ "linger", "sn", 1, linger },
	{ "tune", "sxx", 3, tune },
	{ "poll", "sbn", 3, poll_one },
	{ "ioctl", "snnM", 1, control },
	{ NULL }
};
