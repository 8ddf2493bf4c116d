// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of userspace/agent/descriptor.c: closing what others passed. */
#include "kselftest_harness.h"
#include "descriptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* A connection whose peer reads nothing; fds[0] has sent all that it can. */
static int stalled(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);
	static char data[65536];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &len) ||
	    connect(fds[1], (void *)&address, len))
		return -1;
	fds[0] = accept(listener, NULL, NULL);
	close(listener);
	while (send(fds[0], data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	return 0;
}

TEST(close_does_not_linger)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 5 };
	long long began;
	int fds[2];

	ASSERT_EQ(0, descriptor_init());
	ASSERT_EQ(0, stalled(fds));
	ASSERT_EQ(0, setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	errno = ENOANO;
	began = now_ms();
	descriptor_close(fds[0]);
	EXPECT_GT(1000, now_ms() - began);
	EXPECT_EQ(ENOANO, errno);
	EXPECT_EQ(-1, fcntl(fds[0], F_GETFD));
	close(fds[1]);
}

TEST(option_of_a_socket_that_others_have_stays)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 5 };
	struct linger after = { 0 };
	socklen_t len = sizeof(after);
	int fds[2], copy;

	ASSERT_EQ(0, descriptor_init());
	ASSERT_EQ(0, stalled(fds));
	ASSERT_EQ(0, setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	copy = dup(fds[0]);
	descriptor_close(copy);
	ASSERT_EQ(0, getsockopt(fds[0], SOL_SOCKET, SO_LINGER, &after, &len));
	EXPECT_EQ(1, after.l_onoff);
	EXPECT_EQ(5, after.l_linger);
	descriptor_close(fds[0]);
	close(fds[1]);
}

TEST(other_descriptors_are_closed)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	descriptor_close(fds[0]);
	EXPECT_EQ(-1, fcntl(fds[0], F_GETFD));
	descriptor_close(fds[1]);
	EXPECT_EQ(-1, fcntl(fds[1], F_GETFD));
}

TEST_HARNESS_MAIN
