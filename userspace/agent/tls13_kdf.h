/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The key schedule of TLS 1.3 (RFC 8446 section 7.1) as libssl asks for it. The default
 * provider's takes more time to look for its parameters, hash and MAC, and to copy them, than
 * to hash; and of all that a handshake computes, a quarter is this.
 */
#ifndef KEYBLOBD_TLS13_KDF_H
#define KEYBLOBD_TLS13_KDF_H

#include <stdint.h>

#include <openssl/params.h>

/* 0, or -1: OpenSSL lacks something. tls13_kdf_exit() in both cases. */
int tls13_kdf_init(void);
void tls13_kdf_exit(void);

/*
 * Derive @len bytes, no more than a hash has, as TLS13-KDF does (EVP_KDF-TLS13_KDF(7)) when
 * it is given all its parameters at once. 1, or 0: not known here. Leaves a copy of secrets on
 * the stack, see fiber.h, and nowhere else.
 */
int tls13_kdf_derive(uint8_t *to, size_t len, const OSSL_PARAM params[]);

#endif
