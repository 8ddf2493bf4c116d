// SPDX-License-Identifier: GPL-2.0-only
/*
 * From what traffic_secrets.c tells to write keys, and where the record sequence stands.
 * Called by handshake.c, which owns the results and wipes them.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/tls.h>

#include "secrets.h"

#define EXPLICIT_NONCE_LEN 8

/* Keys and IVs of handshake traffic secrets come as well, and are of no interest. */
static void take_key(struct secrets *secrets, const struct derived *derived)
{
	for (int i = SECRET_CLIENT; i <= SECRET_SERVER; i++) {
		if (!derived->from || derived->from_len != secrets->list[i].len ||
		    memcmp(derived->from, secrets->list[i].bytes, derived->from_len))
			continue;
		if (derived->which == SECRET_WRITE_KEY && derived->len <= KEYBLOB_KEY_MAX) {
			memcpy(secrets->keys[i].key, derived->bytes, derived->len);
			secrets->keys[i].key_len = derived->len;
		} else if (derived->which == SECRET_WRITE_IV && derived->len == KEYBLOB_IV_SIZE) {
			memcpy(secrets->keys[i].iv, derived->bytes, derived->len);
			secrets->keys[i].iv_len = derived->len;
		}
	}
}

/*
 * OpenSSL derives a traffic secret when it switches to it: this side's after its Finished
 * was flushed, and before a server's tickets; the peer's when the peer's Finished was read.
 * What follows counts from 0.
 */
void secrets_take(struct secrets *secrets, struct wire *wire, const SSL *ssl,
		  const struct derived *derived)
{
	const enum traffic_secret which = derived->which;

	if (which > SECRET_KEY_BLOCK) {
		take_key(secrets, derived);
		return;
	}
	if (derived->len > TRAFFIC_SECRET_MAX)
		return;
	memcpy(secrets->list[which].bytes, derived->bytes, derived->len);
	secrets->list[which].len = derived->len;
	if (which != SECRET_KEY_BLOCK)
		record_stream_rekey((which == SECRET_SERVER) == SSL_is_server(ssl) ? &wire->tx :
										     &wire->rx);
}

static int take_tls13(const struct secrets *secrets, const struct suite *suite,
		      enum traffic_secret which, struct keyblob_key *key)
{
	if (secrets->list[which].len != suite->hash_len)
		return -EPROTO;
	memcpy(key->secret, secrets->list[which].bytes, suite->hash_len);
	key->secret_len = suite->hash_len;
	/* The kernel can do it, but need not do it again. */
	if (secrets->keys[which].key_len == suite->key_len && secrets->keys[which].iv_len) {
		memcpy(key->key, secrets->keys[which].key, suite->key_len);
		memcpy(key->iv, secrets->keys[which].iv, KEYBLOB_IV_SIZE);
	}
	return 0;
}

/* The explicit nonce of the record that follows the last one, RFC 5288 section 3. */
static void next_nonce(uint8_t *nonce, const struct record_stream *stream)
{
	uint64_t n;

	memcpy(&n, stream->nonce, sizeof(n));
	n = htobe64(be64toh(n) + 1);
	memcpy(nonce, &n, sizeof(n));
}

static int take_tls12(const struct secrets *secrets, const struct suite *suite,
		      struct keyblob_key *client, struct keyblob_key *server)
{
	const uint8_t *p = secrets->list[SECRET_KEY_BLOCK].bytes;
	size_t key_len = suite->key_len, iv_len = suite->fixed_iv_len;

	/* OpenSSL derives more than it needs. */
	if (secrets->list[SECRET_KEY_BLOCK].len < 2 * (key_len + iv_len))
		return -EPROTO;
	memcpy(client->key, p, key_len);
	p += key_len;
	memcpy(server->key, p, key_len);
	p += key_len;
	memcpy(client->iv, p, iv_len);
	p += iv_len;
	memcpy(server->iv, p, iv_len);
	return 0;
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
	if (suite->version == TLS_1_3_VERSION) {
		err = take_tls13(secrets, suite, SECRET_CLIENT, client);
		return err ? err : take_tls13(secrets, suite, SECRET_SERVER, server);
	}
	err = take_tls12(secrets, suite, client, server);
	if (!err && suite->fixed_iv_len + EXPLICIT_NONCE_LEN == KEYBLOB_IV_SIZE)
		next_nonce(tx->iv + suite->fixed_iv_len, &wire->tx);
	return err;
}
