/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_HMAC_H
#define KB_HMAC_H

#include "suite.h"

int kb_hmac_init(void);
void kb_hmac_exit(void);
int kb_hmac(enum kb_hash hash, const u8 *key, size_t key_len, const u8 *data,
	    size_t len, u8 *out);

#endif
