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

/* TLS 1.3 application traffic secrets of generation 0, as they become known. */
struct secrets {
	uint8_t client[KEYBLOB_SECRET_MAX];
	uint8_t server[KEYBLOB_SECRET_MAX];
	uint16_t client_len;
	uint16_t server_len;
};

/*
 * Take @secret, which is the server's direction's or the client's; the stream of @wire that
 * it is for learns when its key comes into use. One that is too long is left out.
 */
void secrets_take(struct secrets *secrets, struct wire *wire, const SSL *ssl, bool servers,
		  const uint8_t *secret, size_t len);

/*
 * Fill in @tx and @rx, as seen from @ssl's side, after the handshake succeeded.
 * Returns 0 or a negative errno; both are to be wiped by the caller either way.
 */
int secrets_derive(const struct secrets *secrets, const struct wire *wire, const SSL *ssl,
		   const struct suite *suite, struct keyblob_key *tx, struct keyblob_key *rx);

#endif
