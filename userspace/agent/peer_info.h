/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an application is told about the peer whose certificate was verified, and about the
 * connection itself.
 */
#ifndef KEYBLOBD_PEER_INFO_H
#define KEYBLOBD_PEER_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "protocol.h"

struct peer_info {
	STACK_OF(X509) *chain;		/* from the peer's own to the trust anchor; NULL: none */
	STACK_OF(OPENSSL_STRING) *names; /* NULL: none */
	bool bound;			/* @channel_binding is there */
	uint8_t channel_binding[KEYBLOB_CHANNEL_BINDING_SIZE];
};

/*
 * The names that @cert is for (subjectAltName, RFC 5280 4.2.1.6): DNS names and IP
 * addresses as they are, mail addresses as "email:...", URIs as "URI:...". What is not of
 * that form is left out, other kinds too. To be freed with peer_names_free(); NULL: out of
 * memory.
 */
STACK_OF(OPENSSL_STRING) *peer_names(const X509 *cert);
void peer_names_free(STACK_OF(OPENSSL_STRING) *names);

/*
 * Of a handshake that is done: fill in @info's channel binding, if it has one (RFC 9266
 * section 3).
 */
void peer_info_read_binding(struct peer_info *info, SSL *ssl);

/*
 * Fill in the rest of @info after a handshake. @expected: the name that the certificate was checked
 * for, which comes first; NULL: none. 0, or -1: out of memory. peer_info_free() in both
 * cases.
 */
int peer_info_read(struct peer_info *info, SSL *ssl, const char *expected);
void peer_info_free(struct peer_info *info);

#endif
