// SPDX-License-Identifier: GPL-2.0-only
/*
 * HMAC for the key schedule, by the kernel's crypto API.
 *
 * One transform per hash serves the module. A keyed transform belongs to one user
 * at a time: hmac_lock, the innermost of the module's locks, sees to that. No key
 * stays in a transform.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/hash.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "hmac.h"

static const char *const names[KB_HASHES] = {
	[KB_SHA256] = "hmac(sha256)",
	[KB_SHA384] = "hmac(sha384)",
};

static struct crypto_shash *tfms[KB_HASHES];
static DEFINE_MUTEX(hmac_lock);

/*
 * kb_hmac() - HMAC (RFC 2104) of @data under @key
 *
 * @out takes as many bytes as the hash has. May sleep. Returns 0 or a negative
 * errno of the crypto API.
 */
int kb_hmac(enum kb_hash hash, const u8 *key, size_t key_len, const u8 *data,
	    size_t len, u8 *out)
{
	static const u8 no_key[KB_HASH_MAX];
	struct crypto_shash *tfm = tfms[hash];
	int err;

	mutex_lock(&hmac_lock);
	err = crypto_shash_setkey(tfm, key, key_len);
	if (!err)
		err = crypto_shash_tfm_digest(tfm, data, len, out);
	crypto_shash_setkey(tfm, no_key, key_len);
	mutex_unlock(&hmac_lock);
	return err;
}

int __init kb_hmac_init(void)
{
	enum kb_hash hash;
	int err;

	for (hash = 0; hash < KB_HASHES; hash++) {
		struct crypto_shash *tfm = crypto_alloc_shash(names[hash], 0, 0);

		if (IS_ERR(tfm)) {
			err = PTR_ERR(tfm);
			pr_err("the kernel has no %s (%d)\n", names[hash], err);
			kb_hmac_exit();
			/* ENOENT would read as "unknown symbol" to insmod's user. */
			return err == -ENOENT ? -EOPNOTSUPP : err;
		}
		tfms[hash] = tfm;
	}
	return 0;
}

void kb_hmac_exit(void)
{
	enum kb_hash hash;

	for (hash = 0; hash < KB_HASHES; hash++) {
		if (tfms[hash])
			crypto_free_shash(tfms[hash]);
		tfms[hash] = NULL;
	}
}
