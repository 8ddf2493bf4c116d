// SPDX-License-Identifier: GPL-2.0-only
/* kmod/hmac.h by OpenSSL, for module code that is built for user space. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "hmac.h"

int kb_hmac(enum kb_hash hash, const u8 *key, size_t key_len, const u8 *data, size_t len,
	    u8 *out)
{
	const EVP_MD *md = hash == KB_SHA384 ? EVP_sha384() : EVP_sha256();

	return HMAC(md, key, key_len, data, len, out, NULL) ? 0 : -EINVAL;
}
