/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_SUITE_H
#define KB_SUITE_H

#include <linux/types.h>
#include <linux/tls.h>

/* Bounds over all suites, in bytes. */
#define KB_KEY_MAX	32
#define KB_HASH_MAX	48
#define KB_NONCE_SIZE	12
#define KB_INFO_MAX	sizeof(struct tls12_crypto_info_aes_gcm_256)

enum kb_hash {
	KB_SHA256,
	KB_SHA384,
	KB_HASHES,
};

/*
 * What keyblob must know of a cipher suite. Sizes are in bytes; salt and iv are
 * kTLS's halves of the 12 byte nonce (or write IV, RFC 8446 section 5.3).
 */
struct kb_suite {
	const char *aead;	/* as the kernel's crypto API names it */
	u16 cipher;		/* TLS_CIPHER_* of <linux/tls.h> */
	u16 info_size;		/* of kTLS's struct tls12_crypto_info_* */
	u8 key_size;
	u8 salt_size;
	u8 iv_size;
	u8 hash_size;
	enum kb_hash hash;	/* of the TLS 1.3 key schedule */
	u64 records_max;	/* under one key, RFC 8446 section 5.5 */
};

/* The live keys of one direction, as the AEAD takes them. */
struct kb_keys {
	u8 key[KB_KEY_MAX];
	u8 nonce[KB_NONCE_SIZE];	/* salt, then iv */
};

const struct kb_suite *kb_suite_find(u16 tls_version, u16 cipher);
void kb_suite_decoy(const struct kb_suite *suite, u16 tls_version, u8 *info);

#endif
