// SPDX-License-Identifier: GPL-2.0-only
/* What ss -tie shows of a keyblob socket: which protocol it has, and no secret. */
#include <arpa/inet.h>
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
