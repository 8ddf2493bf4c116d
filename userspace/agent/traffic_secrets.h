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
 * For SSL_CTX_new_ex(3): what makes OpenSSL use the provider below. The shortest that can be,
 * because it is hashed for each of the hundred algorithms that a handshake looks up.
 */
#define TRAFFIC_SECRETS_PROPERTIES "?k.b"

enum traffic_secret {
	SECRET_CLIENT,		/* TLS 1.3: traffic secrets of generation 0, RFC 8446 section 7.1 */
	SECRET_SERVER,
	SECRET_KEY_BLOCK,	/* TLS 1.2: RFC 5246 section 6.3 */
	SECRET_WRITE_KEY,	/* TLS 1.3, of any traffic secret: RFC 8446 section 7.3 */
	SECRET_WRITE_IV,
	TRAFFIC_SECRETS
};

/* A secret, and what it was derived from; in TLS 1.2 that is left out. */
struct derived {
	enum traffic_secret which;
	const uint8_t *bytes, *from;
	size_t len, from_len;
};

typedef void (*traffic_secret_cb)(const struct derived *derived);

/*
 * Set up a provider of TLS's key derivation, tls13_kdf.c's and for TLS 1.2 the default
 * provider's, that calls @callback. Once in a process. 0, or -1.
 */
int traffic_secrets_init(traffic_secret_cb callback);

void traffic_secrets_exit(void);

#endif
