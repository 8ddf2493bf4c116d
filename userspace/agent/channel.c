// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets between the agent's own processes. The other end may be a process that has
 * been taken over: what comes is checked here for its form.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "descriptor.h"

#define HEADER_SIZE offsetof(struct channel_message, data)

int channel_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) ?
	       -errno : 0;
}

void channel_set_text(struct channel_message *message, const char *text)
{
	message->len = strnlen(text, sizeof(message->data));
	memcpy(message->data, text, message->len);
}

int channel_send(int channel, const struct channel_message *message, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)message, HEADER_SIZE + message->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (message->len > CHANNEL_DATA_MAX)
		return -EMSGSIZE;
	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	return sendmsg(channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Take the first descriptor, and close what else fitted into the buffer. */
static int take_fd(struct msghdr *msg)
{
	int taken = -1, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			memcpy(&fd, (char *)c + at, sizeof(fd));
			if (taken < 0)
				taken = fd;
			else
				descriptor_close(fd);
		}
	}
	return taken;
}

int channel_receive(int channel, struct channel_message *message, int *fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { message, sizeof(*message) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd) {
		*fd = -1;
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	n = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (fd)
		*fd = take_fd(&msg);
	if (!n)
		goto end;
	if (!(msg.msg_flags & MSG_TRUNC) && n >= (ssize_t)HEADER_SIZE &&
	    message->len == n - HEADER_SIZE)
		return 1;
end:
	if (fd && *fd >= 0) {
		descriptor_close(*fd);
		*fd = -1;
	}
	return n ? -EBADMSG : 0;
}
