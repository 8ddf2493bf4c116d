/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a finished handshake to the key material that the kernel module seals.
 */
#ifndef KEYBLOBD_SECRETS_H
#define KEYBLOBD_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/keyblob.h>
#include <openssl/ssl.h>

#include "bio.h"
#include "suite.h"
#include "traffic_secrets.h"

/* What the longest of OpenSSL's takes: two keys and IVs. */
#define TRAFFIC_SECRET_MAX (2 * (KEYBLOB_KEY_MAX + KEYBLOB_IV_SIZE))

/* As they become known. */
struct secrets {
	struct {
		uint8_t bytes[TRAFFIC_SECRET_MAX];
		size_t len;
	} list[SECRET_KEY_BLOCK + 1];
	/* What OpenSSL has made of a traffic secret; lengths are 0 where it was not seen to. */
	struct {
		uint8_t key[KEYBLOB_KEY_MAX], iv[KEYBLOB_IV_SIZE];
		size_t key_len, iv_len;
	} keys[SECRET_SERVER + 1];
};

/*
 * Take what is @derived; in TLS 1.3 the stream of @wire that a traffic secret is for learns
 * when its key comes into use. One that is too long is left out.
 */
void secrets_take(struct secrets *secrets, struct wire *wire, const SSL *ssl,
		  const struct derived *derived);

/*
 * Fill in @tx and @rx, as seen from @ssl's side, after the handshake succeeded.
 * Returns 0 or a negative errno; both are to be wiped by the caller either way.
 */
int secrets_derive(const struct secrets *secrets, const struct wire *wire, const SSL *ssl,
		   const struct suite *suite, struct keyblob_key *tx, struct keyblob_key *rx);

#endif
