// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the TLS 1.3 key schedule (RFC 8446 section 7) that begins with a
 * traffic secret. Pure functions of their arguments; built into the unit tests as
 * well.
 */
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "hmac.h"
#include "schedule.h"

/* Of a block of @hash_size bytes, the first @len. */
static int expand(struct crypto_shash *hmac, size_t hash_size, const char *label, u8 *out,
		  size_t len)
{
	static const char prefix[] = "tls13 ";
	const size_t prefix_len = sizeof(prefix) - 1;
	const size_t label_len = strlen(label);
	u8 block[KB_HASH_MAX];
	u8 info[32];
	size_t n = 0;
	int err;

	if (len > hash_size || 2 + 1 + prefix_len + label_len + 1 + 1 > sizeof(info))
		return -EINVAL;

	info[n++] = len >> 8;
	info[n++] = len & 0xff;
	info[n++] = prefix_len + label_len;
	memcpy(info + n, prefix, prefix_len);
	n += prefix_len;
	memcpy(info + n, label, label_len);
	n += label_len;
	info[n++] = 0;		/* no context */
	info[n++] = 1;		/* the first block */

	err = kb_hmac(hmac, info, n, block);
	if (err)
		memzero_explicit(out, len);
	else
		memcpy(out, block, len);
	memzero_explicit(block, sizeof(block));
	return err;
}

/*
 * kb_expand_label() - HKDF-Expand-Label of RFC 8446 section 7.1, without context
 *
 * @len is at most the hash's size: one block of HKDF-Expand (RFC 5869 section 2.3)
 * is all that TLS needs. @out may be @secret. Returns 0, or a negative errno with @out
 * wiped.
 */
int kb_expand_label(enum kb_hash hash, const u8 *secret, size_t secret_len,
		    const char *label, u8 *out, size_t len)
{
	struct crypto_shash *hmac;
	int err;

	if (secret_len > KB_HASH_MAX)
		return -EINVAL;
	hmac = kb_hmac_new(hash, secret, secret_len);
	if (IS_ERR(hmac)) {
		memzero_explicit(out, len);
		return PTR_ERR(hmac);
	}
	err = expand(hmac, secret_len, label, out, len);
	kb_hmac_free(hmac);
	return err;
}

/*
 * kb_schedule_keys() - write key and IV of a traffic secret, RFC 8446 section 7.3
 *
 * @secret has suite->hash_size bytes. Returns 0, or a negative errno with @keys
 * wiped.
 */
int kb_schedule_keys(const struct kb_suite *suite, const u8 *secret,
		     struct kb_keys *keys)
{
	struct crypto_shash *hmac = kb_hmac_new(suite->hash, secret, suite->hash_size);
	int err;

	if (IS_ERR(hmac)) {
		err = PTR_ERR(hmac);
		goto out;
	}
	err = expand(hmac, suite->hash_size, "key", keys->key, suite->key_size);
	if (!err)
		err = expand(hmac, suite->hash_size, "iv", keys->nonce, sizeof(keys->nonce));
	kb_hmac_free(hmac);
out:
	if (err)
		memzero_explicit(keys, sizeof(*keys));
	return err;
}

/*
 * kb_schedule_update() - the traffic secret of the next generation, section 7.2
 *
 * @secret and @next have suite->hash_size bytes and may be the same. Returns 0, or a
 * negative errno with @next wiped.
 */
int kb_schedule_update(const struct kb_suite *suite, const u8 *secret, u8 *next)
{
	return kb_expand_label(suite->hash, secret, suite->hash_size, "traffic upd",
			       next, suite->hash_size);
}
