// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unloading and loading again. Needs the module's file in KEYBLOB_KO; no other
 * program may use the module meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "lib/net.h"

static int unload(void)
{
	return syscall(SYS_delete_module, "keyblob", O_NONBLOCK) ? -errno : 0;
}

/* Sockets that have been closed may need a moment to go. */
static int unload_patiently(void)
{
	int i, err = -EAGAIN;

	for (i = 0; i < 100 && err; i++) {
		err = unload();
		if (err)
			usleep(50000);
	}
	return err;
}

static int load(void)
{
	int fd = open(getenv("KEYBLOB_KO") ?: "keyblob.ko", O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

static int open_v13(struct conn *c)
{
	return conn_open(c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
}

FIXTURE(unload) {};

FIXTURE_SETUP(unload)
{
	int err = load();

	/* Loaded already, as a rule. */
	ASSERT_TRUE(err == 0 || err == -EEXIST)
		TH_LOG("KEYBLOB_KO names no module that loads: error %d", -err);
}

FIXTURE_TEARDOWN(unload)
{
	load();
}

TEST_F(unload, is_refused_while_a_socket_uses_it)
{
	struct conn c;

	ASSERT_EQ(0, open_v13(&c));
	EXPECT_EQ(-EAGAIN, unload());
	EXPECT_TRUE(conn_works_plain(&c));
	ASSERT_EQ(0, conn_import(&c));
	EXPECT_EQ(-EAGAIN, unload());
	EXPECT_TRUE(conn_works(&c));
	conn_close(&c);
	EXPECT_EQ(0, unload_patiently());
}

TEST_F(unload, and_load_work_many_times)
{
	struct conn c;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, open_v13(&c));
		ASSERT_EQ(0, conn_import(&c));
		ASSERT_TRUE(conn_works(&c));
		conn_close(&c);
		ASSERT_EQ(0, unload_patiently());
		ASSERT_EQ(-ENOENT, unload());
		ASSERT_EQ(0, load());
	}
}

/* The socket lives on as an orphan until its data is through. */
TEST_F(unload, waits_for_sockets_that_are_closing)
{
	static uint8_t data[100000], got[100000];
	struct conn c;

	fill(data, sizeof(data), 3);
	ASSERT_EQ(0, open_v13(&c));
	ASSERT_EQ(0, conn_import(&c));
	ASSERT_EQ(sizeof(data), write(c.fd, data, sizeof(data)));
	close(c.fd);
	c.fd = -1;
	ASSERT_EQ(0, tls_peer_read(&c.peer, got, sizeof(got)));
	EXPECT_EQ(0, memcmp(got, data, sizeof(got)));
	conn_close(&c);
	EXPECT_EQ(0, unload_patiently());
}

TEST_F(unload, ends_the_life_of_every_blob)
{
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE];
	struct conn c;

	ASSERT_EQ(0, open_v13(&c));
	ASSERT_EQ(0, keyblob_export(c.fd, &c.tx, blobs[0]));
	ASSERT_EQ(0, keyblob_export(c.fd, &c.rx, blobs[1]));
	conn_close(&c);
	ASSERT_EQ(0, unload_patiently());
	ASSERT_EQ(0, load());

	ASSERT_EQ(0, open_v13(&c));
	EXPECT_EQ(-EBADMSG, keyblob_import(c.fd, KEYBLOB_DIR_TX, blobs[0], KEYBLOB_BLOB_SIZE));
	EXPECT_EQ(-EBADMSG, keyblob_import(c.fd, KEYBLOB_DIR_RX, blobs[1], KEYBLOB_BLOB_SIZE));
	EXPECT_TRUE(conn_works_plain(&c));
	ASSERT_EQ(0, conn_import(&c));
	EXPECT_TRUE(conn_works(&c));
	conn_close(&c);
}

/* Where the exporter asks for no lifetime, the module's parameter rules. */
TEST_F(unload, default_lifetime_is_a_parameter)
{
	static const char path[] = "/sys/module/keyblob/parameters/blob_lifetime_ms";
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct keyblob_key key;
	struct conn c;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, open_v13(&c));
	ASSERT_EQ(2, write(fd, "1\n", 2));
	ASSERT_EQ(0, keyblob_export(c.fd, &c.tx, blob));
	usleep(5000);
	EXPECT_EQ(-EKEYEXPIRED, keyblob_import(c.fd, KEYBLOB_DIR_TX, blob, sizeof(blob)));
	key = c.tx;
	key.lifetime_ms = 10000;
	ASSERT_EQ(0, keyblob_export(c.fd, &key, blob));
	usleep(5000);
	EXPECT_EQ(0, keyblob_import(c.fd, KEYBLOB_DIR_TX, blob, sizeof(blob)));
	close(fd);
	conn_close(&c);
	/* Loading again restores it. */
	EXPECT_EQ(0, unload_patiently());
}

TEST_HARNESS_MAIN
