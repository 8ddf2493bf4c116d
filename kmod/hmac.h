/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_HMAC_H
#define KB_HMAC_H

#include "suite.h"

struct crypto_shash;

int kb_hmac_init(void);
struct crypto_shash *kb_hmac_new(enum kb_hash hash, const u8 *key, size_t key_len);
int kb_hmac(struct crypto_shash *tfm, const u8 *data, size_t len, u8 *out);
void kb_hmac_free(struct crypto_shash *tfm);

#endif
