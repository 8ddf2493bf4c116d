// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic secrets (TLS 1.3, from traffic_secrets.c), write keys (TLS 1.2, from the
 * master secret), and where the record sequence stands. Called by handshake.c,
 * which owns the results and wipes them.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/tls.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "secrets.h"

#define EXPLICIT_NONCE_LEN 8

/*
 * OpenSSL derives a secret when it switches to it: this side's after its Finished was
 * flushed, and before a server's tickets; the peer's when the peer's Finished was read.
 * What follows counts from 0.
 */
void secrets_take(struct secrets *secrets, struct wire *wire, const SSL *ssl, bool servers,
		  const uint8_t *secret, size_t len)
{
	uint8_t *to = servers ? secrets->server : secrets->client;

	if (len > KEYBLOB_SECRET_MAX)
		return;
	memcpy(to, secret, len);
	*(servers ? &secrets->server_len : &secrets->client_len) = len;
	record_stream_rekey(servers == SSL_is_server(ssl) ? &wire->tx : &wire->rx);
}

static int derive_tls13(const struct secrets *secrets, const struct suite *suite,
			struct keyblob_key *client, struct keyblob_key *server)
{
	if (secrets->server_len != suite->hash_len || secrets->client_len != suite->hash_len)
		return -EPROTO;
	memcpy(client->secret, secrets->client, suite->hash_len);
	memcpy(server->secret, secrets->server, suite->hash_len);
	client->secret_len = suite->hash_len;
	server->secret_len = suite->hash_len;
	return 0;
}

/* RFC 5246 section 6.3: the key block, of @len bytes. */
static int expand_keys(const SSL *ssl, const struct suite *suite, uint8_t *block, size_t len)
{
	static char label[] = "key expansion";
	uint8_t master[SSL_MAX_MASTER_KEY_LENGTH];
	uint8_t client_random[SSL3_RANDOM_SIZE], server_random[SSL3_RANDOM_SIZE];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)suite->hash, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, sizeof(master)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label, sizeof(label) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, server_random,
						  sizeof(server_random)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, client_random,
						  sizeof(client_random)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *ctx = NULL;
	EVP_KDF *kdf;
	int err = -EPROTO;

	kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	if (kdf)
		ctx = EVP_KDF_CTX_new(kdf);
	if (ctx &&
	    SSL_SESSION_get_master_key(SSL_get0_session(ssl), master, sizeof(master)) ==
		    sizeof(master) &&
	    SSL_get_client_random(ssl, client_random, sizeof(client_random)) ==
		    sizeof(client_random) &&
	    SSL_get_server_random(ssl, server_random, sizeof(server_random)) ==
		    sizeof(server_random) &&
	    EVP_KDF_derive(ctx, block, len, params) == 1)
		err = 0;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	OPENSSL_cleanse(master, sizeof(master));
	return err;
}

/* The explicit nonce of the record that follows the last one, RFC 5288 section 3. */
static void next_nonce(uint8_t *nonce, const struct record_stream *stream)
{
	uint64_t n;

	memcpy(&n, stream->nonce, sizeof(n));
	n = htobe64(be64toh(n) + 1);
	memcpy(nonce, &n, sizeof(n));
}

static int derive_tls12(const SSL *ssl, const struct suite *suite, struct keyblob_key *client,
			struct keyblob_key *server)
{
	uint8_t block[2 * (KEYBLOB_KEY_MAX + KEYBLOB_IV_SIZE)], *p = block;
	size_t key_len = suite->key_len, iv_len = suite->fixed_iv_len;
	int err;

	err = expand_keys(ssl, suite, block, 2 * (key_len + iv_len));
	if (!err) {
		memcpy(client->key, p, key_len);
		p += key_len;
		memcpy(server->key, p, key_len);
		p += key_len;
		memcpy(client->iv, p, iv_len);
		p += iv_len;
		memcpy(server->iv, p, iv_len);
	}
	OPENSSL_cleanse(block, sizeof(block));
	return err;
}

int secrets_derive(const struct secrets *secrets, const struct wire *wire, const SSL *ssl,
		   const struct suite *suite, struct keyblob_key *tx, struct keyblob_key *rx)
{
	bool is_server = SSL_is_server(ssl);
	struct keyblob_key *client = is_server ? rx : tx, *server = is_server ? tx : rx;
	uint16_t role = is_server ? KEYBLOB_ROLE_SERVER : KEYBLOB_ROLE_CLIENT;
	int err;

	*tx = (struct keyblob_key){
		.direction = KEYBLOB_DIR_TX,
		.tls_version = suite->version,
		.role = role,
		.cipher = suite->cipher,
		.rec_seq = wire->tx.keyed_records,
	};
	*rx = (struct keyblob_key){
		.direction = KEYBLOB_DIR_RX,
		.tls_version = suite->version,
		.role = role,
		.cipher = suite->cipher,
		.rec_seq = wire->rx.keyed_records,
	};
	if (!wire->tx.keyed || !wire->rx.keyed)
		return -EPROTO;
	if (suite->version == TLS_1_3_VERSION)
		return derive_tls13(secrets, suite, client, server);
	err = derive_tls12(ssl, suite, client, server);
	if (!err && suite->fixed_iv_len + EXPLICIT_NONCE_LEN == KEYBLOB_IV_SIZE)
		next_nonce(tx->iv + suite->fixed_iv_len, &wire->tx);
	return err;
}
