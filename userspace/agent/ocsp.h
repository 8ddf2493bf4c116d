/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * OCSP responses that servers hand out with their certificates (RFC 6960, RFC 6066
 * section 8). Somebody else fetches them, into files.
 */
#ifndef KEYBLOBD_OCSP_H
#define KEYBLOBD_OCSP_H

#include <openssl/ssl.h>

#include "config.h"

struct ocsp;

/*
 * Load the DER file at @path and check that it is about @cert, whose issuer is the first
 * of @chain, or @cert itself, says that it is good, and is signed by or for the issuer.
 * NULL after a message.
 */
struct ocsp *ocsp_load(const struct setting *path, X509 *cert, STACK_OF(X509) *chain);
void ocsp_free(struct ocsp *ocsp);

/* Attach it to the handshake; returns what the status callback is to return. */
int ocsp_staple(SSL *ssl, const struct ocsp *ocsp);

#endif
