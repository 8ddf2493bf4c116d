/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who the agent can be: certificates with their chains and private keys, and, for servers,
 * whom they talk to.
 */
#ifndef KEYBLOBD_IDENTITY_H
#define KEYBLOBD_IDENTITY_H

#include <stddef.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "config.h"
#include "ocsp.h"
#include "policy.h"
#include "verify.h"

#define NO_IDENTITY (-1)	/* as config_find_identity() has it */

struct identity {
	X509 *cert;
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
	X509 *names;		/* not NULL: its names count, not those of @cert */
	struct ocsp *ocsp;	/* NULL: none */
	struct trust_store *clients; /* NULL: their certificates are not asked for */
	const struct identity_config *config;
};

struct identities {
	struct identity *list;
	size_t count;
	size_t fallback;	/* which one when no name fits */
};

/*
 * Load what @config names, which must outlive them, and check that each key matches its
 * certificate. 0, or -1 after all faults have been told. identities_free() in both cases.
 */
int identities_load(struct identities *identities, const struct config *config);

void identities_free(struct identities *identities);

/*
 * Have @ctx, a server's, be the default identity unless told otherwise, and staple OCSP
 * responses if the client asks for that. @identities must outlive @ctx. 0, or -1.
 */
int identities_install(struct identities *identities, SSL_CTX *ctx);

/*
 * Make @ssl, a server that has not looked at the client's hello yet, identity number
 * @wanted; with NO_IDENTITY, every identity that is for @server_name (NULL: none given) and
 * asks the same of clients, so that OpenSSL can choose the kind of key, or the default one.
 * Identities that @permission does not cover do not exist. A second hello (@first_hello is
 * false) may ask for another name than the first one.
 *
 * Sessions are resumed as the same identity and with the same @server_name only (RFC 6066
 * section 3),
 * and never where certificates of clients are asked for: each of them is verified anew.
 * 0, or -1: there is no identity at all, or failure.
 */
int identities_use_for_server(const struct identities *identities, SSL *ssl, ssize_t wanted,
			      const char *server_name, bool first_hello,
			      const struct permission *permission,
			      struct verification *verification);

/* Give @ssl, a client, identity number @wanted to show if it is asked. 0, or -1. */
int identities_use_for_client(const struct identities *identities, SSL *ssl, ssize_t wanted);

#endif
