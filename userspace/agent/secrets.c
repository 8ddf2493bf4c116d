// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic secrets (TLS 1.3, from the key log), write keys (TLS 1.2, from the
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

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns the length, 0 if @hex is not all hex or does not fit. */
static uint16_t hex_decode(uint8_t *to, size_t max, const char *hex)
{
	size_t n;

	for (n = 0; hex[2 * n] && hex[2 * n + 1]; n++) {
		int high = hex_digit(hex[2 * n]), low = hex_digit(hex[2 * n + 1]);

		if (n == max || high < 0 || low < 0)
			return 0;
		to[n] = high << 4 | low;
	}
	return hex[2 * n] ? 0 : n;
}

/* The secret in "LABEL CLIENT_RANDOM SECRET", if @label is that label. */
static const char *secret_of(const char *line, const char *label)
{
	size_t len = strlen(label);

	if (strncmp(line, label, len) || line[len] != ' ')
		return NULL;
	line = strchr(line + len + 1, ' ');
	return line ? line + 1 : NULL;
}

/*
 * OpenSSL logs a secret when it switches to it: this side's after its Finished was
 * flushed, and before a server's tickets; the peer's when the peer's Finished was read.
 * What follows counts from 0.
 */
void secrets_keylog(struct secrets *secrets, struct wire *wire, const SSL *ssl, const char *line)
{
	bool server = SSL_is_server(ssl);
	const char *hex;

	hex = secret_of(line, "SERVER_TRAFFIC_SECRET_0");
	if (hex) {
		secrets->server_len = hex_decode(secrets->server, sizeof(secrets->server), hex);
		record_stream_rekey(server ? &wire->tx : &wire->rx);
	}
	hex = secret_of(line, "CLIENT_TRAFFIC_SECRET_0");
	if (hex) {
		secrets->client_len = hex_decode(secrets->client, sizeof(secrets->client), hex);
		record_stream_rekey(server ? &wire->rx : &wire->tx);
	}
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
