// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets and keys, see sockets.h.
 */
#include <err.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sockets.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const struct cipher {
	const char *name;
	int number, info_size;
} ciphers[] = {
	{ "AES-128-GCM", TLS_CIPHER_AES_GCM_128, sizeof(struct tls12_crypto_info_aes_gcm_128) },
	{ "AES-256-GCM", TLS_CIPHER_AES_GCM_256, sizeof(struct tls12_crypto_info_aes_gcm_256) },
	{ "CHACHA20-POLY1305", TLS_CIPHER_CHACHA20_POLY1305,
	  sizeof(struct tls12_crypto_info_chacha20_poly1305) },
};

static const char bytes[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const struct cipher *cipher = &ciphers[0];
static int version = TLS_1_3_VERSION;

void sockets_check(int result, const char *what)
{
	if (result)
		err(1, "%s", what);
}

void sockets_pair(int fds[2])
{
	const struct linger reset = { .l_onoff = 1 };

	sockets_check(tcp_pair(AF_INET, fds), "a connection");
	/* No TIME_WAIT when the program ends, which would be memory, too. */
	for (int i = 0; i < 2; i++)
		sockets_check(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
			      "SO_LINGER");
}

bool sockets_set_suite(int tls_version, const char *name)
{
	version = tls_version;
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(*ciphers); i++) {
		cipher = &ciphers[i];
		if (!strcmp(cipher->name, name))
			return true;
	}
	return false;
}

void sockets_key(struct keyblob_key *key, int direction)
{
	key_random(key, direction, version, cipher->number);
	key->role = KEYBLOB_ROLE_SERVER;
}

void sockets_set_ktls(int fd, int option)
{
	union {
		struct tls_crypto_info info;
		char bytes[64];
	} key = { .info = { .version = version, .cipher_type = cipher->number } };

	memcpy(key.bytes + sizeof(key.info), bytes, cipher->info_size - sizeof(key.info));
	sockets_check(setsockopt(fd, SOL_TLS, option, &key, cipher->info_size), "TLS_TX, TLS_RX");
}

void sockets_use_ktls(int fd)
{
	sockets_check(ulp_attach(fd, "tls"), "tls");
	sockets_set_ktls(fd, TLS_TX);
	sockets_set_ktls(fd, TLS_RX);
}

void sockets_use_keyblob(int fd)
{
	struct conn c = { .fd = fd };

	sockets_key(&c.tx, KEYBLOB_DIR_TX);
	sockets_key(&c.rx, KEYBLOB_DIR_RX);
	sockets_check(keyblob_attach(fd), KEYBLOB_ULP_NAME);
	sockets_check(conn_import(&c), "KEYBLOB_EXPORT, KEYBLOB_TX, KEYBLOB_RX");
}
