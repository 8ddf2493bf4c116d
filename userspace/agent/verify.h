/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verification of peers' certificates: RFC 5280 paths to what the configuration trusts,
 * revocation, and the names of servers (RFC 9525).
 */
#ifndef KEYBLOBD_VERIFY_H
#define KEYBLOBD_VERIFY_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "config.h"
#include "peer_name.h"
#include "trust.h"

/* Bits of security that keys and signatures must have: RSA 2048, P-224, SHA-224. */
#define VERIFY_SECURITY_LEVEL 2

/* How the verification of a peer failed, if it did. */
struct verification {
	const char *expected;	/* of clients: the name that was asked for */
	bool failed;
	char reason[300];	/* which check, for a person */
};

/* Set the callback that verification needs on @ctx, and the security level. */
void verify_install(SSL_CTX *ctx);

/*
 * Make @ssl, a client, verify the server: a path to @servers, for TLS servers, and a
 * certificate for @name: subjectAltName alone, whole labels as wildcards. @ssl sends @name
 * as SNI if it is a DNS name. @name and @verification must outlive @ssl. 0, or -1: out of
 * memory.
 */
int verify_server(SSL *ssl, struct trust_store *servers, const struct peer_name *name,
		  struct verification *verification);

/*
 * Make @ssl, a server, ask for a client's certificate as @auth says, and verify it:
 * a path to @clients (NULL with CLIENT_AUTH_NONE), for TLS clients. As above. May be
 * called anew as long as no certificate was asked for.
 */
int verify_client(SSL *ssl, enum client_auth auth, struct trust_store *clients,
		  struct verification *verification);

#endif
