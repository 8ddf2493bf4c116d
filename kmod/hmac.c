// SPDX-License-Identifier: GPL-2.0-only
/*
 * HMAC for the key schedule, by the kernel's crypto API.
 *
 * A transform is its user's alone, and goes with its key: the crypto API wipes what it
 * frees.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/hash.h>

#include "hmac.h"

static const char *const names[KB_HASHES] = {
	[KB_SHA256] = "hmac(sha256)",
	[KB_SHA384] = "hmac(sha384)",
};

/*
 * kb_hmac_new() - a transform for HMAC (RFC 2104) under @key
 *
 * May sleep. Returns a negative errno of the crypto API as a pointer on failure;
 * kb_hmac_free() is due on success.
 */
struct crypto_shash *kb_hmac_new(enum kb_hash hash, const u8 *key, size_t key_len)
{
	struct crypto_shash *tfm = crypto_alloc_shash(names[hash], 0, 0);
	int err;

	if (IS_ERR(tfm))
		return tfm;
	err = crypto_shash_setkey(tfm, key, key_len);
	if (!err)
		return tfm;
	crypto_free_shash(tfm);
	return ERR_PTR(err);
}

/* kb_hmac() - @out takes as many bytes as the hash has; 0 or a negative errno */
int kb_hmac(struct crypto_shash *tfm, const u8 *data, size_t len, u8 *out)
{
	return crypto_shash_tfm_digest(tfm, data, len, out);
}

void kb_hmac_free(struct crypto_shash *tfm)
{
	crypto_free_shash(tfm);
}

/* kb_hmac_init() - does the kernel have what will be needed? */
int __init kb_hmac_init(void)
{
	enum kb_hash hash;
	int err;

	for (hash = 0; hash < KB_HASHES; hash++) {
		struct crypto_shash *tfm = crypto_alloc_shash(names[hash], 0, 0);

		if (IS_ERR(tfm)) {
			err = PTR_ERR(tfm);
			pr_err("the kernel has no %s (%d)\n", names[hash], err);
			/* ENOENT would read as "unknown symbol" to insmod's user. */
			return err == -ENOENT ? -EOPNOTSUPP : err;
		}
		crypto_free_shash(tfm);
	}
	return 0;
}
