// SPDX-License-Identifier: GPL-2.0-only
/* The ways to read from a socket that Linux has; see readers.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/tls.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/tls_peer.h"
#include "readers.h"

#define SOL_TLS_LEVEL	282

static ssize_t result(ssize_t n)
{
	return n < 0 ? -errno : n;
}

ssize_t get_read(int fd, void *data, size_t len)
{
	return result(read(fd, data, len));
}

ssize_t get_readv(int fd, void *data, size_t len)
{
	const struct iovec vec[] = {
		{ data, len / 3 },
		{ (char *)data + len / 3, len - len / 3 },
	};

	return result(readv(fd, vec, 2));
}

ssize_t get_recv(int fd, void *data, size_t len)
{
	return result(recv(fd, data, len, 0));
}

/* Never waits in the call itself. */
ssize_t get_recv_dontwait(int fd, void *data, size_t len)
{
	const bool nonblock = fcntl(fd, F_GETFL) & O_NONBLOCK;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while ((n = recv(fd, data, len, MSG_DONTWAIT)) < 0 && errno == EAGAIN && !nonblock)
		poll(&p, 1, -1);
	return result(n);
}

ssize_t get_recv_waitall(int fd, void *data, size_t len)
{
	return result(recv(fd, data, len, MSG_WAITALL));
}

/* Looks twice before it takes. */
ssize_t get_recv_peek(int fd, void *data, size_t len)
{
	char first[4096], second[4096];
	ssize_t n, again;

	if (len > sizeof(first))
		len = sizeof(first);
	n = recv(fd, first, len, MSG_PEEK);
	if (n < 0)
		return -errno;
	again = recv(fd, second, n ? n : len, MSG_PEEK);
	if (again != n || memcmp(first, second, n))
		return -EILSEQ;
	again = recv(fd, data, n ? n : len, 0);
	if (again != n || memcmp(first, data, n))
		return -EILSEQ;
	return n;
}

static ssize_t recv_message(int fd, void *data, size_t len, void *control, size_t control_len)
{
	struct iovec vec = { data, len };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = control_len,
	};
	struct cmsghdr *cmsg;
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0)
		return -errno;
	if (msg.msg_flags & MSG_CTRUNC)
		return -EMSGSIZE;
	/* Data is all that it may be told of. */
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_TLS_LEVEL ||
		    cmsg->cmsg_type != TLS_GET_RECORD_TYPE ||
		    *(unsigned char *)CMSG_DATA(cmsg) != TLS_TYPE_DATA)
			return -EILSEQ;
	}
	return n;
}

ssize_t get_recvmsg(int fd, void *data, size_t len)
{
	return recv_message(fd, data, len, NULL, 0);
}

ssize_t get_recvmsg_control(int fd, void *data, size_t len)
{
	_Alignas(8) char control[256];

	return recv_message(fd, data, len, control, sizeof(control));
}

/* Two messages for what comes, of which the first must fill up before the second. */
ssize_t get_recvmmsg(int fd, void *data, size_t len)
{
	const size_t half = len / 2 ? len / 2 : len;
	struct iovec vec[] = {
		{ data, half },
		{ (char *)data + half, len - half },
	};
	struct mmsghdr msgs[] = {
		{ .msg_hdr = { .msg_iov = &vec[0], .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = &vec[1], .msg_iovlen = 1 } },
	};
	int n = recvmmsg(fd, msgs, len > half ? 2 : 1, MSG_WAITFORONE, NULL);

	if (n < 0)
		return -errno;
	if (n == 2 && msgs[1].msg_len && msgs[0].msg_len != half)
		return -EILSEQ;
	return msgs[0].msg_len + (n == 2 ? msgs[1].msg_len : 0);
}

ssize_t get_splice(int fd, void *data, size_t len)
{
	ssize_t n, done;
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	n = result(splice(fd, NULL, p[1], NULL, len, 0));
	for (done = 0; done < n; done += len) {
		len = read(p[0], (char *)data + done, n - done);
		if ((ssize_t)len <= 0) {
			n = -EIO;
			break;
		}
	}
	close(p[0]);
	close(p[1]);
	return n;
}

/* One request through a ring of its own. */
static ssize_t uring(struct io_uring_sqe *request)
{
	struct io_uring_params p = {};
	struct io_uring_sqe *sqes = MAP_FAILED;
	char *sq = MAP_FAILED, *cq = MAP_FAILED;
	size_t sq_len, cq_len, sqes_len;
	struct io_uring_cqe *cqe;
	ssize_t ret = -EIO;
	int ring;

	ring = syscall(__NR_io_uring_setup, 1, &p);
	if (ring < 0)
		return -errno;
	sq_len = p.sq_off.array + p.sq_entries * sizeof(__u32);
	cq_len = p.cq_off.cqes + p.cq_entries * sizeof(*cqe);
	sqes_len = p.sq_entries * sizeof(*sqes);
	sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		goto out;

	sqes[0] = *request;
	*(__u32 *)(sq + p.sq_off.array) = 0;
	atomic_store((_Atomic __u32 *)(sq + p.sq_off.tail), 1);
	while (syscall(__NR_io_uring_enter, ring,
		       1 - atomic_load((_Atomic __u32 *)(sq + p.sq_off.head)), 1,
		       IORING_ENTER_GETEVENTS, NULL, 0) < 0) {
		if (errno != EINTR)
			goto out;
	}
	if (!atomic_load((_Atomic __u32 *)(cq + p.cq_off.tail)))
		goto out;
	cqe = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	ret = cqe->res;
out:
	if (sq != MAP_FAILED)
		munmap(sq, sq_len);
	if (cq != MAP_FAILED)
		munmap(cq, cq_len);
	if (sqes != MAP_FAILED)
		munmap(sqes, sqes_len);
	close(ring);
	return ret;
}

ssize_t get_uring_read(int fd, void *data, size_t len)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ,
		.fd = fd,
		.addr = (unsigned long)data,
		.len = len,
		.off = -1,
	};

	return uring(&sqe);
}

ssize_t get_uring_recv(int fd, void *data, size_t len)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_RECV,
		.fd = fd,
		.addr = (unsigned long)data,
		.len = len,
	};

	return uring(&sqe);
}

ssize_t get_uring_recvmsg(int fd, void *data, size_t len)
{
	struct iovec vec = { data, len };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_RECVMSG,
		.fd = fd,
		.addr = (unsigned long)&msg,
		.len = 1,
	};

	return uring(&sqe);
}
