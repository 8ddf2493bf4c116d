// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblob.ko: sealed TLS session keys for TCP sockets. This file orders load and
 * unload and holds the module's parameters.
 */
#include <linux/kmod.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <net/tcp.h>

#include "blob.h"
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
		 "KeyUpdates that a peer may send without application data between them");

static uint keyupdates_per_second = 1000;
module_param(keyupdates_per_second, uint, 0644);
MODULE_PARM_DESC(keyupdates_per_second, "KeyUpdates that a peer may send in a second");

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
	err = kb_ulp_init();
	if (err)
		goto err_blob;
	return 0;

err_blob:
	kb_blob_exit();
	return err;
}

static void __exit keyblob_exit(void)
{
	kb_ulp_exit();
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
