// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets and keys, see sockets.h.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "sockets.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const struct cipher {
	const char *name;
	int number, info_size, secret_len, key_len;
} ciphers[] = {
	{ "AES-128-GCM", TLS_CIPHER_AES_GCM_128, sizeof(struct tls12_crypto_info_aes_gcm_128), 32,
	  16 },
	{ "AES-256-GCM", TLS_CIPHER_AES_GCM_256, sizeof(struct tls12_crypto_info_aes_gcm_256), 48,
	  32 },
	{ "CHACHA20-POLY1305", TLS_CIPHER_CHACHA20_POLY1305,
	  sizeof(struct tls12_crypto_info_chacha20_poly1305), 32, 32 },
};

static const char bytes[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const struct cipher *cipher = &ciphers[0];
static int version = TLS_1_3_VERSION;

static void check(bool ok, const char *what)
{
	if (!ok)
		err(1, "%s", what);
}

int sockets_listen(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(!bind(fd, (void *)&address, sizeof(address)), "bind");
	check(!listen(fd, 1), "listen");
	return fd;
}

void sockets_pair(int listener, int fds[2])
{
	const struct linger reset = { .l_onoff = 1 };
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	check(!getsockname(listener, (void *)&address, &len), "getsockname");
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	check(!connect(fds[0], (void *)&address, len), "connect");
	fds[1] = accept(listener, NULL, NULL);
	check(fds[1] >= 0, "accept");
	/* No TIME_WAIT when the program ends, which would be memory, too. */
	for (int i = 0; i < 2; i++)
		check(!setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), "SO_LINGER");
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

void sockets_attach(int fd, const char *ulp)
{
	check(!setsockopt(fd, SOL_TCP, TCP_ULP, ulp, strlen(ulp)), ulp);
}

void sockets_set_ktls(int fd, int option)
{
	union {
		struct tls_crypto_info info;
		char bytes[64];
	} key = { .info = { .version = version, .cipher_type = cipher->number } };

	memcpy(key.bytes + sizeof(key.info), bytes, cipher->info_size - sizeof(key.info));
	check(!setsockopt(fd, SOL_TLS, option, &key, cipher->info_size), "TLS_TX, TLS_RX");
}

void sockets_export(int fd, int direction, unsigned char blob[KEYBLOB_BLOB_SIZE])
{
	struct keyblob_key key = {
		.direction = direction,
		.tls_version = version,
		.cipher = cipher->number,
		.role = KEYBLOB_ROLE_SERVER,
	};
	socklen_t len = KEYBLOB_BLOB_SIZE;

	if (version == TLS_1_3_VERSION) {
		key.secret_len = cipher->secret_len;
		memcpy(key.secret, bytes, key.secret_len);
	} else {
		memcpy(key.key, bytes, cipher->key_len);
	}
	memcpy(blob, &key, sizeof(key));
	check(!getsockopt(fd, SOL_KEYBLOB, KEYBLOB_EXPORT, blob, &len), "KEYBLOB_EXPORT");
}

void sockets_import(int fd, int option, const unsigned char blob[KEYBLOB_BLOB_SIZE])
{
	check(!setsockopt(fd, SOL_KEYBLOB, option, blob, KEYBLOB_BLOB_SIZE),
	      "KEYBLOB_TX, KEYBLOB_RX");
}

void sockets_use_ktls(int fd)
{
	sockets_attach(fd, "tls");
	sockets_set_ktls(fd, TLS_TX);
	sockets_set_ktls(fd, TLS_RX);
}

void sockets_use_keyblob(int fd)
{
	unsigned char tx[KEYBLOB_BLOB_SIZE], rx[KEYBLOB_BLOB_SIZE];

	sockets_attach(fd, KEYBLOB_ULP_NAME);
	sockets_export(fd, KEYBLOB_DIR_TX, tx);
	sockets_export(fd, KEYBLOB_DIR_RX, rx);
	sockets_import(fd, KEYBLOB_TX, tx);
	sockets_import(fd, KEYBLOB_RX, rx);
}
