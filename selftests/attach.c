// SPDX-License-Identifier: GPL-2.0-only
/* Which sockets take the upper layer protocol "keyblob", and what that changes. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "kselftest_harness.h"
#include "lib/net.h"

FIXTURE(attach)
{
	int fds[2];
};

FIXTURE_VARIANT(attach)
{
	int family;
};

FIXTURE_VARIANT_ADD(attach, ipv4) { .family = AF_INET };
FIXTURE_VARIANT_ADD(attach, ipv6) { .family = AF_INET6 };

FIXTURE_SETUP(attach)
{
	ASSERT_EQ(0, tcp_pair(variant->family, self->fds));
}

FIXTURE_TEARDOWN(attach)
{
	close(self->fds[0]);
	close(self->fds[1]);
}

static bool talks(int a, int b)
{
	char buf[6];

	return send(a, "hello", 5, MSG_NOSIGNAL) == 5 && !recv_all(b, buf, 5) &&
	       !memcmp(buf, "hello", 5);
}

TEST_F(attach, established_socket_is_accepted_and_stays_plain)
{
	char name[16] = {};
	socklen_t len = sizeof(name);
	int pipes[2];

	ASSERT_EQ(3, write(self->fds[1], "abc", 3));
	ASSERT_EQ(0, keyblob_attach(self->fds[0]));
	ASSERT_EQ(0, getsockopt(self->fds[0], SOL_TCP, TCP_ULP, name, &len));
	EXPECT_STREQ(KEYBLOB_ULP_NAME, name);

	ASSERT_EQ(3, read(self->fds[0], name, sizeof(name)));
	EXPECT_EQ(0, memcmp(name, "abc", 3));
	EXPECT_TRUE(talks(self->fds[0], self->fds[1]));
	EXPECT_TRUE(talks(self->fds[1], self->fds[0]));
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(3, write(self->fds[1], "abc", 3));
	EXPECT_EQ(3, splice(self->fds[0], NULL, pipes[1], NULL, 3, 0));

	ASSERT_EQ(0, shutdown(self->fds[1], SHUT_WR));
	EXPECT_EQ(0, read(self->fds[0], name, sizeof(name)));
	EXPECT_TRUE(talks(self->fds[0], self->fds[1]));
}

TEST_F(attach, second_protocol_is_refused)
{
	ASSERT_EQ(0, keyblob_attach(self->fds[0]));
	EXPECT_EQ(-EEXIST, keyblob_attach(self->fds[0]));
	EXPECT_EQ(-EEXIST, ulp_attach(self->fds[0], "tls"));
	EXPECT_TRUE(talks(self->fds[0], self->fds[1]));

	ASSERT_EQ(0, ulp_attach(self->fds[1], "tls"));
	EXPECT_EQ(-EEXIST, keyblob_attach(self->fds[1]));
	EXPECT_TRUE(talks(self->fds[1], self->fds[0]));
}

TEST_F(attach, unconnected_socket_becomes_one_when_it_is_connected)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE] = {};
	struct sockaddr_storage addr;
	struct keyblob_status status;
	socklen_t len;
	int listener = tcp_listen(variant->family, &addr, &len);
	int fd = socket(variant->family, SOCK_STREAM, 0), peer;

	ASSERT_LE(0, listener);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, keyblob_attach(fd));
	EXPECT_EQ(-EEXIST, keyblob_attach(fd));
	EXPECT_EQ(0, keyblob_info(fd, &status));
	EXPECT_EQ(-ENOTCONN, keyblob_import(fd, KEYBLOB_TX, blob, sizeof(blob)));

	ASSERT_EQ(0, connect(fd, (struct sockaddr *)&addr, len));
	peer = accept(listener, NULL, NULL);
	ASSERT_LE(0, peer);
	EXPECT_EQ(-EINVAL, keyblob_import(fd, KEYBLOB_TX, blob, sizeof(blob)));
	EXPECT_TRUE(talks(fd, peer));
	close(fd);
	close(peer);
	close(listener);
}

TEST_F(attach, listening_socket_spawns_attached_ones)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = tcp_listen(variant->family, &addr, &len);
	int fd = socket(variant->family, SOCK_STREAM, 0), accepted;

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, keyblob_attach(listener));
	ASSERT_EQ(0, connect(fd, (struct sockaddr *)&addr, len));
	accepted = accept(listener, NULL, NULL);
	ASSERT_LE(0, accepted);
	EXPECT_EQ(-EEXIST, keyblob_attach(accepted));
	EXPECT_TRUE(talks(fd, accepted));
	close(accepted);
	close(fd);
	close(listener);
}

/* A full backlog lets the next SYN go unanswered. */
TEST_F(attach, connecting_socket_is_refused)
{
	struct sockaddr_storage addr;
	struct tcp_info info;
	int fd = -1, i;
	socklen_t len, info_len = sizeof(info);
	int listener = tcp_listen(variant->family, &addr, &len);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, listen(listener, 0));
	for (i = 0; i < 5; i++) {
		fd = socket(variant->family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		ASSERT_LE(0, fd);
		(void)connect(fd, (struct sockaddr *)&addr, len);
		ASSERT_EQ(0, getsockopt(fd, SOL_TCP, TCP_INFO, &info, &info_len));
		if (info.tcpi_state == TCP_SYN_SENT)
			break;
	}
	ASSERT_EQ(TCP_SYN_SENT, info.tcpi_state);
	EXPECT_EQ(-ENOTCONN, keyblob_attach(fd));
}

TEST_F(attach, half_closed_socket_is_refused)
{
	ASSERT_EQ(0, shutdown(self->fds[1], SHUT_WR));
	usleep(20000);
	EXPECT_EQ(-ENOTCONN, keyblob_attach(self->fds[0]));
	EXPECT_TRUE(talks(self->fds[0], self->fds[1]));
}

TEST_F(attach, reset_socket_is_refused)
{
	const struct linger reset = { .l_onoff = 1 };

	ASSERT_EQ(0, setsockopt(self->fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(self->fds[1]);
	usleep(20000);
	EXPECT_EQ(-ENOTCONN, keyblob_attach(self->fds[0]));
}

TEST_F(attach, options_exist_on_attached_sockets_only)
{
	/* What getsockopt says of a level that it does not know. */
	const int unknown = variant->family == AF_INET ? -EOPNOTSUPP : -ENOPROTOOPT;
	struct keyblob_status status;
	uint8_t blob[KEYBLOB_BLOB_SIZE] = {};
	struct keyblob_key key;

	key_random(&key, KEYBLOB_DIR_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	EXPECT_EQ(unknown, keyblob_info(self->fds[0], &status));
	EXPECT_EQ(unknown, keyblob_export(self->fds[0], &key, blob));
	EXPECT_EQ(-ENOPROTOOPT, keyblob_import(self->fds[0], KEYBLOB_DIR_TX, blob,
					       sizeof(blob)));
	ASSERT_EQ(0, keyblob_attach(self->fds[0]));
	EXPECT_EQ(0, keyblob_info(self->fds[0], &status));
	EXPECT_EQ(unknown, keyblob_info(self->fds[1], &status));
}

TEST_F(attach, needs_no_privilege)
{
	struct conn c;

	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	ASSERT_EQ(0, conn_open(&c, variant->family, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128));
	ASSERT_EQ(0, conn_import(&c));
	EXPECT_TRUE(conn_works(&c));
	conn_close(&c);
}

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int sockmap_create(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 1,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

static int sockmap_add(int map, int fd)
{
	uint32_t key = 0;
	union bpf_attr attr = {
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&fd,
	};

	return bpf(BPF_MAP_UPDATE_ELEM, &attr) ? -errno : 0;
}

/* A sockmap would see, or divert, what was to be encrypted. */
TEST_F(attach, sockmap_and_keyblob_exclude_one_another)
{
	int map = sockmap_create();
	int err;

	ASSERT_LE(0, map);
	ASSERT_EQ(0, keyblob_attach(self->fds[0]));
	err = sockmap_add(map, self->fds[0]);
	EXPECT_TRUE(err == -EBUSY || err == -EINVAL);
	EXPECT_TRUE(talks(self->fds[0], self->fds[1]));

	ASSERT_EQ(0, sockmap_add(map, self->fds[1]));
	EXPECT_EQ(-EOPNOTSUPP, keyblob_attach(self->fds[1]));
	EXPECT_TRUE(talks(self->fds[1], self->fds[0]));
}

static void *wait_for_a_byte(void *arg)
{
	const int *fd = arg;
	char byte;

	return (void *)(recv(*fd, &byte, 1, 0) == 1 ? 0L : (long)errno);
}

/* connect(AF_UNSPEC) would give the socket, and its keys, another peer. */
TEST_F(attach, socket_cannot_be_disconnected_for_reuse)
{
	const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	pthread_t waiter;
	void *error;

	ASSERT_EQ(0, getpeername(self->fds[0], (struct sockaddr *)&addr, &len));
	ASSERT_EQ(0, keyblob_attach(self->fds[0]));
	ASSERT_EQ(0, pthread_create(&waiter, NULL, wait_for_a_byte, &self->fds[0]));
	usleep(100000);

	EXPECT_EQ(-1, connect(self->fds[0], &unspec, sizeof(unspec)));
	EXPECT_EQ(EOPNOTSUPP, errno);
	/* It is as connected as before, and who waits on it goes on waiting. */
	EXPECT_EQ(-1, connect(self->fds[0], (struct sockaddr *)&addr, len));
	EXPECT_EQ(EISCONN, errno);
	usleep(100000);
	EXPECT_EQ(1, send(self->fds[1], "", 1, 0));
	ASSERT_EQ(0, pthread_join(waiter, &error));
	EXPECT_EQ(NULL, error);
	EXPECT_TRUE(talks(self->fds[0], self->fds[1]));
}

/* connect(2) disconnects, too, when it finds that the connection is no more. */
TEST_F(attach, socket_that_was_reset_cannot_be_connected_anew)
{
	const struct linger reset = { .l_onoff = 1 };
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = tcp_listen(variant->family, &addr, &len);
	int fd = socket(variant->family, SOCK_STREAM | SOCK_NONBLOCK, 0), peer;
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	ASSERT_EQ(-1, connect(fd, (struct sockaddr *)&addr, len));
	ASSERT_EQ(EINPROGRESS, errno);
	ASSERT_EQ(1, poll(&p, 1, 1000));
	ASSERT_EQ(0, keyblob_attach(fd));
	peer = accept(listener, NULL, NULL);
	ASSERT_LE(0, peer);
	ASSERT_EQ(0, setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(peer);
	p.events = 0;
	ASSERT_EQ(1, poll(&p, 1, 1000));

	EXPECT_EQ(-1, connect(fd, (struct sockaddr *)&addr, len));
	EXPECT_EQ(ECONNRESET, errno);
	EXPECT_EQ(-1, connect(fd, (struct sockaddr *)&addr, len));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
	close(listener);
}

struct racer {
	pthread_barrier_t *barrier;
	const char *name;
	int fd;
	int result;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(r->barrier);
	r->result = ulp_attach(r->fd, r->name);
	return NULL;
}

/* Exactly one of two threads attaches, whichever they bring. */
static int race_attach(int family, const char *first, const char *second)
{
	pthread_barrier_t barrier;
	struct racer r[2] = {
		{ .barrier = &barrier, .name = first },
		{ .barrier = &barrier, .name = second },
	};
	pthread_t threads[2];
	int fds[2], i;

	if (tcp_pair(family, fds))
		return -1;
	pthread_barrier_init(&barrier, NULL, 2);
	for (i = 0; i < 2; i++) {
		r[i].fd = fds[0];
		pthread_create(&threads[i], NULL, race, &r[i]);
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	i = !r[0].result + !r[1].result;
	if (i == 1 && !talks(fds[0], fds[1]))
		i = -1;
	close(fds[0]);
	close(fds[1]);
	return i;
}

TEST_F(attach, one_of_two_threads_attaches)
{
	int i;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(1, race_attach(variant->family, "keyblob", "keyblob"));
		ASSERT_EQ(1, race_attach(variant->family, "keyblob", "tls"));
	}
}

TEST(sockets_other_than_tcp_are_refused)
{
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	int pair[2];

	ASSERT_LE(0, udp);
	EXPECT_EQ(-ENOPROTOOPT, keyblob_attach(udp));
	close(udp);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	EXPECT_EQ(-EOPNOTSUPP, keyblob_attach(pair[0]));
	close(pair[0]);
	close(pair[1]);
}

TEST_HARNESS_MAIN
