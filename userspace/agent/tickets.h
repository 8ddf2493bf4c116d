/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Session tickets (RFC 5077, RFC 8446 4.6.1): the keys that seal them, shared by all
 * workers. The supervisor makes, rotates or reads them; workers use them.
 */
#ifndef KEYBLOBD_TICKETS_H
#define KEYBLOBD_TICKETS_H

#include <stdint.h>
#include <time.h>

#include <openssl/ssl.h>

#include "config.h"

#define TICKET_KEYS_MAX 4

/*
 * In a file: these 80 bytes and no others, as in the files of nginx's
 * ssl_session_ticket_key. (HAProxy has the AES key before the HMAC key, in base64.)
 */
struct ticket_key {
	uint8_t name[16];	/* in the ticket, in the clear */
	uint8_t hmac_key[32];	/* HMAC-SHA256 */
	uint8_t aes_key[32];	/* AES-256-CBC */
};

/* The first one seals; all open. */
struct ticket_keyring {
	uint32_t count;
	struct ticket_key keys[TICKET_KEYS_MAX];
};

/*
 * Fill @ring: from the files of @config, which none but owner and group may use, or at
 * random. Without tickets it is empty. 0, or -1 after a message. The caller wipes it.
 */
int tickets_load(struct ticket_keyring *ring, const struct config *config);

/* Put a new random key in front; the oldest goes. 0 or a negative errno. */
int tickets_rotate(struct ticket_keyring *ring);

/* Seconds until the next rotation; 0: never (keys from files, or no tickets). */
unsigned int tickets_rotation(const struct config *config);

/*
 * Make @ctx seal and open tickets with *@ring, which must outlive it and may change in
 * between; or issue and accept none, as @config says. What a key other than the first one
 * has sealed is replaced by a ticket of the first one; what none has sealed, or is older
 * than the lifetime, gives a full handshake. To be called for each context that a
 * handshake may switch to. 0, or -1 after a message.
 */
int tickets_install(SSL_CTX *ctx, const struct config *config, const struct ticket_keyring *ring);

#endif
