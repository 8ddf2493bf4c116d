/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who the agent can be: certificates with their chains and private keys.
 */
#ifndef KEYBLOBD_IDENTITY_H
#define KEYBLOBD_IDENTITY_H

#include <stddef.h>

#include <openssl/ssl.h>

#include "options.h"

struct identity {
	X509 *cert;
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
};

struct identities {
	struct identity *list;	/* the first is the default */
	size_t count;
};

/*
 * Load what @options name and check that each key matches its certificate. 0, or
 * -1 after a message that says what to do. identities_free() in both cases.
 */
int identities_load(struct identities *identities, const struct options *options);

void identities_free(struct identities *identities);

/*
 * Certificate callback of OpenSSL; @arg is a struct identities. Gives @ssl every
 * identity that is valid for the name the client asked for, so that OpenSSL can
 * choose the kind of key, or the default one. Returns 1, or 0 on failure.
 */
int identities_select(SSL *ssl, void *arg);

#endif
