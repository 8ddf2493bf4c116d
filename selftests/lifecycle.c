// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets come and go in every state, their processes die: nothing is left over in
 * the kernel. Needs the machine for itself.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "lib/net.h"
#include "lib/usage.h"

static void reset_on_close(int fd)
{
	const struct linger reset = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* One life of a socket, which ends at a stage that @n chooses; 0 or -1. */
static int live(unsigned int n)
{
	const struct tls_suite *suite = &tls_suites[n % 6];
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct conn c;
	int err = 0;

	if (conn_open(&c, n & 1 ? AF_INET6 : AF_INET, suite->version, suite->cipher))
		return -1;
	/* No TIME_WAIT, which would count as left over. */
	reset_on_close(c.peer.fd);
	switch (n / 6 % 7) {
	case 0:				/* attached */
		break;
	case 1:				/* exported */
		err = keyblob_export(c.fd, &c.tx, blob);
		break;
	case 2:				/* refused */
		err = keyblob_export(c.fd, &c.tx, blob);
		blob[100] ^= 1;
		if (!err && keyblob_import(c.fd, KEYBLOB_DIR_TX, blob, sizeof(blob)) != -EBADMSG)
			err = -1;
		break;
	case 3:				/* one direction */
		err = conn_import_one(&c, n & 4 ? KEYBLOB_DIR_TX : KEYBLOB_DIR_RX);
		break;
	case 4:				/* in use */
		err = conn_import(&c) || !conn_works(&c);
		break;
	case 5:				/* with data on its way in both directions */
		err = conn_import(&c) || write(c.fd, blob, 200) != 200 ||
		      tls_peer_write(&c.peer, blob, 200);
		break;
	case 6:				/* reset by the peer */
		err = conn_import(&c);
		close(c.peer.fd);
		c.peer.fd = -1;
		break;
	}
	conn_close(&c);
	return err ? -1 : 0;
}

static int live_many(unsigned int from, unsigned int count)
{
	int err = 0;

	while (count--)
		err |= live(from++);
	return err;
}

FIXTURE(lifecycle) {};
FIXTURE_SETUP(lifecycle) {}
FIXTURE_TEARDOWN(lifecycle) {}

#define LIVES	600
#define BATCHES	4

/*
 * The allocators' own ups and downs are as large as a small leak, but a leak is there
 * in every batch: the least growth counts. A kernel that checks all it does takes memory
 * for that, and finds leaks by itself.
 */
TEST_F_TIMEOUT(lifecycle, many_lives_leave_nothing_behind, 120)
{
	struct usage before, after;
	const bool slow = getenv("KEYBLOB_SLOW_KERNEL");
	long growth = LONG_MAX;
	int i;

	/* What is allocated once. */
	ASSERT_EQ(0, live_many(0, 420));
	before = usage();
	before = usage_settled(&before);
	for (i = 0; i < (slow ? 1 : BATCHES); i++) {
		ASSERT_EQ(0, live_many(0, LIVES));
		after = usage_settled(&before);
		EXPECT_NOTHING_LEFT(before, after);
		TH_LOG("%d lives: %+ld kB", LIVES, after.slab_kb - before.slab_kb);
		if (after.slab_kb - before.slab_kb < growth)
			growth = after.slab_kb - before.slab_kb;
		before = after;
	}
	/* The smallest thing that a life allocates takes 256 bytes; half for noise. */
	if (!slow)
		EXPECT_GT(LIVES * 128 / 1024, growth);
}

TEST_F_TIMEOUT(lifecycle, killed_processes_leave_nothing_behind, 120)
{
	struct usage before = usage(), after;
	unsigned int i, j;
	pid_t pids[3];
	int status;

	before = usage_settled(&before);
	for (i = 0; i < 40; i++) {
		for (j = 0; j < ARRAY_SIZE(pids); j++) {
			pids[j] = fork();
			ASSERT_LE(0, pids[j]);
			if (!pids[j])
				_exit(live_many(i * 100 + j * 7, 100000) ? 1 : 0);
		}
		usleep(5000 + i * 1000);
		for (j = 0; j < ARRAY_SIZE(pids); j++) {
			kill(pids[j], SIGKILL);
			ASSERT_EQ(pids[j], waitpid(pids[j], &status, 0));
			/* Killed, not failed. */
			EXPECT_TRUE(WIFSIGNALED(status));
		}
	}
	after = usage_settled(&before);
	EXPECT_NOTHING_LEFT(before, after);
}

/* A process that dies with a sender, a receiver and an importer inside the kernel. */
TEST_F_TIMEOUT(lifecycle, process_killed_within_its_calls_leaves_nothing_behind, 120)
{
	struct usage before = usage(), after;
	unsigned int i;

	before = usage_settled(&before);
	for (i = 0; i < 20; i++) {
		static uint8_t data[8 << 20];
		struct conn c;
		pid_t pids[2];
		int j;

		ASSERT_EQ(0, conn_open(&c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128));
		reset_on_close(c.peer.fd);
		ASSERT_EQ(0, conn_import(&c));
		for (j = 0; j < 2; j++) {
			pids[j] = fork();
			ASSERT_LE(0, pids[j]);
			if (!pids[j]) {
				if (j)
					send(c.fd, data, sizeof(data), MSG_NOSIGNAL);
				else
					recv(c.fd, data, sizeof(data), MSG_WAITALL);
				_exit(0);
			}
		}
		usleep(10000);
		for (j = 0; j < 2; j++) {
			int status;

			kill(pids[j], SIGKILL);
			ASSERT_EQ(pids[j], waitpid(pids[j], &status, 0));
			EXPECT_TRUE(WIFSIGNALED(status));
		}
		conn_close(&c);
	}
	after = usage_settled(&before);
	EXPECT_NOTHING_LEFT(before, after);
}

TEST_HARNESS_MAIN
