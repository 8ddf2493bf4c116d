// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unloading and loading again. Needs the module's file in KEYBLOB_KO; no other
 * program may use the module meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "lib/module.h"
#include "lib/net.h"

static int open_v13(struct conn *c)
{
	return conn_open(c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
}

FIXTURE(unload) {};

FIXTURE_SETUP(unload)
{
	int err = module_load();

	/* Loaded already, as a rule. */
	ASSERT_TRUE(err == 0 || err == -EEXIST)
		TH_LOG("KEYBLOB_KO names no module that loads: error %d", -err);
}

FIXTURE_TEARDOWN(unload)
{
	module_load();
}

TEST_F(unload, is_refused_while_a_socket_uses_it)
{
	struct conn c;

	ASSERT_EQ(0, open_v13(&c));
	EXPECT_EQ(-EAGAIN, module_unload());
	EXPECT_TRUE(conn_works_plain(&c));
	ASSERT_EQ(0, conn_import(&c));
	EXPECT_EQ(-EAGAIN, module_unload());
	EXPECT_TRUE(conn_works(&c));
	conn_close(&c);
	EXPECT_EQ(0, module_unload_patiently());
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
		ASSERT_EQ(0, module_unload_patiently());
		ASSERT_EQ(-ENOENT, module_unload());
		ASSERT_EQ(0, module_load());
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
	EXPECT_EQ(0, module_unload_patiently());
}

TEST_F(unload, ends_the_life_of_every_blob)
{
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE];
	struct conn c;

	ASSERT_EQ(0, open_v13(&c));
	ASSERT_EQ(0, keyblob_export(c.fd, &c.tx, blobs[0]));
	ASSERT_EQ(0, keyblob_export(c.fd, &c.rx, blobs[1]));
	conn_close(&c);
	ASSERT_EQ(0, module_unload_patiently());
	ASSERT_EQ(0, module_load());

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
	EXPECT_EQ(0, module_unload_patiently());
}

TEST_HARNESS_MAIN
