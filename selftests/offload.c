// SPDX-License-Identifier: GPL-2.0-only
/*
 * A socket whose network device would hold the key is recognised and refused. Needs
 * keyblob_test_nic.ko, whose file KEYBLOB_TEST_NIC_KO names.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "lib/net.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

#define NETNS	"keyblob-offload"
#define DEVICE	"kbnic"
#define HERE	"192.0.2.1"
#define THERE	"192.0.2.2"

static int nic_load(void)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): open(2) refuses NULL */
	int fd = open(getenv("KEYBLOB_TEST_NIC_KO"), O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "ifname=" DEVICE, 0) ? -errno : 0;
	close(fd);
	return err;
}

static int nic_unload(void)
{
	return syscall(SYS_delete_module, "keyblob_test_nic", O_NONBLOCK) ? -errno : 0;
}

static const char setup[] =
	"ip netns add " NETNS " && "
	"ip link add " DEVICE " type veth peer name " DEVICE "p netns " NETNS " && "
	"ip addr add " HERE "/24 dev " DEVICE " && "
	"ip link set " DEVICE " up && "
	"ip -n " NETNS " addr add " THERE "/24 dev " DEVICE "p && "
	"ip -n " NETNS " link set " DEVICE "p up";

/* How many keys the device was offered. */
static int nic_calls(void)
{
	FILE *f = fopen("/sys/module/keyblob_test_nic/parameters/calls", "r");
	int calls = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &calls) != 1)
		calls = -1;
	fclose(f);
	return calls;
}

/* A socket of the other network namespace. */
static int socket_there(void)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open("/run/netns/" NETNS, O_RDONLY | O_CLOEXEC);
	int fd = -1;

	if (!setns(there, CLONE_NEWNET))
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (setns(here, CLONE_NEWNET))
		abort();
	close(here);
	close(there);
	return fd;
}

FIXTURE(offload)
{
	struct conn c;		/* c.fd goes through the device */
	uint8_t tx[KEYBLOB_BLOB_SIZE];
	uint8_t rx[KEYBLOB_BLOB_SIZE];
};

FIXTURE_SETUP(offload)
{
	struct sockaddr_in there = { .sin_family = AF_INET };
	socklen_t len = sizeof(there);
	int listener;

	if (!getenv("KEYBLOB_TEST_NIC_KO"))
		SKIP(return, "KEYBLOB_TEST_NIC_KO is not set");

	ASSERT_EQ(0, system(setup));
	listener = socket_there();
	ASSERT_LE(0, listener);
	inet_pton(AF_INET, THERE, &there.sin_addr);
	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&there, sizeof(there)));
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, getsockname(listener, (struct sockaddr *)&there, &len));

	memset(&self->c, 0, sizeof(self->c));
	self->c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, connect(self->c.fd, (struct sockaddr *)&there, sizeof(there)));
	self->c.peer.fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->c.peer.fd);
	close(listener);
	key_random(&self->c.tx, KEYBLOB_DIR_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	key_random(&self->c.rx, KEYBLOB_DIR_RX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	ASSERT_EQ(0, conn_peer(&self->c));
}

FIXTURE_TEARDOWN(offload)
{
	conn_close(&self->c);
	nic_unload();
	system("ip link del " DEVICE "; ip netns del " NETNS);
}

#define TX(self)	\
	keyblob_import((self)->c.fd, KEYBLOB_DIR_TX, (self)->tx, KEYBLOB_BLOB_SIZE)
#define RX(self)	\
	keyblob_import((self)->c.fd, KEYBLOB_DIR_RX, (self)->rx, KEYBLOB_BLOB_SIZE)

/* A control: plain kTLS does offer its key to this device. */
TEST_F(offload, plain_ktls_offers_its_key_to_the_device)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};

	ASSERT_EQ(0, nic_load());
	ASSERT_EQ(0, ulp_attach(self->c.fd, "tls"));
	ASSERT_EQ(0, setsockopt(self->c.fd, SOL_TLS, TLS_TX, &info, sizeof(info)));
	EXPECT_EQ(1, nic_calls());
}

TEST_F(offload, attach_is_refused)
{
	ASSERT_EQ(0, nic_load());
	EXPECT_EQ(-EOPNOTSUPP, keyblob_attach(self->c.fd));
	EXPECT_EQ(0, nic_calls());
	EXPECT_TRUE(conn_works_plain(&self->c));

	ASSERT_EQ(0, nic_unload());
	ASSERT_EQ(0, keyblob_attach(self->c.fd));
	ASSERT_EQ(0, conn_import(&self->c));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(offload, export_is_refused)
{
	ASSERT_EQ(0, keyblob_attach(self->c.fd));
	ASSERT_EQ(0, nic_load());
	EXPECT_EQ(-EOPNOTSUPP, keyblob_export(self->c.fd, &self->c.tx, self->tx));
	EXPECT_EQ(-EOPNOTSUPP, keyblob_export(self->c.fd, &self->c.rx, self->rx));
	EXPECT_EQ(0, nic_calls());
	EXPECT_TRUE(conn_works_plain(&self->c));

	ASSERT_EQ(0, nic_unload());
	ASSERT_EQ(0, conn_import(&self->c));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_F(offload, import_is_refused)
{
	ASSERT_EQ(0, keyblob_attach(self->c.fd));
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.tx, self->tx));
	ASSERT_EQ(0, keyblob_export(self->c.fd, &self->c.rx, self->rx));
	ASSERT_EQ(0, nic_load());
	EXPECT_EQ(-EOPNOTSUPP, TX(self));
	EXPECT_EQ(-EOPNOTSUPP, RX(self));
	EXPECT_EQ(0, nic_calls());

	ASSERT_EQ(0, nic_unload());
	ASSERT_EQ(0, TX(self));
	ASSERT_EQ(0, nic_load());
	EXPECT_EQ(-EOPNOTSUPP, RX(self));
	EXPECT_EQ(0, nic_calls());
	ASSERT_EQ(0, nic_unload());
	ASSERT_EQ(0, RX(self));
	EXPECT_TRUE(conn_works(&self->c));
}

TEST_HARNESS_MAIN
