// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cipher suites that keyblob carries, as a table: what kTLS calls them, their
 * sizes, and the hash of their key schedule. Constant data, no locking.
 */
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/string.h>

#include "suite.h"

/* 2^24.5 full records, rounded down, for AES-GCM. ChaCha20-Poly1305 meets the end of
 * the sequence numbers first; far below that will do.
 */
#define GCM_RECORDS_MAX		23726566
#define CHACHA_RECORDS_MAX	BIT_ULL(48)

static const struct kb_suite suites[] = {
	{
		.aead = "gcm(aes)",
		.cipher = TLS_CIPHER_AES_GCM_128,
		.info_size = sizeof(struct tls12_crypto_info_aes_gcm_128),
		.key_size = TLS_CIPHER_AES_GCM_128_KEY_SIZE,
		.salt_size = TLS_CIPHER_AES_GCM_128_SALT_SIZE,
		.iv_size = TLS_CIPHER_AES_GCM_128_IV_SIZE,
		.hash_size = 32,
		.hash = KB_SHA256,
		.records_max = GCM_RECORDS_MAX,
	},
	{
		.aead = "gcm(aes)",
		.cipher = TLS_CIPHER_AES_GCM_256,
		.info_size = sizeof(struct tls12_crypto_info_aes_gcm_256),
		.key_size = TLS_CIPHER_AES_GCM_256_KEY_SIZE,
		.salt_size = TLS_CIPHER_AES_GCM_256_SALT_SIZE,
		.iv_size = TLS_CIPHER_AES_GCM_256_IV_SIZE,
		.hash_size = 48,
		.hash = KB_SHA384,
		.records_max = GCM_RECORDS_MAX,
	},
	{
		.aead = "rfc7539(chacha20,poly1305)",
		.cipher = TLS_CIPHER_CHACHA20_POLY1305,
		.info_size = sizeof(struct tls12_crypto_info_chacha20_poly1305),
		.key_size = TLS_CIPHER_CHACHA20_POLY1305_KEY_SIZE,
		.salt_size = TLS_CIPHER_CHACHA20_POLY1305_SALT_SIZE,
		.iv_size = TLS_CIPHER_CHACHA20_POLY1305_IV_SIZE,
		.hash_size = 32,
		.hash = KB_SHA256,
		.records_max = CHACHA_RECORDS_MAX,
	},
};

/* kb_suite_find() - the suite of a version and cipher; NULL: not supported */
const struct kb_suite *kb_suite_find(u16 tls_version, u16 cipher)
{
	size_t i;

	if (tls_version != TLS_1_2_VERSION && tls_version != TLS_1_3_VERSION)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		if (suites[i].cipher == cipher)
			return &suites[i];
	}
	return NULL;
}

/*
 * kb_suite_decoy() - make a crypto_info that kTLS accepts of suite->info_size random bytes
 *
 * Behind the head, iv, key, salt and rec_seq follow one another in every
 * struct tls12_crypto_info_*.
 */
void kb_suite_decoy(const struct kb_suite *suite, u16 tls_version, u8 *info)
{
	const struct tls_crypto_info head = {
		.version = tls_version,
		.cipher_type = suite->cipher,
	};

	memcpy(info, &head, sizeof(head));
}
