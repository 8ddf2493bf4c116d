/* SPDX-License-Identifier: GPL-2.0-only */
/* XChaCha20-Poly1305 by libsodium, with the kernel's signatures. */
#ifndef SHIM_CHACHA20POLY1305_H
#define SHIM_CHACHA20POLY1305_H

#include <linux/types.h>
#include <sodium.h>

enum {
	XCHACHA20POLY1305_NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	CHACHA20POLY1305_KEY_SIZE = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	CHACHA20POLY1305_AUTHTAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};

static inline void xchacha20poly1305_encrypt(u8 *dst, const u8 *src, size_t len,
					     const u8 *ad, size_t ad_len, const u8 *nonce,
					     const u8 *key)
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(dst, NULL, src, len, ad, ad_len, NULL,
						   nonce, key);
}

static inline bool xchacha20poly1305_decrypt(u8 *dst, const u8 *src, size_t len,
					     const u8 *ad, size_t ad_len, const u8 *nonce,
					     const u8 *key)
{
	return !crypto_aead_xchacha20poly1305_ietf_decrypt(dst, NULL, NULL, src, len, ad,
							   ad_len, nonce, key);
}

#endif
