/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The application traffic secrets of TLS 1.3 (RFC 8446 section 7.1), at the moment when
 * OpenSSL derives them. Its key log has them as well, but as text, which costs it as much as
 * a signature, and leaves copies in memory.
 */
#ifndef KEYBLOBD_TRAFFIC_SECRETS_H
#define KEYBLOBD_TRAFFIC_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * For SSL_CTX_new_ex(3): what makes OpenSSL use the provider below. Short, because it is
 * hashed for each algorithm that a handshake looks up.
 */
#define TRAFFIC_SECRETS_PROPERTIES "?provider=kdf"

/* Of generation 0, of the client's or of the server's direction. */
typedef void (*traffic_secret_cb)(bool servers, const uint8_t *secret, size_t len);

/*
 * Set up a provider of the key derivation of TLS 1.3, which is the default provider's, and
 * calls @callback. Once in a process. 0, or -1.
 */
int traffic_secrets_init(traffic_secret_cb callback);

void traffic_secrets_exit(void);

#endif
