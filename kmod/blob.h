/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_BLOB_H
#define KB_BLOB_H

#include <linux/keyblob.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include "suite.h"

/*
 * What a blob says once it is open: the key material, and the one state of one
 * socket in which it may be imported.
 */
struct kb_sealed {
	/* no secrets: authenticated, not encrypted */
	u64 cookie;		/* of the socket, unique for the boot */
	u64 position;		/* bytes of the stream before this key */
	u64 expires;		/* boot time, ns */
	/* encrypted */
	u64 rec_seq;
	u32 generation;
	u16 direction;
	u16 tls_version;
	u16 cipher;
	u16 secret_len;
	u8 secret[KEYBLOB_SECRET_MAX];
	u8 key[KEYBLOB_KEY_MAX];
	u8 iv[KEYBLOB_IV_SIZE];
	u16 role;
	u8 reserved[14];
};

/* Where in a blob the decoy stands, for kTLS to read it there. */
#define KB_BLOB_DECOY	(sizeof(struct keyblob_head) + 24)

/* What tells a blob from all others: its authentication tag, its last bytes. */
#define KB_BLOB_TAG_SIZE	16

static inline const u8 *kb_blob_tag(const u8 blob[KEYBLOB_BLOB_SIZE])
{
	return blob + KEYBLOB_BLOB_SIZE - KB_BLOB_TAG_SIZE;
}

int kb_blob_init(void);
void kb_blob_exit(void);

int kb_blob_from_key(const struct keyblob_key *key, struct kb_sealed *sealed);
void kb_blob_seal(const struct kb_sealed *sealed, u8 blob[KEYBLOB_BLOB_SIZE]);
int kb_blob_open(const u8 *blob, size_t len, struct kb_sealed *sealed);

#endif
