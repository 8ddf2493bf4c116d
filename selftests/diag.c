// SPDX-License-Identifier: GPL-2.0-only
/* What ss -tie shows of a keyblob socket: which protocol it has, and no secret. */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "lib/net.h"

/* The lines that ss prints of the socket; 0 or -1. */
static int ss(int fd, char *out, size_t size)
{
	struct sockaddr_in here;
	socklen_t len = sizeof(here);
	char command[128];
	FILE *f;
	size_t n;

	if (getsockname(fd, (struct sockaddr *)&here, &len))
		return -1;
	if (getpeername(fd, (struct sockaddr *)&here, &len))
		return -1;
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getpeername() has set it */
	snprintf(command, sizeof(command), "ss -tieHn dport = :%u", ntohs(here.sin_port));
	f = popen(command, "r");
	if (!f)
		return -1;
	n = fread(out, 1, size - 1, f);
	out[n] = 0;
	return pclose(f) ? -1 : 0;
}

TEST(ss_shows_the_protocol_and_its_state)
{
	char out[4096];
	struct conn c;

	ASSERT_EQ(0, conn_open(&c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256));
	ASSERT_EQ(0, ss(c.fd, out, sizeof(out)));
	EXPECT_NE(NULL, strstr(out, "tcp-ulp-keyblob"))
		TH_LOG("ss says: %s", out);
	ASSERT_EQ(0, conn_import(&c));
	ASSERT_EQ(0, ss(c.fd, out, sizeof(out)));
	EXPECT_NE(NULL, strstr(out, "tcp-ulp-keyblob"))
		TH_LOG("ss says: %s", out);
	EXPECT_TRUE(conn_works(&c));
	conn_close(&c);
}

/* One socket by its addresses: the kernel asks how much room its protocol wants. Its length. */
static ssize_t look_up(int fd, char *reply, size_t size)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 what;
	} request = {
		.head.nlmsg_len = sizeof(request),
		.head.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.head.nlmsg_flags = NLM_F_REQUEST,
		.what.sdiag_family = AF_INET,
		.what.sdiag_protocol = IPPROTO_TCP,
		.what.idiag_ext = 1 << (INET_DIAG_INFO - 1),
		.what.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	struct sockaddr_in here = {}, there = {};
	socklen_t len = sizeof(here);
	int diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t n = -1;

	getsockname(fd, (struct sockaddr *)&here, &len);
	getpeername(fd, (struct sockaddr *)&there, &len);
	request.what.id.idiag_sport = here.sin_port;
	request.what.id.idiag_src[0] = here.sin_addr.s_addr;
	request.what.id.idiag_dport = there.sin_port;
	request.what.id.idiag_dst[0] = there.sin_addr.s_addr;
	if (send(diag, &request, sizeof(request), 0) == sizeof(request))
		n = recv(diag, reply, size, 0);
	close(diag);
	return n;
}

TEST(one_socket_may_be_looked_up)
{
	char reply[4096];
	struct conn c;
	ssize_t n;

	ASSERT_EQ(0, conn_open(&c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256));
	ASSERT_EQ(0, conn_import(&c));
	n = look_up(c.fd, reply, sizeof(reply));
	ASSERT_LT(0, n);
	ASSERT_EQ(SOCK_DIAG_BY_FAMILY, ((struct nlmsghdr *)reply)->nlmsg_type);
	EXPECT_NE(NULL, memmem(reply, n, "keyblob", sizeof("keyblob")));
	EXPECT_TRUE(conn_works(&c));
	conn_close(&c);
}

static atomic_int stop;

static void *look(void *arg)
{
	int *looks = arg;

	while (!stop) {
		FILE *f = popen("ss -tieHn", "r");
		char buf[4096];

		if (!f)
			break;
		while (fread(buf, 1, sizeof(buf), f) > 0)
			;
		*looks += !pclose(f);
	}
	return NULL;
}

/* Attach, import and close go on while somebody looks at all sockets. */
TEST(sockets_may_be_looked_at_in_every_state)
{
	pthread_t thread;
	struct conn c;
	int looks = 0, i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, look, &looks));
	for (i = 0; i < 500; i++) {
		ASSERT_EQ(0, conn_open(&c, i % 2 ? AF_INET : AF_INET6, TLS_1_3_VERSION,
				       TLS_CIPHER_AES_GCM_128));
		ASSERT_EQ(0, conn_import(&c));
		ASSERT_TRUE(conn_works(&c));
		conn_close(&c);
	}
	stop = 1;
	pthread_join(thread, NULL);
	EXPECT_LT(0, looks);
}

TEST_HARNESS_MAIN
