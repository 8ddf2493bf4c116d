// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblob.ko: sealed TLS session keys for TCP sockets. This file orders load and
 * unload and holds the module's parameters.
 */
#include <linux/kmod.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <net/genetlink.h>
#include <net/tcp.h>

#include <linux/keyblob_netlink.h>

#include "agent.h"
#include "blob.h"
#include "genl.h"
#include "handshake.h"
#include "hmac.h"
#include "ktls.h"
#include "main.h"
#include "ulp.h"

static uint blob_lifetime_ms = 30 * 1000;
module_param(blob_lifetime_ms, uint, 0644);
MODULE_PARM_DESC(blob_lifetime_ms,
		 "how long a key blob may be imported after its export, where the exporter asks for no other time");

u32 kb_lifetime_ms(void)
{
	return clamp_t(u32, READ_ONCE(blob_lifetime_ms), 1, KB_LIFETIME_MAX_MS);
}

static ulong records_max;
module_param(records_max, ulong, 0644);
MODULE_PARM_DESC(records_max,
		 "records to send under one key, 16 or more, if fewer than its cipher allows; 0: what the cipher allows");

static uint keyupdates_in_row = 32;
module_param(keyupdates_in_row, uint, 0644);
MODULE_PARM_DESC(keyupdates_in_row,
		 "KeyUpdates that a peer may send without application data between them; no limit from 65535 on");

static uint keyupdates_per_second = 1000;
module_param(keyupdates_per_second, uint, 0644);
MODULE_PARM_DESC(keyupdates_per_second, "KeyUpdates that a peer may send in a second; no limit from 65535 on");

static uint handshakes_max = 4096;
module_param(handshakes_max, uint, 0644);
MODULE_PARM_DESC(handshakes_max,
		 "handshakes that may wait for an agent in a network namespace; of one user but root, half of it");

static atomic_t keyupdates_refused = ATOMIC_INIT(0);

static int get_atomic(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%u\n", atomic_read(kp->arg));
}

static const struct kernel_param_ops atomic_ops = { .get = get_atomic };
module_param_cb(keyupdates_refused, &atomic_ops, &keyupdates_refused, 0444);
MODULE_PARM_DESC(keyupdates_refused, "connections that were ended for too many KeyUpdates");

u64 kb_records_max(void)
{
	const u64 max = READ_ONCE(records_max);

	return max ? max_t(u64, max, 16) : 0;
}

u32 kb_updates_in_row(void)
{
	return READ_ONCE(keyupdates_in_row);
}

u32 kb_updates_per_second(void)
{
	return READ_ONCE(keyupdates_per_second);
}

u32 kb_handshakes_max(void)
{
	return READ_ONCE(handshakes_max);
}

void kb_count_updates_refused(void)
{
	atomic_inc(&keyupdates_refused);
}

static int __init keyblob_init(void)
{
	int err;

	/* A process without privilege cannot make TCP load it. */
	request_module("tcp-ulp-tls");

	err = kb_hmac_init();
	if (err)
		return err;
	err = kb_blob_init();
	if (err)
		return err;
	err = kb_agent_init();
	if (err)
		goto err_blob;
	err = kb_handshake_init();
	if (err)
		goto err_agent;
	err = kb_genl_init();
	if (err)
		goto err_handshake;
	err = kb_ulp_init();
	if (err)
		goto err_genl;
	return 0;

err_genl:
	kb_genl_exit();
err_handshake:
	kb_handshake_exit();
err_agent:
	kb_agent_exit();
err_blob:
	kb_blob_exit();
	return err;
}

/* What kb_handshake_exit() waits for may still go to agents' queues. */
static void __exit keyblob_exit(void)
{
	kb_ulp_exit();
	kb_genl_exit();
	kb_handshake_exit();
	kb_agent_exit();
	kb_ktls_exit();
	kb_blob_exit();
}

module_init(keyblob_init);
module_exit(keyblob_exit);

MODULE_DESCRIPTION("Sealed TLS session keys for TCP sockets");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
MODULE_SOFTDEP("pre: tls");
MODULE_ALIAS_TCP_ULP(KEYBLOB_ULP_NAME);
MODULE_ALIAS_GENL_FAMILY(KEYBLOB_FAMILY_NAME);
