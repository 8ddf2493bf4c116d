// SPDX-License-Identifier: GPL-2.0-only
/*
 * The main use: one process attaches and exports, another imports. The socket goes
 * from one to the other by SCM_RIGHTS, the blobs as plain bytes.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "lib/net.h"
#include "lib/suites.h"

FIXTURE(process)
{
	int fds[2];
	int channel[2];
	struct conn c;		/* what the application and its peer know */
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE];
	pid_t agent;
};

FIXTURE_VARIANT(process)
{
	uint16_t version;
	uint16_t cipher;
};

SUITE_VARIANTS(process);

/* The agent: takes a socket, hands two blobs back, then waits to be ended. */
static void agent(int channel, const struct keyblob_key *tx, const struct keyblob_key *rx)
{
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE];
	int fd = fd_recv(channel);
	char byte;

	if (fd < 0 || setresuid(65534, 65534, 65534) || keyblob_attach(fd) ||
	    keyblob_export(fd, tx, blobs[0]) || keyblob_export(fd, rx, blobs[1]) ||
	    send(channel, blobs, sizeof(blobs), 0) != sizeof(blobs))
		_exit(1);
	_exit(recv(channel, &byte, 1, 0) == 1 ? 0 : 2);
}

FIXTURE_SETUP(process)
{
	ASSERT_EQ(0, tcp_pair(AF_INET6, self->fds));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, self->channel));
	memset(&self->c, 0, sizeof(self->c));
	self->c.fd = self->fds[0];
	self->c.peer.fd = self->fds[1];
	key_random(&self->c.tx, KEYBLOB_DIR_TX, variant->version, variant->cipher);
	key_random(&self->c.rx, KEYBLOB_DIR_RX, variant->version, variant->cipher);
	ASSERT_EQ(0, conn_peer(&self->c));

	self->agent = fork();
	ASSERT_LE(0, self->agent);
	if (!self->agent) {
		close(self->fds[0]);
		close(self->fds[1]);
		close(self->channel[0]);
		agent(self->channel[1], &self->c.tx, &self->c.rx);
	}
	close(self->channel[1]);
	ASSERT_EQ(0, fd_send(self->channel[0], self->c.fd));
	ASSERT_EQ(sizeof(self->blobs), recv(self->channel[0], self->blobs,
					    sizeof(self->blobs), 0));
}

FIXTURE_TEARDOWN(process)
{
	kill(self->agent, SIGKILL);
	waitpid(self->agent, NULL, 0);
	close(self->channel[0]);
	conn_close(&self->c);
}

static int import_both(int fd, uint8_t blobs[2][KEYBLOB_BLOB_SIZE])
{
	int err = keyblob_import(fd, KEYBLOB_DIR_TX, blobs[0], KEYBLOB_BLOB_SIZE);

	return err ? err : keyblob_import(fd, KEYBLOB_DIR_RX, blobs[1], KEYBLOB_BLOB_SIZE);
}

TEST_F(process, other_process_imports)
{
	int status;

	ASSERT_EQ(0, import_both(self->c.fd, self->blobs));
	EXPECT_TRUE(conn_works(&self->c));
	/* Without the agent, too. */
	ASSERT_EQ(1, send(self->channel[0], "x", 1, 0));
	ASSERT_EQ(self->agent, waitpid(self->agent, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(process, death_of_the_exporter_changes_nothing)
{
	ASSERT_EQ(0, kill(self->agent, SIGKILL));
	ASSERT_EQ(self->agent, waitpid(self->agent, NULL, 0));
	ASSERT_EQ(0, import_both(self->c.fd, self->blobs));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(process, duplicated_descriptors_are_one_socket)
{
	int copy = dup(self->c.fd);

	ASSERT_LE(0, copy);
	ASSERT_EQ(0, import_both(copy, self->blobs));
	EXPECT_EQ(-EALREADY, keyblob_import(self->c.fd, KEYBLOB_DIR_TX, self->blobs[0],
					    KEYBLOB_BLOB_SIZE));
	EXPECT_TRUE(conn_works(&self->c));
	close(copy);
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(process, child_inherits_the_imported_socket)
{
	pid_t child;
	int status;

	ASSERT_EQ(0, import_both(self->c.fd, self->blobs));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(!conn_works(&self->c));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
