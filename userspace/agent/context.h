/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What TLS the agent speaks.
 */
#ifndef KEYBLOBD_CONTEXT_H
#define KEYBLOBD_CONTEXT_H

#include <openssl/ssl.h>

#include "identity.h"
#include "options.h"

/*
 * The keys that session tickets are sealed with, in the order of OpenSSL's
 * SSL_CTX_set_tlsext_ticket_keys(). Made at random by the supervisor, shared by
 * its workers, so that a client may come back to any of them, and gone with the
 * supervisor: a restart of the agent makes all tickets void. Nothing on disk.
 */
struct ticket_keys {
	unsigned char bytes[80];
};

/*
 * The settings that all handshakes of a worker share. @identities must outlive
 * the context; the callbacks of a handshake are set by handshake_install().
 * Returns NULL after a message.
 */
SSL_CTX *context_new(const struct options *options, struct identities *identities,
		     const struct ticket_keys *tickets);

#endif
