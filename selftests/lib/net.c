// SPDX-License-Identifier: GPL-2.0-only
/* TCP over loopback, and the calls of the contract; see net.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

int ulp_attach(int fd, const char *name)
{
	return setsockopt(fd, SOL_TCP, TCP_ULP, name, strlen(name)) ? -errno : 0;
}

int keyblob_attach(int fd)
{
	return ulp_attach(fd, KEYBLOB_ULP_NAME);
}

int keyblob_export(int fd, const struct keyblob_key *key, uint8_t blob[KEYBLOB_BLOB_SIZE])
{
	socklen_t len = KEYBLOB_BLOB_SIZE;

	memset(blob, 0, KEYBLOB_BLOB_SIZE);
	memcpy(blob, key, sizeof(*key));
	if (getsockopt(fd, SOL_KEYBLOB, KEYBLOB_EXPORT, blob, &len))
		return -errno;
	return len == KEYBLOB_BLOB_SIZE ? 0 : -EPROTO;
}

int keyblob_import(int fd, int direction, const void *blob, size_t len)
{
	int option = direction == KEYBLOB_DIR_TX ? KEYBLOB_TX : KEYBLOB_RX;

	return setsockopt(fd, SOL_KEYBLOB, option, blob, len) ? -errno : 0;
}

int keyblob_info(int fd, struct keyblob_status *status)
{
	socklen_t len = sizeof(*status);

	return getsockopt(fd, SOL_KEYBLOB, KEYBLOB_INFO, status, &len) ? -errno : 0;
}

int tcp_listen(int family, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
	struct sockaddr_in *in = (struct sockaddr_in *)addr;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memset(addr, 0, sizeof(*addr));
	addr->ss_family = family;
	if (family == AF_INET6) {
		in6->sin6_addr = in6addr_loopback;
		*len = sizeof(*in6);
	} else {
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*len = sizeof(*in);
	}
	if (bind(fd, (struct sockaddr *)addr, *len) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)addr, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

int tcp_pair(int family, int fds[2])
{
	struct sockaddr_storage addr;
	const int one = 1;
	socklen_t len;
	int listener = tcp_listen(family, &addr, &len);

	if (listener < 0)
		return -1;
	fds[1] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[0] = -1;
	if (fds[1] >= 0 && !connect(fds[1], (struct sockaddr *)&addr, len))
		fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (fds[0] < 0) {
		close(fds[1]);
		return -1;
	}
	setsockopt(fds[0], SOL_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fds[1], SOL_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static void random_bytes(void *p, size_t len)
{
	while (getrandom(p, len, 0) != (ssize_t)len)
		;
}

void key_random(struct keyblob_key *key, uint16_t direction, uint16_t version,
		uint16_t cipher)
{
	const struct tls_suite *suite = tls_suite_find(version, cipher);

	memset(key, 0, sizeof(*key));
	key->direction = direction;
	key->tls_version = version;
	key->cipher = cipher;
	if (version == TLS_1_3_VERSION) {
		key->secret_len = suite ? suite->hash_size : 32;
		random_bytes(key->secret, key->secret_len);
	} else {
		random_bytes(key->key, suite ? suite->key_size : 16);
		random_bytes(key->iv, sizeof(key->iv));
	}
}

int conn_open(struct conn *c, int family, uint16_t version, uint16_t cipher)
{
	int fds[2];
	int err;

	memset(c, 0, sizeof(*c));
	if (tcp_pair(family, fds))
		return -errno;
	c->fd = fds[0];
	c->peer.fd = fds[1];
	key_random(&c->tx, KEYBLOB_DIR_TX, version, cipher);
	key_random(&c->rx, KEYBLOB_DIR_RX, version, cipher);
	err = keyblob_attach(c->fd);
	if (!err && conn_peer(c))
		err = -EIO;
	if (err)
		conn_close(c);
	return err;
}

int conn_peer(struct conn *c)
{
	tls_peer_free(&c->peer);
	return tls_peer_init(&c->peer, c->peer.fd, &c->tx, &c->rx);
}

int conn_import_one(struct conn *c, int direction)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	int err;

	err = keyblob_export(c->fd, direction == KEYBLOB_DIR_TX ? &c->tx : &c->rx, blob);
	return err ? err : keyblob_import(c->fd, direction, blob, sizeof(blob));
}

int conn_import(struct conn *c)
{
	int err = conn_import_one(c, KEYBLOB_DIR_TX);

	return err ? err : conn_import_one(c, KEYBLOB_DIR_RX);
}

static const char ping[] = "the quick brown fox", pong[] = "jumps over the lazy dog";

bool conn_works(struct conn *c)
{
	char buf[64];

	if (send(c->fd, ping, sizeof(ping), MSG_NOSIGNAL) != sizeof(ping) ||
	    tls_peer_read(&c->peer, buf, sizeof(ping)) || memcmp(buf, ping, sizeof(ping)))
		return false;
	return !tls_peer_write(&c->peer, pong, sizeof(pong)) &&
	       !recv_all(c->fd, buf, sizeof(pong)) && !memcmp(buf, pong, sizeof(pong));
}

bool conn_works_plain(struct conn *c)
{
	char buf[64];

	if (send(c->fd, ping, sizeof(ping), MSG_NOSIGNAL) != sizeof(ping) ||
	    recv_all(c->peer.fd, buf, sizeof(ping)) || memcmp(buf, ping, sizeof(ping)))
		return false;
	return send(c->peer.fd, pong, sizeof(pong), MSG_NOSIGNAL) == sizeof(pong) &&
	       !recv_all(c->fd, buf, sizeof(pong)) && !memcmp(buf, pong, sizeof(pong));
}

void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->peer.fd >= 0)
		close(c->peer.fd);
	c->fd = -1;
	c->peer.fd = -1;
	tls_peer_free(&c->peer);
}

void fill(void *data, size_t len, uint32_t seed)
{
	uint8_t *p = data;

	while (len--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = seed >> 24;
	}
}

int recv_all(int fd, void *data, size_t len)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = recv(fd, p, len, 0);

		if (n <= 0)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

int fd_send(int via, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = "f", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(via, &msg, 0) == 1 ? 0 : -1;
}

int fd_recv(int via)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(via, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg) {
		errno = EMFILE;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}
