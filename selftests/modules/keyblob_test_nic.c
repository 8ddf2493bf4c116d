// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: makes a network device (parameter ifname) claim that it takes TLS keys,
 * counts how often it is given one (parameter calls), and declines.
 */
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/net_namespace.h>
#include <net/tls.h>

#define FEATURES	(NETIF_F_HW_TLS_TX | NETIF_F_HW_TLS_RX)

static char *ifname;
module_param(ifname, charp, 0444);
MODULE_PARM_DESC(ifname, "name of the device");

static int calls;
module_param(calls, int, 0444);
MODULE_PARM_DESC(calls, "how many keys it was offered");

static struct net_device *dev;

static int dev_add(struct net_device *netdev, struct sock *sk,
		   enum tls_offload_ctx_dir direction,
		   struct tls_crypto_info *crypto_info, u32 start_offload_tcp_sn)
{
	calls++;
	return -EOPNOTSUPP;
}

static void dev_del(struct net_device *netdev, struct tls_context *ctx,
		    enum tls_offload_ctx_dir direction)
{
}

static int dev_resync(struct net_device *netdev, struct sock *sk, u32 seq, u8 *rcd_sn,
		      enum tls_offload_ctx_dir direction)
{
	return 0;
}

static const struct tlsdev_ops ops = {
	.tls_dev_add	= dev_add,
	.tls_dev_del	= dev_del,
	.tls_dev_resync	= dev_resync,
};

static int __init test_nic_init(void)
{
	if (!ifname)
		return -EINVAL;
	dev = dev_get_by_name(&init_net, ifname);
	if (!dev)
		return -ENODEV;
	rtnl_lock();
	dev->tlsdev_ops = &ops;
	dev->hw_features |= FEATURES;
	dev->wanted_features |= FEATURES;
	dev->features |= FEATURES;
	rtnl_unlock();
	return 0;
}

static void __exit test_nic_exit(void)
{
	rtnl_lock();
	dev->features &= ~FEATURES;
	dev->wanted_features &= ~FEATURES;
	dev->hw_features &= ~FEATURES;
	dev->tlsdev_ops = NULL;
	rtnl_unlock();
	dev_put(dev);
}

module_init(test_nic_init);
module_exit(test_nic_exit);

MODULE_DESCRIPTION("A network device that claims TLS offload, for keyblob's tests");
MODULE_LICENSE("GPL");
