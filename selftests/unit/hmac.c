// SPDX-License-Identifier: GPL-2.0-only
/* kmod/hmac.h by OpenSSL, for module code that is built for user space. */
#include <linux/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "hmac.h"

struct crypto_shash {
	const EVP_MD *md;
	size_t key_len;
	u8 key[KB_HASH_MAX];
};

struct crypto_shash *kb_hmac_new(enum kb_hash hash, const u8 *key, size_t key_len)
{
	struct crypto_shash *tfm = calloc(1, sizeof(*tfm));

	if (!tfm)
		return ERR_PTR(-ENOMEM);
	tfm->md = hash == KB_SHA384 ? EVP_sha384() : EVP_sha256();
	tfm->key_len = key_len;
	memcpy(tfm->key, key, key_len);
	return tfm;
}

int kb_hmac(struct crypto_shash *tfm, const u8 *data, size_t len, u8 *out)
{
	return HMAC(tfm->md, tfm->key, tfm->key_len, data, len, out, NULL) ? 0 : -EINVAL;
}

void kb_hmac_free(struct crypto_shash *tfm)
{
	free(tfm);
}
