/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What protects application data, at the moment when OpenSSL derives it. Its key log tells of
 * it as well, but as text, which costs it as much as a signature, and leaves copies in memory.
 */
#ifndef KEYBLOBD_TRAFFIC_SECRETS_H
#define KEYBLOBD_TRAFFIC_SECRETS_H

#include <stddef.h>
#include <stdint.h>

/*
 * For SSL_CTX_new_ex(3): what makes OpenSSL use the provider below. Short, because it is
 * hashed for each algorithm that a handshake looks up.
 */
#define TRAFFIC_SECRETS_PROPERTIES "?provider=kdf"

enum traffic_secret {
	SECRET_CLIENT,		/* TLS 1.3: traffic secrets of generation 0, RFC 8446 section 7.1 */
	SECRET_SERVER,
	SECRET_KEY_BLOCK,	/* TLS 1.2: RFC 5246 section 6.3 */
	TRAFFIC_SECRETS
};

typedef void (*traffic_secret_cb)(enum traffic_secret which, const uint8_t *secret, size_t len);

/*
 * Set up a provider of TLS's key derivation, which is the default provider's, and calls
 * @callback. Once in a process. 0, or -1.
 */
int traffic_secrets_init(traffic_secret_cb callback);

void traffic_secrets_exit(void);

#endif
