// SPDX-License-Identifier: GPL-2.0-only
/*
 * The UNIX socket to the agent: connect, send and receive packets, wait. Only
 * kb_wait() and kb_connect() ever block, and only until their deadline.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

kb_deadline_t kb_deadline(unsigned int ms)
{
	return now_ms() + ms;
}

static int64_t remaining_ms(kb_deadline_t deadline)
{
	int64_t left = deadline - now_ms();

	return left > 0 ? left : 0;
}

static const char *connect_hint(int err)
{
	switch (err) {
	case ENOENT:
	case ECONNREFUSED:
		return "; is keyblobd running?";
	case EACCES:
		return "; this user may not use it";
	case EAGAIN:
		return "; it is slow to accept connections";
	case EPROTOTYPE:
		return "; that is another program's socket";
	default:
		return "";
	}
}

/* connect(2) to a UNIX socket waits for room in the backlog, for SO_SNDTIMEO. */
static int connect_until(int fd, const struct sockaddr_un *address, kb_deadline_t deadline)
{
	struct timeval timeout;
	int64_t left;

	for (;;) {
		if (deadline != KB_NOWAIT) {
			left = remaining_ms(deadline);
			if (!left)
				return -EAGAIN;
			timeout.tv_sec = left / 1000;
			timeout.tv_usec = left % 1000 * 1000;
			if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
				       sizeof(timeout)) < 0)
				return -errno;
		}
		if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* Returns 0, or a negative errno and its text in @agent. */
int kb_connect(struct keyblob_agent *agent, kb_deadline_t deadline)
{
	struct epoll_event event = { .events = EPOLLIN };
	int flags = SOCK_CLOEXEC | (deadline == KB_NOWAIT ? SOCK_NONBLOCK : 0);
	int fd, err;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | flags, 0);
	if (fd < 0)
		return kb_fail(agent, -errno, "keyblob agent: no socket: %m");

	err = connect_until(fd, &agent->address, deadline);
	if (err)
		goto err_close;
	if (agent->epoll >= 0 && epoll_ctl(agent->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		err = -errno;
		goto err_close;
	}
	agent->socket = fd;
	return 0;

err_close:
	close(fd);
	return kb_fail(agent, err, "keyblob agent at %s: %m%s", agent->address.sun_path,
		       connect_hint(-err));
}

void kb_disconnect(struct keyblob_agent *agent)
{
	if (agent->socket < 0)
		return;
	/* By hand: a forked child may keep the socket, and with it the watch, alive. */
	if (agent->epoll >= 0)
		epoll_ctl(agent->epoll, EPOLL_CTL_DEL, agent->socket, NULL);
	close(agent->socket);
	agent->socket = -1;
}

/* Send one packet, with a copy of @fd unless that is -1. Returns 0 or a negative errno. */
int kb_send(const struct keyblob_agent *agent, const union kb_packet *packet, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = {
		.iov_base = (void *)packet->bytes,
		.iov_len = packet->header.nlmsg_len,
	};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
	}

	while (sendmsg(agent->socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/*
 * Receive one packet. Without a control buffer the kernel never installs
 * descriptors that come with it. Returns its length, 0 at the end of the
 * connection, -EAGAIN, or -EPROTO: too long, or with descriptors.
 */
ssize_t kb_receive(const struct keyblob_agent *agent, union kb_reply_packet *packet)
{
	struct iovec iov = { .iov_base = packet->bytes, .iov_len = sizeof(packet->bytes) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool reset = false;
	ssize_t len;

	for (;;) {
		len = recvmsg(agent->socket, &msg, MSG_DONTWAIT);
		if (len >= 0)
			break;
		if (errno == EINTR)
			continue;
		/* The agent left with requests unread; replies may still be queued. */
		if (errno == ECONNRESET && !reset) {
			reset = true;
			continue;
		}
		return errno == EAGAIN ? -EAGAIN : 0;
	}
	return msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EPROTO : len;
}

/*
 * Wait until the connection shows one of @events or has ended. Returns 0 or
 * -ETIMEDOUT, without text.
 */
int kb_wait(const struct keyblob_agent *agent, short events, kb_deadline_t deadline)
{
	struct pollfd pollfd = { .fd = agent->socket, .events = events };
	int64_t left;

	do {
		left = remaining_ms(deadline);
		if (poll(&pollfd, 1, left < INT_MAX ? left : INT_MAX) > 0)
			return 0;
	} while (left);
	return -ETIMEDOUT;
}
