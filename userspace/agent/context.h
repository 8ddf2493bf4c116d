/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What TLS the agent speaks.
 */
#ifndef KEYBLOBD_CONTEXT_H
#define KEYBLOBD_CONTEXT_H

#include <openssl/ssl.h>

#include "config.h"
#include "identity.h"
#include "tickets.h"

/*
 * The settings that all handshakes of a worker share, for servers and for clients.
 * @identities must outlive the context; the callbacks of a handshake are set by
 * handshake_install(). NULL after a message.
 *
 * Clients resume no session: its key would have to be kept.
 */
SSL_CTX *context_new(const struct config *config, struct identities *identities,
		     const struct ticket_keyring *tickets);
SSL_CTX *context_new_client(const struct config *config);

#endif
