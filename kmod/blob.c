// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key blob: encode and seal, open and decode.
 *
 *	head | nonce | decoy crypto_info | where it fits | sealed part | tag
 *
 * XChaCha20-Poly1305 seals what struct kb_sealed says of the key, and authenticates all
 * that stands before it. The key is made at load, never leaves
 * this file, and is wiped at unload; nonces are random, which 192 bits allow. The
 * key is read-only between the two, hence no locking. Built into the unit tests as
 * well.
 */
#include <crypto/chacha20poly1305.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/random.h>
#include <linux/string.h>

#include "blob.h"

/* Of struct kb_sealed, what is not encrypted; the rest is two blocks of AVX2's ChaCha20. */
#define CLEAR	offsetof(struct kb_sealed, rec_seq)
#define SECRET	(sizeof(struct kb_sealed) - CLEAR)

struct blob {
	struct keyblob_head head;
	u8 nonce[XCHACHA20POLY1305_NONCE_SIZE];
	u8 decoy[KB_INFO_MAX];
	u8 clear[CLEAR];
	u8 sealed[SECRET + CHACHA20POLY1305_AUTHTAG_SIZE];
};

static u8 sealing_key[CHACHA20POLY1305_KEY_SIZE] __read_mostly;

int __init kb_blob_init(void)
{
	BUILD_BUG_ON(sizeof(struct blob) != KEYBLOB_BLOB_SIZE);
	BUILD_BUG_ON(offsetof(struct blob, decoy) != KB_BLOB_DECOY);
	BUILD_BUG_ON(KB_BLOB_TAG_SIZE != CHACHA20POLY1305_AUTHTAG_SIZE);
	/* The blob is written over the caller's key material: all of it. */
	BUILD_BUG_ON(sizeof(struct keyblob_key) > KEYBLOB_BLOB_SIZE);

	return get_random_bytes_wait(sealing_key, sizeof(sealing_key));
}

void kb_blob_exit(void)
{
	memzero_explicit(sealing_key, sizeof(sealing_key));
}

static bool is_zero(const void *p, size_t len)
{
	return !memchr_inv(p, 0, len);
}

/*
 * kb_blob_from_key() - check key material and take it over into @sealed
 *
 * Leaves cookie, position and expires to the caller. Returns 0, -EINVAL (fields
 * that contradict one another) or -EOPNOTSUPP (version or cipher); then @sealed
 * holds nothing secret.
 */
int kb_blob_from_key(const struct keyblob_key *key, struct kb_sealed *sealed)
{
	const struct kb_suite *suite;

	memset(sealed, 0, sizeof(*sealed));
	if (key->direction != KEYBLOB_DIR_TX && key->direction != KEYBLOB_DIR_RX)
		return -EINVAL;
	if (key->role > KEYBLOB_ROLE_SERVER || key->reserved)
		return -EINVAL;
	suite = kb_suite_find(key->tls_version, key->cipher);
	if (!suite)
		return -EOPNOTSUPP;

	if (key->tls_version == TLS_1_3_VERSION) {
		if (key->secret_len != suite->hash_size ||
		    is_zero(key->secret, key->secret_len) ||
		    !is_zero(key->secret + key->secret_len,
			     sizeof(key->secret) - key->secret_len) ||
		    is_zero(key->key, suite->key_size) != is_zero(key->iv, sizeof(key->iv)))
			return -EINVAL;
	} else {
		if (key->secret_len || key->generation ||
		    !is_zero(key->secret, sizeof(key->secret)) ||
		    is_zero(key->key, suite->key_size))
			return -EINVAL;
	}
	if (!is_zero(key->key + suite->key_size, sizeof(key->key) - suite->key_size))
		return -EINVAL;

	sealed->rec_seq = key->rec_seq;
	sealed->generation = key->generation;
	sealed->direction = key->direction;
	sealed->tls_version = key->tls_version;
	sealed->cipher = key->cipher;
	sealed->secret_len = key->secret_len;
	sealed->role = key->role;
	memcpy(sealed->secret, key->secret, sizeof(sealed->secret));
	memcpy(sealed->key, key->key, sizeof(sealed->key));
	memcpy(sealed->iv, key->iv, sizeof(sealed->iv));
	return 0;
}

/* kb_blob_seal() - make a blob of @sealed, whose version and cipher are valid */
void kb_blob_seal(const struct kb_sealed *sealed, u8 blob[KEYBLOB_BLOB_SIZE])
{
	const struct kb_suite *suite = kb_suite_find(sealed->tls_version, sealed->cipher);
	struct blob *b = (struct blob *)blob;

	memset(b, 0, sizeof(*b));
	b->head.magic = KEYBLOB_MAGIC;
	b->head.version = KEYBLOB_BLOB_VERSION;
	b->head.size = sizeof(*b);
	/* The decoy follows the nonce, and is as random. */
	get_random_bytes(blob + offsetof(struct blob, nonce),
			 sizeof(b->nonce) + suite->info_size);
	kb_suite_decoy(suite, sealed->tls_version, b->decoy);
	memcpy(b->clear, sealed, CLEAR);
	xchacha20poly1305_encrypt(b->sealed, (const u8 *)sealed + CLEAR, SECRET, blob,
				  offsetof(struct blob, sealed), b->nonce, sealing_key);
}

/*
 * kb_blob_open() - authenticate and open a blob of @len bytes
 *
 * Returns 0, -EINVAL (no blob), -EPROTONOSUPPORT (another version) or -EBADMSG
 * (altered, or sealed by another load of the module); then @sealed is wiped. The
 * caller wipes it after use.
 */
int kb_blob_open(const u8 *blob, size_t len, struct kb_sealed *sealed)
{
	const struct blob *b = (const struct blob *)blob;

	if (len < sizeof(b->head) || b->head.magic != KEYBLOB_MAGIC)
		return -EINVAL;
	if (b->head.version != KEYBLOB_BLOB_VERSION)
		return -EPROTONOSUPPORT;
	if (len != sizeof(*b) || b->head.size != len)
		return -EINVAL;
	memcpy(sealed, b->clear, CLEAR);
	if (!xchacha20poly1305_decrypt((u8 *)sealed + CLEAR, b->sealed, sizeof(b->sealed), blob,
				       offsetof(struct blob, sealed), b->nonce, sealing_key)) {
		memzero_explicit(sealed, sizeof(*sealed));
		return -EBADMSG;
	}
	return 0;
}
