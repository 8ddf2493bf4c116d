// SPDX-License-Identifier: GPL-2.0-only
/*
 * HKDF (RFC 5869) for the two hashes of TLS 1.3's cipher suites, on OpenSSL's hash functions.
 * Called by traffic_secrets.c, in fibers; owns a hash context for each, which keeps nothing.
 */
#include <stdbool.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "tls13_kdf.h"

#define HASH_MAX	48
#define BLOCK_MAX	128

/* Length, prefix and label, data, and a counter. */
#define INFO_MAX	(2 + 1 + 255 + 1 + HASH_MAX + 1)

struct hash {
	const char *name;
	EVP_MD *md;
	EVP_MD_CTX *ctx;
	size_t len, block;
	uint8_t of_nothing[HASH_MAX];
};

static struct hash hashes[] = { { .name = "SHA2-256" }, { .name = "SHA2-384" } };
#define HASHES (sizeof(hashes) / sizeof(hashes[0]))

/* What libssl passes, in its order. */
enum { MODE, DIGEST, KEY, SALT, PREFIX, LABEL, DATA, PARAMS };

static const char *const param_names[PARAMS] = {
	[MODE] = OSSL_KDF_PARAM_MODE, [DIGEST] = OSSL_KDF_PARAM_DIGEST,
	[KEY] = OSSL_KDF_PARAM_KEY, [SALT] = OSSL_KDF_PARAM_SALT,
	[PREFIX] = OSSL_KDF_PARAM_PREFIX, [LABEL] = OSSL_KDF_PARAM_LABEL,
	[DATA] = OSSL_KDF_PARAM_DATA,
};

struct bytes {
	const void *data;
	size_t len;
};

static bool digest(struct hash *h, struct bytes first, struct bytes second, uint8_t *to)
{
	return EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1 &&
	       EVP_DigestUpdate(h->ctx, first.data, first.len) == 1 &&
	       EVP_DigestUpdate(h->ctx, second.data, second.len) == 1 &&
	       EVP_DigestFinal_ex(h->ctx, to, NULL) == 1;
}

/* RFC 2104. All keys here are of a hash's length. */
static bool hmac(struct hash *h, struct bytes key, struct bytes message, uint8_t *to)
{
	uint64_t pad[BLOCK_MAX / sizeof(uint64_t)] = { 0 };
	const size_t words = h->block / sizeof(*pad);
	uint8_t inner[HASH_MAX];
	bool ok;

	if (key.len > h->len)
		return false;
	memcpy(pad, key.data, key.len);
	for (size_t i = 0; i < words; i++)
		pad[i] ^= UINT64_C(0x3636363636363636);
	ok = digest(h, (struct bytes){ pad, h->block }, message, inner);
	for (size_t i = 0; i < words; i++)
		pad[i] ^= UINT64_C(0x3636363636363636) ^ UINT64_C(0x5c5c5c5c5c5c5c5c);
	return ok && digest(h, (struct bytes){ pad, h->block }, (struct bytes){ inner, h->len }, to);
}

static uint8_t *append(uint8_t *to, struct bytes bytes)
{
	if (bytes.len)
		memcpy(to, bytes.data, bytes.len);
	return to + bytes.len;
}

/* HKDF-Expand-Label, of one block. */
static bool expand(struct hash *h, struct bytes secret, struct bytes prefix, struct bytes label,
		   struct bytes data, uint8_t *to, size_t len)
{
	uint8_t info[INFO_MAX], block[HASH_MAX], *p = info;

	if (len > h->len || prefix.len + label.len > 255 || data.len > HASH_MAX)
		return false;
	*p++ = len >> 8;
	*p++ = len;
	*p++ = prefix.len + label.len;
	p = append(append(p, prefix), label);
	*p++ = data.len;
	p = append(p, data);
	*p++ = 1;
	if (!hmac(h, secret, (struct bytes){ info, p - info }, block))
		return false;
	memcpy(to, block, len);
	return true;
}

/* HKDF-Extract, with Derive-Secret(secret, "derived", "") before it: from stage to stage. */
static bool extract(struct hash *h, struct bytes secret, struct bytes prefix, struct bytes label,
		    struct bytes input, uint8_t *to)
{
	static const uint8_t zeros[HASH_MAX];
	const struct bytes nothing = { h->of_nothing, h->len };
	uint8_t salt[HASH_MAX];

	if (!input.data)
		input = (struct bytes){ zeros, h->len };
	if (!secret.data)
		return hmac(h, (struct bytes){ zeros, 0 }, input, to);
	return expand(h, secret, prefix, label, nothing, salt, h->len) &&
	       hmac(h, (struct bytes){ salt, h->len }, input, to);
}

static struct hash *find_hash(const char *name)
{
	for (size_t i = 0; i < HASHES; i++)
		if (!strcmp(EVP_MD_get0_name(hashes[i].md), name))
			return &hashes[i];
	return NULL;
}

int tls13_kdf_derive(uint8_t *to, size_t len, const OSSL_PARAM params[])
{
	struct bytes given[PARAMS] = { 0 };
	struct hash *h;
	bool ok;
	int i = 0, mode;

	for (const OSSL_PARAM *p = params; p->key; p++) {
		while (i < PARAMS && strcmp(p->key, param_names[i]))
			i++;
		if (i == PARAMS)
			return 0;
		given[i++] = (struct bytes){ p->data, p->data_size };
	}
	if (given[MODE].len != sizeof(mode) || !given[DIGEST].data)
		return 0;
	memcpy(&mode, given[MODE].data, sizeof(mode));
	h = find_hash(given[DIGEST].data);
	if (!h)
		return 0;
	if (mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY)
		ok = given[KEY].data && expand(h, given[KEY], given[PREFIX], given[LABEL],
					       given[DATA], to, len);
	else
		ok = mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY && len == h->len &&
		     extract(h, given[SALT], given[PREFIX], given[LABEL], given[KEY], to);
	/* What it had is the result. */
	return EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1 && ok;
}

int tls13_kdf_init(void)
{
	for (size_t i = 0; i < HASHES; i++) {
		struct hash *h = &hashes[i];

		h->md = EVP_MD_fetch(NULL, h->name, NULL);
		h->ctx = EVP_MD_CTX_new();
		if (!h->md || !h->ctx ||
		    EVP_Digest("", 0, h->of_nothing, NULL, h->md, NULL) != 1)
			return -1;
		h->len = EVP_MD_get_size(h->md);
		h->block = EVP_MD_get_block_size(h->md);
	}
	return 0;
}

void tls13_kdf_exit(void)
{
	for (size_t i = 0; i < HASHES; i++) {
		EVP_MD_CTX_free(hashes[i].ctx);
		EVP_MD_free(hashes[i].md);
		hashes[i].ctx = NULL;
		hashes[i].md = NULL;
	}
}
