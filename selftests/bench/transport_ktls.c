// SPDX-License-Identifier: GPL-2.0-only
/*
 * kTLS both ways and nothing else: the program has handshakes by OpenSSL, whose log of keys
 * gives away the traffic secrets, and sets them itself. It is all that keyblob could come to.
 * TLS 1.3, without tickets. Called by server.c.
 */
#include <err.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../lib/tls_peer.h"
#include "transport.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

struct tls {
	SSL *ssl;
	struct keyblob_key tx, rx;
};

static SSL_CTX *ctx;

/* A line of an SSLKEYLOGFILE: label, client random, secret. */
static void take_secret(const SSL *ssl, const char *line)
{
	struct tls *tls = SSL_get_app_data(ssl);
	const char *hex = strrchr(line, ' ') + 1;
	struct keyblob_key *key;

	if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24))
		key = &tls->tx;
	else if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
		key = &tls->rx;
	else
		return;
	while (sscanf(hex, "%2hhx", &key->secret[key->secret_len]) == 1) {
		key->secret_len++;
		hex += 2;
	}
}

static void init(const struct settings *settings, int listener)
{
	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_use_certificate_chain_file(ctx, settings->cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, settings->key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1)
		errx(1, "%s and %s are of no use", settings->cert, settings->key);
	SSL_CTX_set_keylog_callback(ctx, take_secret);
}

static int begin(struct connection *c)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return -ENOMEM;
	c->tls = tls;
	tls->ssl = SSL_new(ctx);
	if (!tls->ssl || SSL_set_fd(tls->ssl, c->fd) != 1)
		return -ENOMEM;
	SSL_set_app_data(tls->ssl, tls);
	return 0;
}

static uint16_t cipher_of(const SSL *ssl)
{
	switch (SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl))) {
	case 0x1301:
		return TLS_CIPHER_AES_GCM_128;
	case 0x1302:
		return TLS_CIPHER_AES_GCM_256;
	default:
		return TLS_CIPHER_CHACHA20_POLY1305;
	}
}

/* A crypto_info is version, cipher, then IV, key, salt, record number, one after another. */
static int set_key(int fd, int option, struct keyblob_key *key, uint16_t cipher)
{
	struct tls_crypto_info head = { .version = TLS_1_3_VERSION, .cipher_type = cipher };
	const struct tls_suite *suite = tls_suite_find(TLS_1_3_VERSION, cipher);
	const size_t salt = cipher == TLS_CIPHER_CHACHA20_POLY1305 ? 0 : 4;
	uint8_t info[sizeof(head) + KEYBLOB_IV_SIZE + KEYBLOB_KEY_MAX + sizeof(key->rec_seq)];
	uint8_t write_key[KEYBLOB_KEY_MAX], iv[KEYBLOB_IV_SIZE], *p = info;

	key->tls_version = TLS_1_3_VERSION;
	key->cipher = cipher;
	if (tls_dir_keys(key, write_key, iv))
		return -EPROTO;
	p = mempcpy(p, &head, sizeof(head));
	p = mempcpy(p, iv + salt, sizeof(iv) - salt);
	p = mempcpy(p, write_key, suite->key_size);
	p = mempcpy(p, iv, salt);
	p = mempcpy(p, &key->rec_seq, sizeof(key->rec_seq));	/* 0 */
	return setsockopt(fd, SOL_TLS, option, info, p - info) ? -errno : 0;
}

static int set_keys(int fd, struct tls *tls)
{
	const uint16_t cipher = cipher_of(tls->ssl);
	int err;

	if (setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls")))
		return -errno;
	err = set_key(fd, TLS_TX, &tls->tx, cipher);
	return err ? err : set_key(fd, TLS_RX, &tls->rx, cipher);
}

static int handshake(struct connection *c)
{
	struct tls *tls = c->tls;
	int result = SSL_accept(tls->ssl);

	if (result == 1)
		result = set_keys(c->fd, tls);
	else if (SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ)
		result = -EAGAIN;
	else
		result = -EPROTO;
	ERR_clear_error();
	c->wants = EPOLLIN;
	c->ready = !result;
	return result;
}

static void end(struct connection *c)
{
	struct tls *tls = c->tls;

	if (tls)
		SSL_free(tls->ssl);
	free(tls);
}

const struct transport transport_ktls = {
	.name = "ktls",
	.init = init,
	.begin = begin,
	.handshake = handshake,
	.read = socket_read,
	.write = socket_write,
	.sendfile = socket_sendfile,
	.end = end,
};
