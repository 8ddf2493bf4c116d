// SPDX-License-Identifier: GPL-2.0-only
/*
 * The far end of a TLS connection; see tls_peer.h.
 */
#include <endian.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls_peer.h"

#define HEADER_SIZE	5
#define TAG_SIZE	16
#define EXPLICIT_SIZE	8

const struct tls_suite tls_suites[] = {
	{ "TLS 1.2 AES-128-GCM", TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 16, 32, "SHA256",
	  EVP_aes_128_gcm },
	{ "TLS 1.2 AES-256-GCM", TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_256, 32, 48, "SHA384",
	  EVP_aes_256_gcm },
	{ "TLS 1.2 ChaCha20-Poly1305", TLS_1_2_VERSION, TLS_CIPHER_CHACHA20_POLY1305, 32, 32,
	  "SHA256", EVP_chacha20_poly1305 },
	{ "TLS 1.3 AES-128-GCM", TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 16, 32, "SHA256",
	  EVP_aes_128_gcm },
	{ "TLS 1.3 AES-256-GCM", TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256, 32, 48, "SHA384",
	  EVP_aes_256_gcm },
	{ "TLS 1.3 ChaCha20-Poly1305", TLS_1_3_VERSION, TLS_CIPHER_CHACHA20_POLY1305, 32, 32,
	  "SHA256", EVP_chacha20_poly1305 },
	{ },
};

const struct tls_suite *tls_suite_find(uint16_t version, uint16_t cipher)
{
	const struct tls_suite *s;

	for (s = tls_suites; s->name; s++) {
		if (s->version == version && s->cipher == cipher)
			return s;
	}
	return NULL;
}

static int expand_label(const struct tls_suite *suite, const uint8_t *secret,
			char *label, uint8_t *out, size_t len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)suite->digest,
				       strlen(suite->digest)),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, suite->hash_size),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_LABEL, label, strlen(label)),
		OSSL_PARAM_END,
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	int ok = EVP_KDF_derive(ctx, out, len, params);

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok == 1 ? 0 : -1;
}

int tls_dir_keys(const struct keyblob_key *key, uint8_t out_key[KEYBLOB_KEY_MAX],
		 uint8_t out_iv[KEYBLOB_IV_SIZE])
{
	const struct tls_suite *suite = tls_suite_find(key->tls_version, key->cipher);

	if (!suite)
		return -1;
	if (key->tls_version == TLS_1_2_VERSION) {
		memcpy(out_key, key->key, KEYBLOB_KEY_MAX);
		memcpy(out_iv, key->iv, KEYBLOB_IV_SIZE);
		return 0;
	}
	if (expand_label(suite, key->secret, "key", out_key, suite->key_size))
		return -1;
	return expand_label(suite, key->secret, "iv", out_iv, KEYBLOB_IV_SIZE);
}

static int dir_init(struct tls_dir *dir, const struct keyblob_key *key)
{
	memset(dir, 0, sizeof(*dir));
	if (!key)
		return 0;
	dir->suite = tls_suite_find(key->tls_version, key->cipher);
	dir->evp = EVP_CIPHER_CTX_new();
	if (!dir->evp || tls_dir_keys(key, dir->key, dir->iv))
		return -1;
	dir->seq = key->rec_seq;
	memcpy(&dir->explicit_nonce, dir->iv + 4, sizeof(dir->explicit_nonce));
	dir->explicit_nonce = be64toh(dir->explicit_nonce);
	return 0;
}

int tls_peer_init(struct tls_peer *peer, int fd, const struct keyblob_key *tx,
		  const struct keyblob_key *rx)
{
	peer->fd = fd;
	peer->rest_at = 0;
	peer->rest_len = 0;
	if (dir_init(&peer->tx, rx))
		return -1;
	return dir_init(&peer->rx, tx);
}

void tls_peer_free(struct tls_peer *peer)
{
	EVP_CIPHER_CTX_free(peer->tx.evp);
	EVP_CIPHER_CTX_free(peer->rx.evp);
	peer->tx.evp = NULL;
	peer->rx.evp = NULL;
}

static bool has_explicit_nonce(const struct tls_suite *suite)
{
	return suite->version == TLS_1_2_VERSION &&
	       suite->cipher != TLS_CIPHER_CHACHA20_POLY1305;
}

static void make_nonce(const struct tls_dir *dir, uint64_t explicit_nonce, uint8_t nonce[12])
{
	uint8_t seq[8];
	uint64_t be;
	int i;

	memcpy(nonce, dir->iv, 12);
	if (has_explicit_nonce(dir->suite)) {
		be = htobe64(explicit_nonce);
		memcpy(nonce + 4, &be, 8);
		return;
	}
	be = htobe64(dir->seq);
	memcpy(seq, &be, 8);
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= seq[i];
}

/* Additional data: RFC 8446 section 5.2, RFC 5246 section 6.2.3.3. */
static size_t make_aad(const struct tls_dir *dir, const uint8_t *header, size_t plain,
		       uint8_t aad[13])
{
	uint64_t be = htobe64(dir->seq);

	if (dir->suite->version == TLS_1_3_VERSION) {
		memcpy(aad, header, HEADER_SIZE);
		return HEADER_SIZE;
	}
	memcpy(aad, &be, 8);
	memcpy(aad + 8, header, 3);
	aad[11] = plain >> 8;
	aad[12] = plain;
	return 13;
}

ssize_t tls_seal(struct tls_dir *dir, uint8_t type, const void *data, size_t len,
		 uint8_t *wire)
{
	const bool tls13 = dir->suite->version == TLS_1_3_VERSION;
	const size_t prefix = has_explicit_nonce(dir->suite) ? EXPLICIT_SIZE : 0;
	const size_t body = prefix + len + (tls13 ? 1 : 0) + TAG_SIZE;
	uint8_t *out = wire + HEADER_SIZE + prefix;
	uint8_t nonce[12], aad[13];
	size_t aad_len;
	uint64_t be;
	int n, ok;

	wire[0] = tls13 ? TLS_TYPE_DATA : type;
	wire[1] = 3;
	wire[2] = 3;
	wire[3] = body >> 8;
	wire[4] = body;
	if (prefix) {
		be = htobe64(dir->explicit_nonce);
		memcpy(wire + HEADER_SIZE, &be, prefix);
	}
	make_nonce(dir, dir->explicit_nonce, nonce);
	aad_len = make_aad(dir, wire, len, aad);

	ok = EVP_EncryptInit_ex(dir->evp, dir->suite->evp(), NULL, dir->key, nonce) &&
	     EVP_EncryptUpdate(dir->evp, NULL, &n, aad, aad_len) &&
	     EVP_EncryptUpdate(dir->evp, out, &n, data, len);
	if (ok && tls13)
		ok = EVP_EncryptUpdate(dir->evp, out + len, &n, &type, 1);
	ok = ok && EVP_EncryptFinal_ex(dir->evp, NULL, &n) &&
	     EVP_CIPHER_CTX_ctrl(dir->evp, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE,
				 wire + HEADER_SIZE + body - TAG_SIZE);
	if (!ok)
		return -1;
	dir->seq++;
	dir->explicit_nonce++;
	return HEADER_SIZE + body;
}

ssize_t tls_open(struct tls_dir *dir, const uint8_t *wire, size_t len, uint8_t *type,
		 uint8_t *data)
{
	const bool tls13 = dir->suite->version == TLS_1_3_VERSION;
	const size_t prefix = has_explicit_nonce(dir->suite) ? EXPLICIT_SIZE : 0;
	uint8_t nonce[12], aad[13], tag[TAG_SIZE];
	size_t aad_len, plain;
	uint64_t be = 0;
	int n, ok;

	if (len < HEADER_SIZE + prefix + TAG_SIZE || wire[1] != 3 || wire[2] != 3)
		return -1;
	plain = len - HEADER_SIZE - prefix - TAG_SIZE;
	if (prefix) {
		memcpy(&be, wire + HEADER_SIZE, prefix);
		dir->explicit_nonce = be64toh(be);
	}
	make_nonce(dir, dir->explicit_nonce, nonce);
	aad_len = make_aad(dir, wire, plain, aad);
	memcpy(tag, wire + len - TAG_SIZE, TAG_SIZE);

	ok = EVP_DecryptInit_ex(dir->evp, dir->suite->evp(), NULL, dir->key, nonce) &&
	     EVP_DecryptUpdate(dir->evp, NULL, &n, aad, aad_len) &&
	     EVP_DecryptUpdate(dir->evp, data, &n, wire + HEADER_SIZE + prefix, plain) &&
	     EVP_CIPHER_CTX_ctrl(dir->evp, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) &&
	     EVP_DecryptFinal_ex(dir->evp, NULL, &n) > 0;
	if (!ok)
		return -1;
	dir->seq++;

	*type = wire[0];
	if (!tls13)
		return plain;
	if (wire[0] != TLS_TYPE_DATA)
		return -1;
	while (plain && !data[plain - 1])
		plain--;
	if (!plain)
		return -1;
	*type = data[plain - 1];
	return plain - 1;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

int tls_peer_send(struct tls_peer *peer, uint8_t type, const void *data, size_t len)
{
	uint8_t wire[TLS_WIRE_MAX];
	ssize_t n = tls_seal(&peer->tx, type, data, len, wire);

	return n < 0 ? -1 : write_all(peer->fd, wire, n);
}

ssize_t tls_peer_recv(struct tls_peer *peer, uint8_t *type, uint8_t *data)
{
	uint8_t wire[TLS_WIRE_MAX];
	ssize_t n;
	size_t len;

	n = recv(peer->fd, wire, HEADER_SIZE, MSG_WAITALL);
	if (n != HEADER_SIZE)
		return n ? -1 : 0;
	len = wire[3] << 8 | wire[4];
	if (len > sizeof(wire) - HEADER_SIZE ||
	    recv(peer->fd, wire + HEADER_SIZE, len, MSG_WAITALL) != (ssize_t)len) {
		errno = EPROTO;
		return -1;
	}
	n = tls_open(&peer->rx, wire, HEADER_SIZE + len, type, data);
	if (n < 0)
		errno = EBADMSG;
	return n;
}

int tls_peer_write(struct tls_peer *peer, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		size_t n = len < TLS_RECORD_MAX ? len : TLS_RECORD_MAX;

		if (tls_peer_send(peer, TLS_TYPE_DATA, at, n))
			return -1;
		at += n;
		len -= n;
	}
	return 0;
}

int tls_peer_read(struct tls_peer *peer, void *data, size_t len)
{
	uint8_t *at = data;
	uint8_t type;

	while (len) {
		size_t n;

		if (!peer->rest_len) {
			ssize_t got = tls_peer_recv(peer, &type, peer->rest);

			if (got <= 0 || type != TLS_TYPE_DATA)
				return -1;
			peer->rest_at = 0;
			peer->rest_len = got;
		}
		n = len < peer->rest_len ? len : peer->rest_len;
		memcpy(at, peer->rest + peer->rest_at, n);
		peer->rest_at += n;
		peer->rest_len -= n;
		at += n;
		len -= n;
	}
	return 0;
}
