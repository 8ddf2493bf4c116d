// SPDX-License-Identifier: GPL-2.0-only
/* Data through a socket, by every way there is; see calls.h. */
#include <fcntl.h>
#include <linux/tls.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "calls.h"

static size_t length(uint32_t n)
{
	return n % (MEMORY_MAX + 1);
}

/* None of those that make a call wait for ever, whatever the socket's own patience. */
static int send_flags(uint32_t bits)
{
	return bits | MSG_NOSIGNAL;
}

static long send_data(struct world *w, const uint32_t *a)
{
	const size_t len = length(a[1]);

	return result(send(world_fd(w, a[0]), memory(w, a[3], NULL, len), len,
			   send_flags(a[2])));
}

static long receive_data(struct world *w, const uint32_t *a)
{
	const size_t len = length(a[1]);

	return result(recv(world_fd(w, a[0]), memory(w, a[3], NULL, len), len, a[2]));
}

/* A record of a type, or a control message that is none. */
static long send_record(struct world *w, const uint32_t *a)
{
	union {
		char data[CMSG_SPACE(64)];
		struct cmsghdr align;
	} control = {};
	const size_t len = length(a[2]);
	struct iovec iov[2] = {
		{ memory(w, GOOD_MEMORY, NULL, len), len / 2 },
		{ memory(w, GOOD_MEMORY, NULL, len) + len / 2, len - len / 2 },
	};
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.data,
		.msg_controllen = CMSG_SPACE(1),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = a[1] < 8 ? 20 + a[1] : a[1];
	switch (a[4] % 8) {
	case 1:
		cmsg->cmsg_len = a[4] >> 3;
		break;
	case 2:
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = a[4] >> 3 & 63;
		break;
	case 3:
		msg.msg_controllen = a[4] >> 3 & 63;
		break;
	case 4:
		cmsg->cmsg_type = a[4] >> 3 & 3;
		break;
	}
	return result(sendmsg(world_fd(w, a[0]), &msg, send_flags(a[3])));
}

static long receive_record(struct world *w, const uint32_t *a)
{
	const size_t len = length(a[1]);
	struct iovec iov = { memory(w, GOOD_MEMORY, NULL, len), len };
	char control[256];
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = a[3] % (sizeof(control) + 1),
	};

	return result(recvmsg(world_fd(w, a[0]), &msg, a[2]));
}

static unsigned int splice_flags(uint32_t bits)
{
	return bits & (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT);
}

static long splice_in(struct world *w, const uint32_t *a)
{
	const size_t len = length(a[1]);
	struct iovec iov = { memory(w, GOOD_MEMORY, NULL, len), len };

	vmsplice(w->pipe[1], &iov, 1, SPLICE_F_NONBLOCK);
	return result(splice(w->pipe[0], NULL, world_fd(w, a[0]), NULL, len, splice_flags(a[2])));
}

static long splice_out(struct world *w, const uint32_t *a)
{
	char dropped[4096];
	long ret = result(splice(world_fd(w, a[0]), NULL, w->pipe[1], NULL, length(a[1]),
				 splice_flags(a[2])));

	while (read(w->pipe[0], dropped, sizeof(dropped)) > 0)
		;
	return ret;
}

static long send_file(struct world *w, const uint32_t *a)
{
	off_t offset = a[2] % 200000;

	return result(sendfile(world_fd(w, a[0]), w->file, &offset, a[1]));
}

const struct call_type data_calls[] = {
	{ "send", "slmM", 6, send_data },
	{ "recv", "slmM", 8, receive_data },
	{ "sendrec", "snlmk", 3, send_record },
	{ "recvrec", "slmx", 3, receive_record },
	{ "splicein", "slb", 2, splice_in },
	{ "spliceout", "slb", 3, splice_out },
	{ "sendfile", "slx", 3, send_file },
	{ NULL }
};
